/** The bias field of an MR scan by N4, step by step as `kerasgan/scans/bias_field.py` says it. */

const SHRINK = 4;
const ITERATIONS = [50, 50, 30];  // at most, on one span of the spline along each axis, on two, and on four
const SPANS = 4;
const CONVERGED = 0.001;  // the field's relative change, as a coefficient of variation, at which a level ends
const [BINS, PADDED] = [200, 512];
const FULL_WIDTH = 0.15;  // of the Gaussian by which a field blurs the histogram, in logarithms
const NOISE = 0.01;  // of the Wiener filter
const COSINES = Float64Array.from({length: PADDED}, (_, index) => Math.cos((2 * Math.PI * index) / PADDED));

/** Returns the values of an axial scan, [slices, rows, columns], divided by its bias field, which the body shows. */
export async function correctBias({data, shape}, body, progress) {
  const [slices, rows, columns] = shape;
  const corrected = data.slice();
  // A field needs at least four samples along an axis; a thin stack is corrected slice by slice.
  const depth = slices >= 4 * SHRINK ? slices : 1;
  for (let first = 0; first < slices; first += depth) {
    const part = [first * rows * columns, (first + depth) * rows * columns];
    await divide(corrected.subarray(...part), body.subarray(...part), [depth, rows, columns], progress);
  }
  return corrected;
}

/** Corrects an image in place. */
async function divide(data, mask, [depth, rows, columns], progress) {
  let [least, low, high] = [Infinity, Infinity, -Infinity];
  data.forEach((value, index) => {
    least = Math.min(least, value);
    if (mask[index]) [low, high] = [Math.min(low, value), Math.max(high, value)];
  });
  if (!(low < high)) return;
  const offset = Math.min(least, 0) - 1;  // N4 works on logarithms: the smallest value must be positive
  // The voxel in the middle of each block stands for it.
  const middles = [depth, rows, columns].map((side) => {
    const factor = Math.max(1, Math.min(SHRINK, Math.floor(side / 4)));
    const count = Math.floor(side / factor);
    const start = (side - 1 - factor * (count - 1) + 1) >> 1;
    return Array.from({length: Math.ceil((side - start) / factor)}, (_, index) => start + index * factor);
  });
  const [image, inside] = [[], []];
  for (const z of middles[0]) for (const y of middles[1]) for (const x of middles[2]) {
    const index = (z * rows + y) * columns + x;
    image.push(data[index] - offset);
    inside.push(mask[index]);
  }
  if (!inside.includes(1)) return;
  const lattice = await controlPoints(image, inside, middles.map((places) => places.length), progress);
  const [across, down, along] = [depth, rows, columns].map((side) => (side > 1 ? basis(side, SPANS) : ONE));
  const fields = (z) => {
    const slice = {...across, side: 1, values: across.values.subarray(z * across.points, (z + 1) * across.points)};
    return alongEachAxis(lattice, [slice, down, along]);
  };
  let [sum, count] = [0, 0];
  for (let z = 0; z < depth; z++) {
    fields(z).forEach((value, index) => {
      if (mask[z * rows * columns + index]) [sum, count] = [sum + value, count + 1];
    });
  }
  for (let z = 0; z < depth; z++) {  // a mean of 1 over the body keeps the brightness of scan and slices
    fields(z).forEach((value, index) => {
      const place = z * rows * columns + index;
      data[place] = (data[place] - offset) / Math.exp(value - sum / count) + offset;
    });
    await progress();
  }
}

/** Returns the control points of the cubic B-spline that is the logarithm of the bias field of an image in a mask. */
async function controlPoints(image, mask, shape, progress) {
  const inside = Int32Array.from(mask.keys()).filter((index) => mask[index]);
  const logarithms = Float64Array.from(inside, (index) => Math.log(image[index]));
  let field = new Float64Array(inside.length);
  const flat = shape[0] === 1;
  let sides = flat ? [1, 4, 4] : [4, 4, 4];
  let lattice = new Float64Array(sides.reduce((product, side) => product * side));
  for (const [level, most] of ITERATIONS.entries()) {
    if (level) [lattice, sides] = refined(lattice, sides);
    const bases = shape.map((side, axis) => (flat && axis === 0 ? ONE : basis(side, 2 ** level)));
    const squares = alongEachAxis(new Float64Array(1).fill(1), bases.map((one) => ({
      ...one, points: 1, values: Float64Array.from({length: one.side}, (_, row) => {
        const weights = one.values.subarray(row * one.points, (row + 1) * one.points);
        return weights.reduce((sum, weight) => sum + weight ** 2, 0);
      }),
    })));
    const weights = alongEachAxis(mask, bases.map((one) => transposed(one, 2)));
    const cubes = bases.map((one) => transposed(one, 3));
    for (let iteration = 0; iteration < most; iteration++) {
      const rest = logarithms.map((value, index) => value - field[index]);
      const left = new Float64Array(mask.length);
      sharpened(rest).forEach((value, index) => {
        left[inside[index]] = (rest[index] - value) / squares[inside[index]];
      });
      alongEachAxis(left, cubes).forEach((value, index) => {
        if (weights[index] > 0) lattice[index] += value / weights[index];
      });
      const whole = alongEachAxis(lattice, bases);
      const next = Float64Array.from(inside, (index) => whole[index]);
      const changes = next.map((value, index) => Math.exp(field[index] - value));
      field = next;
      await progress();
      const mean = changes.reduce((sum, value) => sum + value, 0) / changes.length;
      const variance = changes.reduce((sum, value) => sum + (value - mean) ** 2, 0) / changes.length;
      if (Math.sqrt(variance) <= CONVERGED * mean) break;
    }
  }
  return lattice;
}

