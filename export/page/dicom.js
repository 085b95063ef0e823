/** DICOM slices in: one series as a volume. */

import {regionsAtBorder} from './body.js';
import {requirePlace, requireValues} from './checks.js';
import {decoded, isCompressed} from './codecs.js';
import {inflated} from './images.js';
import {positions, SAME_POSITION_MM, spaced, splitCrowded, TRAITS} from './stacks.js';

const HEAD = {explicit: true, little: true};  // group 0002 of every file, and all that follows where pixels are compressed
const DEFLATED = '1.2.840.10008.1.2.1.99';
const SYNTAXES = {
  '1.2.840.10008.1.2': {explicit: false, little: true}, '1.2.840.10008.1.2.1': HEAD, [DEFLATED]: HEAD,
  '1.2.840.10008.1.2.2': {explicit: true, little: false},
};
const INFLATED = 2 ** 26;  // bytes of a deflated file at most: twice those of the largest slice
const [PIXELS, ITEM] = [0x7fe00010, 0xfffee000];
const SCANS = {'1.2.840.10008.5.1.4.1.1.2': 'CT', '1.2.840.10008.5.1.4.1.1.4': 'MR'};
export const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);  // their length takes four bytes
const NOT_SCANS = new Set([  // values of Image Type, as in kerasgan/io/usability.py
  'LOCALIZER', 'SCOUT', 'TOPOGRAM', 'MPR', 'CSA MPR', 'CPR', 'CURVED MPR', 'REFORMATTED', 'SUBTRACTION', 'PROJECTION IMAGE',
  'MIP', 'MINIP', 'MIN_IP', 'MAX_IP', 'VRT', 'VOLREN', 'SSD', 'MOSAIC', 'SCREEN SAVE', 'SCREENSHOT', 'POSDISP',
  'SECONDARY CAPTURE', 'DOSE_INFO', 'P', 'PHASE', 'PHASE MAP', 'R', 'REAL', 'I', 'IMAGINARY', 'P_FFE', 'R_FFE', 'I_FFE', 'ADC',
  'FA', 'TRACEW', 'CBF', 'CBV', 'MTT', 'TTP', 'TMAX', 'RCBF', 'RCBV', 'RMTT', 'KTRANS', 'T1 MAP', 'T2 MAP', 'T2_STAR MAP',
  'R2_STAR MAP', 'R2 MAP', 'B0 MAP', 'B1 MAP', 'FIELD_MAP', 'VELOCITY', 'IODINE', 'EFFECTIVE_Z', 'ELECTRON_DENSITY',
  'FAT_FRACTION', 'PERFUSION',
]);
const SCOUT_WORDS = /localizer|localiser|scout|survey|topogram|surview|scanogram/i;
const NOT_HU = new Set(['OD', 'MGML', 'Z_EFF', 'ED', 'EDW', 'PCT']);  // values of Rescale Type
const COMMON = {'Patient ID': 0x00100020, 'Study Instance UID': 0x0020000d};  // of all images of a series
const BINARY = {0x00189082: 'FD', 0x00189087: 'FD', 0x00209128: 'UL'};  // the VR of those TRAITS that are no text
const READERS = {FD: [8, 'getFloat64'], FL: [4, 'getFloat32'], UL: [4, 'getUint32'], US: [2, 'getUint16']};
const TISSUE_HU = [-900, 3000];  // a padding value in between is one of the body
const PADDED = 0.001;  // share of a slice that padding takes at least, where its value is one of the body
const [TORN_MM, TORN_GAPS] = [25, 3];  // a hole that is wider is not passed over
const UNDEFINED = 0xffffffff;
const COSINE_OR_MM = 1e-3;  // by which cosines and pixel spacings of one scan may differ
const SHIFTED = 0.1;  // slices may be displaced by this part of a pixel

export function isDicom(buffer) {
  return buffer.byteLength > 132 && new TextDecoder('latin1').decode(new Uint8Array(buffer, 128, 4)) === 'DICM';
}

