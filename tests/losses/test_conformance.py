"""What every loss file keeps to: one value an image, the same in a graph, with finite gradients."""

import inspect
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import kerasgan.losses
from kerasgan import registry
from kerasgan.losses._named import NamedLoss

ADVERSARIAL = {"discriminator", "generator"}
# The places in a training step where each function of a file is used; a place has its own names of values.
PLACES = {"loss": ["cycle", "structure", "histogram"]} | {
    name: [name] for name in (*ADVERSARIAL, "penalty", "segmentation")
}
NAMES = [*registry.names("losses"), str(Path(__file__).with_name("relativistic.py"))]
FUNCTIONS = [
    (name, function)
    for name in NAMES
    for function in sorted(PLACES)
    if hasattr(registry.find("losses", name), function)
]


def loss_and_names(name, function):
    """The function, and the values that its arguments name; a name that the training step lacks is an error."""
    call = getattr(registry.find("losses", name), function)
    (names,) = {tuple(NamedLoss(call, place).asked) for place in PLACES[function]}
    return call, list(names)


def by_name(function, names, labels, images):
    """All combinations of labels and images, each as the arguments of a call, by name."""
    fixed = {
        "discriminator": [lambda points, training: tf.square(points)],
        "fractions": [tf.fill([len(images[0]), 1, 1, 1], 0.25)],
    }
    if function == "segmentation":
        fixed = {"labels": labels, "y_true": labels}
    for values in itertools.product(*(fixed.get(name, images) for name in names)):
        yield dict(zip(names, values, strict=True))


def inputs(function, names):
    rng = np.random.default_rng(0)
    shape = (3, 24, 18, 3 if function == "segmentation" else 1)
    labels = tf.constant(rng.integers(0, 3, shape[:3]))
    arguments = next(by_name(function, names, [labels], [tf.zeros(shape)]))
    images = {name for name in arguments if is_image(arguments[name])}
    return {
        name: tf.constant(rng.uniform(-1, 1, shape), "float32") if name in images else value
        for name, value in arguments.items()
    }


def is_image(value):
    return tf.is_tensor(value) and value.dtype.is_floating and value.shape[1] > 1


def value_and_gradients(call, arguments):
    images = [value for value in arguments.values() if is_image(value)]
    with tf.GradientTape() as tape:
        tape.watch(images)
        values = call(**arguments)
    return values, tape.gradient(values, images)


def test_every_file_offers_one_kind_of_loss():
    offered = {name: {f for n, f in FUNCTIONS if n == name} for name in NAMES}
    kinds = ({"loss"}, {"segmentation"}, ADVERSARIAL, ADVERSARIAL | {"penalty"})
    assert all(functions in kinds for functions in offered.values()), offered


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_loss_keeps_to_the_interface(name, function):
    call, names = loss_and_names(name, function)
    arguments = inputs(function, names)
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
    call, names = loss_and_names(name, function)
    arguments = inputs(function, names)
    alone = [
        float(call(**{name: v[i : i + 1] if tf.is_tensor(v) else v for name, v in arguments.items()})[0])
        for i in range(3)
    ]
    np.testing.assert_allclose(call(**arguments), alone, atol=1e-6)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_flat_and_extreme_images_stay_finite(name, function):
    call, names = loss_and_names(name, function)
    labels = [tf.fill((2, 24, 18), value) for value in (0, 2)]
    images = [tf.fill((2, 24, 18, 3 if function == "segmentation" else 1), value) for value in (-1.0, 0.0, 1.0)]
    for arguments in by_name(function, names, labels, images):
        values, gradients = value_and_gradients(call, arguments)
        assert np.isfinite(values).all()
        assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_options_are_keyword_only_with_type_and_default(name, function):
    call, names = loss_and_names(name, function)
    parameters = inspect.signature(call).parameters.values()
    assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY] == names
    for option in (p for p in parameters if p.kind is p.KEYWORD_ONLY):
        assert option.default is not option.empty and option.annotation is not option.empty


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_other_ranks_shapes_and_kinds_of_numbers_are_refused(name, function):
    call, names = loss_and_names(name, function)
    arguments = inputs(function, names)
    first = next(name for name in names if tf.is_tensor(arguments[name]))
    value, alone = arguments[first], len([value for value in arguments.values() if tf.is_tensor(value)]) == 1
    with pytest.raises(ValueError, match=r"Expected (images|labels) .*\[batch, height, width.*got .*\(3, 24"):
        call(**arguments | {first: value[..., :1, 0] if alone else value[:, :8]})
    with pytest.raises(TypeError, match=r"Expected (images|labels) of (floating-point|integer).* convert them to"):
        call(**arguments | {first: tf.cast(value, "float32" if function == "segmentation" else "int32")})


def test_functions_bear_their_files_names():
    for name in kerasgan.losses.__all__:
        if name != "dice_over_batch":
            module = registry.find("losses", name)
            assert getattr(kerasgan.losses, name) in (module, *vars(module).values())
    assert set(registry.names("losses")) == set(kerasgan.losses.__all__) - {"dice_over_batch"}
