"""Hiasa 2018: what gradient consistency and a larger training set do for MR to CT synthesis of the hip.

Hiasa et al., SASHIMI 2018, https://arxiv.org/abs/1803.06629; the whole citation is with the recipe `hiasa2018`.

    kerasgan reproduce hiasa2018
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kerasgan.config import Component
from kerasgan.experiments.engine import tables
from kerasgan.experiments.engine.segmentation import FoldOfCrossValidation, TwoChannelSegmentation
from kerasgan.experiments.engine.tasks import CHOSEN, Evaluation, Training
from kerasgan.experiments.engine.types import Cell, Experiment, Findings, Patients, Published, SegmentationScale
from kerasgan.pictures.html import Picture, Section, Table

Method = tuple[str, str]
"""Variant of the structural loss and size of the training set."""

RECIPE = "hiasa2018"
STRUCTURES = ("pelvis", "femur", "gluteus medius", "gluteus minimus")
FOLDS = 5  # Sec. 4
SIZES = {"small": "small set", "large": "large set"}
VARIANTS = {
    "none": ("without GC", ("losses.structure_weight=0",)),
    "signed": ("signed GC", ()),
    "magnitude": ("GC of magnitudes", ("losses.structure.gradients=magnitude",)),
}
GRADIENTS = {"none": "-", "signed": "signed", "magnitude": "magnitude"}  # that the structural loss compares
METHODS = {(variant, size): f"{VARIANTS[variant][0]}, {SIZES[size]}" for size in SIZES for variant in VARIANTS}
DICE = "Dice of each structure, mean ± SD over patients"
SIGNED = (
    "Signed gradients, as Eq. 4 prints them, punish an edge whose contrast is inverted between MR and CT, such as that "
    "of cortical bone, for being right; magnitudes do not know the sign."
)

# "with GC" is the signed one: Eq. 4 correlates gradients with their sign.
PUBLISHED = {
    ("mae_255", "none", "small"): Published(30.233, "Table 1"),
    ("mae_255", "signed", "small"): Published(29.781, "Table 1"),
    ("mae_255", "none", "large"): Published(26.283, "Table 1"),
    ("mae_255", "signed", "large"): Published(25.541, "Table 1"),
    ("psnr_255", "none", "small"): Published(15.014, "Table 1"),
    ("psnr_255", "signed", "small"): Published(15.063, "Table 1"),
    ("psnr_255", "none", "large"): Published(16.190, "Table 1"),
    ("psnr_255", "signed", "large"): Published(16.465, "Table 1"),
    ("dice_pelvis", "signed", "large"): Published(0.808, "Sec. 3.2"),
    ("dice_femur", "signed", "large"): Published(0.883, "Sec. 3.2"),
    ("dice_gluteus medius", "signed", "large"): Published(0.804, "Sec. 3.2"),
    ("dice_gluteus minimus", "signed", "large"): Published(0.669, "Sec. 3.2"),
}


@dataclass(frozen=True)
class HipScale(SegmentationScale):
    """The size of the experiment.

    Attributes:
        patients: Training patients of each domain, by the name of the training set; None: all.
    """

    patients: Mapping[str, int | None]


SCALES = {
    "paper": HipScale(
        note="Networks, image size and iterations of the paper; 20 patients of each domain, and all there are: for own "
        "data, since the phantom hips have 10 for training.",
        seeds=1,
        patients={"small": 20, "large": None},  # Sec. 2.1, Table 1
        network=Component(name="unet", filters=64, depth=4),
        segmentation_steps=20_000,
        segmentation_rate=1e-3,
        seconds=8 * 24 * 3600,
        segmentation_seconds=11 * 3600,
    ),
    "laptop": HipScale(
        note="Scaled down to two hours on two cores: 112x112 pixels, 16 filters, 4 residual blocks, one halving and "
        "enlarging by nearest neighbours, no N4, 4,000 steps, 3 and 10 training patients of each domain in place of 20 "
        "and more than 300. It shows directions, not the paper's level.",
        seeds=3,
        quick=True,
        overrides=("schedule.steps=4000",),
        patients={"small": 3, "large": 10},
        network=Component(name="unet", filters=8, depth=4),
        segmentation_steps=600,
        segmentation_rate=4e-3,  # the small muscles need it in so few steps
        seconds=230,
        segmentation_seconds=90,
    ),
}


def cells(scale: HipScale, seeds: int) -> list[Cell]:
    """A training, its evaluation and its segmentation for each seed, size and variant, and the cross-validation."""
    found = []
    for seed in range(seeds):
        for variant, size in METHODS:
            count = scale.patients[size]
            limit = f"data.training_patients={'null' if count is None else count}"
            overrides = (*scale.overrides, *VARIANTS[variant][1], limit)
            training = Training(recipe=RECIPE, quick=scale.quick, overrides=overrides, seed=seed)
            segmentation = TwoChannelSegmentation(structures=STRUCTURES, **scale.segmenter(), seed=seed)
            name, title = f"{variant}-{size}-seed{seed}", f"{METHODS[variant, size]}, seed {seed}"
            train = Cell(f"train-{name}", f"train: {title}", training, seconds=scale.seconds)
            evaluate = Cell(f"evaluate-{name}", f"evaluate: {title}", Evaluation(), (train,), seconds=20)
            seconds = scale.segmentation_seconds
            found += [train, evaluate]
            found.append(Cell(f"segment-{name}", f"segment MR: {title}", segmentation, (train,), seconds))
    settings = {"recipe": RECIPE, "quick": scale.quick, "overrides": scale.overrides, "structures": STRUCTURES}
    for number in range(FOLDS):
        fold = FoldOfCrossValidation(**settings, **scale.segmenter(), fold=number, folds=FOLDS)
        title = f"segment CT: fold {number + 1} of {FOLDS}"
        found.append(Cell(f"fold{number}", title, fold, seconds=scale.segmentation_seconds))
    return found


def sections(found: Findings) -> list[Section]:
    """Table 1, Fig. 4, pictures, Fig. 6 and 7, the cross-validation and the losses."""
    makers = (_errors, _information, _pictures, _segmentations, _cross_validation, _losses)
    return [section for make in makers for section in found.made(make)]


def _pictures(found: Findings) -> list[Section]:
    patient = tables.median_patient(found.column(_stem("evaluate", ("signed", "large")), "mae_255", seeds=[0]))
    pictures = [
        tables.comparison(found, f"{_stem('evaluate', method)}-seed0", patient, "mae_255", f"{title}, seed 0")
        for method, title in METHODS.items()
    ]
    text = "The patient whose error is the median, with the error map: blue is too low, red too high."
    return [Section("Synthetic and true CT", (text,), pictures)]


def _information(found: Findings) -> list[Section]:
    information, metric = _columns(found, "mutual_information"), "mutual_information"
    caption = "Mutual information of each synthetic CT and its own MR, in nats."
    return [
        Section(
            "Mutual information with the source (Fig. 4)",
            ("It needs no truth, and says how much of the MR the synthetic CT keeps, not whether it is right.",),
            (
                tables.box_plots({"mutual information [nat]": information}, found.pictures / f"{metric}.png", caption),
                tables.claims_table("Change of the mutual information [nat]", _claims(found, metric, "higher"), 3),
            ),
        ),
    ]


def _losses(found: Findings) -> list[Section]:
    trainings = {f"{METHODS[name, 'large']}, seed 0": f"train-{name}-large-seed0" for name in VARIANTS}
    return [tables.loss_curves(found, trainings)]


def _errors(found: Findings) -> list[Section]:
    mae, psnr = (_columns(found, metric) for metric in ("mae_255", "psnr_255"))
    first = _stem("evaluate", next(iter(METHODS)))
    scale = tables.scale(found, first, "mae_255")
    maes, psnrs = tables.spreads(mae | scale, 2), tables.spreads(psnr | tables.scale(found, first, "psnr_255"), 2)
    rows = [("method", "MAE, paper", "MAE, here", "PSNR [dB], paper", "PSNR [dB], here", "gradients")]
    for method, title in METHODS.items():
        papers = [_paper(metric, method) for metric in ("mae_255", "psnr_255")]
        rows.append((title, papers[0], maes[title], papers[1], psnrs[title], GRADIENTS[method[0]]))
    rows += [(name, "-", maes[name], "-", psnrs.get(name, "-"), "") for name in scale]
    note = (
        "MAE in 0..255 units of the CT window. Mean ± SD over patients, repetitions averaged for each patient. The "
        "paper's small and large sets have 20 and more than 300 volumes of each modality."
    )
    per_seed = {title: found.repetitions(_stem("evaluate", method), "mae_255") for method, title in METHODS.items()}
    text = "Other scans, other sizes: the paper's level cannot be expected here, its directions can."
    scored = tables.scored(found.results[f"{first}-seed0"])
    section = Section(
        "Error of the synthetic CT (Table 1)",
        (text, SIGNED, scored),
        (
            Table("Error against the true CT", rows, (note, *tables.definitions(scale))),
            tables.claims_table("Change of the MAE [0..255]", _claims(found, "mae_255", "lower"), 2),
            tables.claims_table("Change of the PSNR [dB]", _claims(found, "psnr_255", "higher"), 2),
            tables.patients_table("MAE of each patient [0..255]", mae, 2),
            tables.patients_table("PSNR of each patient [dB]", psnr, 2),
            tables.seeds_table("MAE of each repetition, mean over patients [0..255]", per_seed, 2),
        ),
    )
    return [section]


def _segmentations(found: Findings) -> list[Section]:
    """Sec. 3.2 with Fig. 6 and 7."""
    chosen = ("signed", "large")
    shown = f"{_stem('segment', chosen)}-seed0"
    names = found.results[shown]["structures"]
    columns = {name: _columns(found, f"dice_{name}", "segment") for name in names}
    rows = [("structure", "paper: with GC, large set", *METHODS.values())]
    rows += [(name, _paper(f"dice_{name}", chosen), *tables.spreads(columns[name], 3).values()) for name in names]
    claims = [
        tables.claims_table(f"Change of the Dice, {name}", _claims(found, f"dice_{name}", "higher", "segment"), 3)
        for name in names
    ]
    overlay = Picture(
        "Labels of the patient whose Dice is the median; signed GC, large set, seed 0 (Fig. 7).",
        found.folders[shown] / "overlay.png",
        "MR, synthetic CT, MR with true labels, MR with the labels found; an axial and a coronal section.",
    )
    text = (
        "A U-Net learns from labelled CT, with the CT and its synthetic MR as two channels, and is applied to MR with "
        "its synthetic CT."
    )
    parts: tuple[Table | Picture, ...] = (
        Table(DICE, rows),
        tables.box_plots(columns, found.pictures / "dice.png", "Dice of each structure."),
        *claims,
        overlay,
    )
    return [Section("Segmentation of MR without labelled MR (Sec. 3.2, Fig. 6 and 7)", (text,), parts)]


def _cross_validation(found: Findings) -> list[Section]:
    folds = [("structure", "CT by cross-validation", "MR by synthetic CT, signed GC, large set")]
    for name in found.results["fold0"]["structures"]:
        patients = [row for fold in range(FOLDS) for row in found.results[f"fold{fold}"]["scores"].items()]
        values = {patient: scores[f"dice_{name}"] for patient, scores in patients}  # every patient is in one fold
        alone = {patient: value for patient, value in values.items() if value is not None}
        cross = found.column(_stem("segment", ("signed", "large")), f"dice_{name}")
        folds.append((name, tables.spread(alone, 3), tables.spread(cross, 3)))
    text = f"The same U-Net with one channel, trained and tested on labelled CT in {FOLDS}-fold cross-validation."
    return [Section("One modality alone (Sec. 4)", (text,), (Table(DICE, folds),))]


def _stem(cell: str, method: Method) -> str:
    return "-".join((cell, *method))


def _columns(found: Findings, metric: str, cell: str = "evaluate") -> dict[str, Patients]:
    """The metric of each patient, averaged over seeds, by the title of each method."""
    return {title: found.column(_stem(cell, method), metric) for method, title in METHODS.items()}


def _paper(metric: str, method: Method) -> str:
    published = PUBLISHED.get((metric, *method))
    return f"{published.value:.3f}" if published else "-"


def _claims(found: Findings, metric: str, expected: tables.Way, cell: str = "evaluate") -> list[tables.Claim]:
    """The claims about GC at each size, and about more patients for each variant."""
    changes = [(("none", size), (gc, size)) for size in SIZES for gc in ("signed", "magnitude")]
    changes += [((variant, "small"), (variant, "large")) for variant in VARIANTS]
    claims = []
    for before, after in changes:
        more = before[1] != after[1]
        text = f"more patients, {VARIANTS[after[0]][0]}" if more else METHODS[after]
        values = [PUBLISHED.get((metric, *method)) for method in (before, after)]
        difference = values[1].value - values[0].value if values[0] and values[1] else None
        way = None if after[0] == "magnitude" else expected  # the paper's GC is the signed one
        stems = _stem(cell, before), _stem(cell, after)
        claims.append(tables.change(found, text, stems, metric, way, difference))
    return claims


EXPERIMENT = Experiment(
    name="hiasa2018",
    title="Effects of gradient consistency and training set size on MR to CT synthesis of the hip",
    citation="Hiasa et al., SASHIMI 2018, https://arxiv.org/abs/1803.06629",
    recipe=RECIPE,
    dataset="phantom_pelvis",
    scales=SCALES,
    cells=cells,
    sections=sections,
    published=PUBLISHED,
    labels=True,
    modalities=("MR", "CT"),
    unreported=(
        "Size and schedule of the segmentation network as used here: a U-Net (Ronneberger et al. 2015), Dice loss plus "
        "cross-entropy, Adam",
        "Bins and range of the mutual information: see the definitions",
    ),
    deviations=(
        "The paper's hips are not public: another dataset, its paired patients true pairs, not registered ones",
        CHOSEN,
        "GC of gradient magnitudes beside the signed GC of Eq. 4",
        "Labelled CT scans for the segmentation are the training CT scans themselves",
    ),
)
