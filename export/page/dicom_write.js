/** A synthetic volume as a DICOM series of the source's study; patient, study and place are the source's. */

import {percentiles} from './body.js';
import {LONG, text} from './dicom.js';
import {roundHalfEven} from './geometry.js';

const CLASSES = {CT: '1.2.840.10008.5.1.4.1.1.2', MR: '1.2.840.10008.5.1.4.1.1.4'};
const IMPLEMENTATION = '2.25.41362258331725489081196710875728708477';
const STATEMENT = 'Synthetic image, computed by a neural network. Not for primary diagnosis.';
const SERIES_NUMBER_OFFSET = 1000;
const LARGEST_NUMBER = 2 ** 31 - 1;  // that an element of VR IS can hold
// These are copied as they stand, with their VR: of patient and study, what the Standard requires. Attributes of DICOM's
// type 2 are written even where nothing is known.
const TYPE_2 = {
  0x00080020: 'DA', 0x00080030: 'TM', 0x00080050: 'SH', 0x00080090: 'PN', 0x00100010: 'PN', 0x00100020: 'LO',
  0x00100030: 'DA', 0x00100040: 'CS', 0x00185100: 'CS', 0x00200010: 'SH', 0x00200012: 'IS', 0x00201040: 'LO', 0x00180050: 'DS',
};
const COPIED = {
  ...TYPE_2, 0x00080005: 'CS', 0x00080022: 'DA', 0x00080032: 'TM', 0x0008002a: 'DT', 0x00102201: 'LO', 0x00102292: 'LO',
  0x00102297: 'PN', 0x00102299: 'LO', 0x00120062: 'CS', 0x00120063: 'LO', 0x00180015: 'CS', 0x00200060: 'CS', 0x0020000d: 'UI',
  0x00200032: 'DS', 0x00200037: 'DS', 0x00200052: 'UI', 0x00201041: 'DS', 0x00280030: 'DS', 0x00280301: 'CS', 0x00280302: 'CS',
  0x00282110: 'CS', 0x00282112: 'DS', 0x00282114: 'CS',
};

const newUid = () => `2.25.${crypto.getRandomValues(new Uint32Array(4)).reduce((sum, part) => sum * 4294967296n + BigInt(part), 0n)}`;

/** Returns the bytes of the series' files by name; `data` holds the values as [slices, rows, columns] of the source. */
export function writeSeries(data, source, contract) {
  const shared = seriesElements(data, source.files[0], contract);
  // Spacing Between Slices, which some programs ask for, of a regular series.
  if (source.files.length > 1 && !source.irregular) shared.set(0x00180088, ['DS', String(Number(source.spacing[0].toPrecision(10)))]);
  const area = source.shape[1] * source.shape[2];
  return Object.fromEntries(source.files.map((file, index) => {
    const elements = new Map(shared);
    for (const [tag, vr] of Object.entries(COPIED)) copy(elements, file, Number(tag), vr);
    // Laterality may be left out only for a body part that is known not to be paired.
    if (!text(file, 0x00180015) && !elements.has(0x00200060)) elements.set(0x00200060, ['CS', '']);
    elements.set(0x00080018, ['UI', newUid()]);
    elements.set(0x00200013, ['IS', String(index + 1)]);
    elements.set(0x00082112, ['SQ', [sourceImage(file)]]);
    setPixels(elements, source.shape, data.subarray(index * area, (index + 1) * area));
    return [`slice_${String(index + 1).padStart(4, '0')}.dcm`, fileOf(elements, contract)];
  }));
}

function copy(elements, file, tag, vr) {
  const element = file.elements.get(tag);
  if (element) elements.set(tag, [vr, new Uint8Array(file.buffer, element.offset, element.length)]);
  else if (tag in TYPE_2) elements.set(tag, [vr, '']);
}

function seriesElements(data, file, {target, source, kerasgan, recipe, quick, weights}) {
  const now = new Date().toISOString().replace(/[-:T]|\..*/g, '');
  const [date, time] = [now.slice(0, 8), now.slice(8)];
  const number = Number(text(file, 0x00200011)) || 0;  // a word counts for nothing
  const derivation = `Synthetic ${target.modality} computed from ${source.modality} by an unpaired image-to-image network, kerasgan ${kerasgan} with LiteRT ${weights}. Not for primary diagnosis.`;
  return new Map([
    [0x00080012, ['DA', date]], [0x00080013, ['TM', time]], [0x00080021, ['DA', date]], [0x00080023, ['DA', date]],
    [0x00080031, ['TM', time]], [0x00080033, ['TM', time]], [0x00080016, ['UI', CLASSES[target.modality]]],
    [0x00080060, ['CS', target.modality]], [0x00080070, ['LO', 'kerasgan']], [0x00081090, ['LO', 'kerasgan']],
    [0x0008103e, ['LO', `Synthetic ${target.modality} (${recipe}${quick ? ', quick run' : ''})`.slice(0, 64)]],
    [0x00082111, ['ST', derivation]], [0x00181020, ['LO', kerasgan]], [0x0020000e, ['UI', newUid()]],
    [0x00200011, ['IS', String(SERIES_NUMBER_OFFSET + Math.min(Math.trunc(number), LARGEST_NUMBER - SERIES_NUMBER_OFFSET))]],
    [0x00200052, ['UI', newUid()]], [0x00204000, ['LT', STATEMENT]], [0x00280301, ['CS', 'NO']],
    [0x0018a001, ['SQ', [...scanner(file), processing(kerasgan, now)]]],
    ...(target.modality === 'CT' ? ctElements() : mrElements(data)),
  ]);
}