/**
 * Returns {buffer, elements, syntax, explicit, little}: a Map from tags such as 0x00100010, up to the pixels, to {tag, vr,
 * offset, length}, and how they are written.
 */
async function parse(name, buffer) {
  let view = new DataView(buffer);
  const file = {buffer, elements: new Map(), syntax: '', ...HEAD};
  let offset = 132;
  const isPastHead = () => {
    const length = file.elements.get(0x00020000);
    const isDeflated = length && text(file, 0x00020010) === DEFLATED;  // what follows may begin with any bytes
    return isDeflated ? offset >= length.offset + 4 + view.getUint32(length.offset, true) : view.getUint16(offset, true) !== 2;
  };
  while (offset + 8 <= view.byteLength) {
    if (!file.syntax && isPastHead()) {
      file.syntax = text(file, 0x00020010);
      const written = isCompressed(file.syntax) ? HEAD : SYNTAXES[file.syntax];
      if (!written) throw new Error(`it is compressed in a way that this page does not read (transfer syntax ${file.syntax}); convert it to uncompressed DICOM`);
      Object.assign(file, written);
      if (file.syntax === DEFLATED) {
        file.buffer = await withoutDeflation(name, buffer, offset);
        view = new DataView(file.buffer);
      }
    }
    const element = next(view, offset, file);
    file.elements.set(element.tag, element);
    if (element.tag === PIXELS) break;
    offset = element.length === UNDEFINED ? afterItems(view, element.offset, file) : element.offset + element.length;
  }
  if (offset > view.byteLength && !file.elements.has(PIXELS)) throw new RangeError();
  return file;
}

/** Returns the bytes of a file whose content is deflated behind its head. */
async function withoutDeflation(name, buffer, start) {
  const packed = new Uint8Array(buffer, start);
  const content = await inflated(name, packed, 'deflate-raw', INFLATED)
    .catch(() => inflated(name, packed.subarray(0, -1), 'deflate-raw', INFLATED));  // without a byte that makes it even
  return new Blob([buffer.slice(0, start), content]).arrayBuffer();
}

function next(view, offset, {explicit, little}) {
  const tag = view.getUint16(offset, little) * 65536 + view.getUint16(offset + 2, little);
  const vr = String.fromCharCode(view.getUint8(offset + 4), view.getUint8(offset + 5));
  if (!explicit || tag >= 0xfffe0000) return {tag, vr: '', offset: offset + 8, length: view.getUint32(offset + 4, little)};
  if (LONG.has(vr)) return {tag, vr, offset: offset + 12, length: view.getUint32(offset + 8, little)};
  return {tag, vr, offset: offset + 8, length: view.getUint16(offset + 6, little)};
}

/** Returns the offset behind a sequence or item of undefined length. */
function afterItems(view, offset, written) {
  while (offset + 8 <= view.byteLength) {
    const element = next(view, offset, written);
    if (element.tag === 0xfffee0dd || element.tag === 0xfffee00d) return element.offset;
    offset = element.length === UNDEFINED ? afterItems(view, element.offset, written) : element.offset + element.length;
  }
  return offset;
}

/** Returns the text of an element, '' where it is absent. */
export function text({buffer, elements}, tag) {
  const element = elements.get(tag);
  if (!element) return '';
  return new TextDecoder('latin1').decode(new Uint8Array(buffer, element.offset, element.length)).replace(/[\0 ]+$/, '').trim();
}

const numbers = (file, tag) => (text(file, tag) ? text(file, tag).split('\\').map(Number) : []);

/** Returns the value of one of TRAITS as text, '' where it is absent. */
function trait(file, tag) {
  const element = file.elements.get(tag);
  const reader = READERS[element && !['', 'UN'].includes(element.vr) ? element.vr : BINARY[tag]];
  if (!element || !reader) return text(file, tag).split('\\').map((value) => value.trim()).join('\\');
  const view = new DataView(file.buffer, element.offset, element.length);
  return Array.from({length: Math.floor(element.length / reader[0])}, (_, index) => view[reader[1]](index * reader[0], file.little)).join('\\');
}

