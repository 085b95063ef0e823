/** The body in axial slices: one connected region without holes, as kerasgan finds it. Masks are Uint8Arrays of 0 and 1. */

const BODY_HU = -300;
const BODY_OF_OTSU = 0.35;
const CLOSING_MM = 8;
const TABLE_MM = 8;

/** The mask of an axial volume. */
export function bodyMask({data, shape, spacing, modality}) {
  const [slices, rows, columns] = shape;
  const threshold = modality === 'CT' ? BODY_HU : mrThreshold(data);
  const bright = Uint8Array.from(data, (value) => value > threshold);
  const square = [-1, 0, 1].map((row) => [row, 1]);
  const each = (mask, change) => eachSlice(mask, slices, rows * columns, change);
  const opening = (mask, kernel) =>
    each(mask, (image) => dilated(eroded(image, rows, columns, kernel), rows, columns, kernel));
  const opened = opening(bright, square);
  const filled = (mask) => each(mask, (image) => enclosed(image, rows, columns));
  let body;
  if (modality === 'CT') {
    body = largest(opened, shape);
    const disc = ellipse(spacing, TABLE_MM / 2);
    const core = largest(opening(body, disc), shape);
    if (core.includes(1)) {  // thin sheets go; ears and nose grow back from where they are attached
      const near = each(core, (image) => dilated(dilated(image, rows, columns, disc), rows, columns, disc));
      body = body.map((value, index) => value & near[index]);
    }
  } else {
    body = largest(filled(opened), shape);
  }
  return each(body, (image) => closedAndFilled(image, rows, columns, ellipse(spacing, CLOSING_MM)));
}

/** Linear percentiles, as NumPy's, of values that are sorted here. */
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

/** The upper end of the bin that parts a histogram of values cut at `top` with the greatest variance between. */
function otsu(data, top, bins = 128) {
  let low = Infinity;
  for (const value of data) low = Math.min(low, value);
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

function eachSlice(mask, slices, length, change) {
  const result = new Uint8Array(mask.length);
  for (let slice = 0; slice < slices; slice++) {
    result.set(change(mask.subarray(slice * length, (slice + 1) * length)), slice * length);
  }
  return result;
}

/** A disc in mm as rows of [row offset, reach along the columns] in pixels. */
function ellipse(spacing, radius) {
  const [rows, columns] = [spacing[1], spacing[2]].map((side) => Math.max(1, Math.round(radius / side)));
  return Array.from({length: 2 * rows + 1}, (_, index) => {
    const row = index - rows;
    return [row, Math.round(columns * Math.sqrt(1 - (row / rows) ** 2))];
  });
}

function dilated(image, rows, columns, kernel) {
  const counts = new Int32Array(rows * (columns + 1));
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
const eroded = (image, rows, columns, kernel) => inverted(dilated(inverted(image), rows, columns, kernel));

/** Closes gaps in the outline and fills what it encloses; the margin keeps the closing away from the border. */
function closedAndFilled(image, rows, columns, disc) {
  const margin = Math.max(...disc.flat());
  const [tall, broad] = [rows + 2 * margin, columns + 2 * margin];
  const wide = new Uint8Array(tall * broad);
  for (let row = 0; row < rows; row++) {
    wide.set(image.subarray(row * columns, (row + 1) * columns), (row + margin) * broad + margin);
  }
  const filled = enclosed(eroded(dilated(wide, tall, broad, disc), tall, broad, disc), tall, broad);
  const result = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const start = (row + margin) * broad + margin;
    result.set(filled.subarray(start, start + columns), row * columns);
  }
  return result;
}

/** A slice with all that the outside cannot reach. */
function enclosed(image, rows, columns) {
  const [tall, broad] = [rows + 2, columns + 2];
  const outside = new Uint8Array(tall * broad).fill(1);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      outside[(row + 1) * broad + column + 1] = 1 - image[row * columns + column];
    }
  }
  fill(outside, [1, tall, broad], 0, 2);
  return Uint8Array.from({length: rows * columns}, (_, index) =>
    outside[(Math.floor(index / columns) + 1) * broad + (index % columns) + 1] === 2 ? 0 : 1);
}

/** The largest region of voxels that touch by their faces. */
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
    if (mask[index] === 1) {
      mask[index] = mark;
      waiting.push(index);
    }
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
