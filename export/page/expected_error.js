/** How wrong a synthetic CT probably is at each voxel, by what it shows there, as kerasgan/scans/expected_error.py says it. */

import {enclosed} from './body.js';
import {roundHalfEven} from './geometry.js';

const RADIUS_MM = 2.5;  // of the square in which values vary
const AIR_HU = -1000;  // that is written around the body

/**
 * Returns the expected absolute error in HU of each voxel of an axial synthetic CT, 0 around the body.
 *
 * @param synthetic An axial volume, as `translate` gives it.
 * @param expected The `expected_error` of a contract.
 */
export function errorMap({data, shape, spacing}, expected) {
  const [slices, rows, columns] = shape;
  const [area, result] = [rows * columns, new Float32Array(data.length)];
  const place = (limits, value) => limits.reduce((count, limit) => count + Number(value >= limit), 0);
  for (let start = 0; start < slices * area; start += area) {
    const image = data.subarray(start, start + area);
    const inside = enclosed(Uint8Array.from(image, (value) => Number(value !== AIR_HU)), [rows, columns]);
    if (!inside.includes(1)) continue;
    variation(image, [rows, columns], spacing).forEach((value, index) => {
      if (inside[index]) result[start + index] = expected.table[place(expected.variation_limits, value)][place(expected.value_limits, image[index])];
    });
  }
  return result;
}

/** Returns the standard deviation of the values in a square of about 5 mm around each pixel; beyond a border they are mirrored. */
function variation(image, [rows, columns], spacing) {
  const [tall, wide] = spacing.slice(1).map((side) => Math.max(1, roundHalfEven(RADIUS_MM / side)));
  const mirrored = (place, length) => {
    for (let at = place; ; at = at < 0 ? -at : 2 * (length - 1) - at) if ((at >= 0 && at < length) || length === 1) return length === 1 ? 0 : at;
  };
  const means = [(value) => value, (value) => value * value].map((power) => {
    const alongRows = new Float64Array(image.length);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (let by = -wide; by <= wide; by++) alongRows[row * columns + column] += power(image[row * columns + mirrored(column + by, columns)]);
      }
    }
    return Float64Array.from({length: image.length}, (_, index) => {
      let sum = 0;
      for (let by = -tall; by <= tall; by++) sum += alongRows[mirrored(Math.floor(index / columns) + by, rows) * columns + (index % columns)];
      return sum / ((2 * tall + 1) * (2 * wide + 1));
    });
  });
  return means[0].map((mean, index) => Math.sqrt(Math.max(means[1][index] - mean * mean, 0)));
}
