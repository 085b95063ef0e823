/** The way of a scan through the model, slice by slice. */

import {correctBias} from './bias_field.js';
import {bodyMask, grown, percentiles} from './body.js';
import {judge, measure, slicesOfMostBody} from './gate.js';
import {fitted, sliceGrid} from './geometry.js';

const AIR_HU = -1000;

/**
 * Returns the other modality of an axial volume, with air around the body.
 *
 * @param acquired An axial volume.
 * @param contract The model's contract, from `loadContract`.
 * @param model The {run, size} of `loadModel`.
 * @param progress A function that takes (slices done, of how many, ms of the last one) and is awaited, before the first
 *   slice as well.
 */
export async function translate(acquired, contract, model, progress) {
  const {source, target, pixel_mm: pixel, way_back: {enlarging, shell_mm: shell} = {}} = contract;
  const [slices, rows, columns] = acquired.shape;
  const body = bodyMask(acquired);
  const scan = await corrected(acquired, body, contract, () => progress(0, slices));
  const kept = grown(body, scan.shape, scan.spacing, shell);
  const scale = toWindow(scan, body, contract);
  const grid = sliceGrid([rows, columns], [scan.spacing[1] / pixel, scan.spacing[2] / pixel], model.size, enlarging);
  requireBody(body, scan.shape, grid, model.size);
  const [low, high] = target.window;
  const data = new Float32Array(scan.data.length).fill(target.unit === 'HU' ? AIR_HU : low);
  for (let slice = 0; slice < slices; slice++) {
    const started = performance.now();
    const part = [slice * rows * columns, (slice + 1) * rows * columns];
    if (grid.toModel(body.subarray(...part), 0).some((value) => value >= 0.5)) {
      const image = await model.run(grid.toModel(scan.data.subarray(...part).map(scale), source.window[0]));
      const inside = kept.subarray(...part);
      grid.fromModel(image, low).forEach((value, index) => {
        if (inside[index]) data[part[0] + index] = Math.min(Math.max(value, low), high);
      });
    }
    await progress(slice + 1, slices, performance.now() - started);
  }
  return {...scan, data, modality: target.modality, verdict: verdict(scan, body, contract, scale)};
}

/** Returns an axial scan without its bias field, where the model was trained on such scans. */
export async function corrected(scan, body, {mr_scaling: scaling}, progress) {
  return scaling?.bias_correction ? {...scan, data: await correctBias(scan, body, progress)} : scan;
}

/** Returns the verdict of the contract's input gate about an axial scan without its bias field, undefined where it has none. */
export function verdict(scan, body, contract, scale = toWindow(scan, body, contract)) {
  const [, rows, columns] = scan.shape;
  const {source: {window: [start, end]}, pixel_mm: pixel, gate} = contract;
  const grid = sliceGrid([rows, columns], [scan.spacing[1] / pixel, scan.spacing[2] / pixel], []);
  const part = (array, slice) => array.subarray(slice * rows * columns, (slice + 1) * rows * columns);
  return gate && judge(gate, slicesOfMostBody(body, scan.shape).map((slice) => {
    const image = grid.toScaled(part(scan.data, slice).map(scale)).map((value) => (100 * (value - start)) / (end - start));
    return measure(image, Uint8Array.from(grid.toScaled(part(body, slice)), (value) => value >= 0.5), grid.scaled, pixel);
  }));
}

/** Returns the function from a scan's values to the scale that the model takes, clipped to its window. */
function toWindow(scan, body, {source, mr_scaling: scaling}) {
  const [start, end] = source.window;
  if (!scaling?.percentiles) return (value) => Math.min(Math.max(value, start), end);
  const inside = scan.data.filter((_, index) => body[index]);
  const [low, high] = percentiles(inside.length ? inside : scan.data, scaling.percentiles);
  if (!(low < high)) throw new Error('The scan is constant; there is nothing to translate.');
  return (value) => ((Math.min(Math.max(value, low), high) - low) / (high - low)) * (end - start) + start;
}

/** Refuses a scan whose body the model does not see as a whole: the rest would silently become air. */
function requireBody(body, [slices, rows, columns], grid, size) {
  const any = new Uint8Array(rows * columns);
  for (let index = 0; index < slices * rows * columns; index++) any[index % any.length] |= body[index];
  const scaled = grid.toScaled(any).map((value) => Number(value >= 0.5));
  const count = (image) => image.reduce((sum, value) => sum + value, 0);
  if (count(fitted(scaled, grid.scaled, size, 0)) < count(scaled)) {
    const needed = grid.scaled.map((side, axis) => Math.max(size[axis], Math.ceil(side / 4) * 4)).join(' ');
    throw new Error(`The body reaches beyond the ${size.join(' x ')} pixels of the model; export one with --size ${needed}.`);
  }
}
