"""Rafiq, Ali, Mujtaba 2025: what synthetic MR, made from labelled CT by EssNet, adds to segmenting the liver in MR.

Muhammad Rafiq, Hazrat Ali, Ghulam Mujtaba, Zubair Shah, Shoaib Azmat: Cross modality medical image synthesis for
improving liver segmentation. 2025, https://arxiv.org/abs/2503.00945 (Computer Methods in Biomechanics and Biomedical
Engineering: Imaging & Visualization 13, https://doi.org/10.1080/21681163.2025.2476702).

    kerasgan reproduce mujtaba2025
    kerasgan reproduce mujtaba2025 --dataset chaos --data-dir CHAOS
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kerasgan.config import Component
from kerasgan.experiments.engine.augmented import AugmentedSegmentation, CarriedLabels
from kerasgan.experiments.engine.pictures import loss_curves
from kerasgan.experiments.engine.scales import SegmentationScale
from kerasgan.experiments.engine.tables import (
    Claim,
    Way,
    box_plots,
    claims_table,
    mean,
    patients_table,
    seeds_table,
    spreads,
)
from kerasgan.experiments.engine.tasks import CHOSEN, Training
from kerasgan.experiments.engine.types import Cell, Experiment, Findings, Patients, Picture, Published, Section, Table

Condition = tuple[int | None, str]
"""How many labelled real MR scans (None: all), and the scenario."""

RECIPE = "mujtaba2025"
LIVER = "liver"
SCENARIOS = {"real": "real MR alone", "joined": "real and synthetic MR"}
FIGURES = {"iou": "IoU", "dice": "Dice"}
PUBLISHED = {"gain of the IoU [%]": Published(1.17, "Abstract")}
GAIN = PUBLISHED["gain of the IoU [%]"].value


@dataclass(frozen=True)
class LiverScale(SegmentationScale):
    """How large the experiment is.

    Attributes:
        real_scans: How many labelled real MR scans the U-Net learns from, each a comparison of its own; None: all.
    """

    real_scans: tuple[int | None, ...]


SCALES = {
    "paper": LiverScale(
        note="Networks, image size and iterations of the recipe; all labelled MR scans, as in the paper, and four.",
        seeds=3,
        quick=False,
        overrides=(),
        real_scans=(None, 4),
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
        network=Component(name="unet", filters=8, depth=4),
        segmentation_steps=600,
        segmentation_rate=4e-3,
        seconds=630,
        segmentation_seconds=90,
    ),
}


def cells(scale: LiverScale, seeds: int) -> list[Cell]:
    """An EssNet for each seed, a picture of its labels, and a segmentation for each condition."""
    return [cell for seed in range(seeds) for cell in _of(scale, seed)]


def _of(scale: LiverScale, seed: int) -> Iterator[Cell]:
    method: dict[str, Any] = {"recipe": RECIPE, "quick": scale.quick, "overrides": scale.overrides, "seed": seed}
    train = Cell(f"train-seed{seed}", f"train EssNet: seed {seed}", Training(**method), seconds=scale.seconds)
    yield train
    outlines = CarriedLabels(structures=(LIVER,))
    yield Cell(f"outlines-seed{seed}", f"draw carried labels: seed {seed}", outlines, (train,), seconds=10)
    network = {"structures": (LIVER,), **scale.segmenter()}
    for condition in _conditions(scale):
        real_scans, scenario = condition
        is_joined = scenario == "joined"
        task = AugmentedSegmentation(**method, **network, real_scans=real_scans, synthetic=is_joined)
        title = f"segment MR: {_title(condition)}, seed {seed}"
        needs = (train,) if is_joined else ()
        yield Cell(_key(condition, seed), title, task, needs, scale.segmentation_seconds)


def _conditions(scale: LiverScale) -> list[Condition]:
    return [(count, scenario) for count in scale.real_scans for scenario in SCENARIOS]


def _key(condition: Condition, seed: int) -> str:
    return f"segment-{condition[0] or 'all'}-{condition[1]}-seed{seed}"


def _labels(count: int | None) -> str:
    return f"{'all' if count is None else count} labelled MR"


def _title(condition: Condition) -> str:
    return f"{_labels(condition[0])}{', synthetic MR' if condition[1] == 'joined' else ''}"


def sections(found: Findings) -> list[Section]:
    """Both scenarios and the gain, patients and repetitions, pictures and losses."""
    return [
        _overlap(found),
        _details(found),
        _segmentations(found),
        _carried(found),
        loss_curves(found, {"EssNet, seed 0": "train-seed0"}),
    ]


def _per_cent(found: Findings, figure: str, condition: Condition, seeds: range | None = None) -> Patients:
    """IoU or Dice of each patient in per cent, averaged over seeds."""
    keys = [_key(condition, seed) for seed in seeds or range(found.seeds)]
    return {patient: 100 * value for patient, value in found.patients(keys, f"{figure}_{LIVER}").items()}


def _each_seed(found: Findings, figure: str, condition: Condition) -> list[Patients]:
    return [_per_cent(found, figure, condition, range(seed, seed + 1)) for seed in range(found.seeds)]


def _columns(found: Findings, figure: str, count: int | None) -> dict[str, Patients]:
    """By the title of each scenario."""
    return {title: _per_cent(found, figure, (count, scenario)) for scenario, title in SCENARIOS.items()}


def _all_columns(found: Findings, figure: str) -> dict[str, Patients]:
    return {_title(condition): _per_cent(found, figure, condition) for condition in _conditions(found.scale)}


def _overlap(found: Findings) -> Section:
    scores = {figure: spreads(_all_columns(found, figure), 2) for figure in FIGURES}
    rows = [("training of the U-Net", *(f"{name} [%]" for name in FIGURES.values()))]
    rows += [(title, *(scores[figure][title] for figure in FIGURES)) for title in scores["iou"]]
    note = (
        "Mean ± SD over the same real MR test patients, repetitions averaged for each. Within a repetition both "
        "scenarios have the same real scans, seed and number of steps. The paper prints no levels, only the gain."
    )
    plots = {
        f"{name} [%], {_labels(count)}": _columns(found, figure, count)
        for count in found.scale.real_scans
        for figure, name in FIGURES.items()
    }
    return Section(
        "Liver in real MR with and without synthetic MR",
        (
            "A U-Net learns to segment the liver from labelled real MR, alone or with synthetic MR that carries the "
            "labels of the CT it was made from.",
        ),
        (
            Table("IoU and Dice of the liver", rows, (note,)),
            *(_changes(found, figure) for figure in FIGURES),
            _gains(found),
            box_plots(plots, found.pictures / "overlap.png", "IoU and Dice of the liver."),
        ),
    )


def _changes(found: Findings, figure: str) -> Table:
    claims = []
    for count in found.scale.real_scans:
        before, after = _columns(found, figure, count).values()
        is_published = figure == "iou" and count is None
        text = f"with {_labels(count)}{'' if count is None else ' (not in the paper)'}"
        expected: tuple[Way | None, float | None] = ("higher", GAIN) if is_published else (None, None)
        repetitions = zip(*(_each_seed(found, figure, (count, scenario)) for scenario in SCENARIOS), strict=True)
        claims.append(Claim(text, before, after, *expected, list(repetitions)))
    return claims_table(f"Change of the {FIGURES[figure]} by synthetic MR [percentage points]", claims, 2)


def _gains(found: Findings) -> Table:
    """The paper's 1.17 % may be points or a ratio: both."""
    rows = [("synthetic MR added to", "paper [%]", "here [percentage points]", "here [% of the IoU without]")]
    for count in found.scale.real_scans:
        before, after = (mean(column) for column in _columns(found, "iou", count).values())
        points = "-" if before is None or after is None else f"{after - before:+.2f}"
        ratio = f"{100 * (after / before - 1):+.2f}" if before and after is not None else "-"
        rows.append((_labels(count), f"{GAIN:+.2f}" if count is None else "-", points, ratio))
    return Table("Gain of the IoU", rows, ("The abstract does not say of what its gain is a percentage.",))


