/** NIfTI-1 and MetaImage in, NIfTI-1 out. */

import {requireModality, requirePlace, requireValues} from './checks.js';

const SHEAR = 1e-3;  // largest cosine between two axes
const APART_MM = 0.1;  // distance under sform and qform from which they contradict each other
const MOST_AFTER = 65536;  // bytes after the last voxel that mean nothing
const STRONGEST = 1032;  // deflate cannot shrink anything by more
const PIECE = 16384;  // packed bytes that are inflated at a time, to at most STRONGEST times as many
const [NIFTI_HEAD, FARTHEST] = [348, 2 ** 31];  // bytes of a header, and before the first voxel at most
const NIFTI_TYPES = {2: 'Uint8', 4: 'Int16', 8: 'Int32', 16: 'Float32', 64: 'Float64', 256: 'Int8', 512: 'Uint16', 768: 'Uint32'};
const META_TYPES = {
  MET_UCHAR: 'Uint8', MET_CHAR: 'Int8', MET_USHORT: 'Uint16', MET_SHORT: 'Int16',
  MET_UINT: 'Uint32', MET_INT: 'Int32', MET_FLOAT: 'Float32', MET_DOUBLE: 'Float64',
};

export const isImage = (name) => /\.(nii|nii\.gz|mha)$/i.test(name);

/**
 * Returns the volume in the bytes of a file, with a `doubt` about it, '' for none; its modality is the one given, which its
 * values must not contradict. Refuses what `kerasgan translate` refuses, and two kinds more: NIfTI-2 and several axes.
 */
export async function readImage(name, buffer, modality) {
  const read = /mha$/i.test(name) ? readMeta : readNifti;
  const volume = {...await read(name, new Uint8Array(buffer)), modality};
  requireValues(name, volume);
  return {...volume, doubt: requireModality(name, volume.data, modality) + (volume.doubt ?? '')};
}

/** Returns the content of packed bytes up to `most` bytes of it, whatever it would inflate to. */
export async function inflated(name, packed, format, most) {
  const content = room(name, most, Uint8Array);
  const stream = new DecompressionStream(format);
  const [writer, reader] = [stream.writable.getWriter(), stream.readable.getReader()];
  let size = 0;
  const feed = async () => {  // piece by piece: the next one when the former is inflated, so that no queue grows
    for (let at = 0; at < packed.length && size < most; at += PIECE) await writer.write(packed.subarray(at, at + PIECE));
    await (size < most ? writer.close() : writer.abort());
  };
  feed().catch(() => {});  // what is wrong with the stream, the reader says as well
  try {
    while (size < most) {
      const {done, value} = await reader.read();
      if (done) break;
      content.set(value.subarray(0, most - size), size);
      size = Math.min(size + value.length, most);
    }
  } catch {
    throw new Error(`${name} is damaged: its voxels cannot be decompressed, or bytes follow them. Copy it again.`);
  }
  reader.cancel().catch(() => {});
  return content.subarray(0, size);
}

function room(name, length, Kind) {
  try {
    return new Kind(length);
  } catch {
    throw new Error(`${name} takes ${(length * Kind.BYTES_PER_ELEMENT / 1e9).toFixed(1)} GB of memory, more than this browser gives; use kerasgan translate.`);
  }
}

/** Returns the values of `count` voxels that begin at `start` of some bytes, or of what these inflate to in a `format`. */
async function values(name, bytes, {format, start, count, type, little, slope = 1, intercept = 0}) {
  const size = Number(type.match(/\d+/)[0]) / 8;
  const end = start + count * size;
  const cut = `${name} is truncated: its voxels end at byte ${end}`;
  if (format && bytes.length * STRONGEST < end) throw new Error(`${cut}, and ${bytes.length} bytes cannot hold so many; copy it again.`);
  const plain = format ? await inflated(name, bytes, format, end + MOST_AFTER + 1) : bytes;
  if (plain.length < end) throw new Error(`${cut}, and it has ${plain.length}; copy it again.`);
  if (plain.length - end > MOST_AFTER) throw new Error(`${name} holds many more bytes than its voxels take: its header is wrong.`);
  const view = new DataView(plain.buffer, plain.byteOffset, plain.length);
  const result = room(name, count, Float32Array);
  const read = view[`get${type}`].bind(view);
  for (let index = 0; index < count; index++) result[index] = read(start + index * size, little) * slope + intercept;
  return result;
}

