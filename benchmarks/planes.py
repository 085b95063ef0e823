"""Do the slices of a synthetic CT agree with each other? For trained runs of any planes.

    python benchmarks/planes.py RUN [RUN ...] --crossing sr23-brain-planes --scan dicom-mr-head-sagittal --ct CT.nii.gz

Crossing lines: the axial, coronal and sagittal slice of a validation patient are translated, each by itself. Where two
of them cross they show the same voxels, and the mean absolute difference there, in the body mask, is their disagreement
in HU, once more where both have the body, which is found in each slice for itself; that of the true CTs stands beside
it. A run of axial slices alone is shown the others all the same.

Roughness: the mean second difference from slice to slice, in the body. For a run's own test pairs, such as a phantom's,
it is given relative to that of the true CT on the same grid. For a scan without a truth, relative to that along the two
axes of the axial slices, all on cubes; the goal is the ratio of a real CT (`--ct`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import bench
import numpy as np

from kerasgan import datasets
from kerasgan.evaluation.evaluate import unseen_pairs
from kerasgan.io import read_volume
from kerasgan.pictures.patients import image_grid
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.contract import Contract, Direction
from kerasgan.scans.geometry import AXIAL, PLANES, SliceGrid, oriented, resampled_side, with_slices
from kerasgan.scans.intensity import AIR_HU, IntensityMap, body_mask
from kerasgan.scans.volume import Volume
from kerasgan.translation.of_run import RunTranslator

PAIRS = 4  # test pairs of a run whose roughness is measured
WINDOW_HU = IntensityMap(-200.0, 1000.0)  # of the pictures


class InEachPlane(RunTranslator):
    """A run that takes single slices of all planes, whatever it was trained on."""

    def contract(self, direction: Direction) -> Contract:
        """The contract of the run, with all planes."""
        return super().contract(direction).model_copy(update={"planes": tuple(PLANES)})


def shared(a: Volume, b: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Indices into the flattened voxels of two volumes, of those of `a` that lie in a voxel of `b`, and of the latter.

    Example:
        >>> axial = Volume(np.zeros((1, 3, 4)), (1, 1, 1), origin_mm=(0, 0, 5))
        >>> coronal = Volume(np.zeros((9, 1, 4)), (1, 1, 1), origin_mm=(0, 2, 0))
        >>> [found.tolist() for found in shared(axial, coronal)]
        [[8, 9, 10, 11], [20, 21, 22, 23]]
    """
    indices = np.indices(a.shape).reshape(3, -1)[::-1]  # x, y, z of each voxel
    places = np.array(a.origin_mm)[:, None] + a.direction @ (indices * np.array(a.spacing_mm)[:, None])
    offsets = b.direction.T @ (places - np.array(b.origin_mm)[:, None]) / np.array(b.spacing_mm)[:, None]
    found, sides = np.rint(offsets).astype(int), np.array(b.shape[::-1])[:, None]
    inside = np.all((found >= 0) & (found < sides), axis=0)
    return np.flatnonzero(inside), np.ravel_multi_index(tuple(found[::-1, inside]), b.shape)


