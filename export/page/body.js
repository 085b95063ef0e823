/** The body in axial slices: one connected region without holes, as kerasgan finds it. Masks are Uint8Arrays of 0 and 1. */

import {fitted, roundHalfEven} from './geometry.js';

const BODY_HU = -300;
const BODY_OF_OTSU = 0.35;
const CLOSING_MM = 8;
const TABLE_MM = 8;  // thinner sheets, such as the shell of a head holder, are not the body

/** Returns the mask of an axial volume. */
export function bodyMask({data, shape, spacing, modality}) {
  const [slices, rows, columns] = shape;
  const size = [rows, columns];
  const each = (mask, change) => {
    const result = new Uint8Array(mask.length);
    const area = rows * columns;
    for (let start = 0; start < slices * area; start += area) result.set(change(mask.subarray(start, start + area)), start);
    return result;
  };
  const opening = (kernel) => (image) => dilated(eroded(image, size, kernel), size, kernel);
  const threshold = modality === 'CT' ? BODY_HU : mrThreshold(data);
  const square = [-1, 0, 1].map((row) => [row, 1]);
  const opened = each(Uint8Array.from(data, (value) => value > threshold), opening(square));
  let body;
  if (modality === 'CT') {
    body = largest(opened, shape);
    const disc = ellipse(spacing, TABLE_MM / 2);
    const core = largest(each(body, opening(disc)), shape);
    if (core.includes(1)) {  // thin sheets go; ears and nose grow back from where they are attached
      const near = each(core, (image) => dilated(dilated(image, size, disc), size, disc));
      body = body.map((value, index) => value & near[index]);
    }
  } else {  // the scalp encloses the brain, from which the dark skull separates it
    body = largest(each(opened, (image) => enclosed(image, size)), shape);
  }
  const disc = ellipse(spacing, CLOSING_MM);
  const margin = Math.max(...disc.flat());  // keeps the closing away from the border
  const wide = size.map((side) => side + 2 * margin);
  return each(body, (image) => {
    const closed = eroded(dilated(fitted(image, size, wide, 0), wide, disc), wide, disc);
    return fitted(enclosed(closed, wide), wide, size, 0);
  });
}

/** Returns linear percentiles, as NumPy's. */
export function percentiles(values, shares) {
  const sorted = Float32Array.from(values).sort();
  return shares.map((share) => {
    const place = (share / 100) * (sorted.length - 1);
    const low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
  });
}

function mrThreshold(data) {
  const [low, high] = percentiles(data, [1, 99.9]);
  return low + BODY_OF_OTSU * (otsu(data, high) - low);
}

/** Returns Otsu's threshold of values cut at `top`: the upper end of a bin, as in ITK. */
function otsu(data, top, bins = 128) {
  const low = data.reduce((least, value) => Math.min(least, value), Infinity);
  if (low === top) return top;
  const width = ((top - low) * (1 + 1 / bins / 100)) / bins;
  const counts = new Float64Array(bins);
  for (const value of data) counts[Math.min(bins - 1, Math.floor((Math.min(value, top) - low) / width))] += 1;
  const centre = (bin) => low + (bin + 0.5) * width;
  const total = counts.reduce((sum, count, bin) => sum + count * centre(bin), 0);
  let [below, sum, best, result] = [0, 0, -1, top];
  for (let bin = 0; bin < bins; bin++) {
    below += counts[bin];
    sum += counts[bin] * centre(bin);
    const above = data.length - below;
    const between = below && above ? below * above * (sum / below - (total - sum) / above) ** 2 : 0;
    if (between > best) [best, result] = [between, low + (bin + 1) * width];
  }
  return result;
}

/** Returns a disc in mm as rows of [row offset, reach along the columns] in pixels. */
function ellipse(spacing, radius) {
  const [rows, columns] = [spacing[1], spacing[2]].map((side) => Math.max(1, roundHalfEven(radius / side)));
  return Array.from({length: 2 * rows + 1}, (_, index) => {
    const row = index - rows;
    return [row, roundHalfEven(columns * Math.sqrt(1 - (row / rows) ** 2))];
  });
}

function dilated(image, [rows, columns], kernel) {
  const counts = new Int32Array(rows * (columns + 1));  // ones to the left of each pixel in its row
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = row * (columns + 1) + column;
      counts[at + 1] = counts[at] + image[row * columns + column];
    }
  }
  const grown = new Uint8Array(image.length);
  for (const [shift, reach] of kernel) {
    for (let row = Math.max(0, shift); row < Math.min(rows, rows + shift); row++) {
      const line = (row - shift) * (columns + 1);
      for (let column = 0; column < columns; column++) {
        const last = counts[line + Math.min(columns, column + reach + 1)];
        if (last > counts[line + Math.max(0, column - reach)]) grown[row * columns + column] = 1;
      }
    }
  }
  return grown;
}

const inverted = (image) => image.map((value) => 1 - value);
const eroded = (image, size, kernel) => inverted(dilated(inverted(image), size, kernel));

/** Returns a slice with all that is not connected to its border. */
function enclosed(image, [rows, columns]) {
  const outside = inverted(image);
  for (let index = 0; index < outside.length; index++) {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const isBorder = row === 0 || row === rows - 1 || column === 0 || column === columns - 1;
    if (isBorder && outside[index] === 1) fill(outside, [1, rows, columns], index, 2);
  }
  return outside.map((value) => Number(value !== 2));
}

/** Returns the largest region of voxels that touch by their faces. */
function largest(mask, shape) {
  const marked = Uint8Array.from(mask);
  let [best, seed] = [0, -1];
  for (let index = 0; index < marked.length; index++) {
    if (marked[index] !== 1) continue;
    const size = fill(marked, shape, index, 2);
    if (size > best) [best, seed] = [size, index];
  }
  const result = Uint8Array.from(mask);
  if (seed >= 0) fill(result, shape, seed, 2);
  return result.map((value) => Number(value === 2));
}

/** Marks the region of 1 around a seed with another value; returns its size. */
function fill(mask, [slices, rows, columns], seed, mark) {
  const area = rows * columns;
  const waiting = [seed];
  mask[seed] = mark;
  let size = 0;
  const visit = (index) => {
    if (mask[index] !== 1) return;
    mask[index] = mark;
    waiting.push(index);
  };
  while (waiting.length) {
    const index = waiting.pop();
    size += 1;
    const [column, row, slice] = [index % columns, Math.floor(index / columns) % rows, Math.floor(index / area)];
    if (column > 0) visit(index - 1);
    if (column < columns - 1) visit(index + 1);
    if (row > 0) visit(index - columns);
    if (row < rows - 1) visit(index + columns);
    if (slice > 0) visit(index - area);
    if (slice < slices - 1) visit(index + area);
  }
  return size;
}
