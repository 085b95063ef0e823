/** The page: files in, model, viewer, files out. */

import {loadContract, loadJson} from './contract.js';
import {isDicom, readSeries} from './dicom.js';
import {writeSeries} from './dicom_write.js';
import {axial} from './geometry.js';
import {isImage, readImage, writeNifti} from './images.js';
import {loadModel} from './model.js';
import {percentiles} from './body.js';
import {translate} from './translate.js';
import {makeViewer} from './viewer.js';
import {zipSync} from './vendor/fflate.js';

const element = (id) => document.getElementById(id);
const FOLDER = 'model';
const SOFT_TISSUE = [40, 400];
const viewer = makeViewer();
const page = {};  // contract and model; source, synthetic and back belong to the scan that is shown
let loading;  // of contract and model
let latest = 0;  // number of the last job; those before it stop at their next slice
let working = Promise.resolve();  // the model translates one slice at a time

async function start() {
  page.contract = await loadContract(FOLDER);
  describe(page.contract, await loadJson(FOLDER, 'limits'));
  page.model = await loadModel(FOLDER, page.contract);
  say(`Ready for ${page.contract.source.modality}.`);
}

function range({window, unit}) {
  return `${window.map((value) => Number(value.toPrecision(5))).join(' to ')} ${unit === 'HU' ? unit : `${unit} units`}`;
}

function describe(contract, limits) {
  const {source, target} = contract;
  element('task').textContent = `${source.modality} to synthetic ${target.modality}, on this device`;
  element('statement').textContent = contract.statement.replace('Synthetic images for research. ', '');
  element('quick').hidden = !contract.quick;
  element('target-name').textContent = `Synthetic ${target.modality}, not for diagnosis`;
  element('presets').hidden = target.modality !== 'CT';
  const bias = contract.mr_scaling?.bias_correction ? 'corrected for bias fields (N4) in training, not on this page' : '';
  const facts = {
    Recipe: contract.recipe, Anatomy: contract.anatomy || 'unknown', Weights: contract.weights,
    'Pixels seen': `${contract.pixel_mm} mm, trained on ${contract.trained_height_width.join(' x ')}`,
    'Source window': range(source), 'Target window': range(target),
    'MR scans': bias, 'Training data': contract.data_fingerprint, Generator: `${contract.generator}, SHA-256 ${contract.generator_sha256}`,
    'Made with': `kerasgan ${contract.kerasgan}`,
  };
  const append = (parent, tag, textContent) => element(parent).append(Object.assign(document.createElement(tag), {textContent}));
  for (const [term, text] of Object.entries(facts).filter(([, text]) => text)) {
    append('facts', 'dt', term);
    append('facts', 'dd', text);
  }
  for (const limit of limits) append('limits', 'li', limit);
}

/** Translates a scan and shows it, unless another one was chosen meanwhile: then `isLatest` says no. */
async function open(files, isLatest) {
  await loading;
  const scan = await read(files);
  const {volume, back} = axial(scan);
  const times = [];
  element('progress').hidden = false;
  const extent = `${volume.shape[0]} ${volume.shape[0] === 1 ? 'slice' : 'slices'} of ${volume.shape[1]} x ${volume.shape[2]}`;
  say(`Translating ${scan.name}, ${extent}.`);  // once: a screen reader would read out every slice
  const synthetic = await translate(volume, page.contract, page.model, (done, all, time) => {
    if (!isLatest()) throw new Error('Another scan was chosen.');
    times.push(time);
    element('progress').value = done / all;
  });
  Object.assign(page, {source: scan, synthetic, back});
  element('viewer').hidden = element('skip').hidden = false;
  element('save-dicom').hidden = !scan.files;
  element('source-name').textContent = `${scan.modality}: ${scan.name}`;
  viewer.show(volume, synthetic, [display(volume), display(synthetic)]);
  showVerdict(synthetic.verdict);
  const each = times.sort((a, b) => a - b)[times.length >> 1];
  say(`${scan.name}, ${extent} translated, ${Math.round(each)} ms a slice.${scan.note}`);
}

