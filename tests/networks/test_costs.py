"""Multiply-accumulates counted by hand, and students that keep to their budget."""

import keras
import pytest
from keras import layers

from kerasgan.config import Component
from kerasgan.errors import KerasganError
from kerasgan.networks.build import build_network
from kerasgan.networks.costs import BUDGETS, Budget, macs, student_generator
from kerasgan.networks.deformable import DeformableConvolution
from kerasgan.networks.generators.resnet import build

TEACHER = Component(name="resnet", filters=64, blocks=9)


def network(layer: keras.Layer, channels: int = 3) -> keras.Model:
    image = keras.Input((None, None, channels))
    return keras.Model(image, layer(image))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        # Of an image of 8 x 12 pixels with three channels.
        (layers.Conv2D(5, 3, padding="same"), 96 * 9 * 3 * 5),
        (layers.Conv2D(5, 3, strides=2, padding="same"), 24 * 9 * 3 * 5),
        (layers.Conv2D(5, 3, padding="valid"), 6 * 10 * 9 * 3 * 5),
        (layers.Conv2D(6, 3, padding="same", groups=3), 96 * 9 * 6),
        (layers.SeparableConv2D(5, 3, padding="same"), 96 * (9 * 3 + 3 * 5)),
        (layers.DepthwiseConv2D(3, padding="same"), 96 * 9 * 3),
        (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), 96 * 9 * 3 * 5),
        (layers.Dense(5), 96 * 3 * 5),
        (DeformableConvolution(5), 96 * 9 * 3 * 5),
        (layers.BatchNormalization(), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_layers_by_hand(layer, expected):
    assert macs(network(layer), (8, 12)) == expected


def test_dense_layer_of_a_vector():
    model = keras.Sequential([keras.Input((8, 12, 3)), layers.GlobalAveragePooling2D(), layers.Dense(5)])
    assert macs(model, (8, 12)) == 3 * 5


def test_published_generator():
    """56.8 G for a ResNet-9 of three channels at 256 x 256, Li et al. 2020, Table 1.

    That counts a transposed convolution for each pixel of its output, four times as many as those of its input.
    """
    transposed = 64**2 * 9 * 256 * 128 + 128**2 * 9 * 128 * 64
    assert macs(build((None, None, 3)), (256, 256)) + 3 * transposed == pytest.approx(56.8e9, rel=1e-3)


def test_unknown_layer_with_a_kernel():
    with pytest.raises(ValueError, match="multiply-accumulates of Conv2DLike are not known; add them to _macs_of"):
        macs(network(Conv2DLike()), (8, 8))


class Conv2DLike(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], 2))

    def call(self, inputs):
        return inputs @ self.kernel


@pytest.mark.parametrize("name", BUDGETS)
def test_student_is_the_widest_that_keeps_to_its_budget(name):
    student = student_generator(TEACHER, BUDGETS[name], (256, 256))
    assert student.options.items() >= {"blocks": 9, "separable": True}.items()
    assert student.options["filters"] == {"small": 24, "tiny": 16}[name]
    wider = student.model_copy(update={"filters": student.options["filters"] + 4})
    teacher, fits, exceeds = (build_network("generators", c, (256, 256, 1), "n") for c in (TEACHER, student, wider))

    def within(model):
        arithmetic = macs(model, (256, 256)) <= BUDGETS[name].macs * macs(teacher, (256, 256))
        return arithmetic and model.count_params() <= BUDGETS[name].parameters * teacher.count_params()

    assert within(fits) and not within(exceeds)


def test_student_takes_over_how_its_teacher_halves_and_enlarges():
    teacher = Component(name="resnet", filters=32, blocks=2, downsamplings=1, upsampling="resize", deformable=True)
    options = student_generator(teacher, Budget(0.5, 0.5), (64, 64)).options
    assert options.items() >= {"blocks": 2, "downsamplings": 1, "upsampling": "resize"}.items()
    assert "deformable" not in options


def test_student_of_another_kind_of_teacher_is_a_resnet():
    student = student_generator(Component(name="fcn", filters=64), Budget(1.0, 1.0), (256, 256))
    assert student.name == "resnet" and set(student.options) == {"filters", "separable"}


def test_teacher_too_small_for_a_student():
    teacher = Component(name="resnet", filters=2, blocks=1)
    with pytest.raises(KerasganError, match=r"'resnet' costs .* at 32x32; not even a student .* distil a wider one"):
        student_generator(teacher, BUDGETS["tiny"], (32, 32))
