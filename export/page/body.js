/** The body in axial slices: connected regions without holes, as kerasgan finds them. Masks are Uint8Arrays of 0 and 1. */

import {fitted, roundHalfEven} from './geometry.js';

const ROUNDING_MM = 0.01;  // of the spacings in a scan's header
const BODY_HU = -300;
const BODY_OF_OTSU = 0.35;
const CLOSING_MM = 8;
const TABLE_MM = 8;  // thinner sheets, such as the shell of a head holder, are not the body
const BODY_PART = 0.1;  // share of the largest region from which another one, such as the second leg, is body, too
const AIR_AT_BORDER = 0.2;  // share of the border of the slices that is dark where there is air around the body
const AIR_SHARE = 0.15;  // of the brightness just inside the skin: air is darker, muscle and what a coil reaches brighter
const [NOISY_AIR_SHARE, AIR_NOISE] = [0.4, 0.3];  // of a noisy MR, where neighbouring voxels of air differ by this part

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
    body = largeRegions(opened, shape);
    const disc = ellipse(spacing, TABLE_MM / 2);
    const core = largeRegions(each(body, opening(disc)), shape);
    if (core.includes(1)) {  // thin sheets go; ears and nose grow back from where they are attached
      const near = each(core, (image) => dilated(dilated(image, size, disc), size, disc));
      body = body.map((value, index) => value & near[index]);
    }
  } else {  // the scalp encloses the brain, from which the dark skull separates it
    const filled = each(opened, (image) => enclosed(image, size));
    if (opened.includes(1) && !hasAir(data, shape, filled, each)) return new Uint8Array(data.length).fill(1);
    body = largeRegions(filled, shape);
  }
  const disc = ellipse(spacing, CLOSING_MM);
  const margin = Math.max(...disc.flat());  // keeps the closing away from the border
  const wide = size.map((side) => side + 2 * margin);
  return each(body, (image) => {
    const closed = eroded(dilated(fitted(image, size, wide, 0), wide, disc), wide, disc);
    return fitted(enclosed(closed, wide), wide, size, 0);
  });
}

/** Returns a mask with all voxels whose centres lie within a distance in mm of one of its own, also across slices. */
export function grown(mask, [slices, rows, columns], spacing, width) {
  if (!width) return mask;
  const [limit, area, result] = [width + ROUNDING_MM, rows * columns, Uint8Array.from(mask)];
  const far = Math.floor(limit / spacing[0]);
  for (let slice = 0; slice < slices; slice++) {
    const image = mask.subarray(slice * area, (slice + 1) * area);
    if (!image.includes(1)) continue;
    for (let other = Math.max(0, slice - far); other <= Math.min(slices - 1, slice + far); other++) {
      const radius = Math.sqrt(limit ** 2 - ((other - slice) * spacing[0]) ** 2);
      dilated(image, [rows, columns], round(spacing, radius)).forEach((value, index) => { result[other * area + index] |= value; });
    }
  }
  return result;
}

/** Returns whether the dark part at the border of MR slices is air around the body, not tissue far from the coil. */
function hasAir(data, [, rows, columns], filled, each) {
  const dark = inverted(filled);
  const atBorder = (index) => {
    const [row, column] = [Math.floor(index / columns) % rows, index % columns];
    return Number(row === 0) + Number(row === rows - 1) + Number(column === 0) + Number(column === columns - 1);
  };
  let [border, darkBorder] = [0, 0];
  dark.forEach((value, index) => {
    border += atBorder(index);
    darkBorder += value * atBorder(index);
  });
  if (darkBorder / border < AIR_AT_BORDER) return false;
  const square = (reach) => Array.from({length: 2 * reach + 1}, (_, index) => [index - reach, reach]);
  const [near, at] = [3, 1].map((reach) => each(dark, (image) => dilated(image, [rows, columns], square(reach))));
  const skin = data.filter((_, index) => near[index] > at[index]);  // the second and third pixel of what is bright
  const middle = (values) => percentiles(values, [50])[0];
  const zero = Math.min(0, percentiles(data, [1])[0]);  // scans of mean 0 have air far below it
  const air = middle(data.filter((_, index) => dark[index])) - zero;
  const share = air / Math.max(middle(skin.length ? skin : data.filter((_, index) => filled[index])) - zero, 1e-9);
  const steps = [];
  for (let index = 1; index < data.length; index++) {
    if (index % columns && dark[index] && dark[index - 1]) steps.push(Math.abs(Math.fround(data[index] - data[index - 1])));
  }
  const noise = steps.length ? middle(steps) : 0;
  return share <= AIR_SHARE || (share <= NOISY_AIR_SHARE && noise >= AIR_NOISE * air);
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

/** Returns the pixels whose centres lie within a radius in mm, as `ellipse` does. */
function round(spacing, radius) {
  const rows = Math.floor(radius / spacing[1]);
  return Array.from({length: 2 * rows + 1}, (_, index) => {
    const row = index - rows;
    return [row, Math.floor(Math.sqrt(radius ** 2 - (row * spacing[1]) ** 2) / spacing[2])];
  });
}

/** Returns a disc in mm, of at least one pixel, as rows of [row offset, reach along the columns] in pixels. */
export function ellipse(spacing, radius) {
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
export const eroded = (image, size, kernel) => inverted(dilated(inverted(image), size, kernel));

/** Returns a slice with all that is not connected to its border. */
export function enclosed(image, size) {
  return inverted(regionsAtBorder(inverted(image), size));
}

/** Returns the regions of an image that reach its border, without those of fewer pixels than `least`. */
export function regionsAtBorder(image, [rows, columns], least = 0) {
  const [result, shape] = [Uint8Array.from(image), [1, rows, columns]];
  for (let index = 0; index < result.length; index++) {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const isBorder = row === 0 || row === rows - 1 || column === 0 || column === columns - 1;
    if (isBorder && result[index] === 1 && fill(result, shape, index, 2) < least) fill(result, shape, index, 0, 2);
  }
  return result.map((value) => Number(value === 2));
}

/** Returns the regions of voxels that touch by their faces, without those far smaller than the largest. */
function largeRegions(mask, shape) {
  const result = Uint8Array.from(mask);
  const seeds = [];
  for (let index = 0; index < result.length; index++) {
    if (result[index] === 1) seeds.push([index, fill(result, shape, index, 2)]);
  }
  const least = BODY_PART * seeds.reduce((most, [, size]) => Math.max(most, size), 0);
  for (const [seed, size] of seeds) if (size < least) fill(result, shape, seed, 0, 2);
  return result.map((value) => Number(value === 2));
}

/** Marks the region of a value around a seed with another value; returns its size. */
function fill(mask, [slices, rows, columns], seed, mark, value = 1) {
  const area = rows * columns;
  const waiting = [seed];
  mask[seed] = mark;
  let size = 0;
  const visit = (index) => {
    if (mask[index] !== value) return;
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
