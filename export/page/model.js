/** The exported model, run by LiteRT in WebAssembly. */

import {SIGNATURE} from './contract.js';
import {loadAndCompile, loadLiteRt, Tensor} from './vendor/litert.js';

/** Returns {run, size}: `run` takes and gives a Float32Array of height x width pixels, in the contract's units. */
export async function loadModel(folder, contract) {
  const [, height, width] = contract.signatures[SIGNATURE].inputs.image.shape;
  await loadLiteRt('vendor/wasm/');
  const model = await loadAndCompile(`${folder}/model.tflite`, {accelerator: 'wasm'});
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
