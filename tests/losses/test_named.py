"""A loss receives what its arguments name, and is refused where a training step has no such value."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.config import Recipe
from kerasgan.errors import KerasganError
from kerasgan.losses import absolute_error
from kerasgan.losses._named import PLACES, NamedLoss
from kerasgan.models import CycleGAN
from kerasgan.networks.build import check_components
from kerasgan.recipes.cyclegan import RECIPE
from kerasgan.registry import find

RELATIVISTIC = '''
"""Jolicoeur-Martineau 2018, https://arxiv.org/abs/1807.00734, with the other kind's mean score as the yardstick."""
from keras import ops

TERMS_ARE_SUMMED = True


def discriminator(real_scores, fake_scores):
    real, fake = real_scores - ops.mean(fake_scores), fake_scores - ops.mean(real_scores)
    return ops.softplus(-real) + ops.softplus(fake)


def generator(real_scores, fake_scores):
    return discriminator(fake_scores, real_scores)
'''

R1 = '''
"""Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, Eq. 9."""
import tensorflow as tf
from kerasgan.losses.log_likelihood import discriminator, generator


def penalty(discriminator, real_images, *, gamma: float = 10.0):
    with tf.GradientTape() as tape:
        tape.watch(real_images)
        scores = tf.reduce_mean(discriminator(real_images, training=True), axis=[1, 2, 3])
    slopes = tape.gradient(scores, real_images)
    return 0.5 * gamma * tf.reduce_sum(tf.square(slopes), axis=[1, 2, 3])
'''

FEATURES = '''
"""The mean features of real and synthetic images in the discriminator's first layers, beside least squares."""
import keras
from keras import ops
from kerasgan.losses.least_squares import discriminator


def generator(fake_scores, real_images, fake_images, discriminator):
    features = keras.Model(discriminator.inputs, discriminator.layers[2].output)
    difference = ops.mean(features(real_images), axis=[1, 2]) - ops.mean(features(fake_images), axis=[1, 2])
    return ops.mean(ops.square(fake_scores - 1.0), axis=[1, 2, 3]) + ops.mean(ops.square(difference), axis=-1)
