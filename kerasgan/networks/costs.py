"""What a network costs in multiply-accumulates and parameters, and the generator that keeps to a budget of both.

Reference:
    Li et al. 2020, https://arxiv.org/abs/2003.08936, Sec. 3.2 (separable convolutions in the residual blocks) and
    Table 1 (a CycleGAN generator with 21 times fewer multiply-accumulates and 33 times fewer parameters).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import prod

import keras
from keras import layers

from kerasgan.config import Component
from kerasgan.errors import KerasganError
from kerasgan.networks.build import build_network
from kerasgan.networks.deformable import DeformableConvolution

Size = tuple[int, int]

# Few filters singly, more in fours: what the vector units of a processor take at once.
WIDTHS = (*range(1, 8), *range(8, 129, 4))
KEPT_OPTIONS = ("blocks", "downsamplings", "upsampling")  # what a student takes over from a ResNet teacher


@dataclass(frozen=True)
class Budget:
    """The most that a student may cost, each as a fraction of its teacher's."""

    macs: float
    parameters: float


BUDGETS = {"small": Budget(1 / 20, 1 / 30), "tiny": Budget(1 / 60, 1 / 80)}


def macs(network: keras.Model, size: Size) -> int:
    """Counts the multiply-accumulates of all convolutions and dense layers for one image, as the literature does.

    Args:
        network: A functional model of one image `[batch, height, width, channels]`.
        size: Height and width of the image.

    Raises:
        ValueError: For a layer with a kernel that is not known here.

    Example:
        >>> image = keras.Input((None, None, 1))
        >>> network = keras.Model(image, layers.Conv2D(2, 3, padding="same")(image))
        >>> macs(network, (10, 10))  # 10 x 10 pixels, 3 x 3 neighbours, 2 filters
        1800
    """
    image = keras.Input((*size, network.input_shape[-1]))
    sized = keras.models.clone_model(network, input_tensors=image)
    return sum(_macs_of(layer) for layer in sized.layers)


def student_generator(teacher: Component, budget: Budget, size: Size) -> Component:
    """The widest ResNet generator with separable residual blocks that keeps to a budget.

    Args:
        teacher: The teacher's generator; of another ResNet the student takes over the number of blocks, how often it
            halves its image and how it enlarges it again.
        budget: Fractions of the teacher's costs.
        size: Height and width of the images.

    Raises:
        KerasganError: Where even a student of one filter costs more.

    Example:
        >>> teacher = Component(name="resnet", filters=8, blocks=1)
        >>> student_generator(teacher, Budget(macs=0.5, parameters=0.5), (16, 16)).options["filters"]
        6
    """
    most = _costs(teacher, size)
    kept = {name: teacher.options[name] for name in KEPT_OPTIONS if name in teacher.options}
    options = {**(kept if teacher.name == "resnet" else {}), "separable": True}
    students = [Component(name="resnet", filters=width, **options) for width in WIDTHS]

    def share(student: Component) -> float:
        macs_needed, parameters_needed = _costs(student, size)
        return max(macs_needed / (budget.macs * most[0]), parameters_needed / (budget.parameters * most[1]))

    fitting = bisect_right(students, 1.0, key=share)
    if not fitting:
        raise KerasganError(
            f"The run's generator {teacher.name!r} costs {most[0] / 1e6:.3g} million multiply-accumulates and "
            f"{most[1]} parameters at {size[0]}x{size[1]}; not even a student of one filter needs as little as "
            f"{budget.macs:.2g} and {budget.parameters:.2g} of these. Use the run as it is, or distil a wider one."
        )
    return students[fitting - 1]


def _costs(generator: Component, size: Size) -> tuple[int, int]:
    network = build_network("generators", generator, (*size, 1), "costs")
    return macs(network, size), network.count_params()


def _macs_of(layer: keras.Layer) -> int:
    if isinstance(layer, layers.Conv2DTranspose):  # each pixel of the input meets the whole kernel
        return prod(layer.input.shape[1:3]) * prod(layer.kernel.shape)
    if isinstance(layer, layers.SeparableConv2D):
        weights = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
        return prod(layer.output.shape[1:3]) * weights
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | DeformableConvolution):  # not deformed
        return prod(layer.output.shape[1:3]) * prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return prod(layer.output.shape[1:-1]) * prod(layer.kernel.shape)
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise ValueError(f"The multiply-accumulates of {type(layer).__name__} are not known; add them to _macs_of.")
    return 0
