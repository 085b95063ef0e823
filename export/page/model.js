/** The exported model and its contract, run by LiteRT in WebAssembly. Nothing leaves the device. */

import {loadAndCompile, loadLiteRt, Tensor} from './vendor/litert.js';

const FORMAT = 1;
const SIGNATURE = 'serving_default';

/** A file that lies beside the model; an empty object where it is no JSON. */
export async function loadJson(folder, name) {
  const response = await fetch(`${folder}/${name}.json`);
  if (!response.ok) throw new Error(`${folder}/${name}.json is missing; build the page again.`);
  return response.json().catch(() => ({}));
}

/** The contract of the model; an Error where it is not one of kerasgan's. */
export async function loadContract(folder) {
  const contract = await loadJson(folder, 'contract');
  if (!contract?.signatures?.[SIGNATURE]) throw new Error('contract.json is no contract of kerasgan export.');
  if (contract.format !== FORMAT) {
    throw new Error(`The contract has format ${contract.format}, this page reads ${FORMAT}.`);
  }
  return contract;
}

/** A function from a Float32Array of height x width pixels in the source's unit to one in the target's. */
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