'''


def recipe(*overrides: str) -> Recipe:
    small = ["generator.filters=2", "generator.blocks=1", "discriminator.filters=2", "discriminator.downsamplings=1"]
    return RECIPE.with_overrides([*small, "pool_size=2", *overrides])


def batch() -> tuple[tf.Tensor, tf.Tensor]:
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 2, 16, 16, 1)).astype("float32")
    return tf.constant(a), tf.constant(b)


def losses_of_a_step(*overrides: str) -> dict[str, float]:
    keras.utils.set_random_seed(0)
    model = CycleGAN.from_recipe(recipe(*overrides), (16, 16, 1))
    kernels = [v for v in model.discriminator_variables + model.generator_variables if v.name == "kernel"]
    before = [v.numpy() for v in kernels]
    losses = {name: float(value) for name, value in model.train_step(batch()).items()}
    assert not any(np.array_equal(v.numpy(), old) for v, old in zip(kernels, before, strict=True))
    return losses


def scores_before_a_step() -> tuple[np.ndarray, np.ndarray]:
    keras.utils.set_random_seed(0)
    model, (a, b) = CycleGAN.from_recipe(recipe(), (16, 16, 1)), batch()
    return model.discriminator_b(b).numpy(), model.discriminator_b(model.generator_ab(a)).numpy()


def test_a_relativistic_loss_is_one_file_that_a_recipe_names(tmp_path):
    path = tmp_path / "relativistic.py"
    path.write_text(RELATIVISTIC)
    check_components(recipe(f"losses.adversarial.name={path}"))
    found = losses_of_a_step(f"losses.adversarial.name={path}")
    real, fake = scores_before_a_step()
    expected = np.mean(np.log1p(np.exp(real - fake.mean())) + np.log1p(np.exp(real.mean() - fake)))
    assert found["adversarial_ab"] == pytest.approx(expected, rel=1e-4)


def test_an_r1_penalty_is_one_file_with_options_of_its_own(tmp_path):
    path = tmp_path / "r1.py"
    path.write_text(R1)
    named = f"losses.adversarial.name={path}"
    without, with_penalty = (losses_of_a_step(named, f"losses.adversarial.gamma={gamma}") for gamma in (0, 1000))
    plain = losses_of_a_step("losses.adversarial.name=log_likelihood")
    assert without["discriminator_b"] == pytest.approx(plain["discriminator_b"], rel=1e-6)
    assert with_penalty["discriminator_b"] > 1.0001 * without["discriminator_b"]
    with pytest.raises(KerasganError, match=r"has no option 'gama'. Did you mean gamma"):
        check_components(recipe(named, "losses.adversarial.gama=3"))


def test_feature_matching_asks_for_images_and_the_network(tmp_path):
    path = tmp_path / "features.py"
    path.write_text(FEATURES)
    found = losses_of_a_step(f"losses.adversarial.name={path}")
    _, fake = scores_before_a_step()
    assert found["adversarial_ab"] > np.mean((fake - 1) ** 2)


@pytest.mark.parametrize(
    ("kind", "function", "text"),
    [
        (
            "adversarial",
            "def generator(fake_score): ...\ndef discriminator(real_scores): ...",
            r"generator loss .*score,",
        ),
        ("adversarial", "def generator(fake_scores): ...\ndef discriminator(source): ...", r"discriminator.*fractions"),
        ("cycle", "def loss(image, translated): ...", r"cycle loss '.*loss' asks for translated.*: source, .*y_pred"),
        ("structure", "def loss(image, mask): ...", r"structure loss .* asks for mask, .*Rename.*may ask for: source"),
    ],
)
def test_an_unknown_argument_is_refused_with_those_that_there_are(tmp_path, kind, function, text):
    path = tmp_path / "own.py"
    path.write_text(function)
    with pytest.raises(KerasganError, match=text):
        check_components(recipe(f"losses.{kind}.name={path}"))


@pytest.mark.parametrize(
    ("kind", "function", "text"),
    [
        (
            "cycle",
            "def loss(image, other): return abs(image - other)[0]",
            r"The cycle loss '.*own.*loss' returned \[32, 32, 1\] for values of \[1, 32, 32, 1\]; expected a scalar",
        ),
        (
            "structure",
            "from keras import ops\ndef loss(image, other): return ops.mean(image - other, axis=[1, 2, 3, 4])",
            r"The structure loss '.*own.*loss' fails on image \[1, 32, 32, 1\], other \[1, 32, 32, 1\]: ValueError: .*"
            r"Correct its file or its options; --debug shows the line\.",
        ),
        ("structure", "def loss(image, other): return imgae", r"fails on .*: NameError: name 'imgae' is not defined\."),
        (
            "adversarial",
            "def generator(fake_scores): return fake_scores\n"
            "def discriminator(real_scores, fake_scores, discriminator): return real_scores.loss",
            r"discriminator loss '.*own.*' fails on real_scores \[1, \d+, \d+, 1\].*AttributeError: .*'loss'",
        ),
    ],
)
def test_a_loss_that_a_step_could_not_compute_is_refused_before_anything_is_read(tmp_path, kind, function, text):
    path = tmp_path / "own.py"
    path.write_text(function)
    with pytest.raises(KerasganError, match=text) as caught:
        check_components(recipe(f"losses.{kind}.name={path}", "data.size=32"))
    assert "\n" not in str(caught.value)


def test_a_loss_that_a_step_can_compute_is_not_computed_by_the_check(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "import tensorflow as tf\ncalls = []\n"
        "def loss(image, other):\n    calls.append((tf.executing_eagerly(), tuple(image.shape)))\n"
        "    return tf.reduce_mean(abs(image - other), [1, 2, 3])\n"
    )
    chosen = recipe(f"losses.cycle.name={path}", "data.size=36", "data.batch_size=3")
    check_components(chosen)
    assert find("losses", chosen.losses.cycle.name).calls == [(False, (3, 36, 36, 1))]


@pytest.mark.parametrize("place", PLACES)
def test_every_argument_of_a_place_receives_its_value(place):
    names = list(PLACES[place])
    values = {value: tf.constant([float(number)]) for number, value in enumerate(sorted(set(PLACES[place].values())))}
    scope: dict = {}
    exec(f"def loss({', '.join(names)}):\n    return [{', '.join(names)}]", scope)
    received: list = []
    loss = NamedLoss(scope["loss"], place)
    loss.function = lambda **given: received.append(given) or tf.constant(0.0)
    loss(**values)
    assert {name: float(value[0]) for name, value in received[0].items()} == {
        name: float(values[value][0]) for name, value in PLACES[place].items()
    }


def test_losses_of_keras_fit_and_optional_arguments_keep_their_defaults():
    a, b = batch()
    loss = NamedLoss(keras.losses.MeanAbsoluteError(), "cycle")
    expected = float(tf.reduce_mean(absolute_error(a, b)))
    assert float(loss(source=a, reconstructed=b)) == pytest.approx(expected, rel=1e-6)


def test_a_value_for_each_image_or_pixel_or_a_scalar_is_averaged():
    a, _ = batch()
    kept = {"axis": [1, 2, 3], "keepdims": True}
    averaged = (lambda image: tf.reduce_mean(image, [1, 2, 3]), lambda image: tf.reduce_mean(image, **kept))
    for function in (lambda image: image, *averaged, lambda image: image[..., 0], tf.reduce_mean):
        loss = NamedLoss(lambda image, function=function: function(image), "cycle")
        assert float(loss(source=a)) == pytest.approx(float(tf.reduce_mean(a)), abs=1e-6)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda image: image[0], r"\[16, 16, 1\]"),
        (lambda image: tf.abs(image - image[..., 0]), r"\[1, 16, 16, 16\]"),  # every column with every other
        (lambda image: tf.reshape(image, [1, 256]), r"\[1, 256\]"),
        (lambda image: None, r"\['NoneType'\]"),
    ],
)
def test_another_shape_is_refused_when_the_step_is_traced(function, found):
    loss = NamedLoss(function, "structure")
    wanted = (
        rf"returned {found} for values of \[1, 16, 16, 1\]; expected a scalar, or a value for each image, \[batch\]"
    )
    with pytest.raises(KerasganError, match=wanted):
        tf.function(lambda image: loss(source=image), autograph=False)(batch()[0][:1])
