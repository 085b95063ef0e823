/** Which slices of a series are one scan, and how far apart they lie, as kerasgan/io/stacks.py and grid.py say it. */

import {roundHalfEven} from './geometry.js';

export const SAME_POSITION_MM = 0.01;  // closer slices are one position
const UNEVEN = 0.05;  // of the gap: how far a slice may be off the regular grid
const STACK = 3;  // slices from which their gaps can be called even
const CROWDED = 0.5;  // share of positions with several images above which the series holds several scans
// What tells scans of one series apart, in the order in which it is split: those of contrast wherever the slices are, and
// not those of acquisition where the slices are one scan that was acquired in turn.
const CONTRAST = {
  EchoTime: 0x00180081, EffectiveEchoTime: 0x00189082, InversionTime: 0x00180082, DiffusionBValue: 0x00189087,
  ConvolutionKernel: 0x00181210,
};
const ACQUISITION = {TriggerTime: 0x00181060, AcquisitionNumber: 0x00200012};
export const TRAITS = {
  ImageType: 0x00080008, ...CONTRAST, FlipAngle: 0x00181314, TemporalPositionIdentifier: 0x00200100,
  TemporalPositionIndex: 0x00209128, KVP: 0x00180060, ...ACQUISITION,
};

const sorted = (slices) => slices.map(({distance}) => distance).sort((one, other) => one - other);
const gapsOf = (distances) => distances.slice(1).map((distance, index) => distance - distances[index]);

/** Returns the place of each position and the number of slices at it, for slices {distance} in mm along their normal. */
export function positions(slices) {
  const [places, counts] = [[], []];
  let former = -Infinity;
  for (const distance of sorted(slices)) {
    if (distance - former > SAME_POSITION_MM) {
      places.push(distance);
      counts.push(0);
    }
    counts[counts.length - 1] += 1;
    former = distance;
  }
  return {places, counts};
}

/** Returns the gap of the regular grid through sorted places, the median gap, the widest one and whether one is off it. */
export function spaced(places, thickness = 1) {
  const gaps = gapsOf(places);
  if (!gaps.length) return {gap: thickness, median: thickness, widest: 0, isUneven: false};
  const extent = places[places.length - 1] - places[0];
  const median = [...gaps].sort((one, other) => one - other)[(gaps.length - 1) >> 1];
  const gap = extent / Math.max(1, roundHalfEven(extent / median));
  const isOff = (place, index) => Math.abs(place - places[0] - index * gap) > UNEVEN * gap;
  const isUneven = places.length !== 1 + roundHalfEven(extent / gap) || places.some(isOff);
  return {gap, median, widest: Math.max(...gaps), isUneven};
}

/**
 * Separates scans whose slices are at the same positions, or between each other's, by an attribute of TRAITS.
 *
 * Returns {slices, traits} for each scan, with what distinguishes it, such as "EchoTime 4.6"; one of all slices {distance,
 * traits} if they are one scan, or no attribute explains them. `traits` of a slice are its values of TRAITS, as text.
 */
export function splitCrowded(slices) {
  const {counts} = positions(slices);
  const most = (some) => Math.max(...positions(some).counts);
  const isEven = (some) => !spaced(positions(some).places).isUneven;
  const isCrowded = counts.filter((count) => count > 1).length >= CROWDED * counts.length;
  const isWhole = most(slices) === 1 && isEven(slices);
  for (const [index, trait] of Object.keys(TRAITS).entries()) {
    const values = [...new Set(slices.map(({traits}) => traits[index]))].sort();
    if (values.length === 1 || (isWhole && trait in ACQUISITION)) continue;
    const parts = values.map((value) => slices.filter(({traits}) => traits[index] === value));
    const sharesOut = Math.max(...parts.map(most)) * parts.length <= most(slices);
    const areStacks = parts.every((part) => part.length >= STACK && isEven(part));
    if ((isCrowded && sharesOut) || (areStacks && (trait in CONTRAST || overlap(parts)))) {
      return parts.flatMap((part, which) => splitCrowded(part).map((smaller) =>
        ({...smaller, traits: [`${trait} ${values[which] || 'missing'}`, ...smaller.traits]})));
    }
  }
  return [{slices, traits: []}];
}

/** Returns whether at least two of the parts overlap by more than a slice. */
function overlap(parts) {
  const ways = parts.map(sorted).sort((one, other) => one[0] - other[0]);
  return ways.slice(1).some((other, index) => ways[index][ways[index].length - 1] - other[0] > Math.max(...gapsOf(ways[index])));
}
