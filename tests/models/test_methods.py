"""What every training method keeps to, and that a method of one's own is one file."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan import registry
from kerasgan.config import Recipe
from kerasgan.models import AdversarialModel, CycleGAN
from kerasgan.networks import discriminators, generators
from kerasgan.networks.build import check_components

ONE_SIDED = '''
"""One generator, from a to b, without a cycle: its images should please the discriminator and resemble their source."""

import tensorflow as tf

from kerasgan.losses import least_squares, mutual_information
from kerasgan.models import AdversarialModel, NamedLoss, step_values
from kerasgan.networks.build import build_network


class OneSided(AdversarialModel):
    def __init__(self, generator_ab, discriminator_b, **options):
        super().__init__(
            {"generator_ab": generator_ab},
            {"b": discriminator_b},
            adversarial=least_squares,
            loss_weights={"adversarial_ab": 1.0, "structure_ab": 4.0},
            **options,
        )
        self.generator_ab, self.discriminator_b = generator_ab, discriminator_b
        self.structure = NamedLoss(mutual_information, "structure")

    def train_step(self, data):
        a, b = data
        step = self.steps_done()
        with tf.GradientTape() as tape:
            synthetic_b = self.generator_ab(a, training=True)
            ab = step_values(a, synthetic_b, None, real_images=b, discriminator=self.discriminator_b)
            losses = {"adversarial_ab": self.adversarial(ab), "structure_ab": self.structure(**ab)}
            losses["generators"] = sum(weight * losses[name] for name, weight in self.loss_weights.items())
        self.minimise(losses["generators"], tape, self.generator_optimizer, self.generator_variables)
        losses |= self.update_discriminators({"b": (b, self.pools["b"].exchange(synthetic_b, step))}, step)
        return self.report(losses, step)


def build(recipe, image_shape, seed):
    model = OneSided(
        build_network("generators", recipe.generator, (None, None, image_shape[-1]), "generator_ab"),
        build_network("discriminators", recipe.discriminator, image_shape, "discriminator_b"),
        pool_size=recipe.pool_size,
        seed=seed,
    )
    model.compile_from(recipe)
    return model
'''
SMALL = ["generator.filters=2", "generator.blocks=1", "discriminator.filters=2", "discriminator.downsamplings=1"]


def noise(steps: int) -> tf.data.Dataset:
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 2 * steps, 16, 16, 1)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((a, b)).batch(2, drop_remainder=True)


@pytest.mark.parametrize("name", registry.names("models"))
def test_a_method_builds_from_recipe_image_shapes_and_seed(name):
    build = registry.find("models", name).build
    assert list(inspect.signature(build).parameters) == ["recipe", "image_shape", "seed", "target_shape"]


def test_a_method_of_ones_own_is_one_file(tmp_path):
    path = tmp_path / "one_sided.py"
    path.write_text(ONE_SIDED)
    recipe = Recipe(name="mine", method=str(path)).with_overrides(SMALL)
    check_components(recipe)
    model = registry.find("models", recipe.method).build(recipe, (16, 16, 1), 0)
    assert isinstance(model, AdversarialModel) and list(model.networks) == ["generator_ab", "discriminator_b"]
    before = model.generator_ab.get_weights()
    losses = model.fit(noise(2), verbose=0, shuffle=False).history
    assert set(losses) == {"adversarial_ab", "structure_ab", "generators", "discriminator_b"}
    assert not any(np.array_equal(x, y) for x, y in zip(before, model.generator_ab.get_weights(), strict=True))


def cyclegan(**options) -> CycleGAN:
    return CycleGAN(
        *(generators.resnet(filters=2, blocks=1) for _ in "ab"),
        *(discriminators.patchgan((16, 16, 1), filters=2, downsamplings=1) for _ in "ab"),
        **options,
    )


def test_optimizers_are_those_given_and_stay_until_others_are():
    model = cyclegan()
    model.compile()
    assert float(model.generator_optimizer.learning_rate) == pytest.approx(2e-4)
    first = keras.optimizers.SGD(0.1)
    model.compile(first, "adam", generator_iterations=2)
    kept = model.discriminator_optimizer
    assert model.generator_optimizer is first and isinstance(kept, keras.optimizers.Adam)
    model.compile(steps_per_execution=2)
    assert (model.generator_optimizer, model.discriminator_optimizer) == (first, kept)
    assert (model.generator_iterations, model.discriminator_iterations, model.steps_per_execution) == (2, 1, 2)
    assert not model.jit_compile or tf.config.list_physical_devices("GPU")


def test_images_of_unknown_size_or_number_are_refused_with_a_remedy():
    networks = [
        *(generators.resnet(filters=2, blocks=1) for _ in "ab"),
        *(discriminators.patchgan(filters=2) for _ in "ab"),
    ]
    with pytest.raises(ValueError, match=r"\(None, None, 1\). Give image_shape"):
        CycleGAN(*networks)
    assert CycleGAN(*networks, image_shape=(32, 32, 1)).pools["a"].images.shape == (50, 32, 32, 1)
    model = cyclegan()
    model.compile()
    with pytest.raises(ValueError, match=r"batches of one size; use dataset.batch\(size, drop_remainder=True\)"):
        model.fit(noise(3).unbatch().batch(4), verbose=0)
