/** Compressed DICOM pixels in: the stored values of one frame. Whether its stream fits its header is checked before. */

const isStartOfFrame = (marker) => marker === 0xf7 || (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker));
const START_OF_JPEG_2000 = [0xff, 0x4f, 0xff, 0x51];
const RLE_HEAD = 64;  // bytes
const [LOSSLESS, RESTART] = [0xc3, 0xd0];  // markers of JPEG; those of eight restarts end in 0 to 7
const FILLING = [0, 0, 0, 0, 0xff, 0xd9];  // bytes before the end of a stream, and its marker
const BOX = 1024;  // bytes in which a JPEG 2000 stream starts that was wrapped in boxes, as in a .jp2 file

const openJpeg = () => compiled('openjpeg', 'J2KDecoder');
const charLs = () => compiled('charls', 'JpegLSDecoder');
const DECODERS = {  // by Transfer Syntax UID: what gives, once it is loaded, a function from a stream to its pixels
  '1.2.840.10008.1.2.5': () => runLengths,
  '1.2.840.10008.1.2.4.57': jpegLossless, '1.2.840.10008.1.2.4.70': jpegLossless,
  '1.2.840.10008.1.2.4.80': charLs, '1.2.840.10008.1.2.4.81': charLs,
  '1.2.840.10008.1.2.4.90': openJpeg, '1.2.840.10008.1.2.4.91': openJpeg,
};
const modules = {};  // of WebAssembly, by name
export const isCompressed = (syntax) => syntax in DECODERS;

/**
 * Returns the pixels of a frame as little endian bytes.
 *
 * @param syntax A Transfer Syntax UID of which `isCompressed` is true.
 * @param stream The frame's Uint8Array.
 * @param size [rows, columns] of the header.
 * @param bits Those that the header allocates to a pixel, 8 or 16.
 */
export async function decoded(syntax, stream, size, bits) {
  const decode = await Promise.resolve(DECODERS[syntax]()).catch(() => {
    throw new Error('its decoder cannot be loaded; open the page anew');
  });
  if (decode !== runLengths) requireAgreement(stream, size, bits);
  let bytes = [];
  try {
    bytes = decode(stream, size, bits);
  } catch {  // a decoder throws what it likes; one that was aborted is of no use any more
    for (const name of Object.keys(modules)) delete modules[name];
  }
  if (bytes.length !== (size[0] * size[1] * bits) / 8) throw new Error('its compressed pixels are damaged; copy it again');
  return bytes;
}

function requireAgreement(stream, [rows, columns], bits) {
  const found = announced(stream);
  if (!found) throw new Error('its pixels are no JPEG, JPEG-LS or JPEG 2000 stream, though its Transfer Syntax says so');
  const isOfSize = found.rows === rows && found.columns === columns && found.samples === 1;
  if (!isOfSize || found.bits > bits || found.bits <= bits - 8) {
    const stored = `${found.rows} x ${found.columns} pixels of ${found.samples} sample(s) and ${found.bits} bits`;
    throw new Error(`its stream has ${stored}, its header ${rows} x ${columns} pixels of 1 sample(s) and ${bits} bits`);
  }
  if (found.marker === LOSSLESS && stream.some((byte, index) => byte === 0xff && (stream[index + 1] & 0xf8) === RESTART)) {
    throw new Error('its lossless JPEG has restart markers, which this page does not decode; convert it');
  }
}

/** Returns what a stream says of itself, undefined where it is none. */
function announced(stream) {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  try {
    if (view.getUint16(0) !== 0xffd8) {
      const at = stream.subarray(0, BOX).findIndex((_, start) => START_OF_JPEG_2000.every((byte, index) => stream[start + index] === byte));
      if (at < 0) return undefined;
      const [right, bottom, left, top] = [8, 12, 16, 20].map((place) => view.getUint32(at + place));
      return {rows: bottom - top, columns: right - left, samples: view.getUint16(at + 40), bits: (view.getUint8(at + 42) & 0x7f) + 1};
    }
    for (let at = 2; view.getUint8(at) === 0xff;) {
      const marker = view.getUint8(at + 1);
      if (isStartOfFrame(marker)) {
        return {marker, bits: view.getUint8(at + 4), rows: view.getUint16(at + 5), columns: view.getUint16(at + 7), samples: view.getUint8(at + 9)};
      }
      at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);  // markers may be filled up
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;  // else it ends within its head
  }
  return undefined;
}

/** Decodes RLE (PS3.5 Annex G): for each byte of a pixel, from the most significant on, a segment of runs and of bytes. */
function runLengths(stream, [rows, columns], bits) {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const step = bits / 8;
  const result = new Uint8Array(rows * columns * step);
  if (view.getUint32(0, true) !== step) return [];
  for (let segment = 0; segment < step; segment++) {
    let at = view.getUint32(4 + 4 * segment, true);
    let to = step - 1 - segment;
    if (at < RLE_HEAD) return [];
    while (to < result.length) {
      const head = view.getInt8(at);
      const isRun = head < 0;
      const count = head === -128 ? 0 : 1 + Math.abs(head);
      for (let index = 0; index < count && to < result.length; index++, to += step) result[to] = view.getUint8(at + 1 + (isRun ? 0 : index));
      at += 1 + (isRun ? Math.min(1, count) : count);
    }
  }
  return result;
}

async function jpegLossless() {
  const {Decoder} = await import('./vendor/jpeg-lossless.js');
  return (stream, size, bits) => {  // the decoder can lose the last pixel where the marker of the end follows at once
    const end = stream.lastIndexOf(0xff);
    const filled = new Uint8Array(end + FILLING.length);
    filled.set(stream.subarray(0, end));
    filled.set(FILLING, end);
    const values = new Decoder().decode(filled.buffer, 0, filled.length, bits / 8);
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  };
}

/** Returns what decodes with one of Cornerstone's WebAssembly modules, all of which have one interface. */
async function compiled(name, kind) {
  const locateFile = (file) => new URL(`vendor/wasm/${file}`, import.meta.url).href;
  const quiet = {print: () => {}, printErr: () => {}};
  modules[name] ??= await import(`./vendor/${name}.js`).then((module) => module.default({locateFile, ...quiet}));
  return (stream) => {
    const decoder = new modules[name][kind]();
    decoder.getEncodedBuffer(stream.length).set(stream);
    decoder.decode();
    const bytes = Uint8Array.from(decoder.getDecodedBuffer());
    decoder.delete();
    return bytes;
  };
}