function short(file, tag, otherwise) {
  const element = file.elements.get(tag);
  return element?.length >= 2 ? new DataView(file.buffer).getUint16(element.offset, file.little) : otherwise;
}

/** Returns whether an image was acquired: no localizer, reformation or map, nothing in colour, CT in HU. */
function isScan(file, modality) {
  const kinds = [...text(file, 0x00080008).split('\\').slice(2), text(file, 0x00089208)];
  if (kinds.some((value) => NOT_SCANS.has(value.trim().toUpperCase()))) return false;
  if (modality === 'CT' && NOT_HU.has(text(file, 0x00281054).toUpperCase())) return false;
  return text(file, 0x00080060) === modality && !SCOUT_WORDS.test(text(file, 0x0008103e)) && text(file, 0x00280004).startsWith('MONOCHROME');
}

/**
 * Returns the one series of a modality among files {name, buffer}: a volume, with its `files` in the order of the slices.
 * `progress` takes (slices read, of how many) and is awaited.
 */
export async function readSeries(sources, modality, progress = () => {}) {
  const scans = [];
  const others = new Set();
  for (const {name, buffer} of sources) {
    const file = await parsed(name, buffer);
    if (SCANS[text(file, 0x00080016)] === modality && isScan(file, modality)) scans.push(placed(name, file));
    else others.add(text(file, 0x00080060) || 'other objects');
  }
  if (!scans.length) throw new Error(`These files hold ${[...others].join(', ')}; the model takes single-frame ${modality} slices.`);
  const series = new Set(scans.map(({file}) => text(file, 0x0020000e)));
  if (series.size > 1) throw new Error(`These files hold ${series.size} ${modality} series; choose the folder of one.`);
  if (series.has('')) throw new Error('Series Instance UID is missing: nothing says which images are one scan.');
  for (const [what, tag] of Object.entries(COMMON)) {
    const found = new Set(scans.map(({file}) => text(file, tag)));
    if (found.size > 1) throw new Error(`The images differ in ${what}; keep those of one scan.`);
  }
  const [{cosines, sides, size}] = scans;
  const near = (values, others) => values.every((value, index) => Math.abs(value - others[index]) <= COSINE_OR_MM);
  if (!scans.every((scan) => near(scan.cosines, cosines) && near(scan.sides, sides) && scan.size.join() === size.join())) {
    throw new Error('The slices differ in size, spacing or orientation; keep those of one scan.');
  }
  const name = `${text(scans[0].file, 0x00200011)} ${text(scans[0].file, 0x0008103e)}`.trim() || 'a series without a name';
  const volume = {...await assembled(`Series ${name}`, scans, modality, progress), name};
  requireValues(`Series ${name}`, volume);
  return volume;
}

async function parsed(name, buffer) {
  try {
    return await parse(name, buffer);
  } catch (error) {
    throw new Error(`${name} cannot be read: ${error instanceof RangeError ? 'it is damaged or truncated' : error.message}.`);
  }
}

function placed(name, file) {
  const [position, cosines, sides] = [0x00200032, 0x00200037, 0x00280030].map((tag) => numbers(file, tag));
  if (position.length !== 3 || cosines.length !== 6 || sides.length !== 2) {
    throw new Error(`${name} does not say where it lies (Image Position, Orientation or Pixel Spacing is missing).`);
  }
  const size = [short(file, 0x00280010), short(file, 0x00280011)];
  const [along, down] = [cosines.slice(0, 3), cosines.slice(3)];
  const products = [[along, along, 1], [down, down, 1], [along, down, 0]].map(([one, other, wanted]) =>
    one.reduce((sum, value, axis) => sum + value * other[axis], -wanted));
  if (!products.every((value) => Math.abs(value) <= 0.01) || ![...position, ...sides, ...size].every(Number.isFinite)) {
    throw new Error(`${name} has an invalid Image Position, Orientation, Pixel Spacing, Rows or Columns.`);
  }
  return {name, file, position, cosines, sides, size, traits: Object.values(TRAITS).map((tag) => trait(file, tag))};
}

