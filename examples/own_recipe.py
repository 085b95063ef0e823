"""A recipe of one's own, in a file of its own, trained for a few steps on the phantom.

    python examples/own_recipe.py [FOLDER]

`kerasgan train --recipe examples/own_recipe.py --dataset phantom` trains the same recipe in full.
"""

import sys
from pathlib import Path

import kerasgan
from kerasgan.config import Component, Data, Losses, Recipe, Schedule
from kerasgan.phantom import Grid, Size, write_dataset

RECIPE = Recipe(
    name="own",
    title="A small CycleGAN with gradient consistency",
    anatomy="head",
    generator=Component(name="resnet", filters=16, blocks=4),  # options of kerasgan/networks/generators/resnet.py
    discriminator=Component(name="patchgan", filters=32),
    losses=Losses(cycle_weight=10.0, structure=Component(name="gradient_consistency"), structure_weight=1.0),
    data=Data(size=128),
    schedule=Schedule(steps=20_000, report_every=100),
)

FEW_STEPS = ("schedule.steps=4", "schedule.report_every=2", "schedule.checkpoint_every=4", "schedule.preview_every=4")
SMALL = ("data.size=32", "generator.filters=4", "generator.blocks=1", "discriminator.filters=4")


def main(folder: Path) -> None:
    """Trains four steps on small phantoms, changing settings as `--set` does, and prints the losses."""
    grid = Grid(shape=(16, 40, 40), spacing_mm=(6.0, 6.5, 10.0))
    write_dataset(folder / "phantom", Size(grid, grid, train=2, validation=1, test=1), progress=False)
    run = kerasgan.train(
        "phantom",
        data_dir=folder / "phantom",
        recipe=__file__,
        out=folder / "run",
        overrides=(*FEW_STEPS, *SMALL, "intensity.bias_correction=false"),
    )
    print(
        f"Recipe {run.recipe.name}: {run.recipe.losses.structure.name} with weight {run.recipe.losses.structure_weight}"
    )
    print((run.path / "history.csv").read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own-recipe"))
