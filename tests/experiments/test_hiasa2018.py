"""`hiasa2018`: what its cells train with is what the report says of them."""

from kerasgan.experiments.papers.hiasa2018 import EXPERIMENT, GRADIENTS


def test_each_training_uses_the_gradients_that_its_row_names():
    for cell in EXPERIMENT.cells(EXPERIMENT.scales["laptop"], 6):
        if cell.key.startswith("train"):
            losses = cell.task.built().losses
            used = losses.structure.options["gradients"] if losses.structure_weight else "-"
            assert used == GRADIENTS[cell.key.split("-")[1]], cell.key