async function assembled(name, unsorted, modality, progress) {
  const [columns, rows] = orthonormal(unsorted[0].cosines);
  const normal = [0, 1, 2].map((i) => columns[(i + 1) % 3] * rows[(i + 2) % 3] - columns[(i + 2) % 3] * rows[(i + 1) % 3]);
  const along = (position) => position.reduce((sum, value, axis) => sum + value * normal[axis], 0);
  const all = unsorted.map((scan) => ({...scan, distance: along(scan.position)})).sort((one, other) => one.distance - other.distance);
  requireOneScan(all);
  const scans = await withoutCopies(all, modality);
  const [{file, size, sides, position}] = scans;
  const {gap, median, widest, isUneven} = spaced(positions(scans).places, numbers(file, 0x00180050)[0] || 1);
  if (isUneven && widest > Math.max(TORN_MM, TORN_GAPS * median)) {
    throw new Error(`A hole of ${widest.toPrecision(3)} mm between the slices is too wide; add what is missing.`);
  }
  const irregular = isUneven ? 'uneven gaps' : isTilted(scans, [rows, columns]) ? 'slices displaced within their plane (gantry tilt)' : '';
  if (irregular && Math.abs(normal[2]) < Math.max(Math.abs(normal[0]), Math.abs(normal[1]))) {
    throw new Error(`The series has ${irregular} and is not axial; resample it first.`);
  }
  const volume = {
    modality, shape: [scans.length, ...size], spacing: [gap, ...sides], axes: [normal, rows, columns], origin: position,
    files: scans.map((scan) => scan.file), irregular,
  };
  requirePlace(name, volume);  // before memory is taken for it
  const data = new Float32Array(scans.length * size[0] * size[1]);
  for (const [index, scan] of scans.entries()) {
    data.set(await pixels(scan, modality), index * size[0] * size[1]);
    await progress(index + 1, scans.length);
  }
  return {...volume, data};
}

/** Refuses the slices of several scans, told apart by frame of reference or an attribute of TRAITS. */
function requireOneScan(scans) {
  const frameOf = ({file}) => text(file, 0x00200052);
  const frames = [...new Set(scans.map(frameOf))];
  // One that is another at every position says nothing.
  if (frames.length > 1 && frames.some((frame) => positions(scans.filter((scan) => frameOf(scan) === frame)).places.length > 1)) {
    throw new Error(`The images have ${frames.length} frames of reference (Frame of Reference UID); keep those of one scan.`);
  }
  const found = splitCrowded(scans);
  if (found.length === 1) return;
  const listed = found.map(({slices, traits}) => `${slices.length} with ${traits.join(', ')}`).join('; ');
  throw new Error(`The images are ${found.length} scans: ${listed}. Keep those of one.`);
}

/** Returns sorted slices without those that repeat another one's values at its position; refuses other values there. */
async function withoutCopies(scans, modality) {
  const kept = [];
  for (const scan of scans) {
    const former = kept[kept.length - 1];
    if (!former || scan.distance - former.distance > SAME_POSITION_MM) kept.push(scan);
    else {
      const values = await pixels(former, modality);
      if (!(await pixels(scan, modality)).every((value, index) => value === values[index])) {
        throw new Error('Different images lie at one position, and no attribute tells which belong to one scan; keep those of one.');
      }
    }
  }
  return kept;
}

function isTilted(scans, inPlane) {
  return inPlane.some((direction, axis) => {
    const places = scans.map(({position}) => position.reduce((sum, value, index) => sum + value * direction[index], 0));
    return Math.max(...places) - Math.min(...places) > SHIFTED * scans[0].sides[axis];
  });
}

