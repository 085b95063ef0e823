"""The losses of a run under the names of DavidAbramian/CycleGAN, which Nehra et al. 2021 print in Table 2 and Fig. 4.

Reference:
    https://github.com/DavidAbramian/CycleGAN, CycleGAN.py
"""

from __future__ import annotations

import csv
from pathlib import Path

from kerasgan import registry

# The columns of history.csv that add up to each loss, in the order of the paper's Table 2.
COLUMNS = {
    "ABA_reconstruction": ("cycle_a",),
    "BAB_reconstruction": ("cycle_b",),
    "DA": ("discriminator_a",),
    "DB": ("discriminator_b",),
    "D": ("discriminator_a", "discriminator_b"),
    "G_AB_adversarial": ("adversarial_ab",),
    "G_BA_adversarial": ("adversarial_ba",),
    "G": ("generators",),
    "reconstruction": ("cycle_a", "cycle_b"),
}
MEANINGS = {
    "ABA_reconstruction": "Cycle loss of domain a's images, without its weight.",
    "BAB_reconstruction": "Cycle loss of domain b's images, without its weight.",
    "DA": "Loss of the discriminator of domain a, the mean of its terms for real and synthetic images.",
    "DB": "Loss of the discriminator of domain b, the mean of its terms for real and synthetic images.",
    "D": "DA + DB.",
    "G_AB_adversarial": "Adversarial loss of the generator from a to b, without its weight.",
    "G_BA_adversarial": "Adversarial loss of the generator from b to a, without its weight.",
    "G": "What the generators minimise: the weighted sum of all their losses.",
    "reconstruction": "ABA_reconstruction + BAB_reconstruction.",
}


def published_losses(history: Path, adversarial: str) -> list[dict[str, float]]:
    """Renames the losses of every reported period as published.

    Table 2 shows the last row; all rows are the curves of Fig. 4, which `kerasgan.pictures.patients.loss_figure` draws
    from a CSV file of them.

    Args:
        history: A run's `history.csv`.
        adversarial: Name of the run's adversarial loss, such as `"log_likelihood"`.

    Returns:
        The `step` of each row and its losses, in the table's order. They are means over the period that ends with that
        step. A loss that the run did not compute, because its weight was 0, is left out.

    Raises:
        ValueError: For a history without rows.
    """
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{history} has no rows; it needs at least one reported step.")
    is_summed = getattr(registry.find("losses", adversarial), "TERMS_ARE_SUMMED", False)  # published as their mean
    renamed = []
    for row in rows:
        losses = {"step": float(row["step"])}
        for name, columns in COLUMNS.items():
            if all(column in row for column in columns):
                factor = 0.5 if name.startswith("D") and is_summed else 1.0
                losses[name] = factor * sum(float(row[column]) for column in columns)
        renamed.append(losses)
    return renamed