async function readNifti(name, bytes) {
  const format = bytes[0] === 0x1f && bytes[1] === 0x8b ? 'gzip' : '';
  const head = format ? await inflated(name, bytes, format, NIFTI_HEAD) : bytes;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const little = head.length >= NIFTI_HEAD && view.getInt32(0, true) === NIFTI_HEAD;
  if (!little && !(head.length >= NIFTI_HEAD && view.getInt32(0, false) === NIFTI_HEAD)) throw new Error(`${name} is not NIfTI-1.`);
  if (new TextDecoder('latin1').decode(head.subarray(344, 347)) !== 'n+1') throw new Error(`${name} does not hold its own voxels.`);
  const short = (at) => view.getInt16(at, little);
  const float = (at) => view.getFloat32(at, little);
  const type = NIFTI_TYPES[short(70)];
  if (!type) throw new Error(`${name} stores its voxels as NIfTI type ${short(70)}; one real number a voxel is needed.`);
  const sides = Array.from({length: Math.max(0, Math.min(7, short(40)))}, (_, axis) => short(42 + 2 * axis));
  if (sides.length < 2 || Math.min(...sides) < 1 || sides.slice(3).some((side) => side !== 1)) {
    throw new Error(`${name} has sides ${sides.join(' x ')}; one volume with one number a voxel is needed.`);
  }
  const [columns, rows, slices = 1] = sides;
  const unit = {0: 1, 1: 1000, 2: 1, 3: 0.001}[view.getUint8(123) & 7];
  if (!unit) throw new Error(`${name} has lengths in an unknown unit.`);
  const volume = {shape: [slices, rows, columns], ...niftiPlace(name, short, float, unit, [columns, rows, slices])};
  requirePlace(name, volume);
  const slope = Number.isFinite(float(112)) && float(112) !== 0 ? float(112) : 0;
  const start = Math.trunc(float(108));
  if (!(start >= NIFTI_HEAD && start <= FARTHEST) || (slope && !Number.isFinite(float(116)))) throw new Error(`${name} has a damaged header; convert it again.`);
  const scale = {slope: slope || 1, intercept: slope ? float(116) : 0};
  return {...volume, data: await values(name, bytes, {format, start, count: columns * rows * slices, type, little, ...scale})};
}

/** Returns the geometry of a NIfTI header, and a doubt about it: the sform counts before the qform, and one of them must be set. */
function niftiPlace(name, short, float, unit, counts) {
  const slices = counts[2];
  const sides = [80, 84, 88].map((at) => float(at) * unit);
  if (slices === 1) sides[2] ||= 1;
  const scaled = (matrix) => matrix.map((row) => row.map((value) => value * unit));
  const [b, c, d] = [256, 260, 264].map(float);
  const isRotation = 1 - b * b - c * c - d * d > -1e-5;
  const turned = short(252) > 0 && isRotation && sides.every((side) => side > 0) ? scaled(qform(float, sides.map((side) => side / unit))) : null;
  if (short(254) <= 0) {
    if (!turned) throw new Error(`The orientation of ${name} is unknown: neither sform nor qform says it.`);
    return geometry(name, turned);
  }
  const matrix = scaled(sform(float));
  if (slices === 1 && matrix.every((row) => row[2] === 0)) {
    const [one, other] = [0, 1].map((axis) => matrix.map((row) => row[axis]));
    const normal = [0, 1, 2].map((axis) => one[(axis + 1) % 3] * other[(axis + 2) % 3] - one[(axis + 2) % 3] * other[(axis + 1) % 3]);
    matrix.forEach((row, axis) => { row[2] = normal[axis] / (Math.hypot(...normal) || 1); });
  }
  const found = geometry(name, matrix);
  const unequal = sides.some((side, axis) => side && Number.isFinite(side) && Math.abs(Math.abs(side) / found.spacing[2 - axis] - 1) > 0.01);
  if (unequal) throw new Error(`The sform of ${name} makes voxels of ${[...found.spacing].reverse()} mm, its pixdim of ${sides} mm; mend the header.`);
  const farthest = [...counts.map((count) => count - 1), 1];  // voxel from the first one, and the first one itself
  const apart = turned && Math.max(...matrix.map((row, patient) =>
    row.reduce((sum, value, axis) => sum + Math.abs(value - turned[patient][axis]) * farthest[axis], 0)));
  return apart > APART_MM ? {...found, doubt: ' Its sform and qform contradict each other; the sform is taken.'} : found;
}

const sform = (float) => [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => float(280 + 16 * row + 4 * column)));

function qform(float, [x, y, z]) {
  const [b, c, d] = [256, 260, 264].map(float);
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const sides = [x, y, z * (float(76) < 0 ? -1 : 1)];
  return rotation.map((row, index) => [...row.map((value, axis) => value * sides[axis]), float(268 + 4 * index)]);
}

/** Returns the geometry in LPS of a 3 x 4 matrix from [column, row, slice] indices to RAS. */
function geometry(name, matrix) {
  const flip = [-1, -1, 1];
  const vectors = [2, 1, 0].map((axis) => matrix.map((row, patient) => flip[patient] * row[axis]));
  const spacing = vectors.map((vector) => Math.hypot(...vector));
  if (spacing.some((side) => !(side > 0))) throw new Error(`The header of ${name} gives no position of the voxels.`);
  const axes = vectors.map((vector, axis) => vector.map((value) => value / spacing[axis]));
  requireRightAngles(name, axes);
  return {spacing, axes, origin: matrix.map((row, patient) => flip[patient] * row[3])};
}

