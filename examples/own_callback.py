"""A callback of one's own: a training that writes a line of JSON for each reporting period, as other programs read it.

    python examples/own_callback.py [FOLDER]

Small phantoms, the run and the lines are written to the folder.
"""

import json
import sys
from pathlib import Path

import keras

import kerasgan
from kerasgan.phantom import Grid, Size, write_dataset

FEW_STEPS = ("schedule.steps=4", "schedule.report_every=2", "schedule.checkpoint_every=4", "schedule.preview_every=4")
SMALL = ("data.size=32", "generator.filters=4", "generator.blocks=1", "discriminator.filters=4")


class JsonLines(keras.callbacks.Callback):
    """Appends the step, the losses and the validation scores of each period to a file.

    Args:
        path: The file. A resumed training adds to it what it repeats since its checkpoint.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Writes one line; an epoch is a reporting period of the recipe."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"period": epoch, **(logs or {})}) + "\n")


def main(folder: Path) -> None:
    """Trains four steps on small phantoms and prints what the callback has written."""
    grid = Grid(shape=(16, 40, 40), spacing_mm=(6.0, 6.5, 10.0))
    write_dataset(folder / "phantom", Size(grid, grid, train=2, validation=1, test=1), progress=False)
    lines = folder / "losses.jsonl"
    kerasgan.train(
        "phantom",
        data_dir=folder / "phantom",
        out=folder / "run",
        overrides=(*FEW_STEPS, *SMALL, "intensity.bias_correction=false"),
        callbacks=[JsonLines(lines)],
    )
    print(lines.read_text(), end="")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own-callback"))