/** Returns logarithms as they would be expected without the blur of their histogram by the field. */
function sharpened(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (!(low < high)) return values;
  const step = (high - low) / (BINS - 1);
  const bins = Int32Array.from(values, (value) => Math.min(Math.floor((value - low) / step), BINS - 2));
  const upper = values.map((value, index) => (value - low) / step - bins[index]);
  const first = (PADDED - BINS) >> 1;
  const counts = new Float64Array(PADDED);
  upper.forEach((part, index) => {
    counts[first + bins[index]] += 1 - part;
    counts[first + bins[index] + 1] += part;
  });
  const width = FULL_WIDTH / step;
  const peak = (2 * Math.sqrt(Math.LN2 / Math.PI)) / width;
  const gaussian = counts.map((_, index) => {
    return peak * Math.exp(-4 * Math.LN2 * (Math.min(index, PADDED - index) / width) ** 2);
  });
  const wiener = cosineTransform(cosineTransform(gaussian).map((value) => value / (value ** 2 + NOISE)));
  const sharp = convolved(counts, wiener.map((value) => value / PADDED)).map((value) => Math.max(value, 0));
  const total = convolved(sharp.map((value, index) => (low + (index - first) * step) * value), gaussian);
  const share = convolved(sharp, gaussian);
  const expected = total.map((value, index) => (share[index] ? value / share[index] : 0)).subarray(first, first + BINS);
  return upper.map((part, index) => (1 - part) * expected[bins[index]] + part * expected[bins[index] + 1]);
}

/** Returns the Fourier transform of real values that are the same read backwards. */
function cosineTransform(values) {
  const result = new Float64Array(PADDED);
  for (let wave = 0; wave < PADDED; wave++) {
    for (let index = 0; index < PADDED; index++) result[wave] += values[index] * COSINES[(wave * index) % PADDED];
  }
  return result;
}

/** Returns values convolved around the circle with a kernel that is the same read backwards. */
function convolved(values, kernel) {
  const result = new Float64Array(PADDED);
  values.forEach((value, from) => {
    for (let index = 0; index < PADDED; index++) result[(from + index) % PADDED] += value * kernel[index];
  });
  return result;
}

/** Returns the weight of each control point of a cubic B-spline at each place of an axis. */
function basis(side, spans) {
  const points = spans + 3;
  const values = new Float64Array(side * points);
  for (let row = 0; row < side; row++) {
    const place = side > 1 ? (row * spans) / (side - 1) : 0;
    const start = Math.min(Math.floor(place), spans - 1);
    const t = place - start;
    const weights = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, 1 + 3 * t + 3 * t ** 2 - 3 * t ** 3, t ** 3];
    weights.forEach((weight, number) => {
      values[row * points + start + number] = weight / 6;
    });
  }
  return {side, points, values};
}

const ONE = {side: 1, points: 1, values: new Float64Array(1).fill(1)};  // of an axis that has one place

/** Returns the powers of a basis's weights, by control point. */
function transposed({side, points, values}, power) {
  const turned = new Float64Array(values.length);
  values.forEach((value, index) => {
    turned[(index % points) * side + Math.floor(index / points)] = value ** power;
  });
  return {side: points, points: side, values: turned};
}

/** Returns the control points of the same spline on twice as many spans, and how many each axis has. */
function refined(lattice, sides) {
  const halves = sides.map((points) => {
    if (points === 1) return ONE;
    const values = new Float64Array((2 * points - 3) * points);
    for (let row = 0; row < 2 * points - 3; row++) {
      (row % 2 ? [1 / 8, 6 / 8, 1 / 8] : [1 / 2, 1 / 2]).forEach((weight, number) => {
        values[row * points + (row >> 1) + number] = weight;
      });
    }
    return {side: 2 * points - 3, points, values};
  });
  return [alongEachAxis(lattice, halves), halves.map(({side}) => side)];
}

/** Returns an array multiplied along each axis by the matrix [side, points] of that axis. */
function alongEachAxis(array, matrices) {
  for (const {side, points, values} of matrices) {
    const rest = array.length / points;
    const result = new Float64Array(rest * side);  // its axis comes last, so the next one is the first
    for (let point = 0; point < points; point++) {
      for (let row = 0; row < side; row++) {
        const weight = values[row * points + point];
        if (!weight) continue;
        for (let index = 0; index < rest; index++) result[index * side + row] += weight * array[point * rest + index];
      }
    }
    array = result;
  }
  return array;
}
