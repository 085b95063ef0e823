"""What every loss file keeps to: one value an image, the same in a graph, with finite gradients."""

import inspect
import itertools

import numpy as np
import pytest
import tensorflow as tf

import kerasgan.losses
from kerasgan import registry

# What each function takes: images in [-1, 1] or score maps; classes of pixels and their scores.
ARGUMENTS = {
    "loss": ("image", "image"),
    "discriminator": ("image", "image"),
    "generator": ("image",),
    "segmentation": ("labels", "image"),
}
ADVERSARIAL = {"discriminator", "generator"}
FUNCTIONS = [
    (name, function)
    for name in registry.names("losses")
    for function in ARGUMENTS
    if hasattr(registry.find("losses", name), function)
]


def inputs(function: str) -> list[tf.Tensor]:
    rng = np.random.default_rng(0)
    shape = (3, 24, 18, 3 if function == "segmentation" else 1)
    return [
        tf.constant(rng.integers(0, 3, shape[:3]))
        if kind == "labels"
        else tf.constant(rng.uniform(-1, 1, shape), "float32")
        for kind in ARGUMENTS[function]
    ]


def flat_inputs(function: str) -> itertools.product:
    """All combinations of constant arguments."""
    labels = [tf.fill((2, 24, 18), value) for value in (0, 2)]
    images = [tf.fill((2, 24, 18, 3 if function == "segmentation" else 1), value) for value in (-1.0, 0.0, 1.0)]
    return itertools.product(*(labels if kind == "labels" else images for kind in ARGUMENTS[function]))


def value_and_gradients(call, arguments):
    numbers = [argument for argument in arguments if argument.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(numbers)
        values = call(*arguments)
    return values, tape.gradient(values, numbers)


def test_every_file_offers_one_kind_of_loss():
    offered = {name: {f for n, f in FUNCTIONS if n == name} for name in registry.names("losses")}
    assert all(f in ({"loss"}, {"segmentation"}, ADVERSARIAL) for f in offered.values()), offered
    with_penalty = {name for name in offered if hasattr(registry.find("losses", name), "penalty")}
    assert all(offered[name] == ADVERSARIAL for name in with_penalty)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_loss_keeps_to_the_interface(name, function):
    call, arguments = getattr(registry.find("losses", name), function), inputs(function)
    eager, gradients = value_and_gradients(call, arguments)
    assert eager.shape == (3,)
    assert eager.dtype == tf.float32
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    compiled, compiled_gradients = tf.function(value_and_gradients)(call, arguments)
    np.testing.assert_allclose(compiled, eager, atol=1e-6)
    for x, y in zip(gradients, compiled_gradients, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_an_image_does_not_see_its_neighbours_in_the_batch(name, function):
    call, arguments = getattr(registry.find("losses", name), function), inputs(function)
    alone = [float(call(*(argument[i : i + 1] for argument in arguments))[0]) for i in range(3)]
    np.testing.assert_allclose(call(*arguments), alone, atol=1e-6)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_flat_and_extreme_images_stay_finite(name, function):
    call = getattr(registry.find("losses", name), function)
    for arguments in flat_inputs(function):
        values, gradients = value_and_gradients(call, list(arguments))
        assert np.isfinite(values).all()
        assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_options_are_keyword_only_with_type_and_default(name, function):
    parameters = inspect.signature(getattr(registry.find("losses", name), function)).parameters.values()
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    assert len(positional) == len(ARGUMENTS[function])
    for option in (p for p in parameters if p.kind is p.KEYWORD_ONLY):
        assert option.default is not option.empty and option.annotation is not option.empty


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_other_ranks_shapes_and_kinds_of_numbers_are_refused(name, function):
    call, arguments = getattr(registry.find("losses", name), function), inputs(function)
    with pytest.raises(ValueError, match=r"Expected (images|labels) .*\[batch, height, width.*got .*\(3, 24"):
        call(arguments[0][..., :1, 0] if len(arguments) == 1 else arguments[0][:, :8], *arguments[1:])
    with pytest.raises(TypeError, match=r"Expected (images|labels) of (floating-point|integer).* convert them to"):
        call(tf.cast(arguments[0], "float32" if function == "segmentation" else "int32"), *arguments[1:])


def test_functions_bear_their_files_names():
    for name in kerasgan.losses.__all__:
        if name != "dice_over_batch":
            module = registry.find("losses", name)
            assert getattr(kerasgan.losses, name) in (module, *vars(module).values())
    assert set(registry.names("losses")) == set(kerasgan.losses.__all__) - {"dice_over_batch"}
