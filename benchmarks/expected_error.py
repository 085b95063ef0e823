"""Does the map of expected error find where a synthetic CT is wrong, and better than the MR's own gradient does?

    python benchmarks/expected_error.py RUN [--pictures FILE]

RUN was trained on paired heads in the SynthRAD layout, and its data is where it was. The MRs of its validation and test
patients are translated. Maps are fitted on one half of these patients and scored on the other, then the other way
round; the halves are every second patient, centre by centre. Beside the map stand the gradient of the MR at four
widths, the ingredients of the map alone, and two further ones.
`docs/results/expected-error.json` and the tables in README.md are rewritten. Figures are means over patients.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import bench
import cv2
import numpy as np
from scipy.stats import spearmanr

from kerasgan import datasets
from kerasgan.datasets import Scan, Split
from kerasgan.evaluation.error_map import figures, gradient
from kerasgan.evaluation.scale import places
from kerasgan.files import file_digest
from kerasgan.pictures.patients import image_grid
from kerasgan.runs.run import Run, load_run
from kerasgan.scans.expected_error import CLASSES, PRIOR_VOXELS, VALUE_LIMITS, variation, voxel_classes
from kerasgan.scans.geometry import oriented
from kerasgan.scans.preparation import prepare
from kerasgan.translation.of_run import RunTranslator

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "expected-error.json"
WIDTHS_MM = (0.0, 1.0, 2.0, 3.0)
BRIGHTNESS = (-0.9, -0.7, -0.4, 0.0)  # limits of the MR in the networks' [-1, 1]
MIRRORED_HU = (5.0, 15.0, 40.0, 90.0)  # limits of the disagreement with the mirrored slice, smoothed by 1.5 mm
MAP, TRUTH = "expected error (value and variation)", "the error itself"
BASELINE = "gradient of the MR, smoothed by 2 mm"
TISSUES = ("air", "soft", "bone")
COUNTS, REPEATS = (1, 2, 4, 10), 20  # patients to fit on, and how often they are drawn
NAMES = ("rank_correlation", "auroc_worst", "mae_left_hu")
SHOWN = 5  # patients in the picture
SHOWN_HU = (0.0, 600.0)  # of the maps in the picture

Maps = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A patient.

    Attributes:
        centre: Where the scans were made.
        errors: Absolute errors in HU of the voxels that count, in one dimension, as everything below.
        raw: Maps that are compared as they are.
        classes: Classes of maps that are fitted; 0 where nothing was computed.
        tissue: Index in `TISSUES` of what the synthetic CT shows.
        images: Synthetic and true HU, classes of `MAP` and which voxels count, of the middle slice.
    """

    centre: str
    errors: np.ndarray
    raw: Maps
    classes: Maps
    tissue: np.ndarray
    images: tuple[np.ndarray, ...]


def read(run: Run) -> list[Case]:
    """All held-out patients of a run, translated; sorted by centre and key."""
    _, scans = datasets.load_scans(run.facts.dataset, run.data_dir, run.facts.modalities, run.patient_secret())
    split = Split.from_keys(scans, run.split())
    pairs = [*split.validation.pairs(), *split.test.pairs()]
    if not run.facts.paired or len(pairs) < 2 * max(COUNTS):
        raise SystemExit(f"{run.path} holds out {len(pairs)} pairs of scans; {2 * max(COUNTS)} are needed.")
    translator = RunTranslator(run)
    return [case(run, translator, *pair) for pair in sorted(pairs, key=lambda one: (one[0].centre, one[0].patient))]


def case(run: Run, translator: RunTranslator, mr_scan: Scan, ct_scan: Scan) -> Case:
    """Translates an MR and says of each voxel what the maps are made from."""
    mr, truth = mr_scan.load(), oriented(ct_scan.load()).array
    mask = mr_scan.load_mask(mr)
    if mask is None:
        raise SystemExit("The scans have no masks; name a run on data in the SynthRAD layout.")
    source = prepare(mr, run.facts.preparation, crop=False)
    near = (oriented(mr.with_array(mask * 1.0)).array > 0.5) & ~places(source)["outside"]
    synthetic, mean = (translator.translate_prepared(source, "ab", flip=flip) for flip in (False, True))
    spacing, brightness = source.axial.spacing_mm, source.map.forward(source.axial.array)
    width = 1.5 / spacing[0]
    mirrored = np.stack(
        [cv2.GaussianBlur(2 * np.abs(a - b), (0, 0), width) for a, b in zip(synthetic.array, mean.array, strict=True)]
    )
    varied = np.stack([variation(image, spacing) for image in synthetic.array])
    raw = {
        f"gradient of the MR, smoothed by {width:g} mm": np.stack([gradient(one, spacing, width) for one in brightness])
        for width in WIDTHS_MM
    } | {"variation of the synthetic CT": varied, "disagreement with the mirrored slice": mirrored}
    classes = np.stack([*voxel_classes(synthetic)]).astype(int)
    fitted = {
        "value of the synthetic CT": 1 + (classes - 1) % (len(VALUE_LIMITS) + 1),
        MAP: classes,
        "value, variation and brightness of the MR": classes + CLASSES * np.digitize(brightness, BRIGHTNESS),
        "value, variation and mirrored slice": classes + CLASSES * np.digitize(mirrored, MIRRORED_HU),
    }
    errors, middle = np.abs(synthetic.array - truth), len(truth) // 2
    return Case(
        mr_scan.centre,
        errors[near],
        {name: array[near] for name, array in raw.items()},
        {name: np.where(classes, array, 0)[near] for name, array in fitted.items()},
        np.digitize(synthetic.array[near], (-200, 250)),
        tuple(array[middle] for array in (synthetic.array, truth, classes, near)),
    )