/** Says whether the scan is like those that the model was trained on, and why not. */
function showVerdict(verdict) {
  element('gate').hidden = !verdict;
  element('gate').classList.toggle('warning', verdict?.answer !== 'fits');
  element('gate').textContent = verdict ? `Input gate: ${verdict.answer}${verdict.answer === 'fits' ? '' : `: ${verdict.reason}`}.` : '';
}

async function read(files) {
  const {modality} = page.contract.source;
  const image = files.find((file) => isImage(file.name));
  if (image) {
    if (files.length > 1) throw new Error(`One scan is needed; got ${files.length} files with ${image.name} among them.`);
    const volume = await readImage(image.name, await image.arrayBuffer(), modality);
    return {...volume, name: image.name, note: volume.doubt};
  }
  const sources = [];
  for (const file of files) {
    const buffer = await file.arrayBuffer();
    if (isDicom(buffer)) sources.push({name: file.name, buffer});
  }
  const found = files.length === 1 ? `${files[0].name} is not a scan` : `None of ${files.length} files is a scan`;
  if (!sources.length) throw new Error(`${found}; open DICOM slices, a .nii, .nii.gz or .mha file.`);
  const volume = readSeries(sources, modality);
  return {...volume, note: volume.irregular ? ` It has ${volume.irregular}: the slices were translated as they are.` : ''};
}

/** Returns the [level, window] to begin with. */
function display({data, modality}) {
  if (modality === 'CT') return SOFT_TISSUE;
  const [low, high] = percentiles(data, [1, 99.5]);
  return [Math.round((low + high) / 2), Math.max(1, Math.round(high - low))];
}

/** Runs a job after the one that runs, and instead of those that wait. */
function attempt(job) {
  const number = ++latest;
  const isLatest = () => number === latest;
  document.body.classList.add('busy');
  element('error').hidden = element('gate').hidden = true;
  working = working.then(async () => {
    if (!isLatest() && loading) return;
    try {
      await job(isLatest);
    } catch (error) {
      if (!isLatest()) return;
      const stale = element('viewer').hidden ? '' : ` The images below are still those of ${page.source.name}.`;
      element('error').textContent = error.message + stale;
      element('error').hidden = false;
      say('');
    }
    if (!isLatest()) return;
    element('progress').hidden = true;
    document.body.classList.remove('busy');
  });
}

function say(text) {
  element('status').textContent = text;
}

function save(name, bytes) {
  const link = Object.assign(document.createElement('a'), {download: name, href: URL.createObjectURL(new Blob([bytes]))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Returns the files of a drop, those below folders included. */
async function dropped(items) {
  const found = [];
  const visit = async (entry) => {
    if (entry.isFile) found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else {
      const reader = entry.createReader();
      for (let some = [1]; some.length;) {
        some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        for (const inner of some) await visit(inner);
      }
    }
  };
  for (const entry of [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean)) await visit(entry);
  return found;
}

for (const id of ['folder', 'files']) {
  element(id).addEventListener('change', (event) => {
    const files = [...event.target.files];
    event.target.value = '';  // the same files can be chosen again
    if (files.length) attempt((isLatest) => open(files, isLatest));
  });
}
for (const type of ['dragover', 'drop']) document.addEventListener(type, (event) => event.preventDefault());
document.addEventListener('dragover', () => element('drop').classList.add('over'));
document.addEventListener('dragleave', () => element('drop').classList.remove('over'));
document.addEventListener('drop', (event) => {
  element('drop').classList.remove('over');
  const waiting = dropped(event.dataTransfer.items);
  attempt(async (isLatest) => open(await waiting, isLatest));
});
const name = () => `synthetic-${page.synthetic.modality.toLowerCase()}`;
element('save-nifti').addEventListener('click', () => save(`${name()}.nii`, writeNifti(page.synthetic)));
element('save-dicom').addEventListener('click', () =>
  save(`${name()}.zip`, zipSync(writeSeries(page.back(page.synthetic.data), page.source, page.contract), {level: 0})));

attempt(() => (loading = start()));
