/**
 * Volumes, their turning to axial slices, and the way of a slice to the model's pixels and back.
 *
 * A volume is {data, shape, spacing, axes, origin, modality}: a Float32Array with its lengths and spacings in mm along
 * [slices, rows, columns], the unit vectors along these three in LPS, and the centre of its first voxel in mm.
 */

const PERMUTATIONS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/** The same voxels as axial slices, and the way back: {volume, back}. Nothing is interpolated. */
export function axial(volume) {
  const along = (patient, axis) => volume.axes[axis][patient];
  const score = (order) => order.reduce((sum, axis, index) => sum + Math.abs(along(2 - index, axis)), 0);
  const order = PERMUTATIONS.reduce((best, other) => (score(other) > score(best) ? other : best));
  const signs = order.map((axis, index) => (along(2 - index, axis) < 0 ? -1 : 1));
  const shape = order.map((axis) => volume.shape[axis]);
  const spacing = order.map((axis) => volume.spacing[axis]);
  const axes = order.map((axis, index) => volume.axes[axis].map((value) => signs[index] * value));
  const whole = [volume.shape[1] * volume.shape[2], volume.shape[2], 1];
  const strides = order.map((axis, index) => signs[index] * whole[axis]);
  const first = order.map((axis, index) => (signs[index] < 0 ? volume.shape[axis] - 1 : 0));
  const start = order.reduce((sum, axis, index) => sum + first[index] * whole[axis], 0);
  const origin = volume.origin.map((value, patient) =>
    order.reduce((sum, axis, index) => sum + first[index] * volume.spacing[axis] * volume.axes[axis][patient], value));
  const copy = (assign) => {
    let index = 0;
    for (let i = 0; i < shape[0]; i++) {
      for (let j = 0; j < shape[1]; j++) {
        for (let k = 0; k < shape[2]; k++) {
          assign(index++, start + i * strides[0] + j * strides[1] + k * strides[2]);
        }
      }
    }
  };
  const data = new Float32Array(volume.data.length);
  copy((here, there) => { data[here] = volume.data[there]; });
  const back = (values) => {
    const turned = new Float32Array(values.length);
    copy((here, there) => { turned[there] = values[here]; });
    return turned;
  };
  return {volume: {...volume, data, shape, spacing, axes, origin}, back};
}

/** Resizes to the model's pixels, then pads or crops about the centre; `size` is [height, width] of the model. */
export function sliceGrid(source, ratio, size) {
  const scaled = source.map((side, index) => Math.max(1, roundHalfEven(side * ratio[index])));
  const down = source.map((side, index) => weights(side, scaled[index]));
  const up = source.map((side, index) => weights(scaled[index], side));
  return {
    scaled,
    toModel: (image, fill) => fitted(resized(image, source, scaled, down), scaled, size, fill),
    fromModel: (image, fill) => resized(fitted(image, size, scaled, fill), scaled, source, up),
    toScaled: (image) => resized(image, source, scaled, down),
  };
}

function roundHalfEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/** For each new pixel the [old index, share] pairs: by area where there are fewer pixels, else linear. */
function weights(before, after) {
  const width = before / after;
  return Array.from({length: after}, (_, index) => {
    const pairs = [];
    if (after < before) {
      const [low, high] = [index * width, (index + 1) * width];
      for (let old = Math.floor(low); old < Math.min(before, Math.ceil(high)); old++) {
        const share = (Math.min(high, old + 1) - Math.max(low, old)) / width;
        if (share > 1e-9) pairs.push([old, share]);
      }
      return pairs;
    }
    const centre = Math.min(Math.max((index + 0.5) * width - 0.5, 0), before - 1);
    const old = Math.floor(centre);
    return centre > old ? [[old, 1 - centre + old], [old + 1, centre - old]] : [[old, 1]];
  });
}

function resized(image, [rows, columns], [height, width], [byRow, byColumn]) {
  if (rows === height && columns === width) return Float32Array.from(image);
  const wide = new Float32Array(height * columns);
  byRow.forEach((pairs, row) => {
    for (const [old, share] of pairs) {
      for (let column = 0; column < columns; column++) {
        wide[row * columns + column] += share * image[old * columns + column];
      }
    }
  });
  const result = new Float32Array(height * width);
  for (let row = 0; row < height; row++) {
    byColumn.forEach((pairs, column) => {
      let sum = 0;
      for (const [old, share] of pairs) sum += share * wide[row * columns + old];
      result[row * width + column] = sum;
    });
  }
  return result;
}

export function fitted(image, [rows, columns], [height, width], fill) {
  const result = new Float32Array(height * width).fill(fill);
  const [tall, broad] = [Math.min(rows, height), Math.min(columns, width)];
  const [row, column] = [(rows - tall) >> 1, (columns - broad) >> 1];
  const [top, left] = [(height - tall) >> 1, (width - broad) >> 1];
  for (let line = 0; line < tall; line++) {
    const start = (row + line) * columns + column;
    result.set(image.subarray(start, start + broad), (top + line) * width + left);
  }
  return result;
}
