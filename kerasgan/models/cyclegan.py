"""Unpaired translation between two domains: two generators, two discriminators and one training step.

Reference:
    Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593; Hiasa et al. 2018,
    https://arxiv.org/abs/1803.06629, Sec. 2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from kerasgan.config import Recipe
from kerasgan.errors import KerasganError
from kerasgan.losses.absolute_error import loss as absolute_error
from kerasgan.models._image_pool import ImagePool, seed_of_step
from kerasgan.models._optimizers import adam
from kerasgan.networks.build import bind, build_network, offers

Loss = Callable[..., tf.Tensor]
Pair = tuple[tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class Images:
    """The images of one step, each `[batch, height, width, channels]` in [-1, 1], float32."""

    a: tf.Tensor
    b: tf.Tensor
    synthetic_a: tf.Tensor
    synthetic_b: tf.Tensor
    reconstructed_a: tf.Tensor
    reconstructed_b: tf.Tensor

    @property
    def judged_a(self) -> tf.Tensor:
        """What the discriminator of domain a sees beside real images."""
        return self.synthetic_a

    @property
    def judged_b(self) -> tf.Tensor:
        """What the discriminator of domain b sees beside real images."""
        return self.synthetic_b


class CycleGAN(keras.Model):
    """The four networks and their training step.

    `generator_ab` maps domain a to b, `generator_ba` maps b to a; `discriminator_a` judges images of domain a. Train
    with `compile()` and `fit(dataset)`, where the dataset yields `(a, b)`, each `[batch, height, width, 1]` in [-1, 1].

    Args:
        recipe: Components, loss weights, optimiser and schedule.
        image_shape: `(height, width, channels)` of the training images.
        seed: Seed of the image pools and of the points at which a penalty is taken. Weights follow
            `keras.utils.set_random_seed`.

    Raises:
        KerasganError: Where the recipe names an unknown component or option, a network that takes no images of this
            size, a gradient penalty for discriminators with batch normalisation, or an identity loss for generators
            with it.
    """

    def __init__(self, recipe: Recipe, image_shape: tuple[int, int, int], seed: int = 0) -> None:
        super().__init__(name="cyclegan")
        self._build_networks(recipe, image_shape)
        if recipe.losses.identity_weight:
            _check_domains_stay_apart(self.generator_ab, recipe)
        self.weights_of_losses = recipe.losses
        adversarial = recipe.losses.adversarial
        self.adversarial_generator: Loss = bind("losses", adversarial, "generator")
        self.adversarial_discriminator: Loss = bind("losses", adversarial, "discriminator")
        has_penalty = offers("losses", adversarial, "penalty")
        self.adversarial_penalty: Loss | None = bind("losses", adversarial, "penalty") if has_penalty else None
        for discriminator in self.discriminators.values() if has_penalty else ():
            _check_scores_are_apart(discriminator, recipe)
        self.seed = seed
        self.cycle: Loss = bind("losses", recipe.losses.cycle, "loss")
        self.structure: Loss = bind("losses", recipe.losses.structure, "loss")
        self.pools = {
            domain: ImagePool(recipe.pool_size, image_shape, 2 * seed + number, f"pool_{domain}")
            for number, domain in enumerate(self.discriminators)
        }
        self.generator_optimizer, self.discriminator_optimizer = adam(recipe), adam(recipe, "discriminators")
        self.generator_iterations = recipe.optimizer.generator_iterations
        self.discriminator_iterations = recipe.optimizer.discriminator_iterations
        self.generator_optimizer.build(self.generator_variables)
        self.discriminator_optimizer.build(self.discriminator_variables)
        names = [*self._loss_weights(), "generators", *(f"discriminator_{domain}" for domain in self.discriminators)]
        self.trackers = {name: keras.metrics.Mean(name) for name in names}
        self.monitor = FiniteMonitor(names)
        self.built = True  # The networks are; there is no forward pass of the whole to build.

    def _build_networks(self, recipe: Recipe, shape: tuple[int, int, int]) -> None:
        """Generators for images of any size, as they are used later; discriminators for those of the training."""
        any_size = (None, None, shape[-1])
        self.generator_ab = build_network("generators", recipe.generator, any_size, "generator_ab")
        self.generator_ba = build_network("generators", recipe.generator, any_size, "generator_ba")
        self.discriminator_a = build_network("discriminators", recipe.discriminator, shape, "discriminator_a")
        self.discriminator_b = build_network("discriminators", recipe.discriminator, shape, "discriminator_b")

    @property
    def discriminators(self) -> dict[str, keras.Model]:
        """The networks that judge images, by the domain that they judge."""
        return {"a": self.discriminator_a, "b": self.discriminator_b}

    @property
    def networks(self) -> dict[str, keras.Model]:
        """Every network whose state a training keeps, by name."""
        judges = {f"discriminator_{domain}": network for domain, network in self.discriminators.items()}
        return {"generator_ab": self.generator_ab, "generator_ba": self.generator_ba, **judges}

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """Trainable variables of both generators, and of what is trained with them."""
        return self.generator_ab.trainable_variables + self.generator_ba.trainable_variables

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """Trainable variables of the discriminators."""
        return [variable for network in self.discriminators.values() for variable in network.trainable_variables]

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        """Updates the generators, then the discriminators; returns the running mean of each loss.

        Of several updates on one batch, the last one's losses count, and its images go to the discriminators.
        """
        step = tf.convert_to_tensor(self.generator_optimizer.iterations) // self.generator_iterations
        a, b, *labels = data
        for _ in range(self.generator_iterations):
            images, losses = self._update_generators(a, b, *labels)
        real, judged = {"a": a, "b": b}, self._judged(images)
        pairs = {domain: (real[domain], pool.exchange(judged[domain], step)) for domain, pool in self.pools.items()}
        for iteration in range(self.discriminator_iterations):
            draw = step * self.discriminator_iterations + iteration
            losses |= self._update_discriminators(pairs, draw)
        return self._report(losses, step)

    def _update_generators(self, a: tf.Tensor, b: tf.Tensor, *labels: tf.Tensor) -> tuple[Images, dict[str, tf.Tensor]]:
        """The images are those from before the update."""
        with tf.GradientTape() as tape:
            images = self._translate_both_ways(a, b, *labels)
            losses = self._generator_losses(images)
            losses["generators"] = sum(weight * losses[name] for name, weight in self._loss_weights().items())
            objective = self._per_replica(losses["generators"])
        self._update(self.generator_optimizer, tape, objective, self.generator_variables)
        return images, losses

    def _update_discriminators(self, pairs: dict[str, Pair], draw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Each pair holds real and synthetic images of a domain; `draw` numbers the points of a penalty."""
        with tf.GradientTape() as tape:
            losses = {
                f"discriminator_{domain}": self._discriminator_loss(self.discriminators[domain], *pair, draw)
                for domain, pair in pairs.items()
            }
            objective = self._per_replica(tf.add_n(list(losses.values())))
        self._update(self.discriminator_optimizer, tape, objective, self.discriminator_variables)
        return losses

    def _judged(self, images: Images) -> dict[str, tf.Tensor]:
        """What each discriminator sees beside real images."""
        return {"a": images.judged_a, "b": images.judged_b}

    def _translate_both_ways(self, a: tf.Tensor, b: tf.Tensor) -> Images:
        return round_trips(self.generator_ab, self.generator_ba, a, b)

    def _loss_weights(self) -> dict[str, float]:
        """Weight of every term of the generators' objective that is not switched off."""
        w = self.weights_of_losses
        weights = dict.fromkeys(("adversarial_ab", "adversarial_ba"), w.adversarial_weight)
        weights |= {"cycle_a": w.cycle_weight, "cycle_b": w.cycle_weight}
        if w.cycle_weight_b is not None:
            weights["cycle_b"] = w.cycle_weight_b
        weights |= dict.fromkeys(("structure_ab", "structure_ba"), w.structure_weight)
        weights |= dict.fromkeys(("identity_a", "identity_b"), w.identity_weight)
        return {name: weight for name, weight in weights.items() if weight}

    def _generator_losses(self, images: Images) -> dict[str, tf.Tensor]:
        """Each unweighted term, averaged over the batch."""
        terms = self._terms(images)
        return {name: tf.reduce_mean(terms[name]()) for name in self._loss_weights()}

    def _terms(self, images: Images) -> dict[str, Callable[[], tf.Tensor]]:
        """How each term is computed, `[batch, ...]`; only those with a weight are."""
        x = images
        return {
            "adversarial_ab": lambda: self.adversarial_generator(self.discriminator_b(x.judged_b, training=True)),
            "adversarial_ba": lambda: self.adversarial_generator(self.discriminator_a(x.judged_a, training=True)),
            "cycle_a": lambda: self.cycle(x.a, x.reconstructed_a),
            "cycle_b": lambda: self.cycle(x.b, x.reconstructed_b),
            "structure_ab": lambda: self.structure(x.a, x.synthetic_b),
            "structure_ba": lambda: self.structure(x.b, x.synthetic_a),
            "identity_a": lambda: absolute_error(x.a, self.generator_ba(x.a, training=True)),
            "identity_b": lambda: absolute_error(x.b, self.generator_ab(x.b, training=True)),
        }

    def _discriminator_loss(
        self, discriminator: keras.Model, real: tf.Tensor, synthetic: tf.Tensor, draw: tf.Tensor
    ) -> tf.Tensor:
        real_scores = discriminator(real, training=True)
        loss = self.adversarial_discriminator(real_scores, discriminator(synthetic, training=True))
        if self.adversarial_penalty is not None:
            loss += self.adversarial_penalty(discriminator, real, synthetic, self._fractions(real, draw))
        return tf.reduce_mean(loss)

    def _fractions(self, images: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        """A random number in [0, 1) for each image, `[batch, 1, 1, 1]`, the same whenever the draw is repeated."""
        seed = seed_of_step(self.seed, draw) + 2  # apart from the draws of a pool of the same seed
        return tf.random.stateless_uniform([images.shape[0], 1, 1, 1], seed, dtype=images.dtype)

    def _per_replica(self, loss: tf.Tensor) -> tf.Tensor:
        # Keras adds up the replicas' gradients, so each contributes its share of the global mean.
        return loss / tf.cast(tf.distribute.get_strategy().num_replicas_in_sync, loss.dtype)

    def _update(self, optimizer: keras.Optimizer, tape: tf.GradientTape, objective: tf.Tensor, variables: list) -> None:
        gradients = tape.gradient(objective, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)

    def _report(self, losses: dict[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
        self.monitor.watch([losses[name] for name in self.trackers], step)
        for name, tracker in self.trackers.items():
            tracker.update_state(losses[name])
        return {name: tracker.result() for name, tracker in self.trackers.items()}


def round_trips(generator_ab: keras.Model, generator_ba: keras.Model, a: tf.Tensor, b: tf.Tensor) -> Images:
    """Real images, their translations, and the translations of these back again."""
    synthetic_b = generator_ab(a, training=True)
    synthetic_a = generator_ba(b, training=True)
    reconstructed_a = generator_ba(synthetic_b, training=True)
    reconstructed_b = generator_ab(synthetic_a, training=True)
    return Images(a, b, synthetic_a, synthetic_b, reconstructed_a, reconstructed_b)


def _check_scores_are_apart(discriminator: keras.Model, recipe: Recipe) -> None:
    """Batch normalisation mixes the images of a batch, so no image's score would have a slope of its own."""
    if _has_batch_normalisation(discriminator):
        raise KerasganError(
            f"{recipe.losses.adversarial.name!r} penalises the slope of each image's score, but discriminator "
            f"{recipe.discriminator.name!r} has batch normalisation, which mixes the images of a batch. Choose another "
            "normalisation; of 'fcn': --set discriminator.normalization=instance."
        )


def _check_domains_stay_apart(generator: keras.Model, recipe: Recipe) -> None:
    """With an identity loss each generator sees both domains, and its running averages would fit neither."""
    if _has_batch_normalisation(generator):
        raise KerasganError(
            f"losses.identity_weight={recipe.losses.identity_weight:g} shows each generator both domains, but "
            f"generator {recipe.generator.name!r} has batch normalisation, whose running averages would mix them. Use "
            "--set losses.identity_weight=0, or a generator with instance normalisation: --set generator.name=resnet."
        )


def _has_batch_normalisation(network: keras.Model) -> bool:
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


class FiniteMonitor:
    """Remembers, inside the graph, the first step at which a loss was NaN or infinite, and the losses of that step.

    The host need not wait for each step to be told.

    Args:
        names: Names of the losses, in the order in which they are watched.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        options = {
            "trainable": False,
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self.step = tf.Variable(-1, dtype=tf.int64, name="first_non_finite_step", **options)
        self.values = tf.Variable(tf.zeros(len(names)), name="first_non_finite_losses", **options)

    def watch(self, losses: list[tf.Tensor], step: tf.Tensor) -> None:
        """Takes note of a step's losses, scalars."""
        values = tf.cast(tf.stack(losses), tf.float32)
        is_first = (self.step.read_value() < 0) & ~tf.reduce_all(tf.math.is_finite(values))
        self.values.assign(tf.where(is_first, values, self.values.read_value()))
        self.step.assign(tf.where(is_first, tf.cast(step, tf.int64), self.step.read_value()))

    def finding(self) -> tuple[int, list[str]] | None:
        """The first step, counted from 0, with the names of its losses that were not finite; None where all were."""
        step = int(self.step.numpy())
        if step < 0:
            return None
        finite = tf.math.is_finite(self.values).numpy()
        return step, [name for name, good in zip(self.names, finite, strict=True) if not good]
