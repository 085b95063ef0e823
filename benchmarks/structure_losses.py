"""Which structural loss foretells the error of a synthetic CT? Without a training, in about a minute.

    python benchmarks/structure_losses.py --data-dir HEADS

HEADS is laid out as in datasets/synthrad.md. For the largest slice of each held-out patient there are CT images whose
error is known: those of ten other patients bent onto the MR, the true CT, and the true CT shifted by 1 to 3 pixels. A
loss that is worth training with ranks them all as their error does, is less for the true CT than for
another patient's, and least where that is not shifted. Beyond the skin all images are air: bent ones have no head
holder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bench
import numpy as np
import SimpleITK as sitk
from scipy.stats import spearmanr

from kerasgan import datasets, losses, registry
from kerasgan.datasets import Scan
from kerasgan.files import replacing
from kerasgan.networks.build import bind
from kerasgan.scans.geometry import grown
from kerasgan.scans.preparation import Prepared, preparation, prepare
from kerasgan.scans.registration import SKIN_MM, Template
from kerasgan.training.request import DEFAULT_RECIPE

KEPT = Path(__file__).resolve().parents[1] / "docs" / "results" / "structure_losses-synthrad.json"
SHIFTS = (1, 2, 3)  # pixels
SIZE = 128  # pixels a side, of 2 mm
LOSSES: dict[str, Callable[..., Any]] = {
    "mutual information, 16 bins": partial(losses.mutual_information, bins=16),
    "mutual information, 32 bins": losses.mutual_information,
    "gradient consistency, signed": losses.gradient_consistency,
    "gradient consistency, magnitudes": partial(losses.gradient_consistency, gradients="magnitude"),
}
HEADS = {
    "rank": "rank correlation with the error",
    "true_beats_bent": "true CT before another patient's",
    "unshifted_is_least": "least where it is not shifted",
}


@dataclass(frozen=True)
class Case:
    """The images of one patient, each `[height, width]` in [-1, 1].

    Attributes:
        source: The MR slice.
        truth: The CT of the same patient.
        mask: The body, bool.
        bent: CT slices of other patients, registered to the source.
    """

    source: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    bent: Sequence[np.ndarray]


def default_loss() -> Callable[..., Any]:
    """The structural loss of the default recipe."""
    loss: Callable[..., Any] = bind("losses", registry.find("recipes", DEFAULT_RECIPE).RECIPE.losses.structure, "loss")
    return loss


def cases_of(pairs: Iterable[tuple[Prepared, Prepared]], others: Iterable[Prepared], count: int) -> Iterator[Case]:
    """The cases of paired patients, one after the other.

    Args:
        pairs: MR and CT of each.
        others: CT scans of other patients.
        count: CT slices that are bent onto each MR, those most like it.
    """
    moving = [_slice(prepared, _largest(prepared)) for prepared in others]
    for mr, ct in pairs:
        index = _largest(mr)
        (source, mask), (truth, _) = _slice(mr, index), _slice(ct, index)
        template = Template(source, mask, mr.settings.pixel_mm)
        likest = sorted(moving, key=lambda slices: -template.likeness(*slices))[:count]
        pixel_mm = mr.settings.pixel_mm
        (near,) = grown(mask[None], (pixel_mm, pixel_mm, 1.0), SKIN_MM)
        images = [truth, *(template.register(*slices)[1] for slices in likest)]
        truth, *bent = (np.where(near, image, np.float32(-1)) for image in images)
        yield Case(source, truth, mask, bent)


def _largest(prepared: Prepared) -> int:
    """Index of the slice with most of the body."""
    return int(prepared.mask.sum(axis=(1, 2)).argmax())


def _slice(prepared: Prepared, index: int) -> tuple[np.ndarray, np.ndarray]:
    """One slice, float32 `[height, width]` in [-1, 1], and its body."""
    return prepared.images(np.array([index]))[0, ..., 0], prepared.mask[index]


def judge(loss: Callable[..., Any], case: Case) -> dict[str, float]:
    """The three figures of `HEADS` for one patient.

    Args:
        loss: Takes `[batch, height, width, 1]` twice and gives `[batch]`.
        case: The patient's images.
    """
    shifted = [_shifted(case.truth, by, axis) for step in SHIFTS for by in (-step, step) for axis in (0, 1)]
    images = np.stack([case.truth, *case.bent, *shifted])
    errors = np.abs(images - case.truth)[:, case.mask].mean(axis=1)
    source = np.broadcast_to(case.source, images.shape)
    found = np.asarray(loss(source[..., None], images[..., None]))
    bent = len(case.bent) + 1
    return {
        "rank": float(spearmanr(found, errors).statistic),
        "true_beats_bent": float((found[0] < found[1:bent]).mean()),
        "unshifted_is_least": float(found[0] < found[bent:].min()),
    }


def _shifted(image: np.ndarray, by: int, axis: int) -> np.ndarray:
    """The image moved by some pixels; air comes in."""
    moved = np.roll(image, by, axis)
    coming = [slice(None)] * 2
    coming[axis] = slice(by) if by > 0 else slice(by, None)
    moved[tuple(coming)] = -1.0
    return moved


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The figures of all losses in Markdown."""
    rows = [[name, *(f"{figures[head]:.2f}" for head in HEADS)] for name, figures in found.items()]
    return bench.markdown(["loss", *HEADS.values()], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Judges all losses, and rewrites the kept numbers and the README's table."""
    options = argparse.ArgumentParser(description="Structural losses against the error of known CT images.")
    options.add_argument("--data-dir", type=Path, required=True, help="heads laid out as in datasets/synthrad.md")
    options.add_argument("--patients", type=int, default=13, help="held-out patients (default %(default)s)")
    options.add_argument("--bent", type=int, default=10, help="CT slices of others for each (default %(default)s)")
    options.add_argument("--print-only", action="store_true", help="leave README.md and docs/results as they are")
    chosen = options.parse_args(arguments)
    recipe = registry.find("recipes", DEFAULT_RECIPE).RECIPE.with_overrides([f"data.size={SIZE}"])
    card, split = datasets.load("synthrad", chosen.data_dir)
    settings = preparation(recipe, card.anatomy, card.ct_window_hu, card.field_of_view_mm)
    pairs = [*split.validation.pairs(), *split.test.pairs()][: chosen.patients]

    def shown(scan: Scan) -> Prepared:
        return prepare(scan.load(), settings, crop=True)

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # their number decides on the last digits of a registration
    cases = list(cases_of(((shown(a), shown(b)) for a, b in pairs), map(shown, split.train.b), chosen.bent))
    found = {}
    for name, loss in LOSSES.items():
        figures = [judge(loss, case) for case in cases]
        found[name] = {head: float(np.mean([figure[head] for figure in figures])) for head in HEADS}
    facts = f"{len(cases)} patients, {chosen.bent} CT slices of others for each, pixels of {settings.pixel_mm:g} mm."
    text = f"\n{facts}\n\n{table(found)}\n"
    print(text)
    if not chosen.print_only:
        content = {"patients": len(cases), "bent": chosen.bent, "shifts": SHIFTS, "pixel_mm": settings.pixel_mm}
        with replacing(KEPT) as path:
            path.write_text(json.dumps(content | {"definitions": HEADS, "losses": found}, indent=1) + "\n")
        bench.write("structure_losses", text)


if __name__ == "__main__":
    main()
