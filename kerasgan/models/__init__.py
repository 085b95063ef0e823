"""Training methods, one file each: networks, losses, and one training step that reads like the paper.

A method has `build(recipe, image_shape, seed)`, which returns a compiled `AdversarialModel`; a recipe names it in
`method`. It gets `target_shape` as well where images of domain b have other channels than those of a, if it takes that.
A path to a `.py` file outside the package works as well. `NamedLoss` and `step_values` hand values to losses.
"""

from kerasgan.losses._named import NamedLoss, step_values
from kerasgan.models._adversarial import AdversarialModel, adversarial_functions
from kerasgan.models._optimizers import ConstantThenLinear
from kerasgan.models.cyclegan import CycleGAN
from kerasgan.models.distiller import Distiller
from kerasgan.models.essnet import EssNet
from kerasgan.models.one_sided import OneSided

__all__ = [
    "AdversarialModel",
    "ConstantThenLinear",
    "CycleGAN",
    "Distiller",
    "EssNet",
    "NamedLoss",
    "OneSided",
    "adversarial_functions",
    "step_values",
]
