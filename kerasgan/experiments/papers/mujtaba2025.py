"""Rafiq, Ali, Mujtaba 2025: what synthetic MR, made from labelled CT by EssNet, adds to segmenting the liver in MR.

Rafiq et al., 2025, https://arxiv.org/abs/2503.00945; the whole citation is with the recipe `mujtaba2025`.

    kerasgan reproduce mujtaba2025
    kerasgan reproduce mujtaba2025 --dataset chaos --data-dir CHAOS

The phantom has four test patients; with eight of the same kind a test over patients says more:

    from dataclasses import replace
    from pathlib import Path
    from kerasgan.phantom import write_dataset
    from kerasgan.phantom.abdomen import ABDOMEN
    write_dataset(Path("datasets/phantom-abdomen-8"), replace(ABDOMEN.size, test=8), anatomy=ABDOMEN)

    kerasgan reproduce mujtaba2025 --data-dir datasets/phantom-abdomen-8
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kerasgan.config import Component
from kerasgan.experiments.engine import tables
from kerasgan.experiments.engine.augmented import AugmentedSegmentation, CarriedLabels
from kerasgan.experiments.engine.tasks import CHOSEN, Training
from kerasgan.experiments.engine.types import Cell, Experiment, Findings, Patients, Published, SegmentationScale
from kerasgan.pictures.html import Picture, Section, Table

Condition = tuple[int | None, str]
"""How many labelled real MR scans (None: all), and the scenario."""

RECIPE = "mujtaba2025"
LIVER = "liver"
SCENARIOS = {"real": "real MR alone", "joined": "real and synthetic MR"}
METRICS = {"iou": "IoU", "dice": "Dice"}
PUBLISHED = {"gain of the IoU [%]": Published(1.17, "Abstract")}
GAIN = PUBLISHED["gain of the IoU [%]"].value


@dataclass(frozen=True)
class LiverScale(SegmentationScale):
    """The size of the experiment.

    Attributes:
        real_scans: How many labelled real MR scans the U-Net learns from, each a comparison of its own; None: all.
        batch_size: Real slices in a step of the U-Net; as many synthetic ones beside them, where there are any.
        patience: Steps without a higher IoU on the validation patients after which the U-Net's training ends.
    """

    real_scans: tuple[int | None, ...]
    batch_size: int
    patience: int

    def segmenter(self) -> dict[str, Any]:
        """The settings of the U-Net."""
        return {**super().segmenter(), "batch_size": self.batch_size, "patience": self.patience}


SCALES = {
    "paper": LiverScale(
        note="Networks, image size and iterations of the recipe; all labelled MR scans, as in the paper, and four.",
        seeds=3,
        real_scans=(None, 4),
        batch_size=8,
        patience=4000,
        network=Component(name="unet", filters=64, depth=4),
        segmentation_steps=20_000,
        segmentation_rate=1e-3,
        seconds=24 * 24 * 3600,
        segmentation_seconds=11 * 3600,
    ),
    "laptop": LiverScale(
        note="Scaled down to an hour on two cores: 112x112 pixels, 16 filters, 3,000 steps; all labelled MR scans, as "
        "in the paper, and one. So few steps do not free the contrast against the recipe's weights: both cycle losses "
        "count 3 in place of 10, mutual information 4 in place of 0.9. It shows directions, not the paper's level.",
        seeds=3,
        quick=True,
        overrides=(
            "schedule.steps=3000",
            "losses.cycle_weight=3",
            "deformation.cycle_weight=3",
            "losses.structure_weight=4",
        ),
        real_scans=(None, 1),
        batch_size=4,
        patience=600,
        network=Component(name="unet", filters=8, depth=4),
        segmentation_steps=1200,
        segmentation_rate=4e-3,
        seconds=630,
        segmentation_seconds=90,
    ),
}


def cells(scale: LiverScale, seeds: int) -> list[Cell]:
    """An EssNet for each seed, a picture of its labels, and a segmentation for each condition."""
    found = []
    for seed in range(seeds):
        method: dict[str, Any] = {"recipe": RECIPE, "quick": scale.quick, "overrides": scale.overrides, "seed": seed}
        train = Cell(f"train-seed{seed}", f"train EssNet: seed {seed}", Training(**method), seconds=scale.seconds)
        outlines, title = CarriedLabels(structures=(LIVER,)), f"draw carried labels: seed {seed}"
        found += [train, Cell(f"outlines-seed{seed}", title, outlines, (train,), seconds=10)]
        for condition in _conditions(scale):
            count, is_joined = condition[0], condition[1] == "joined"
            settings = {**method, "structures": (LIVER,), **scale.segmenter()}
            task = AugmentedSegmentation(**settings, real_scans=count, synthetic=is_joined)
            title = f"segment MR: {_title(condition)}, seed {seed}"
            needs = (train,) if is_joined else ()
            found.append(Cell(f"{_stem(condition)}-seed{seed}", title, task, needs, scale.segmentation_seconds))
    return found


def sections(found: Findings) -> list[Section]:
    """Both scenarios and the gain, patients and repetitions, pictures and losses."""
    return [section for make in (_overlap, _patients, _carried, _losses) for section in found.made(make)]


def _patients(found: Findings) -> list[Section]:
    conditions, columns = _conditions(found.scale), {metric: _columns(found, metric) for metric in METRICS}
    per_seed = {
        _title(condition): found.repetitions(_stem(condition), f"iou_{LIVER}", factor=100) for condition in conditions
    }
    segmented = [
        Picture(
            f"{_title(condition)}, seed 0: the patient whose Dice is the median.",
            found.folders[f"{_stem(condition)}-seed0"] / "overlay.png",
            "MR, MR with the true liver, MR with the liver found; an axial and a coronal section.",
        )
        for condition in conditions
    ]
    return [
        Section(
            "Patients and repetitions",
            ("With fewer labelled scans than there are, each repetition draws others.",),
            (
                *(
                    tables.patients_table(f"{name} of each patient [%]", columns[metric], 2)
                    for metric, name in METRICS.items()
                ),
                tables.seeds_table("IoU of each repetition, mean over patients [%]", per_seed, 2),
                _convergence(found),
            ),
        ),
        Section("Liver found in real MR", (), segmented),
    ]


def _convergence(found: Findings) -> Table:
    """The step at which each training of the U-Net was best: those that end at the last step might have gone on."""
    conditions = _conditions(found.scale)
    rows = [["seed", *map(_title, conditions)]]
    for seed in range(found.seeds):
        results = [found.results[f"{_stem(condition)}-seed{seed}"] for condition in conditions]
        rows.append([str(seed), *(f"{own['step']}: {100 * own['validation_iou']:.2f}" for own in results)])
    note = "IoU of all pixels of the validation patients' slices together."
    return Table("Step of the weights that were kept, and their IoU on the validation patients [%]", rows, [note])


def _carried(found: Findings) -> list[Section]:
    described = "A CT slice in each row, plain and with the outline of its liver, and its synthetic MR in the same way."
    carried = [
        Picture(f"CT and synthetic MR, seed {seed}.", found.folders[f"outlines-seed{seed}"] / "outlines.png", described)
        for seed in range(found.seeds)
    ]
    return [
        Section(
            "Labels carried over from CT",
            (
                "The label of a CT can teach what the liver looks like in MR only if the synthetic MR shows the liver "
                "in the same place. The outline is that of the CT's label in both; the synthetic MR is the undeformed "
                "output.",
            ),
            carried,
        ),
    ]


def _losses(found: Findings) -> list[Section]:
    return [tables.loss_curves(found, {"EssNet, seed 0": "train-seed0"})]


def _overlap(found: Findings) -> list[Section]:
    scores = {metric: tables.spreads(_columns(found, metric), 2) for metric in METRICS}
    rows = [("training of the U-Net", *(f"{name} [%]" for name in METRICS.values()))]
    rows += [(title, *(scores[metric][title] for metric in METRICS)) for title in scores["iou"]]
    note = (
        "Mean ± SD over the same real MR test patients, repetitions averaged for each. Within a repetition both "
        "scenarios see the same real slices, in the same order and as often at each step. The paper prints no levels, "
        "only the gain."
    )
    plots = {}
    for count in found.scale.real_scans:
        for metric, name in METRICS.items():
            plots[f"{name} [%], {_labels(count)}"] = {
                title: _column(found, metric, (count, scenario)) for scenario, title in SCENARIOS.items()
            }
    changes = []
    for metric, name in METRICS.items():
        claims = []
        for count in found.scale.real_scans:
            is_published = metric == "iou" and count is None
            text = f"with {_labels(count)}{'' if count is None else ' (not in the paper)'}"
            expected: tuple[tables.Way | None, float | None] = ("higher", GAIN) if is_published else (None, None)
            stems = _stem((count, "real")), _stem((count, "joined"))
            claims.append(tables.change(found, text, stems, f"{metric}_{LIVER}", *expected, factor=100))
        changes.append(tables.claims_table(f"Change of the {name} by synthetic MR [percentage points]", claims, 2))
    section = Section(
        "Liver in real MR with and without synthetic MR",
        (
            "A U-Net learns to segment the liver from labelled real MR, alone or with synthetic MR that carries the "
            "labels of the CT it was made from.",
        ),
        (
            Table("IoU and Dice of the liver", rows, (note,)),
            *changes,
            _gains(found),
            tables.box_plots(plots, found.pictures / "overlap.png", "IoU and Dice of the liver."),
        ),
    )
    return [section]


def _gains(found: Findings) -> Table:
    """The paper's 1.17 % may be points or a ratio: both."""
    rows = [("synthetic MR added to", "paper [%]", "here [percentage points]", "here [% of the IoU without]")]
    for count in found.scale.real_scans:
        before, after = (tables.mean(_column(found, "iou", (count, scenario))) for scenario in SCENARIOS)
        points = "-" if before is None or after is None else f"{after - before:+.2f}"
        ratio = f"{100 * (after / before - 1):+.2f}" if before and after is not None else "-"
        rows.append((_labels(count), f"{GAIN:+.2f}" if count is None else "-", points, ratio))
    return Table("Gain of the IoU", rows, ("The abstract does not say of what its gain is a percentage.",))


