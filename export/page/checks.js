/** What no scan has, as kerasgan/scans/bounds.py says it, and whether an image file is CT or MR, as kerasgan/io/modality.py. */

import {percentiles} from './body.js';

const SPACING_MM = [0.01, 100];
const POSITION_MM = 1e5;
const [SIDE, VOXELS] = [4096, 2 ** 30];
const CT_HU = [-33792, 32767];
const LARGEST = 1e12;
const LABELS = 64;  // different whole numbers that a mask or label map has at most
const SAMPLE = 1000003;  // voxels that are looked at, at most
const BIN = 50;
const AIR_SHARE = 0.02;  // of the voxels: an MR may have a few as low as air
const [BONE_HU, FILLED_SHARE] = [300, 0.3];  // of an MR that was filled with -1000, much is background and much brighter
const SPREAD_HU = 50;  // fat and muscle alone are farther apart
const CUT = 0.002;  // share of voxels that have the highest value of a windowed image
const WORDS = {CT: ['ct', 'cta', 'cbct', 'cect', 'ncct'], MR: ['mr', 'mri', 't1', 't1w', 't2', 't2w', 'flair', 'pdw', 'mprage']};
const OPEN = 'its values have neither the air and tissue of a CT nor the range of an MR';

/** Refuses a size, spacing or place that no scan has. */
export function requirePlace(name, {shape, spacing, origin}) {
  if (Math.min(...shape) < 1 || Math.max(...shape.slice(1)) > SIDE || shape[0] * shape[1] * shape[2] > VOXELS) {
    throw new Error(`${name} has ${shape.join(' x ')} voxels; no scan has so many or so few.`);
  }
  if (!spacing.every((side) => side >= SPACING_MM[0] && side <= SPACING_MM[1])) {
    throw new Error(`${name} has voxels of ${spacing.join(' x ')} mm; expected ${SPACING_MM.join(' to ')} mm.`);
  }
  if (!origin.every((place) => Math.abs(place) <= POSITION_MM)) throw new Error(`${name} lies at ${origin.join(', ')} mm, where no scan is.`);
}

/** Refuses values that no scan has. */
export function requireValues(name, {data, modality}) {
  const wrong = data.reduce((count, value) => count + Number(!Number.isFinite(value)), 0);
  if (wrong) throw new Error(`${wrong} of ${data.length} voxels of ${name} are NaN or infinite; replace them, in CT by air (-1024 HU).`);
  const low = data.reduce((least, value) => Math.min(least, value), Infinity);
  const high = data.reduce((most, value) => Math.max(most, value), -Infinity);
  if (low === high) throw new Error(`All voxels of ${name} are ${low}; nothing is to be seen in it.`);
  if (Math.max(-low, high) > LARGEST || (modality === 'CT' && (low < CT_HU[0] || high > CT_HU[1]))) {
    throw new Error(`The values of ${name} are ${low} to ${high}; no ${modality} has such values.`);
  }
}

/** Returns a doubt about an image file that the model takes as a modality, '' for none; throws an Error where it is another. */
export function requireModality(name, data, wanted) {
  const stride = Math.max(1, Math.floor(data.length / SAMPLE));
  const values = data.filter((_, index) => index % stride === 0).sort();
  if (new Set(values).size <= LABELS && values.every(Number.isInteger)) throw new Error(`${name} is a mask or label map (at most ${LABELS} different values).`);
  const [shown, what] = appearance(values);
  const seen = `${what} (1, 50 and 99 % of its voxels are up to ${percentiles(values, [1, 50, 99]).map((value) => Number(value.toPrecision(5))).join(', ')})`;
  const modality = shown ?? namedModality(name) ?? wanted;
  if (modality !== wanted) throw new Error(`The model takes ${wanted}, and ${name} is ${modality}: ${shown ? seen : 'its name says so'}.`);
  if (shown) return '';
  if (wanted === 'CT' && what !== OPEN) throw new Error(`${name} is not in HU: ${seen}; convert it to HU, or open the DICOM series.`);
  return ` Taken as ${wanted}, though ${seen}.`;
}

/** Returns the modality that sorted values show beyond doubt, undefined for none, and what they look like. */
function appearance(values) {
  const [low, high] = [values[0], values[values.length - 1]];
  const peak = (part) => {
    const counts = new Map();
    for (const value of part) counts.set(Math.floor(value / BIN), (counts.get(Math.floor(value / BIN)) ?? 0) + 1);
    const [bin] = [...counts].reduce((best, one) => (one[1] > best[1] ? one : best), [NaN, 0]);  // of several, the lowest
    return (bin + 0.5) * BIN;
  };
  const within = (value, start, end) => value >= start && value <= end;
  const air = values.filter((value) => value < -500 && (low >= -1500 || value > low));
  const tissue = values.filter((value) => value > -500);
  const isAir = air.length >= AIR_SHARE * values.length && within(peak(air), -1100, -900);
  const share = (holds) => tissue.reduce((count, value) => count + Number(holds(value)), 0) / tissue.length;
  const middle = peak(tissue);
  const near = share((value) => Math.abs(value - middle) <= BIN / 2);
  const isFilled = air[0] === air[air.length - 1] && tissue[0] >= 0 && Math.min(near, share((value) => value > BONE_HU)) > FILLED_SHARE;
  if (isAir && within(middle, -200, 200) && !isFilled) {
    return ['CT', 'its values are those of a CT, with air near -1000 HU and tissue near 0'];
  }
  if ((low === 0 && high <= 255) || high - low < SPREAD_HU) return [, `its values are grey levels from ${[low, high].map((end) => Number(end.toPrecision(3))).join(' to ')}`];
  const [darkest, half, brightest, undershoot] = percentiles(values, [1, 99, 99.5, 0.5]);
  const bright = values.filter((value) => value > (darkest + half) / 2);
  const [dark, light] = [peak(values.filter((value) => value <= (darkest + half) / 2)), peak(bright)];
  const between = values.reduce((count, value) => count + Number(value > dark + 200 && value < light - 200), 0);
  if (within(light - dark, 850, 1200) && between < 0.2 * values.length) return [, `its values look like those of a CT whose water is ${light - 40}, not 0`];
  const first = values.findIndex((value) => value === high);
  const second = values.findIndex((value) => value === values[first - 1]);
  if (values.length - first > Math.max(CUT * values.length, 3 * (first - second))) return [, `its values are cut at ${high}, as those of a window are`];
  if (undershoot >= -0.1 * brightest && percentiles(bright, [50])[0] > 200) {
    return ['MR', 'its values are those of an MR: none far below 0, and tissue far above'];
  }
  return [, OPEN];
}

/** Returns the modality that the name of a file speaks of; undefined for none, or for both. */
function namedModality(name) {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  const found = Object.keys(WORDS).filter((modality) => WORDS[modality].some((word) => words.includes(word)));
  return found.length === 1 ? found[0] : undefined;
}
