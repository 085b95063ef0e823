/** NIfTI-1 and MetaImage in, NIfTI-1 out. */

const NIFTI_TYPES = {2: 'Uint8', 4: 'Int16', 8: 'Int32', 16: 'Float32', 64: 'Float64', 256: 'Int8', 512: 'Uint16', 768: 'Uint32'};
const META_TYPES = {
  MET_UCHAR: 'Uint8', MET_CHAR: 'Int8', MET_USHORT: 'Uint16', MET_SHORT: 'Int16',
  MET_UINT: 'Uint32', MET_INT: 'Int32', MET_FLOAT: 'Float32', MET_DOUBLE: 'Float64',
};

export const isImage = (name) => /\.(nii|nii\.gz|mha)$/i.test(name);

/** Returns the volume in the bytes of a file; its modality is the one given, because these formats do not name it. */
export async function readImage(name, buffer, modality) {
  const packed = new Uint8Array(buffer, 0, 2);
  const bytes = packed[0] === 0x1f && packed[1] === 0x8b ? await streamed(buffer, new DecompressionStream('gzip')) : buffer;
  return {...(/mha$/i.test(name) ? await readMeta(name, bytes) : readNifti(name, bytes)), modality};
}

async function streamed(buffer, transform) {
  return new Response(new Blob([buffer]).stream().pipeThrough(transform)).arrayBuffer();
}

function values(buffer, offset, count, type, little, slope = 1, intercept = 0) {
  const view = new DataView(buffer);
  const size = Number(type.match(/\d+/)[0]) / 8;
  if (offset + count * size > buffer.byteLength) throw new Error('The file is truncated; copy it again.');
  const result = new Float32Array(count);
  const read = view[`get${type}`].bind(view);
  for (let index = 0; index < count; index++) {
    const value = read(offset + index * size, little) * slope + intercept;
    result[index] = Number.isFinite(value) ? value : 0;
  }
  return result;
}

function readNifti(name, buffer) {
  const view = new DataView(buffer);
  const little = buffer.byteLength > 348 && view.getInt32(0, true) === 348;
  if (!little && !(buffer.byteLength > 348 && view.getInt32(0, false) === 348)) throw new Error(`${name} is not NIfTI-1.`);
  const short = (at) => view.getInt16(at, little);
  const float = (at) => view.getFloat32(at, little);
  const type = NIFTI_TYPES[short(70)];
  if (!type) throw new Error(`${name} stores its voxels as NIfTI type ${short(70)}, which is not supported.`);
  if (short(40) > 3 && short(48) > 1) throw new Error(`${name} holds ${short(48)} volumes, one is needed.`);
  const [columns, rows, slices] = [42, 44, 46].map((at) => Math.max(1, short(at)));
  const slope = float(112) || 1;
  const data = values(buffer, float(108), columns * rows * slices, type, little, slope, float(112) ? float(116) : 0);
  const matrix = short(254) > 0 ? sform(float) : qform(float);
  return {data, shape: [slices, rows, columns], ...geometry(matrix)};
}

const sform = (float) => [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => float(280 + 16 * row + 4 * column)));

function qform(float) {
  const [b, c, d] = [256, 260, 264].map(float);
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const sides = [float(80), float(84), float(88) * (float(76) < 0 ? -1 : 1)];
  return rotation.map((row, index) => [...row.map((value, axis) => value * sides[axis]), float(268 + 4 * index)]);
}

/** Returns the geometry in LPS of a 3 x 4 matrix from [column, row, slice] indices to RAS. */
function geometry(matrix) {
  const flip = [-1, -1, 1];
  const vectors = [2, 1, 0].map((axis) => matrix.map((row, patient) => flip[patient] * row[axis]));
  const spacing = vectors.map((vector) => Math.hypot(...vector));
  if (spacing.some((side) => !(side > 0))) throw new Error('The header gives no position of the voxels.');
  const axes = vectors.map((vector, axis) => vector.map((value) => value / spacing[axis]));
  return {spacing, axes, origin: matrix.map((row, patient) => flip[patient] * row[3])};
}

async function readMeta(name, buffer) {
  const bytes = new Uint8Array(buffer);
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 16384));
  const found = text.match(/ElementDataFile *= *(\S+)\r?\n/);
  if (found?.[1] !== 'LOCAL') throw new Error(`${name} is not a MetaImage that holds its own voxels.`);
  const head = Object.fromEntries([...text.slice(0, found.index).matchAll(/^(\w+) *= *(.+?)\r?$/gm)].map((line) => line.slice(1)));
  const numbers = (key, otherwise) => (head[key] ?? otherwise).split(/ +/).map(Number);
  const type = META_TYPES[head.ElementType];
  const [columns, rows, slices] = numbers('DimSize', '');
  if (!type || !(slices > 0)) throw new Error(`${name} is not a volume of numbers (${head.ElementType}, ${head.DimSize}).`);
  const rest = buffer.slice(found.index + found[0].length);
  const packed = /true/i.test(head.CompressedData ?? '');
  const plain = packed ? await streamed(rest, new DecompressionStream('deflate')) : rest;
  const little = !/true/i.test(head.BinaryDataByteOrderMSB ?? head.ElementByteOrderMSB ?? '');
  const matrix = numbers('TransformMatrix', '1 0 0 0 1 0 0 0 1');
  return {
    data: values(plain, 0, columns * rows * slices, type, little),
    shape: [slices, rows, columns],
    spacing: numbers('ElementSpacing', '1 1 1').reverse(),
    axes: [6, 3, 0].map((start) => matrix.slice(start, start + 3)),
    origin: numbers('Offset', '0 0 0'),
  };
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
