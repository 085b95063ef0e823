/**
 * Volumes, their turning to axial slices, and the way of a slice to the model's pixels and back.
 *
 * A volume is {data, shape, spacing, axes, origin, modality}: a Float32Array with its lengths and spacings in mm along
 * [slices, rows, columns], the unit vectors along these three in LPS, and the centre of its first voxel in mm.
 */

/** Returns the same voxels as axial slices, and the way back: {volume, back}. Nothing is interpolated. */
export function axial(volume) {
  // The largest component of an axis decides first, as in ITK: order[0] becomes slices (S), [1] rows (P), [2] columns (L).
  const order = [];
  const nearest = [0, 1, 2].flatMap((axis) => [0, 1, 2].map((patient) => [axis, 2 - patient, Math.abs(volume.axes[axis][patient])]));
  for (const [axis, place] of nearest.sort((one, other) => other[2] - one[2])) {
    if (!order.includes(axis) && order[place] === undefined) order[place] = axis;
  }
  const signs = order.map((axis, place) => (volume.axes[axis][2 - place] < 0 ? -1 : 1));
  const shape = order.map((axis) => volume.shape[axis]);
  const spacing = order.map((axis) => volume.spacing[axis]);
  const axes = order.map((axis, place) => volume.axes[axis].map((value) => signs[place] * value));
  const whole = [volume.shape[1] * volume.shape[2], volume.shape[2], 1];
  const strides = order.map((axis, place) => signs[place] * whole[axis]);
  const first = order.map((axis, place) => (signs[place] < 0 ? volume.shape[axis] - 1 : 0));
  const start = order.reduce((sum, axis, place) => sum + first[place] * whole[axis], 0);
  const origin = volume.origin.map((value, patient) =>
    order.reduce((sum, axis, place) => sum + first[place] * volume.spacing[axis] * volume.axes[axis][patient], value));
  const eachVoxel = (assign) => {
    for (let slice = 0, here = 0; slice < shape[0]; slice++) {
      for (let row = 0; row < shape[1]; row++) {
        for (let column = 0; column < shape[2]; column++, here++) {
          assign(here, start + slice * strides[0] + row * strides[1] + column * strides[2]);
        }
      }
    }
  };
  const data = new Float32Array(volume.data.length);
  eachVoxel((here, there) => { data[here] = volume.data[there]; });
  const back = (values) => {
    const turned = new Float32Array(values.length);
    eachVoxel((here, there) => { turned[there] = values[here]; });
    return turned;
  };
  return {volume: {...volume, data, shape, spacing, axes, origin}, back};
}
/**
 * Returns the grid that resizes to the model's pixels, then pads or crops about the centre; `size` is the model's.
 * `enlarging` is how the way back makes pixels smaller: 'linear' or 'lanczos'.
 */
export function sliceGrid(source, ratio, size, enlarging = 'linear') {
  const scaled = source.map((side, axis) => Math.max(1, roundHalfEven(side * ratio[axis])));
  const toScaled = (image) => resized(image, source, scaled);
  return {
    scaled, toScaled,
    toModel: (image, fill) => fitted(toScaled(image), scaled, size, fill),
    fromModel: (image, fill) => resized(fitted(image, size, scaled, fill), scaled, source, enlarging),
  };
}

/** Rounds as Python does: halves to the even number. */
export function roundHalfEven(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

function resized(image, [rows, columns], [height, width], enlarging) {
  if (rows === height && columns === width) return Float32Array.from(image);
  const [byRow, byColumn] = [weights(rows, height, enlarging), weights(columns, width, enlarging)];
  const tall = new Float32Array(height * columns);
  byRow.forEach((pairs, row) => {
    for (const [old, share] of pairs) {
      for (let column = 0; column < columns; column++) tall[row * columns + column] += share * image[old * columns + column];
    }
  });
  const result = new Float32Array(height * width);
  for (let row = 0; row < height; row++) {
    byColumn.forEach((pairs, column) => {
      let sum = 0;
      for (const [old, share] of pairs) sum += share * tall[row * columns + old];
      result[row * width + column] = sum;
    });
  }
  return result;
}

/** Returns the [old index, share] pairs of each new pixel: by area where there are fewer pixels, else as `enlarging` says. */
function weights(before, after, enlarging) {
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
    if (enlarging === 'lanczos') return lanczos((index + 0.5) * width - 0.5, before);
    const centre = Math.min(Math.max((index + 0.5) * width - 0.5, 0), before - 1);
    const old = Math.floor(centre);
    return centre > old ? [[old, 1 - centre + old], [old + 1, centre - old]] : [[old, 1]];
  });
}

/** Returns the eight pairs of a place between pixels; the pixels at the border go on beyond it. */
function lanczos(centre, before) {
  const sinc = (value) => (value ? Math.sin(Math.PI * value) / (Math.PI * value) : 1);
  const olds = Array.from({length: 8}, (_, index) => Math.floor(centre) - 3 + index);
  const shares = olds.map((old) => sinc(centre - old) * sinc((centre - old) / 4));
  const sum = shares.reduce((one, other) => one + other);
  return olds.map((old, index) => [Math.min(Math.max(old, 0), before - 1), shares[index] / sum]);
}

/** Returns an image of another size with the same centre: what lies outside is cut, what is new becomes `fill`. */
export function fitted(image, [rows, columns], [height, width], fill) {
  const result = new image.constructor(height * width).fill(fill);
  const [tall, broad] = [Math.min(rows, height), Math.min(columns, width)];
  const [row, column] = [(rows - tall) >> 1, (columns - broad) >> 1];
  const [top, left] = [(height - tall) >> 1, (width - broad) >> 1];
  for (let line = 0; line < tall; line++) {
    const start = (row + line) * columns + column;
    result.set(image.subarray(start, start + broad), (top + line) * width + left);
  }
  return result;
}