def table_of(cases: Sequence[Case], name: str) -> np.ndarray:
    """The mean absolute error of each class, 0 of class 0, fitted as `fit_expected_error` does."""
    classes, errors = (
        np.concatenate(found) for found in zip(*((one.classes[name], one.errors) for one in cases), strict=True)
    )
    classes, errors, length = classes[classes > 0], errors[classes > 0], 5 * CLASSES + 1
    mean = errors.mean()
    sums, voxels = np.bincount(classes, errors, length), np.bincount(classes, minlength=length)
    return np.append(0, ((sums + PRIOR_VOXELS * mean) / (voxels + PRIOR_VOXELS))[1:])


def maps_of(one: Case, others: Sequence[Case]) -> Maps:
    """All maps of a patient, by the others' errors where they are fitted."""
    return one.raw | {name: table_of(others, name)[classes] for name, classes in one.classes.items()}


def means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Mean figures over patients, to four digits."""
    found = {name: [value for row in rows if (value := row[name]) is not None] for name in rows[0]}
    return {name: float(f"{np.mean(values):.4g}") for name, values in found.items()}


def known(values: np.ndarray, errors: np.ndarray) -> dict[str, float | None]:
    """The figures of a map in HU, with its mean and by how much that misses the true mean."""
    mean, true = float(values.mean()), float(errors.mean())
    return figures(values, errors) | {"map_mean_hu": mean, "map_mae_hu": true, "miss": abs(mean / true - 1)}


def measure(cases: Sequence[Case]) -> dict[str, object]:
    """All figures of the JSON."""
    halves = [cases[0::2], cases[1::2]]
    scored = [(one, maps_of(one, other)) for own, other in (halves, halves[::-1]) for one in own]
    names = [*scored[0][1], TRUTH]
    rows = {name: [figures(maps.get(name, one.errors), one.errors) for one, maps in scored] for name in names}
    better = {
        figure: sum(
            (own[figure] or 0) * sign > (base[figure] or 0) * sign
            for own, base in zip(rows[MAP], rows[BASELINE], strict=True)
        )
        for figure, sign in zip(NAMES, (1, 1, -1), strict=True)
    }
    expected, errors = (
        np.concatenate(found) for found in zip(*((maps[MAP], one.errors) for one, maps in scored), strict=True)
    )
    parts = np.array_split(np.argsort(expected, kind="stable"), 10)
    tissues: dict[str, dict[str, dict[str, float]]] = {tissue: {} for tissue in TISSUES}
    for index, tissue in enumerate(TISSUES):
        inside = [(one.errors, maps, one.tissue == index) for one, maps in scored if (one.tissue == index).any()]
        for name in (BASELINE, "value of the synthetic CT", MAP):
            found = [figures(maps[name][where], errors[where]) for errors, maps, where in inside]
            tissues[tissue][name] = means(found)
    centres = {}
    for centre in sorted({one.centre for one in cases}):
        others = table_of([one for one in cases if one.centre != centre], MAP)
        centres[centre] = means([known(others[one.classes[MAP]], one.errors) for one in cases if one.centre == centre])
    few = {}
    for count in COUNTS:
        found = []
        for seed in range(REPEATS):
            order = np.random.default_rng(seed).permutation(len(cases))
            table = table_of([cases[index] for index in order[:count]], MAP)
            found += [known(table[cases[index].classes[MAP]], cases[index].errors) for index in order[count:]]
        few[str(count)] = means(found)
    averages = [(maps[MAP].mean(), one.errors.mean()) for one, maps in scored]
    return {
        "patients": len(cases),
        "voxels": len(errors),
        "maps": {name: means(found) for name, found in rows.items()},
        "mean_hu": float(f"{np.mean([one for one, _ in averages]):.4g}"),
        "mae_hu": float(f"{np.mean([one for _, one in averages]):.4g}"),
        "patients_better_than_the_gradient": better,
        "deciles_of_the_map_hu": [
            [round(float(expected[part].mean()), 1), round(float(errors[part].mean()), 1)] for part in parts
        ],
        "by_tissue_of_the_synthetic_ct": tissues,
        "by_centre_left_out": centres,
        "by_patients_fitted_on": few,
        "rank_correlation_of_means_over_patients": round(float(spearmanr(*zip(*averages, strict=True)).statistic), 2),
        "table_hu": table_of(cases, MAP)[1 : CLASSES + 1].reshape(-1, len(VALUE_LIMITS) + 1).round().tolist(),
    }


def report(found: dict) -> str:
    """The tables in Markdown."""

    def line(name: str, row: dict[str, float]) -> list[str]:
        return [name, *(f"{row[figure]:.{digits}f}" for figure, digits in zip(NAMES, (2, 2, 0), strict=True))]

    heads = ["map", "rank correlation", "AUROC, worst fifth", "MAE without it [HU]"]
    tissues = [
        line(f"{tissue}: {name}", row)
        for tissue, rows in found["by_tissue_of_the_synthetic_ct"].items()
        for name, row in rows.items()
    ]
    fits = [(f"centre {name}, left out", row) for name, row in found["by_centre_left_out"].items()]
    fits += [
        (f"fitted on {name} patient{'s' * (name != '1')}", row) for name, row in found["by_patients_fitted_on"].items()
    ]
    deciles = [[f"{column:.0f}" for column in row] for row in zip(*found["deciles_of_the_map_hu"], strict=True)]
    better = " / ".join(str(found["patients_better_than_the_gradient"][name]) for name in NAMES)
    return "\n\n".join(
        [
            f"{found['patients']} patients, {found['voxels']:,} voxels; mean of the map {found['mean_hu']:.0f} HU, "
            f"mean absolute error {found['mae_hu']:.0f} HU.",
            bench.markdown(heads, [line(name, row) for name, row in found["maps"].items()]),
            f"The map is better than the {BASELINE} in {better} of {found['patients']} patients. Rank correlation of "
            f"its mean with the mean error over patients: {found['rank_correlation_of_means_over_patients']:.2f}.",
            bench.markdown(
                ["tenth of the voxels", *map(str, range(1, 11))],
                [["map [HU]", *deciles[0]], ["true [HU]", *deciles[1]]],
            ),
            bench.markdown(["what the synthetic CT shows: map", *heads[1:]], tissues),
            bench.markdown(
                ["expected error, fitted on others", *heads[1:], "mean, map / true [HU]", "misses it by"],
                [
                    [*line(name, row), f"{row['map_mean_hu']:.0f} / {row['map_mae_hu']:.0f}", f"{row['miss']:.0%}"]
                    for name, row in fits
                ],
            ),
        ]
    )


def draw(cases: Sequence[Case], path: Path) -> None:
    """Synthetic CT, map and true error of patients from the least to the largest error."""
    order = sorted(range(len(cases)), key=lambda index: cases[index].errors.mean())
    rows = []
    for place in np.linspace(0, len(order) - 1, SHOWN).round().astype(int):
        one = cases[order[place]]
        others = [other for index, other in enumerate(cases) if index % 2 != order[place] % 2]
        synthetic, truth, classes, near = one.images
        errors = np.where(near, np.abs(synthetic - truth), 0)
        expected = table_of(others, MAP)[classes]
        low, high = SHOWN_HU
        shown = [2 * np.clip((image - low) / (high - low), 0, 1) - 1 for image in (expected, errors)]
        rows.append([np.clip(synthetic / 1000, -1, 1), *shown])
    image_grid(rows, ["synthetic CT", "expected error, 0 to 600 HU", "true error, 0 to 600 HU"], path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables, and writes them to README.md and as JSON."""
    options = argparse.ArgumentParser(description="Figures of the map of expected error beside those of its baseline.")
    options.add_argument("run", type=Path, help="a run on paired heads, MR to CT")
    options.add_argument("--pictures", type=Path, help="PNG of five patients")
    options.add_argument("--print-only", action="store_true", help="leave README.md and the JSON as they are")
    chosen = options.parse_args(arguments)
    run = load_run(chosen.run)
    cases = read(run)
    found = measure(cases)
    found["run"] = {
        "recipe": run.recipe.name,
        "steps": run.recipe.schedule.steps,
        "size": run.facts.preparation.size,
        "seed": run.facts.seed,
        "generator": file_digest(run.generator_path("ab")),
    }
    print(report(found))
    if chosen.pictures:
        draw(cases, chosen.pictures)
    if not chosen.print_only:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        bench.write("expected_error", f"\n{report(found)}\n")


if __name__ == "__main__":
    main()