def disagreement(slices: Sequence[Volume], masks: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean absolute difference of slices of several planes in the voxels that two of them share.

    Args:
        slices: Axial, coronal and sagittal slices of a patient.
        masks: Where each counts, of its shape.

    Returns:
        The mean inside the masks, and that of the voxels of them where neither slice is air.
    """
    found = []
    for (a, mask), (b, _) in combinations(zip(slices, masks, strict=True), 2):
        ours, theirs = shared(a, b)
        found.append(np.stack([a.array.ravel()[ours], b.array.ravel()[theirs]])[:, mask.ravel()[ours]])
    pairs = np.concatenate(found, axis=1)
    differences = np.abs(pairs[0] - pairs[1])
    return float(differences.mean()), float(differences[(pairs > AIR_HU).all(axis=0)].mean())


def crossing_lines(runs: Sequence[Run], folder: Path) -> list[list[str]]:
    """The disagreement of each run's synthetic CTs, and of the true ones, mean and SD over the validation patients."""
    _, split = datasets.load("synthrad", folder, planes=tuple(PLANES))
    patients: dict[str, list[tuple[datasets.Scan, datasets.Scan]]] = {}
    for pair in split.validation.pairs():
        patients.setdefault(pair[0].patient, []).append(pair)
    translators = [InEachPlane(run) for run in runs]
    rows: list[list[tuple[float, float]]] = []
    for pairs in patients.values():
        sources, truths = zip(*((a.load(), b.load()) for a, b in pairs), strict=True)
        masks = [mask for a, _ in pairs if (mask := a.load_mask()) is not None]
        made = [[translator.translate(source, "ab")[0] for source in sources] for translator in translators]
        rows.append([disagreement(slices, masks) for slices in [*made, truths]])
    names = [*(run.path.name for run in runs), "true CT"]
    mean, sd = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
    values = [[f"{m:.1f} ± {s:.1f}" for m, s in zip(*of, strict=True)] for of in zip(mean, sd, strict=True)]
    return [[name, *own, str(len(rows))] for name, own in zip(names, values, strict=True)]


def second_difference(array: np.ndarray, mask: np.ndarray, axis: int) -> float:
    """The mean of `|a[k - 1] - 2 a[k] + a[k + 1]|` along an axis, where all three voxels are in the mask.

    Example:
        >>> second_difference(np.array([0.0, 1.0, 4.0, 7.0]), np.ones(4, bool), axis=0)
        1.0
    """
    inside = np.moveaxis(mask, axis, 0)
    whole = inside[:-2] & inside[1:-1] & inside[2:]
    return float(np.abs(np.diff(np.moveaxis(array, axis, 0), 2, axis=0))[whole].mean())


def cubes(volume: Volume) -> Volume:
    """The axial volume on cubes as large as its longest voxel side."""
    axial, pixel = oriented(volume, AXIAL), max(volume.spacing_mm)
    depth, *sides = (resampled_side(*side, pixel) for side in zip(axial.shape, axial.spacing_mm[::-1], strict=True))
    flat = SliceGrid(axial.shape[1:], (sides[0], sides[1]), (sides[0], sides[1]))
    array = with_slices(flat.to_network(axial.array, fill=0.0), depth)
    return Volume(array, (pixel, pixel, pixel), direction=axial.direction, modality=axial.modality)


def anisotropy(volume: Volume) -> float:
    """The roughness to superior relative to the mean of that along the two axes of the axial slices."""
    even = cubes(volume)
    mask = body_mask(even)
    up, *flat = (second_difference(even.array, mask, axis) for axis in range(3))
    return up / float(np.mean(flat))


def paired_roughness(run: Run) -> list[float]:
    """The roughness from slice to slice of a run's synthetic test CTs, relative to that of the true ones."""
    facts, planes = run.facts, run.facts.preparation.planes
    card, scans = datasets.load_scans(facts.dataset, run.data_dir, facts.modalities, run.patient_secret(), planes)
    found = []
    for a, b in unseen_pairs(run, card, scans)[1][:PAIRS]:
        synthetic, truth = (oriented(one) for one in (RunTranslator(run).translate(a.load(), "ab")[0], b.load()))
        if len(truth.array) > 2:
            mask = body_mask(truth)
            ours, true = (second_difference(one.array, mask, 0) for one in (synthetic, truth))
            found.append(ours / true)
    return found


def cuts(volume: Volume, scale: IntensityMap) -> list[np.ndarray]:
    """The middle sagittal and coronal section of a volume on cubes, head up, in [-1, 1], on one square each."""
    array = scale.forward(cubes(volume).array)
    side = max(array.shape)
    sections = [array[::-1, :, array.shape[2] // 2], array[::-1, array.shape[1] // 2]]
    return [SliceGrid(one.shape, one.shape, (side, side)).to_network(one[None], fill=-1.0)[0] for one in sections]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what the command line asks for, prints the tables and rewrites them in README.md."""
    options = argparse.ArgumentParser(description="Agreement of the slices of synthetic CTs with each other.")
    options.add_argument("runs", nargs="+", type=Path, help="run directories")
    options.add_argument("--crossing", type=Path, help="SynthRAD layout of single slices in three planes")
    options.add_argument("--scan", type=Path, help="an MR volume without truth")
    options.add_argument("--ct", type=Path, help="a real CT volume, whose ratio is the goal for --scan")
    options.add_argument("--pictures", type=Path, help="PNG of sagittal and coronal cuts of --scan")
    options.add_argument("--print-only", action="store_true", help="leave README.md as it is")
    chosen = options.parse_args(arguments)
    runs, parts = [load_run(path) for path in chosen.runs], []
    if chosen.crossing:
        heads = ["crossing lines", "mean difference, HU", "where both have the body, HU", "patients"]
        parts.append(bench.markdown(heads, crossing_lines(runs, chosen.crossing)))
    if rows := [
        [run.path.name, f"{np.mean(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}", str(len(ratios))]
        for run, ratios in ((run, paired_roughness(run)) for run in runs)
        if ratios
    ]:
        parts.append(bench.markdown(["own test pairs", "roughness to that of the true CT", "range", "pairs"], rows))
    if chosen.scan:
        scan = read_volume(chosen.scan)
        made = [RunTranslator(run).translate(scan, "ab")[0] for run in runs]
        rows = [[run.path.name, f"{anisotropy(one):.2f}"] for run, one in zip(runs, made, strict=True)]
        rows.append(["the MR itself", f"{anisotropy(scan):.2f}"])
        if chosen.ct:
            rows.append(["a real CT", f"{anisotropy(read_volume(chosen.ct, modality='CT')):.2f}"])
        parts.append(bench.markdown(["one scan", "roughness to superior / in axial slices"], rows))
        if chosen.pictures:
            low, high = np.percentile(scan.array, (1, 99.5))
            columns = [cuts(scan, IntensityMap(float(low), float(high))), *(cuts(one, WINDOW_HU) for one in made)]
            titles = ["MR", *(run.path.name for run in runs)]
            image_grid(list(zip(*columns, strict=True)), titles, chosen.pictures)
    text = "\n\n".join(parts)
    print(text)
    if not chosen.print_only:
        bench.write("planes", f"\n{text}\n")


if __name__ == "__main__":
    main()
