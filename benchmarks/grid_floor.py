"""What the way to the networks' pixels and back costs by itself, on paired heads in the SynthRAD layout.

    python benchmarks/grid_floor.py SYNTHRAD --size 128

The true CT of each validation patient takes the place of a generator's result: it goes to the networks' pixels, back
onto the scan's own by several kinds of interpolation, and keeps its values in shells of several widths around the MR's
body. The error that is left is the least that a generator can have. `docs/results/grid_floor.json` and the table in
README.md are rewritten.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import bench
import cv2
import numpy as np
import SimpleITK as sitk

from kerasgan import datasets
from kerasgan.metrics.voxels import mean_absolute_error
from kerasgan.recipes.kerasgan2026 import RECIPE
from kerasgan.scans.contract import Side, WayBack
from kerasgan.scans.geometry import SliceGrid, oriented
from kerasgan.scans.intensity import AIR_HU
from kerasgan.scans.preparation import preparation, prepare
from kerasgan.scans.slices import first_channel

WIDTHS_MM = (0.0, 2.0, 3.0, 4.0, 6.0, 8.0)
RESULT = Path(__file__).parent.parent / "docs" / "results" / "grid_floor.json"
PACKAGES = ("opencv-python-headless", "SimpleITK")

Enlarge = Callable[[SliceGrid, np.ndarray], np.ndarray]


def by_opencv(grid: SliceGrid, images: np.ndarray) -> np.ndarray:
    """The cubic kernel of OpenCV, from pixel to pixel as `SliceGrid.to_source`."""
    seen = replace(grid, source=grid.scaled).to_source(images, AIR_HU)  # without what pads them
    return np.stack([cv2.resize(image, grid.source[::-1], interpolation=cv2.INTER_CUBIC) for image in seen])


def by_simpleitk(interpolator: int, grid: SliceGrid, images: np.ndarray) -> np.ndarray:
    """An interpolator of SimpleITK; it goes no further than half a pixel beyond the outermost centres."""
    found = []
    for image in replace(grid, source=grid.scaled).to_source(images, AIR_HU):
        pixels = [float(old / new) for old, new in zip(grid.scaled[::-1], grid.source[::-1], strict=True)]
        origin, axes = [(side - 1) / 2 for side in pixels], [1.0, 0.0, 0.0, 1.0]
        size, moved = grid.source[::-1], sitk.Transform()
        enlarged = sitk.Resample(sitk.GetImageFromArray(image), size, moved, interpolator, origin, pixels, axes, AIR_HU)
        found.append(sitk.GetArrayFromImage(enlarged))
    return np.stack(found)


METHODS: dict[str, Enlarge] = {
    "linear": lambda grid, images: grid.to_source(images, AIR_HU, "linear"),
    "cubic, OpenCV": by_opencv,
    "cubic B-spline, SimpleITK": partial(by_simpleitk, sitk.sitkBSpline),
    "Lanczos, SimpleITK": partial(by_simpleitk, sitk.sitkLanczosWindowedSinc),
    "lanczos": lambda grid, images: grid.to_source(images, AIR_HU, "lanczos"),
}


def measure(data_dir: Path, size: int) -> dict[str, object]:
    """The mean error over patients for each method and width, and what a slice takes.

    Args:
        data_dir: Patients in the SynthRAD layout, with a split.
        size: Side of the networks' slices in pixels.
    """
    card, split = datasets.load("synthrad", data_dir)
    recipe = RECIPE.with_overrides([f"data.size={size}", "intensity.bias_correction=false"])  # N4 moves no body
    settings = preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    target, pairs = Side(modality="CT", unit="HU", window=settings.ct_window_hu), split.validation.pairs()
    errors: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    seconds: dict[str, list[float]] = {name: [] for name in METHODS}
    outside = []
    for mr_scan, ct_scan in pairs:
        source = mr_scan.load()
        mask = oriented(source.with_array(mr_scan.load_mask(source) * 1.0)).array > 0.5
        mr, ct = (prepare(volume, settings, crop=False) for volume in (source, ct_scan.load()))
        outside.append(float((mask & ~mr.body).sum() / mask.sum()))
        images = ct.map.inverse(first_channel(ct.slices))
        for name, enlarge in METHODS.items():
            start = time.perf_counter()
            values = enlarge(mr.grid, images)
            seconds[name].append((time.perf_counter() - start) / len(images))
            finished = [mr.finished(values.copy(), target, WayBack(shell_mm=width)) for width in WIDTHS_MM]
            errors[name].append([mean_absolute_error(one.array, ct.axial.array, mask) for one in finished])
    return {
        "patients": len(pairs),
        "size": size,
        "pixel_mm": settings.pixel_mm,
        "mask_outside_the_body": float(np.mean(outside)),
        "shell_mm": WIDTHS_MM,
        "mae_hu": {name: np.mean(rows, axis=0).round(2).tolist() for name, rows in errors.items()},
        "milliseconds_a_slice": {name: round(1000 * float(np.median(one)), 2) for name, one in seconds.items()},
        "machine": bench.machine(PACKAGES),
    }


def report(found: dict) -> str:
    """The measured values as markdown."""
    header = ["way back", *(f"{width:g} mm" for width in found["shell_mm"]), "ms a slice"]
    rows = [
        [name, *(f"{value:.1f}" for value in values), f"{found['milliseconds_a_slice'][name]:.2f}"]
        for name, values in found["mae_hu"].items()
    ]
    what = (
        f"{found['patients']} patients, {found['size']}x{found['size']} pixels of "
        f"{found['pixel_mm']:g} mm; masked MAE in HU of the true CT after the way there and back, by the width of the "
        f"shell. {found['mask_outside_the_body']:.0%} of the mask lies outside the MR's body."
    )
    return f"\n{what}\n\n{bench.markdown(header, rows)}\n\n{found['machine']}.\n"


def main() -> None:
    """Reads the options, measures, and rewrites the JSON and the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data_dir", type=Path, help="patients in the SynthRAD layout, with a split")
    options.add_argument("--size", type=int, default=128, help="side of the networks' slices (default %(default)s)")
    options.add_argument("--print-only", action="store_true", help="leave the files as they are")
    chosen = options.parse_args()
    found = measure(chosen.data_dir, chosen.size)
    print(report(found))
    if not chosen.print_only:
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        bench.write("grid_floor", report(found))


if __name__ == "__main__":
    main()
