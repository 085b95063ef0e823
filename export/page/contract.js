/** The contract of the exported model, as kerasgan/scans/contract.py describes it. */

export const SIGNATURE = 'serving_default';
const FORMAT = 1;

/** Returns the JSON file of a name in the model's folder; an empty object where its content is not JSON. */
export async function loadJson(folder, name) {
  const response = await fetch(`${folder}/${name}.json`);
  if (!response.ok) throw new Error(`${folder}/${name}.json is missing; build the page again.`);
  return response.json().catch(() => ({}));
}

/** Returns the contract in the model's folder; throws an Error for one of another program or format. */
export async function loadContract(folder) {
  const contract = await loadJson(folder, 'contract');
  if (!contract?.signatures?.[SIGNATURE]) throw new Error('contract.json is no contract of kerasgan export; build the page again.');
  if (contract.format !== FORMAT) {
    throw new Error(`The contract has format ${contract.format}, this page reads ${FORMAT}; build the page with the kerasgan that exported.`);
  }
  return contract;
}
