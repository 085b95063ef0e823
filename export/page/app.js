/** The page: files in, progress, viewer, files out. What takes time happens in a worker, `work.js`. */

import {loadContract, loadJson} from './contract.js';
import {makeViewer} from './viewer.js';

const element = (id) => document.getElementById(id);
const FOLDER = 'model';
const viewer = makeViewer();
const page = {};  // the contract; the job, name and modality of the scan that is shown
let latest = 0;  // number of the last job; of others nothing is shown
let worker;

async function start() {
  say('Loading the model.');
  page.contract = await loadContract(FOLDER);
  describe(page.contract, await loadJson(FOLDER, 'limits'));
  // A worker that begins as a blob has the content security policy of the page, whatever headers the server sends.
  const place = JSON.stringify(new URL('work.js', import.meta.url).href);
  const beginning = `import(${place}).catch((error) => self.postMessage({failed: error.message}));`;
  worker = new Worker(URL.createObjectURL(new Blob([beginning], {type: 'text/javascript'})));
  const {data: {failed}} = await new Promise((resolve, reject) => {
    worker.addEventListener('message', resolve, {once: true});
    worker.addEventListener('error', () => reject(new Error('The page cannot start its worker; build it again, or use a newer browser.')), {once: true});
  });
  if (failed) throw new Error(`A part of the page did not load (${failed}). Reload the page; if that does not help, build it again.`);
  worker.addEventListener('message', ({data}) => hear(data));
  worker.postMessage({contract: page.contract});
}

/** Shows what the worker says, unless it is about a job that another one has followed. */
function hear({job, step, part, result, error, saved, bytes}) {
  if (saved) return save(saved, bytes);
  if (job !== latest) return;
  if (step) say(step);  // once: a screen reader would read out every slice
  if (part !== undefined) element('progress').value = part;
  if (step !== undefined) return;
  if (error) refuse(error);
  else if (result) show(result);
  else say(`Ready for ${page.contract.source.modality}.`);
  rest();
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
  const bias = contract.mr_scaling?.bias_correction ? 'corrected for bias fields (N4)' : '';
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

function show({name, isSeries, extent, volume, synthetic, error, windows, verdict, said}) {
  Object.assign(page, {name});
  worker.postMessage({shown: latest});
  document.body.classList.add('shown');
  element('viewer').hidden = element('skip').hidden = false;
  element('card').open = false;  // the images and what moves them fit on the screen
  element('save-dicom').hidden = !isSeries;
  element('source-name').textContent = `${volume.modality}: ${name}`;
  const sides = volume.spacing.map((side) => Number(side.toPrecision(3))).reverse().join(' x ');
  element('series').textContent = `${volume.modality}${isSeries ? ' series' : ''} ${name}: ${extent}, ${sides} mm`;
  viewer.show(volume, synthetic, windows, error);
  showVerdict(verdict);
  say(said);
  element('slice').scrollIntoView({block: 'nearest'});
}

/** Says whether the scan is like those that the model was trained on, and why not. */
function showVerdict(verdict) {
  element('gate').hidden = !verdict;
  element('gate').classList.toggle('warning', verdict?.answer !== 'fits');
  element('gate').textContent = verdict ? `Input gate: ${verdict.answer}${verdict.answer === 'fits' ? '' : `: ${verdict.reason}`}.` : '';
}

/** Translates the files that a promise gives, instead of those that were chosen before. */
async function open(choice) {
  const job = begin();
  try {
    await loading;
    const files = await choice;
    if (job === latest) worker.postMessage({job, files});
  } catch (error) {
    if (job !== latest) return;
    refuse(error.message);
    rest();
  }
}

function begin() {
  document.body.classList.add('busy');
  element('error').hidden = true;
  element('progress').value = 0;
  element('job').hidden = false;
  return ++latest;
}

function rest() {
  document.body.classList.remove('busy');
  element('job').hidden = true;
}

function refuse(reason) {
  element('error').textContent = `${reason}${page.name ? ` The images below are still those of ${page.name}.` : ''}`;
  element('error').hidden = false;
  say('');
}

function cancel() {
  worker?.postMessage({job: ++latest});
  rest();
  say(`Cancelled.${page.name ? ` The images below are still those of ${page.name}.` : ''}`);
  element('folder').focus();  // where the next scan is chosen, as the button is gone
}

function say(text) {
  element('status').textContent = text;
}

function save(format, bytes) {
  const download = `synthetic-${page.contract.target.modality.toLowerCase()}.${format === 'nifti' ? 'nii' : 'zip'}`;
  const link = Object.assign(document.createElement('a'), {download, href: URL.createObjectURL(new Blob([bytes]))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Returns the files of the phantom patient. */
async function example() {
  const names = await loadJson('example', 'files');
  return Promise.all(names.map(async (name) => {
    const response = await fetch(`example/${name}`);
    if (!response.ok) throw new Error(`example/${name} is missing; build the page again.`);
    return new File([await response.blob()], name);
  }));
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
    if (files.length) open(files);
  });
}
for (const type of ['dragover', 'drop']) document.addEventListener(type, (event) => event.preventDefault());
document.addEventListener('dragover', () => element('drop').classList.add('over'));
document.addEventListener('dragleave', () => element('drop').classList.remove('over'));
document.addEventListener('drop', (event) => {
  element('drop').classList.remove('over');
  open(dropped(event.dataTransfer.items));
});
element('example').addEventListener('click', () => open(example()));
element('cancel').addEventListener('click', cancel);
for (const format of ['nifti', 'dicom']) element(`save-${format}`).addEventListener('click', () => worker.postMessage({save: format}));

const loading = start();
loading.catch((error) => {
  refuse(error.message);
  rest();
});
