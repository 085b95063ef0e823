/** Whether a scan is like those that the model was trained on, as kerasgan/scans/measurements.py and gate.py find it. */

import {ellipse, eroded, percentiles} from './body.js';
import {roundHalfEven, sliceGrid} from './geometry.js';

const [MOST_BODY, SLICES] = [0.9, 9];
const [LAYER_MM, FINE_MM, COARSE_MM] = [4, 2, 10];
const SIDE = 8;  // of the small picture of the body
const [DOUBTFUL, FOREIGN] = [1.5, 3];
const TEXTS = {
  width: 'body {} cm wide',
  length: 'body {} cm from front to back',
  dark_quarter: 'a quarter of the body darker than {} %',
  bright_quarter: 'a quarter of the body brighter than {} %',
  skin: 'the outermost 4 mm {} % bright',
  below_skin: '{} % bright 8 to 12 mm below the skin',
  deeper: '{} % bright 12 to 20 mm below the skin',
  inside_dark: 'a tenth of the inside darker than {} %',
  inside_middle: 'half of the inside darker than {} %',
  inside_bright: 'a tenth of the inside brighter than {} %',
  fine_change: 'brightness changes by {} % over 2 mm',
  coarse_change: 'brightness changes by {} % over 10 mm',
  symmetry: 'left and right alike to {} %',
  upright: 'front and back as in the training scans to {} %',
};

/** Returns the indices of the slices that are measured, a few of those with most body. */
export function slicesOfMostBody(body, [slices, rows, columns]) {
  const area = Array.from({length: slices}, (_, slice) => sum(body.subarray(slice * rows * columns, (slice + 1) * rows * columns)));
  const least = MOST_BODY * Math.max(...area);
  const most = area.flatMap((value, slice) => (value >= least ? [slice] : []));
  const count = Math.min(SLICES, most.length);
  return Array.from({length: count}, (_, index) => most[Math.floor(((2 * index + 1) * most.length) / (2 * count))]);
}

/** Returns {values, picture} of a slice: its measurements but the last, and the picture of its body. */
export function measure(percent, mask, [height, width], pixel) {
  const inside = mask.includes(1) ? mask : mask.map(() => 1);
  const within = (layer) => percent.filter((_, index) => layer[index]);
  const whole = within(inside);
  const size = [height, width];
  const disc = ellipse([0, pixel, pixel], LAYER_MM);
  const depths = [inside];
  for (let layer = 0; layer < 5; layer++) depths.push(eroded(depths[layer], size, disc));
  const between = (upper, lower) => {
    const layer = within(depths[upper].map((value, index) => value & (1 - depths[lower][index])));
    return mean(layer.length ? layer : whole);
  };
  const change = (distance) => {
    const step = Math.max(1, roundHalfEven(distance / pixel));
    let [total, count] = [0, 0];
    for (let index = 0; index < inside.length; index++) {
      for (const [there, fits] of [[index + step * width, index + step * width < inside.length], [index + step, (index % width) + step < width]]) {
        if (!fits || !inside[index] || !inside[there]) continue;
        total += Math.abs(Math.fround(percent[there] - percent[index]));
        count += 1;
      }
    }
    return count ? total / count : 0;
  };
  const filled = (along, length) => Array.from({length}, (_, place) => place).filter((place) => inside.some((value, index) => value && along(index) === place));
  const [lines, files] = [filled((index) => Math.floor(index / width), height), filled((index) => index % width, width)];
  const [top, left] = [lines[0], files[0]];
  const box = [lines[lines.length - 1] - top + 1, files[files.length - 1] - left + 1];
  const cut = (image) => Float32Array.from({length: box[0] * box[1]}, (_, index) => image[(top + Math.floor(index / box[1])) * width + left + (index % box[1])]);
  const [values, shown] = [cut(percent.map((value, index) => value * inside[index])), cut(inside)];
  const mirror = (index) => index - (index % box[1]) + box[1] - 1 - (index % box[1]);
  const shared = Array.from(values.keys()).filter((index) => shown[index] && shown[mirror(index)]);
  const middle = mean(shared.map((index) => values[index]));
  const power = sum(shared.map((index) => (values[index] - middle) ** 2));
  const product = sum(shared.map((index) => (values[index] - middle) * (values[mirror(index)] - middle)));
  const deep = within(depths[4]);
  return {
    values: [
      (box[1] * pixel) / 10, (box[0] * pixel) / 10,
      ...percentiles(whole, [25, 75]),
      between(0, 1), between(2, 3), between(3, 5),
      ...percentiles(deep.length ? deep : whole, [10, 50, 90]),
      change(FINE_MM), change(COARSE_MM), power ? (100 * product) / power : 0,
    ],
    picture: Array.from(sliceGrid(box, box.map((side) => SIDE / side), []).toScaled(values.map((value) => value / 100))),
  };
}

/** Returns the {answer, deviation, values, reason} of a contract's gate about the measured slices of a scan. */
export function judge(gate, measured) {
  const average = (lists) => lists[0].map((_, place) => mean(lists.map((list) => list[place])));
  const picture = average(measured.map((slice) => slice.picture));
  const values = [...average(measured.map((slice) => slice.values)), upright(picture, gate.picture)];
  const standard = values.map((value, place) => (value - gate.ranges[place].mean) / gate.ranges[place].deviation);
  const sizes = standard.map(Math.abs);
  const worst = sizes.indexOf(Math.max(...sizes));
  const distance = Math.hypot(...gate.whitening.map((row) => sum(row.map((weight, place) => weight * standard[place]))));
  const deviation = Math.max(distance / gate.typical_distance, sizes[worst] / gate.typical_deviation);
  const {name, low, high} = gate.ranges[worst];
  const short = (value) => {  // three digits, as Python rounds them
    const scale = 10 ** (2 - Math.floor(Math.log10(Math.abs(value) || 1)));
    return String(roundHalfEven(value * scale) / scale);
  };
  const text = `${TEXTS[name].replace('{}', short(values[worst]))}, training ${short(low)} to ${short(high)} ${TEXTS[name].includes(' cm') ? 'cm' : '%'}`;
  const usual = values[worst] >= low && values[worst] <= high;
  return {
    answer: deviation <= DOUBTFUL ? 'fits' : deviation <= FOREIGN ? 'doubtful' : 'foreign',
    deviation, values, reason: usual ? `an unusual combination, above all ${text}` : text,
  };
}

function upright(picture, training) {
  const half = (image) => image.map((value, index) => value - image[(SIDE - 1 - Math.floor(index / SIDE)) * SIDE + (index % SIDE)]);
  const [one, other] = [half(picture), half(training)];
  const size = Math.sqrt(sum(one.map((value) => value ** 2)) * sum(other.map((value) => value ** 2)));
  return size ? (100 * sum(one.map((value, index) => value * other[index]))) / size : 0;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const mean = (values) => sum(values) / values.length;
