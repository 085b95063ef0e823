/**
 * Runs modules of the page in Node.js on the scan of FOLDER/job.json, and writes into FOLDER what they make of it:
 *
 *   node page_twins.mjs PAGE FOLDER
 */

import {webcrypto} from 'node:crypto';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

globalThis.crypto ??= webcrypto; // in Node.js 18, as in Debian 12, it has this name alone
const [page, folder] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${page}/${name}.js`));
const [{bodyMask, grown}, {readSeries}, {writeSeries}, {axial, sliceGrid}, {isImage, readImage}, {corrected, verdict}, {errorMap}] =
  await Promise.all(['body', 'dicom', 'dicom_write', 'geometry', 'images', 'translate', 'expected_error'].map(load));
const {files, modality, pixel_mm: pixel, size, contract} = JSON.parse(readFileSync(`${folder}/job.json`));
const sources = files.map((name) => ({name, buffer: new Uint8Array(readFileSync(name)).buffer}));
const [{name, buffer}] = sources;
const base = (path) => path.split('/').pop();
let scan;
try {
  scan = isImage(name) ? await readImage(base(name), buffer, modality) : await readSeries(sources, modality);
} catch (error) {
  writeFileSync(`${folder}/refusal.txt`, error.message);
  process.exit();
}
const {volume, back} = axial(scan);
const [slices, rows, columns] = volume.shape;
const ratio = [volume.spacing[1] / pixel, volume.spacing[2] / pixel];
const grid = sliceGrid([rows, columns], ratio, size);
const cut = Array.from({length: slices}, (_, slice) => volume.data.subarray(slice * rows * columns, (slice + 1) * rows * columns));
const network = cut.map((image) => grid.toModel(image, -7));
const write = (file, ...arrays) => writeFileSync(`${folder}/${file}`, Buffer.concat(arrays.map((array) => Buffer.from(array.buffer))));
write('scan.float32', scan.data);
write('axial.float32', volume.data);
write('returned.float32', back(volume.data));
const body = bodyMask(volume);
write('body.uint8', body);
write('grown.uint8', grown(body, volume.shape, volume.spacing, 4));
write('network.float32', ...network);
for (const enlarging of ['linear', 'lanczos']) {
  const {fromModel} = sliceGrid([rows, columns], ratio, size, enlarging);
  write(`${enlarging}.float32`, ...network.map((image) => fromModel(image, -7)));
}
const geometry = ({shape, spacing, axes, origin}) => ({shape, spacing, axes, origin});
writeFileSync(`${folder}/geometry.json`, JSON.stringify({scan: geometry(scan), axial: geometry(volume), scaled: grid.scaled}));
const unbiased = contract && await corrected(volume, body, contract, () => null);
if (contract) write('corrected.float32', unbiased.data);
if (contract?.expected_error) write('errors.float32', errorMap(volume, contract.expected_error));
if (contract?.gate) writeFileSync(`${folder}/verdict.json`, JSON.stringify(verdict(unbiased, body, contract)));
else if (contract) {
  mkdirSync(`${folder}/written`);
  const synthetic = scan.data.map((value) => 2 * value - 100.25);
  for (const [file, bytes] of Object.entries(writeSeries(synthetic, scan, contract))) writeFileSync(`${folder}/written/${file}`, bytes);
}
