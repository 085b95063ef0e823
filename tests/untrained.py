"""A run directory with untrained networks of a few weights, which can be exported and served like any other."""

from pathlib import Path

import keras

from kerasgan import datasets
from kerasgan.networks.generators.resnet import build
from kerasgan.recipes.hiasa2018 import RECIPE
from kerasgan.runs.checkpoints import save_network
from kerasgan.runs.run import Run, RunFacts, create_run, load_run
from kerasgan.scans.contract import WayBack
from kerasgan.scans.preparation import preparation

SIZE = 32


def write_run(path: Path, data_dir: Path, mr_window: tuple[float, float], field_of_view_mm: int) -> Run:
    """Writes a run between MR in any unit and CT, on a dataset in the SynthRAD layout; networks see 32 x 32 pixels."""
    changes = ["generator.filters=4", "generator.blocks=1", f"data.size={SIZE}", "intensity.bias_correction=false"]
    recipe = RECIPE.with_overrides([*changes, f"data.field_of_view_mm={field_of_view_mm}"])
    card, split = datasets.load("synthrad", data_dir)
    facts = RunFacts(
        kerasgan="0.1.0",
        dataset="synthrad",
        data_dir=str(data_dir),
        anatomy=card.anatomy,
        paired=True,
        modalities={"a": "MR", "b": "CT"},
        seed=0,
        preparation=preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm),
        maps={"a": mr_window, "b": (-1000.0, 1600.0)},
        way_back=WayBack(enlarging="lanczos", shell_mm=4.0),
        precision="float32",
        xla=False,
        fingerprint="0" * 64,
    )
    create_run(path, recipe, facts, split.keys())
    (path / "generators").mkdir()
    for seed, direction in enumerate(("ab", "ba")):
        keras.utils.set_random_seed(seed)
        generator = build(filters=4, blocks=1, name=f"generator_{direction}")
        save_network(generator, path / "generators" / f"{direction}-last.keras")
    return load_run(path)
