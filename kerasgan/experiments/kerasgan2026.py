"""kerasgan2026: every recipe from MR to CT at the same budget, on the same patients, with the same seeds.

No paper's experiment: it asks which recipe to take, also for paired scans of one's own. What all of them share is the
CycleGAN of Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593.

    kerasgan reproduce kerasgan2026
    kerasgan reproduce kerasgan2026 --dataset synthrad --data-dir HEADS --scale paper
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kerasgan.baseline import NAME as LOOKUP
from kerasgan.experiments._pictures import comparison, median_patient
from kerasgan.experiments._tables import Claim, box_plots, claims_table, patients_table, seeds_table, spread
from kerasgan.experiments._tasks import Evaluation, Training
from kerasgan.experiments._types import Cell, Experiment, Findings, Patients, Picture, Section, Table

OURS = "kerasgan2026"


@dataclass(frozen=True)
class Method:
    """One of the recipes that are compared.

    Attributes:
        recipe: Its name.
        overrides: What else is changed.
        title: For the tables.
    """

    recipe: str
    overrides: tuple[str, ...]
    title: str


METHODS = {
    OURS: Method(OURS, (), "kerasgan2026"),
    # As in the authors' PyTorch code, which most later comparisons call CycleGAN.
    "cyclegan-10-5": Method(
        "cyclegan", ("losses.cycle_weight=10", "losses.identity_weight=5"), "cyclegan, cycle 10, identity 5"
    ),
    "cyclegan": Method("cyclegan", (), "cyclegan"),
    "hiasa2018": Method("hiasa2018", (), "hiasa2018"),
    "rajnish2022": Method("rajnish2022", (), "rajnish2022"),
    "nehra2021": Method("nehra2021", (), "nehra2021"),
    # With cyclegan, it tells what mutual information does, and with kerasgan2026, what the other upsampling does.
    "transposed": Method(OURS, ("generator.upsampling=transposed",), "kerasgan2026, transposed convolutions"),
}
FIGURES = {
    "mae_hu": ("MAE [HU]", 1),
    "psnr_synthrad2023": ("PSNR, SynthRAD2023 [dB]", 2),
    "ssim_synthrad2023": ("SSIM, SynthRAD2023", 3),
    "mae_255": ("MAE [0..255]", 2),
}


@dataclass(frozen=True)
class Budget:
    """What every recipe may spend.

    Attributes:
        note: What this scale is, for the report.
        seeds: Repetitions.
        quick: Whether the recipes are scaled down.
        overrides: Changes of every recipe.
        speed: Steps a second on two cores, for the estimate alone.
    """

    note: str
    seeds: int
    quick: bool
    overrides: tuple[str, ...]
    speed: float


SHARED = ("data.batch_size=1", "generator.filters=32", "discriminator.filters=32")
SCALES = {
    "paper": Budget(
        note="128x128 pixels, 32 filters, 4,000 steps of batch 1, for every recipe.",
        seeds=3,
        quick=False,
        overrides=(
            *SHARED,
            "data.size=128",
            "schedule.steps=4000",
            "schedule.report_every=50",
            "schedule.checkpoint_every=500",
            "schedule.preview_every=1000",
            "schedule.steps_per_execution=10",
        ),
        speed=8.0,
    ),
    "laptop": Budget(
        note="Scaled down to two hours on two cores: quick recipes of 112x112 pixels, 4,000 steps of batch 1.",
        seeds=3,
        quick=True,
        overrides=("data.size=112", "data.batch_size=1", "schedule.steps=4000"),
        speed=18.0,
    ),
}


def cells(scale: Budget, seeds: int) -> list[Cell]:
    """A training and its evaluation for each seed and method."""
    return [cell for seed in range(seeds) for name in METHODS for cell in _of(scale, name, seed)]


def _of(scale: Budget, name: str, seed: int) -> Iterator[Cell]:
    method = METHODS[name]
    overrides = (*scale.overrides, *method.overrides)
    training = Training(recipe=method.recipe, quick=scale.quick, overrides=overrides, seed=seed)
    seconds = 30 + training.built().schedule.steps / scale.speed
    train = Cell(f"train-{name}-seed{seed}", f"train: {method.title}, seed {seed}", training, seconds=seconds)
    yield train
    yield Cell(_key(name, seed), f"evaluate: {method.title}, seed {seed}", Evaluation(), (train,), seconds=20)


def _key(name: str, seed: int) -> str:
    return f"evaluate-{name}-seed{seed}"


def sections(found: Findings) -> list[Section]:
    """Errors with tests, pictures and losses."""
    return [_errors(found), _pictures(found), _losses(found)]


def _columns(found: Findings, metric: str) -> dict[str, Patients]:
    """The metric of each patient, averaged over seeds, for each method."""
    keys = {name: [_key(name, seed) for seed in range(found.seeds)] for name in METHODS}
    return {name: found.patients(keys[name], metric) for name in METHODS}


def _lookup(found: Findings, metric: str) -> Patients:
    """The metric of the look-up table, which is the same for every training but for the scaling of its MR."""
    return found.patients([_key(OURS, 0)], metric, of="baseline")


def _named(columns: Mapping[str, Patients]) -> dict[str, Patients]:
    return {METHODS[name].title: column for name, column in columns.items()}


def _errors(found: Findings) -> Section:
    columns = {metric: _columns(found, metric) for metric in FIGURES}
    mae = columns["mae_hu"]
    per_seed = {
        METHODS[name].title: [found.patients([_key(name, seed)], "mae_hu") for seed in range(found.seeds)]
        for name in METHODS
    }
    claims = [
        Claim(f"{OURS} in place of {METHODS[name].title}", mae[name], mae[OURS], "lower")
        for name in METHODS
        if name != OURS
    ]
    path = found.pictures / "mae.png"
    first = found.results[_key(OURS, 0)]
    text = f"Scored: the {first['part']} patients" + (f"; {first['note']}." if first["note"] else ".")
    return Section(
        "Error of the synthetic CT",
        (text,),
        (
            _summary(found, columns),
            box_plots({"MAE [HU]": _named(mae)}, path, "Masked mean absolute error."),
            claims_table("Change of the MAE [HU]", claims, 1),
            seeds_table("MAE of each repetition, mean over patients [HU]", per_seed, 1),
            patients_table("MAE of each patient [HU]", _named(mae), 1),
        ),
    )


def _summary(found: Findings, columns: Mapping[str, Mapping[str, Patients]]) -> Table:
    rows = [
        (method.title, *(spread(columns[metric][name], digits) for metric, (_, digits) in FIGURES.items()))
        for name, method in METHODS.items()
    ]
    lookup = [spread(_lookup(found, metric), digits) for metric, (_, digits) in FIGURES.items()]
    heading = ("method", *(title for title, _ in FIGURES.values()))
    note = "Mean ± SD over patients, repetitions averaged for each patient."
    return Table("Error against the true CT", [heading, *rows, (f"{LOOKUP}, fitted on true pairs", *lookup)], (note,))


def _pictures(found: Findings) -> Section:
    patient = median_patient(found.patients([_key(OURS, 0)], "mae_hu"))
    return Section(
        "Synthetic and true CT",
        (f"The patient whose error is the median of {OURS}, with the error map: blue is too low, red too high.",),
        [comparison(found, _key(name, 0), patient, "mae_hu", f"{METHODS[name].title}, seed 0") for name in METHODS],
    )


def _losses(found: Findings) -> Section:
    pictures = [
        Picture(
            f"{method.title}, seed 0",
            found.folders[f"train-{name}-seed0"] / "losses.png",
            "Curves of every loss over the training steps.",
        )
        for name, method in METHODS.items()
    ]
    return Section("Loss curves", (), pictures)


EXPERIMENT = Experiment(
    name="kerasgan2026",
    title="Recipes from MR to CT at equal budget",
    citation="kerasgan; after Zhu et al., ICCV 2017, https://arxiv.org/abs/1703.10593",
    recipe=OURS,
    dataset="phantom",
    scales=SCALES,
    cells=cells,
    sections=sections,
    published={},
    unreported=("It is no paper's experiment: there are no published figures to set beside",),
    deviations=(
        "Every recipe has the same image size, filters, batch and steps; nehra2021 was made for 64x64 pixels and "
        "batches of 128, and hiasa2018 for the hip",
    ),
)