def _details(found: Findings) -> Section:
    per_seed = {_title(condition): _each_seed(found, "iou", condition) for condition in _conditions(found.scale)}
    return Section(
        "Patients and repetitions",
        ("With fewer labelled scans than there are, each repetition draws others.",),
        (
            *(
                patients_table(f"{name} of each patient [%]", _all_columns(found, figure), 2)
                for figure, name in FIGURES.items()
            ),
            seeds_table("IoU of each repetition, mean over patients [%]", per_seed, 2),
        ),
    )


def _segmentations(found: Findings) -> Section:
    pictures = [
        Picture(
            f"{_title(condition)}, seed 0: the patient whose Dice is the median.",
            found.folders[_key(condition, 0)] / "overlay.png",
            "MR, MR with the true liver, MR with the liver found; an axial and a coronal section.",
        )
        for condition in _conditions(found.scale)
    ]
    return Section("Liver found in real MR", (), pictures)


def _carried(found: Findings) -> Section:
    text = (
        "The label of a CT can teach what the liver looks like in MR only if the synthetic MR shows the liver in the "
        "same place. The outline is that of the CT's label in both; the synthetic MR is the undeformed output."
    )
    described = "A CT slice in each row, plain and with the outline of its liver, and its synthetic MR in the same way."
    pictures = [
        Picture(f"CT and synthetic MR, seed {seed}.", found.folders[f"outlines-seed{seed}"] / "outlines.png", described)
        for seed in range(found.seeds)
    ]
    return Section("Labels carried over from CT", (text,), pictures)


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
        "Size and schedule of the U-Net of the second stage: Dice loss plus cross-entropy, Adam; the same number of "
        "steps in both scenarios",
        "How many real and synthetic MR were joined, and how: all slices make one set, each as likely as any other",
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