function requireRightAngles(name, axes) {
  const cosine = ([one, other]) => axes[one].reduce((sum, value, patient) => sum + value * axes[other][patient], 0);
  if ([[0, 1], [0, 2], [1, 2]].some((pair) => !(Math.abs(cosine(pair)) <= SHEAR))) throw new Error(`The axes of ${name} are sheared; resample it onto orthogonal ones.`);
}

async function readMeta(name, bytes) {
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 16384));
  const found = text.match(/ElementDataFile *= *(\S+)\r?\n/);
  if (found?.[1] !== 'LOCAL') throw new Error(`${name} is not a MetaImage that holds its own voxels.`);
  const head = Object.fromEntries([...text.slice(0, found.index).matchAll(/^(\w+) *= *(.+?)\r?$/gm)].map((line) => line.slice(1)));
  const first = (...keys) => head[keys.find((key) => key in head)];
  const numbers = (otherwise, ...keys) => (first(...keys) ?? otherwise).trim().split(/ +/).map(Number);
  const isTrue = (...keys) => /^t|^1/i.test(first(...keys) ?? '');
  const type = META_TYPES[head.ElementType];
  const sides = numbers('', 'DimSize');
  if (!type || head.NDims !== '3' || sides.length !== 3 || !sides.every((side) => Number.isInteger(side) && side > 0) || numbers('1', 'ElementNumberOfChannels')[0] !== 1) {
    throw new Error(`${name} is not a volume with one number a voxel (${head.ElementType}, ${head.DimSize}).`);
  }
  const [columns, rows, slices] = sides;
  const matrix = numbers('1 0 0 0 1 0 0 0 1', 'TransformMatrix', 'Rotation', 'Orientation');
  const sizes = numbers('1 1 1', 'ElementSpacing', 'ElementSize').reverse();
  const unsaid = !first('TransformMatrix', 'Rotation', 'Orientation') && !['', 'RAI', '???'].includes(head.AnatomicalOrientation ?? '');
  const axes = [6, 3, 0].map((start, axis) => matrix.slice(start, start + 3).map((value) => (sizes[axis] < 0 ? -value : value)));
  if (unsaid || !axes.every((axis) => Math.abs(Math.hypot(...axis) - 1) <= 0.01)) throw new Error(`The orientation of ${name} is unknown.`);
  if (!['?', 'mm'].includes(head.DistanceUnits ?? '?') || (head.BinaryData && !isTrue('BinaryData')) || Number(head.HeaderSize ?? 0) !== 0) {
    throw new Error(`${name} holds its voxels as text, in another unit than mm or after another header; write it anew.`);
  }
  requireRightAngles(name, axes);
  const volume = {shape: [slices, rows, columns], spacing: sizes.map(Math.abs), axes, origin: numbers('0 0 0', 'Offset', 'Position', 'Origin')};
  requirePlace(name, volume);
  const voxels = {
    format: isTrue('CompressedData') ? 'deflate' : '', start: 0, count: columns * rows * slices, type,
    little: !isTrue('BinaryDataByteOrderMSB', 'ElementByteOrderMSB'),
    slope: numbers('1', 'ElementToIntensityFunctionSlope')[0], intercept: numbers('0', 'ElementToIntensityFunctionOffset')[0],
  };
  return {...volume, data: await values(name, bytes.subarray(found.index + found[0].length), voxels)};
}

/** Returns a volume as the bytes of an int16 NIfTI-1 file. */
export function writeNifti({data, shape, spacing, axes, origin}) {
  const buffer = new ArrayBuffer(352 + 2 * data.length);
  const view = new DataView(buffer);
  view.setInt32(0, 348, true);
  [3, shape[2], shape[1], shape[0], 1, 1, 1, 1].forEach((length, index) => view.setInt16(40 + 2 * index, length, true));
  view.setInt16(70, 4, true);
  view.setInt16(72, 16, true);
  [1, spacing[2], spacing[1], spacing[0]].forEach((side, index) => view.setFloat32(76 + 4 * index, side, true));
  view.setFloat32(108, 352, true);
  view.setFloat32(112, 1, true);
  view.setUint8(123, 2);  // mm
  new TextEncoder().encodeInto('Synthetic image, not for diagnosis', new Uint8Array(buffer, 148, 80));
  view.setInt16(254, 1, true);
  [-1, -1, 1].forEach((sign, patient) => {
    const row = [2, 1, 0].map((axis) => sign * axes[axis][patient] * spacing[axis]);
    [...row, sign * origin[patient]].forEach((value, column) => view.setFloat32(280 + 16 * patient + 4 * column, value, true));
  });
  new Uint8Array(buffer, 344, 4).set([110, 43, 49, 0]);  // "n+1"
  data.forEach((value, index) => view.setInt16(352 + 2 * index, Math.round(value), true));
  return new Uint8Array(buffer);
}
