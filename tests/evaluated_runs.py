"""Run directories that were never trained, with evaluations that were made up."""

from hashlib import sha256
from pathlib import Path

from kerasgan import config
from kerasgan.evaluation.results import Evaluation, write
from kerasgan.metrics import ct_metrics
from kerasgan.runs.run import RunFacts, create_run
from kerasgan.scans.preparation import preparation

WINDOW = (-1000.0, 1600.0)
WEIGHTS = b"never trained"


def write_run(path: Path, maes, dataset="phantom", folder="evaluation", **changes) -> Path:
    """A run whose patients have these MAEs; all other figures follow from them. Without figures it is not evaluated."""
    recipe = config.Recipe(name="small")
    facts = RunFacts(
        kerasgan="0",
        dataset=dataset,
        data_dir="scans",
        anatomy="head",
        paired=True,
        modalities={"a": "MR", "b": "CT"},
        seed=0,
        preparation=preparation(recipe, "", None, 256.0),
        maps={"a": (0.0, 300.0), "b": WINDOW},
        precision="float32",
        xla=False,
        fingerprint="",
    )
    if not path.exists():
        create_run(path, recipe, facts, {})
        (path / "generators").mkdir()
        for direction in ("ab", "ba"):
            (path / f"generators/{direction}-best.keras").write_bytes(WEIGHTS)
    if len(maes):
        (path / folder).mkdir()
        write(evaluation(path / folder, maes, **changes))
    return path


def evaluation(
    folder,
    maes,
    window=WINDOW,
    first=0,
    direction="ab",
    note="",
    bone=True,
    part="test",
    weights=WEIGHTS,
    scans="one",
    flip=False,
):
    metrics = ct_metrics(window)
    rows = {
        f"p{first + number}": {metric.name: value / 100 if metric.unit in ("", "nat") else value for metric in metrics}
        for number, value in enumerate(map(float, maes))
    }
    for row in rows.values():
        row["mae_bone_hu"] = row["mae_bone_hu"] if bone else None
    scores = {"kerasgan": rows, "best look-up table": rows}
    digest = sha256(weights).hexdigest()
    return Evaluation(folder, part, metrics, scores, note, direction, digest, scans, flip=flip)