def _conditions(scale: LiverScale) -> list[Condition]:
    return [(count, scenario) for count in scale.real_scans for scenario in SCENARIOS]


def _stem(condition: Condition) -> str:
    return f"segment-{condition[0] or 'all'}-{condition[1]}"


def _labels(count: int | None) -> str:
    return f"{'all' if count is None else count} labelled MR"


def _title(condition: Condition) -> str:
    return f"{_labels(condition[0])}{', synthetic MR' if condition[1] == 'joined' else ''}"


def _column(found: Findings, metric: str, condition: Condition) -> Patients:
    """IoU or Dice of each patient in per cent, averaged over seeds."""
    return found.column(_stem(condition), f"{metric}_{LIVER}", factor=100)


def _columns(found: Findings, metric: str) -> dict[str, Patients]:
    return {_title(condition): _column(found, metric, condition) for condition in _conditions(found.scale)}


EXPERIMENT = Experiment(
    name="mujtaba2025",
    title="Synthetic MR from labelled CT for the segmentation of the liver in MR",
    citation="Rafiq et al., 2025, https://arxiv.org/abs/2503.00945",
    recipe=RECIPE,
    dataset="phantom_abdomen",
    scales=SCALES,
    cells=cells,
    sections=sections,
    published=PUBLISHED,
    pairs=False,
    labels=True,
    modalities=("CT", "MR"),
    unreported=(
        "Whether the gain of 1.17 % is in percentage points of the IoU or relative to the IoU of real MR alone: tested "
        "as points, shown as both",
        "Levels of the IoU, its spread and the number of repetitions: none is printed in the abstract",
        "Size and schedule of the U-Net of the second stage: Dice loss plus cross-entropy, Adam; the weights with the "
        "highest IoU on the validation patients, of a training that ends where it rises no more",
        "How many real and synthetic MR were joined, and how: a step has as many synthetic slices as real ones, which "
        "pass as often as without them",
        "Which CT scans become synthetic MR: the labelled ones that EssNet was trained with",
    ),
    deviations=(
        "Beside all labelled real MR, few of them, where synthetic MR can be expected to help most; one on a laptop: "
        "on two phantom scans, after 150 steps with one seed, a U-Net of real MR alone reached an IoU of 0.82 from "
        "six labelled scans and 0.65 from one",
        CHOSEN,
        "EssNet sees all training MR scans, without their labels, however few of them the U-Net learns from",
    ),
)