const ctElements = () => [
  [0x00080008, ['CS', 'DERIVED\\SECONDARY\\AXIAL']], [0x00180060, ['DS', '']], [0x00281050, ['DS', '40']],
  [0x00281051, ['DS', '400']], [0x00281052, ['DS', '0']], [0x00281053, ['DS', '1']], [0x00281054, ['LO', 'HU']],
];

function mrElements(data) {
  const [low, high] = percentiles(data, [1, 99.5]);
  const empty = {0x00180022: 'CS', 0x00180023: 'CS', 0x00180080: 'DS', 0x00180081: 'DS', 0x00180091: 'IS'};
  return [
    [0x00080008, ['CS', 'DERIVED\\SECONDARY\\OTHER']], [0x00180020, ['CS', 'RM']], [0x00180021, ['CS', 'NONE']],
    ...Object.entries(empty).map(([tag, vr]) => [Number(tag), [vr, '']]),
    [0x00281050, ['DS', String(roundHalfEven((low + high) / 2))]], [0x00281051, ['DS', String(Math.max(1, roundHalfEven(high - low)))]],
  ];
}

const code = (value, meaning) => ['SQ', [new Map([[0x00080100, ['SH', value]], [0x00080102, ['SH', 'DCM']], [0x00080104, ['LO', meaning]]])]];

function scanner(file) {
  if (!text(file, 0x00080070)) return [];
  const item = new Map([[0x0040a170, code('109101', 'Acquisition Equipment')]]);
  const kept = {0x00080070: 'LO', 0x00081010: 'SH', 0x00081090: 'LO', 0x00181000: 'LO', 0x00181020: 'LO'};
  for (const [tag, vr] of Object.entries(kept)) copy(item, file, Number(tag), vr);
  return [item];
}

const processing = (version, now) => new Map([
  [0x00080070, ['LO', 'kerasgan']], [0x00081090, ['LO', 'kerasgan']], [0x00181020, ['LO', version]],
  [0x0018a002, ['DT', now]], [0x0018a003, ['ST', 'Image synthesis by a neural network']],
  [0x0040a170, code('109102', 'Processing Equipment')],
]);

const sourceImage = (file) => new Map([
  [0x00081150, ['UI', text(file, 0x00080016)]], [0x00081155, ['UI', text(file, 0x00080018)]], [0x0028135a, ['CS', 'YES']],
  [0x0040a170, code('121322', 'Source image for image processing operation')],
]);

function setPixels(elements, [, rows, columns], values) {
  const stored = new Int16Array(values.map(Math.round));
  const shorts = {0x00280002: 1, 0x00280010: rows, 0x00280011: columns, 0x00280100: 16, 0x00280101: 16, 0x00280102: 15, 0x00280103: 1};
  for (const [tag, value] of Object.entries(shorts)) elements.set(Number(tag), ['US', new Uint8Array([value & 255, value >> 8])]);
  elements.set(0x00280004, ['CS', 'MONOCHROME2']);
  elements.set(0x7fe00010, ['OW', new Uint8Array(stored.buffer)]);
}

function fileOf(elements, {kerasgan}) {
  const meta = encoded(new Map([
    [0x00020001, ['OB', new Uint8Array([0, 1])]], [0x00020002, elements.get(0x00080016)], [0x00020003, elements.get(0x00080018)],
    [0x00020010, ['UI', '1.2.840.10008.1.2.1']], [0x00020012, ['UI', IMPLEMENTATION]], [0x00020013, ['SH', `kerasgan ${kerasgan}`.slice(0, 16)]],
  ]));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, meta.length, true);
  const preamble = new Uint8Array(132);
  preamble.set([68, 73, 67, 77], 128);  // "DICM"
  return joined([preamble, encoded(new Map([[0x00020000, ['UL', length]]])), meta, encoded(elements)]);
}

function encoded(elements) {
  return joined([...elements].sort(([one], [other]) => one - other).flatMap(([tag, [vr, value]]) => {
    const bytes = even(vr === 'SQ' ? joined(value.map(item)) : typeof value === 'string' ? new TextEncoder().encode(value) : value, vr);
    const head = new DataView(new ArrayBuffer(LONG.has(vr) ? 12 : 8));
    head.setUint16(0, tag >>> 16, true);
    head.setUint16(2, tag & 0xffff, true);
    [0, 1].forEach((index) => head.setUint8(4 + index, vr.charCodeAt(index)));
    if (LONG.has(vr)) head.setUint32(8, bytes.length, true);
    else head.setUint16(6, bytes.length, true);
    return [new Uint8Array(head.buffer), bytes];
  }));
}

function item(elements) {
  const content = encoded(elements);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, 0xe000fffe, true);
  head.setUint32(4, content.length, true);
  return joined([new Uint8Array(head.buffer), content]);
}

function even(bytes, vr) {
  if (bytes.length % 2 === 0) return bytes;
  return joined([bytes, new Uint8Array([vr === 'UI' ? 0 : 32])]);
}

function joined(parts) {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((offset, part) => (result.set(part, offset), offset + part.length), 0);
  return result;
}
