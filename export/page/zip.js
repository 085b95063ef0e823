/** Files {name, bytes} as one .zip archive without compression. */

import {joined} from './dicom_write.js';

const TABLE = Uint32Array.from({length: 256}, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

export function zip(files) {
  const [parts, directory] = [[], []];
  let offset = 0;
  for (const {name, bytes} of files) {
    const title = new TextEncoder().encode(name);
    const fields = [[10, 2], [0x0800, 2], [0, 2], [0, 2], [0x21, 2], [crc(bytes), 4], [bytes.length, 4], [bytes.length, 4], [title.length, 2], [0, 2]];
    const local = joined([record(0x04034b50, fields), title, bytes]);
    directory.push(record(0x02014b50, [[20, 2], ...fields, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), title);
    parts.push(local);
    offset += local.length;
  }
  const listing = joined(directory);
  const end = record(0x06054b50, [[0, 2], [0, 2], [files.length, 2], [files.length, 2], [listing.length, 4], [offset, 4], [0, 2]]);
  return joined([...parts, listing, end]);
}

function record(signature, fields) {
  const bytes = [];
  for (const [value, size] of [[signature, 4], ...fields]) {
    for (let index = 0; index < size; index++) bytes.push((value >>> (8 * index)) & 255);
  }
  return Uint8Array.from(bytes);
}

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
