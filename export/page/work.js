/** The worker: it reads and translates scans and writes what is saved, while the page answers in a thread of its own. */

import {percentiles} from './body.js';
import {isDicom, readSeries} from './dicom.js';
import {writeSeries} from './dicom_write.js';
import {errorMap} from './expected_error.js';
import {axial} from './geometry.js';
import {isImage, readImage, writeNifti} from './images.js';
import {loadModel} from './model.js';
import {translate} from './translate.js';
import {zipSync} from './vendor/fflate.js';

const SOFT_TISSUE = [40, 400];
const BREATH_MS = 50;  // after which messages of the page are read
let [contract, loading] = [];  // of the model
let [finished, shown] = [];  // {job, source, synthetic, back} of the last scan, and of that which the page shows
let latest = 0;  // number of the last job; those before it end at their next step
let working = Promise.resolve();  // jobs come one after the other

/**
 * Takes {contract} once, then {job, files} for a scan, {job} to end all before it, {shown: job} where its result is shown and
 * {save: 'nifti' or 'dicom'} for that. Answers {job: 0} when the model is loaded, {job, step, part} on the way to {job,
 * result} or {job, error}, and {saved, bytes}.
 */
self.addEventListener('message', ({data}) => {
  const {contract: given, job = 0, files, save, shown: which} = data;
  if (save) return void self.postMessage({saved: save, bytes: written(save)});
  if (which) return void (shown = finished?.job === which ? finished : shown);
  if (given) [contract, loading] = [given, loadModel(given)];
  latest = Math.max(latest, job);
  if (given || files) working = working.then(() => (job === latest ? attempt(job, files) : null));
});
self.postMessage({listening: true});

async function attempt(job, files) {
  let breathed = performance.now();
  const progress = async (step, part) => {
    self.postMessage({job, step, part});
    if (performance.now() - breathed < BREATH_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    breathed = performance.now();
    if (job !== latest) throw new Error('Another scan was chosen.');
  };
  try {
    const model = await loading;
    const result = files && await open(job, files, model, progress);
    self.postMessage({job, result}, result ? [result.volume.data.buffer] : []);
  } catch (error) {
    self.postMessage({job, error: error.message});
  }
}

/** Returns what the page shows of the scan in some files; `finished` is what is written of it. */
async function open(job, files, model, progress) {
  const scan = await read(files, progress);
  const {volume, back} = axial(scan);
  delete scan.data;  // which is large, and of no more use
  const extent = `${volume.shape[0]} ${volume.shape[0] === 1 ? 'slice' : 'slices'} of ${volume.shape[1]} x ${volume.shape[2]}`;
  await progress(`Translating ${scan.name}, ${extent}.`);
  const times = [];
  const synthetic = await translate(volume, contract, model, async (done, all, time) => {
    if (done) times.push(time);
    await progress('', done / all);
  });
  const isExpected = contract.expected_error && synthetic.modality === 'CT';
  const error = isExpected ? errorMap(synthetic, contract.expected_error) : null;
  const each = Math.round(times.sort((a, b) => a - b)[times.length >> 1]);
  const plain = ({data, shape, spacing, modality}) => ({data, shape, spacing, modality});
  finished = {job, source: scan, synthetic, back};
  return {
    name: scan.name, isSeries: Boolean(scan.files), extent, volume: plain(volume), synthetic: plain(synthetic), error,
    windows: [display(volume), display(synthetic)], verdict: synthetic.verdict,
    said: `${scan.name}, ${extent} translated, ${each} ms a slice.${scan.note}`,
  };
}

async function read(files, progress) {
  const {modality} = contract.source;
  const image = files.find((file) => isImage(file.name));
  if (image) {
    if (files.length > 1) throw new Error(`One scan is needed; got ${files.length} files with ${image.name} among them.`);
    const volume = await readImage(image.name, await image.arrayBuffer(), modality);
    return {...volume, name: image.name, note: volume.doubt};
  }
  await progress(`Reading ${files.length} ${files.length === 1 ? 'file' : 'files'}.`);
  const sources = [];
  for (const file of files) {
    const buffer = await file.arrayBuffer();
    if (isDicom(buffer)) sources.push({name: file.name, buffer});
    await progress('', 0);
  }
  const found = files.length === 1 ? `${files[0].name} is not a scan` : `None of ${files.length} files is a scan`;
  if (!sources.length) throw new Error(`${found}; open DICOM slices, a .nii, .nii.gz or .mha file.`);
  const volume = await readSeries(sources, modality, (done, all) => progress('', done / all));
  return {...volume, note: volume.irregular ? ` It has ${volume.irregular}: the slices were translated as they are.` : ''};
}

/** Returns the [level, window] to begin with. */
function display({data, modality}) {
  if (modality === 'CT') return SOFT_TISSUE;
  const [low, high] = percentiles(data, [1, 99.5]);
  return [Math.round((low + high) / 2), Math.max(1, Math.round(high - low))];
}

/** Returns the bytes of the synthetic scan that is shown: a NIfTI file, or an archive of a DICOM series. */
function written(format) {
  const {source, synthetic, back} = shown;
  return format === 'nifti' ? writeNifti(synthetic) : zipSync(writeSeries(back(synthetic.data), source, contract), {level: 0});
}
