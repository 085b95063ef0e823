/** The exported model, run by LiteRT in WebAssembly, in a worker. */

import {SIGNATURE} from './contract.js';
import {loadAndCompile, loadLiteRt, Tensor} from './vendor/litert.js';

const address = (path) => new URL(path, import.meta.url).href;  // a worker that began as a blob has none of its own

/** Returns {run, size}: `run` takes and gives a Float32Array of height x width pixels, in the contract's units. */
export async function loadModel(contract) {
  const [, height, width] = contract.signatures[SIGNATURE].inputs.image.shape;
  self.Module = {locateFile: (file) => address(`vendor/wasm/${file}`)};
  await loadLiteRt(address('vendor/wasm/'));
  const model = await loadAndCompile(address('model/model.tflite'), {accelerator: 'wasm'});
  const shape = model.getInputDetails?.()[0]?.shape;
  if (shape && Array.from(shape).join() !== `1,${height},${width},1`) {
    throw new Error('model.tflite and contract.json do not belong together; build the page again.');
  }
  const run = async (image) => {
    const input = new Tensor(image, [1, height, width, 1]);
    const [output] = await model.run(input);
    const values = Float32Array.from(output.toTypedArray());
    input.delete();
    output.delete();
    return values;
  };
  return {run, size: [height, width]};
}