function orthonormal(cosines) {
  const unit = (vector) => vector.map((value) => value / Math.hypot(...vector));
  const columns = unit(cosines.slice(0, 3));
  const dot = cosines.slice(3).reduce((sum, value, axis) => sum + value * columns[axis], 0);
  return [columns, unit(cosines.slice(3).map((value, axis) => value - dot * columns[axis]))];
}

/** Returns a slice's values in the unit of the modality; padding becomes air in CT and 0 in MR. */
async function pixels({name, file, size}, modality) {
  const bits = short(file, 0x00280100);
  const [used, signs] = [short(file, 0x00280101, bits), short(file, 0x00280103, 0)];
  if (used < 1 || used > bits || short(file, 0x00280102, used - 1) >= used || signs > 1 || file.elements.has(0x00283000)) {
    throw new Error(`${name} stores its bits in an unusual way, or has a table of values (Modality LUT); convert it.`);
  }
  if (!file.elements.has(PIXELS) || short(file, 0x00280002, 1) !== 1 || ![8, 16].includes(bits) || (bits === 8 && !file.little)) {
    throw new Error(`${name} holds no grey pixels of 8 or 16 bits.`);
  }
  const signed = signs === 1;
  const view = await storedPixels(name, file, size, bits);
  const read = view[`get${signed ? 'Int' : 'Uint'}${bits}`].bind(view);
  const unused = signed && isCompressed(file.syntax) ? 32 - used : 0;  // a decoder need not know of the sign
  const [[given = 1], [intercept = 0]] = [0x00281053, 0x00281052].map((tag) => numbers(file, tag));
  if (![given, intercept].every(Number.isFinite)) throw new Error(`${name} has a Rescale Slope or Intercept that is no number.`);
  const slope = given || 1;  // no scanner writes an image without one
  const ends = [0x00280120, 0x00280121].map((tag) => short(file, tag)).filter((value) => value !== undefined)
    .map((value) => (signed && value > 32767 ? value - 65536 : value));
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const isCt = modality === 'CT';
  const all = Float32Array.from({length: size[0] * size[1]}, (_, index) => (read((index * bits) / 8, file.little) << unused) >> unused);
  const values = all.map((value) => value * slope + intercept);
  const padded = Uint8Array.from(all, (value) => Number(value >= low && value <= high));
  const [darkest, brightest] = isCt ? TISSUE_HU : values.reduce(
    ([least, most], value, index) => (padded[index] ? [least, most] : [Math.min(least, value), Math.max(most, value)]), [Infinity, -Infinity]);
  const isBody = values.some((value, index) => padded[index] && value > darkest && value < brightest);
  const outside = !isBody ? padded : isCt ? padded.fill(0) : regionsAtBorder(padded, size, PADDED * padded.length);
  return values.map((value, index) => {
    const kept = !outside[index] ? value : isCt ? -1024 : 0;
    return isCt ? Math.max(kept, -1024) : kept;
  });
}

/** Returns a view of a slice's pixels, decoded where they are compressed. */
async function storedPixels(name, {buffer, elements, syntax}, size, bits) {
  const element = elements.get(PIXELS);
  const cut = `${name} is truncated; copy the series again.`;
  if (!isCompressed(syntax)) {
    const isWhole = element.length >= (size[0] * size[1] * bits) / 8 && element.offset + element.length <= buffer.byteLength;
    if (!isWhole) throw new Error(cut);
    return new DataView(buffer, element.offset);
  }
  const [view, fragments] = [new DataView(buffer), []];
  for (let offset = element.offset; offset + 8 <= buffer.byteLength;) {
    const item = next(view, offset, HEAD);
    if (item.tag !== ITEM) break;
    offset = item.offset + item.length;
    if (offset > buffer.byteLength) throw new Error(cut);
    fragments.push(new Uint8Array(buffer, item.offset, item.length));
  }
  const stream = new Uint8Array(await new Blob(fragments.slice(1)).arrayBuffer());  // the first is a table of offsets
  const bytes = await decoded(syntax, stream, size, bits).catch((error) => {
    throw new Error(`${name} cannot be decoded: ${error.message}.`);
  });
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
