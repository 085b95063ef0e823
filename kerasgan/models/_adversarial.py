"""What all training methods share: two optimisers, image pools, discriminators' losses, means of the losses."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Self

import keras
import tensorflow as tf

from kerasgan.config import DIRECTIONS, Component, Direction, Recipe
from kerasgan.errors import KerasganError
from kerasgan.losses._named import NamedLoss
from kerasgan.models._image_pool import ImagePool, seed_of_step
from kerasgan.models._optimizers import adam
from kerasgan.models._replicas import mean_of_replicas, own_share, replicas, shares_of_a_process, unpacked
from kerasgan.networks.build import bind, build_network, offers
from kerasgan.networks.copies import give_weights

ImageShape = tuple[int, int, int]  # height, width, channels

LARGEST = 1e7  # loss of a run that may still learn: far above those of images in [-1, 1], even summed over all pixels


class AdversarialModel(keras.Model):
    """Networks that are trained against discriminators, and what every such training step needs.

    A method is a subclass with a constructor and a `train_step`, which returns `report(losses, step)`; with
    `arguments`, it has `from_recipe` as well. A run keeps all that a step reads: `networks`, `pools` and both
    optimisers.

    Args:
        trained: Networks that the generators' optimiser updates, by the names under which a run keeps them.
        discriminators: The network that judges the images of a domain, by domain; none without an adversary.
        adversarial: A loss file such as `kerasgan.losses.least_squares`: anything with `discriminator`, `generator`
            and, optionally, `penalty`.
        loss_weights: Weight of each term of the generators' objective, by name; a term without weight is left out.
        pool_size: Synthetic images that a discriminator remembers; 0 shows it only the newest.
        image_shape: `(height, width, channels)` of these images; None: what the discriminators take.
        seed: Seed of the pools, and of the points at which a penalty is taken.
        fixed: Further networks that a run keeps and the step does not change.
        name: Name of the model.

    Raises:
        KerasganError: For a loss that asks for something that the step does not have, and for a penalty on
            discriminators with batch normalisation; where Keras's floatx is float16.
        ValueError: For images of unknown size.
    """

    def __init__(
        self,
        trained: dict[str, keras.Layer],
        discriminators: dict[str, keras.Model],
        *,
        adversarial: Any,
        loss_weights: dict[str, float],
        pool_size: int = 50,
        image_shape: ImageShape | None = None,
        seed: int = 0,
        fixed: dict[str, keras.Model] | None = None,
        name: str = "adversarial",
    ) -> None:
        if keras.config.floatx() == "float16":
            raise KerasganError(
                "Keras is set to floatx 'float16', in which these losses overflow. Call "
                "keras.config.set_floatx('float32') first; for speed there is the dtype policy 'mixed_bfloat16'."
            )
        super().__init__(name=name)
        self.trained, self.discriminators, self.fixed, self.seed = trained, discriminators, fixed or {}, seed
        self.loss_weights = {term: weight for term, weight in loss_weights.items() if weight}
        self.generator_loss = NamedLoss(adversarial.generator, "generator")
        self.discriminator_loss = NamedLoss(adversarial.discriminator, "discriminator")
        penalty = getattr(adversarial, "penalty", None)
        self.penalty = NamedLoss(penalty, "penalty") if penalty else None
        for network in discriminators.values():
            if self.penalty and has_batch_normalisation(network):
                raise KerasganError(
                    f"The loss {self.penalty.name!r} penalises the slope of each image's score, but {network.name} has "
                    "batch normalisation, which mixes the images of a batch. Choose another normalisation; of 'fcn': "
                    "--set discriminator.normalization=instance."
                )
        self.pools = {}
        for number, (domain, network) in enumerate(discriminators.items()):
            shape = image_shape or network.input_shape[1:]
            if None in shape:
                raise ValueError(f"The image pools need the size of the images; got {shape}. Give image_shape.")
            self.pools[domain] = ImagePool(pool_size, shape, 2 * seed + number, f"pool_{domain}")
        self.generator_optimizer, self.discriminator_optimizer = (
            keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)
        )
        self.generator_iterations = self.discriminator_iterations = 1
        self.average_decay: float | None = None
        self.averages: dict[Direction, keras.Model] = {}
        self.monitor: Any = None
        self.packed: tuple[tf.TensorSpec, ...] | None = None  # what a batch was before several processes shared it
        self.built = True  # The networks are; there is no forward pass of the whole to build.

    def compile(
        self,
        generator_optimizer: keras.Optimizer | str | None = None,
        discriminator_optimizer: keras.Optimizer | str | None = None,
        *,
        generator_iterations: int | None = None,
        discriminator_iterations: int | None = None,
        average_decay: float | None = None,
        jit_compile: bool | str = "auto",
        **options: Any,
    ) -> None:
        """Chooses how the networks are trained; what is None stays as it is.

        Args:
            generator_optimizer: For the generators and what is trained with them; at first Adam(2e-4, beta_1=0.5).
            discriminator_optimizer: For the discriminators; likewise.
            generator_iterations: Updates of the generators in a step, all on one batch; at first 1.
            discriminator_iterations: Updates of the discriminators in a step; at first 1.
            average_decay: Has the generators' moving averages kept, and drawn, scored and exported in their place: what
                is left of one after a step, less in the first steps; at first None, without averages.
            jit_compile: Whether XLA compiles the step; `"auto"` does so on a GPU, as it is slower on a CPU.
            options: Further options of `keras.Model.compile`, such as `steps_per_execution` and `run_eagerly`.
        """
        if generator_optimizer is not None:
            self.generator_optimizer = keras.optimizers.get(generator_optimizer)
        if discriminator_optimizer is not None:
            self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        if not self.generator_optimizer.built:
            self.generator_optimizer.build(self.generator_variables)
        if not self.discriminator_optimizer.built:
            self.discriminator_optimizer.build(self.discriminator_variables)
        self.generator_iterations = generator_iterations or self.generator_iterations
        self.discriminator_iterations = discriminator_iterations or self.discriminator_iterations
        self.average_decay = average_decay or self.average_decay
        if self.average_decay and not self.averages:
            for way, network in self.generators.items():
                if f"generator_{way}" in self.trained:
                    self.averages[way] = keras.models.clone_model(network)
                    self.averages[way].set_weights(network.get_weights())
        if self.monitor is None:
            names = [*self.loss_weights, "generators", *(f"discriminator_{domain}" for domain in self.discriminators)]
            self.means = {name: _Mean(name) for name in names}
            self.monitor = FiniteMonitor(names)
        if jit_compile == "auto":
            jit_compile = bool(tf.config.list_physical_devices("GPU")) and not options.get("run_eagerly")
        super().compile(optimizer=None, jit_compile=jit_compile, **options)

    def fit(self, x: Any = None, **options: Any) -> keras.callbacks.History:
        """Trains on a dataset, with the options of `keras.Model.fit`.

        Raises:
            KerasganError: For batches that the replicas of a distribution strategy cannot share evenly.
            ValueError: For several processes without `steps_per_epoch`.
        """
        strategy = self.distribute_strategy
        count = strategy.num_replicas_in_sync
        batch = tf.nest.flatten(x.element_spec)[0].shape[0] if isinstance(x, tf.data.Dataset) else None
        if batch is not None and batch % count:
            raise KerasganError(
                f"{count} replicas cannot share batches of {batch}, as each takes equally many images; give batches "
                f"of {count} or a multiple of it, or train without a distribution strategy."
            )
        if batch is not None and isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            if not options.get("steps_per_epoch"):
                raise ValueError("Several processes need to be told how long an epoch is; give fit steps_per_epoch.")
            self.packed = x.element_spec
            x = strategy.distribute_datasets_from_function(partial(shares_of_a_process, x, batch))
        return super().fit(x, **options)

    def make_train_function(self, force: bool = False) -> None:
        """Compiles the step; that of several processes here, as Keras 3.15 cannot take means over their losses."""
        strategy, specs = self.distribute_strategy, self.packed
        if specs is None:
            super().make_train_function(force)
        elif force or getattr(self, "train_function", None) is None:

            def step(iterator: Any) -> dict[str, tf.Tensor]:
                losses = strategy.run(lambda share: self.train_step(unpacked(share, specs)), args=(next(iterator),))
                # They are equal on all replicas.
                return {name: strategy.experimental_local_results(value)[0] for name, value in losses.items()}

            self.train_function = tf.function(step, autograph=False)

    @classmethod
    def from_recipe(
        cls, recipe: Recipe, image_shape: ImageShape, seed: int = 0, target_shape: ImageShape | None = None
    ) -> Self:
        """Builds the networks, losses and optimisers of a recipe; the model is compiled.

        Args:
            recipe: Components, loss weights, optimiser and schedule.
            image_shape: `(height, width, channels)` of the training images of domain a. Generators take images of any
                size.
            seed: As for the class; weights follow `keras.utils.set_random_seed`.
            target_shape: The same of domain b; None: that of a.

        Raises:
            KerasganError: As for the class; for an unknown component or option, and networks that take no images of
                this size.
        """
        model = cls(**cls.arguments(recipe, {"a": image_shape, "b": target_shape or image_shape}), seed=seed)
        model.compile_from(recipe)
        return model

    @classmethod
    def arguments(cls, recipe: Recipe, shapes: dict[str, ImageShape]) -> dict[str, Any]:
        """Builds what `from_recipe` makes an object of the class from, but for the seed.

        Args:
            recipe: As in `from_recipe`.
            shapes: `(height, width, channels)` of the training images by domain.

        Raises:
            KerasganError: As `from_recipe`.
        """
        raise NotImplementedError(f"{cls.__name__} has no method arguments, by which a recipe builds it.")

    def compile_from(self, recipe: Recipe) -> None:
        """Compiles with the optimisers of a recipe; a later `compile` keeps them unless it names others."""
        self.compile(
            adam(recipe),
            adam(recipe, "discriminators"),
            generator_iterations=recipe.optimizer.generator_iterations,
            discriminator_iterations=recipe.optimizer.discriminator_iterations,
            average_decay=recipe.optimizer.average_decay,
        )

    @property
    def networks(self) -> dict[str, keras.Layer]:
        """Every network whose state a run keeps, by name."""
        judges = {f"discriminator_{domain}": network for domain, network in self.discriminators.items()}
        averages = {f"average_{way}": network for way, network in self.averages.items()}
        return {**self.trained, **self.fixed, **judges, **averages}

    @property
    def generators(self) -> dict[Direction, keras.Model]:
        """The generators that a run draws, scores and keeps, by direction: both, or the only one of a method.

        Their moving averages, where there are any. A generator that gives more channels than it takes, from a CT to T1
        and T2 say, closes the cycle and is not one of them.
        """
        networks = self.trained | self.fixed
        found = {way: networks[f"generator_{way}"] for way in DIRECTIONS if f"generator_{way}" in networks}
        return {way: net for way, net in found.items() if net.output_shape[-1] <= net.input_shape[-1]} | self.averages

    def start_generator(self, way: Direction, source: keras.Model) -> None:
        """Gives a generator the weights of another to begin with, and its moving average, if it has one, the same."""
        for network in filter(None, (self.networks[f"generator_{way}"], self.averages.get(way))):
            give_weights(source, network)

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """Trainable variables of the generators, and of what is trained with them."""
        return [variable for network in self.trained.values() for variable in network.trainable_variables]

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """Trainable variables of the discriminators."""
        return [variable for network in self.discriminators.values() for variable in network.trainable_variables]

    def steps_done(self) -> tf.Tensor:
        """The number of the training step, counted from 0, an integer scalar."""
        return tf.convert_to_tensor(self.generator_optimizer.iterations) // self.generator_iterations

    def adversarial(self, values: dict[str, Any]) -> tf.Tensor:
        """The generators' adversarial loss in one direction, a scalar.

        Args:
            values: What a loss may ask for, by name, `discriminator`, `real_images` and `fake_images` among it; the
                scores are computed here, those of real images only where the loss asks for them.
        """
        judge, scores = values["discriminator"], {}
        scores["fake_scores"] = judge(values["fake_images"], training=True)
        if "real_scores" in self.generator_loss.asked:
            scores["real_scores"] = judge(values["real_images"], training=True)
        return self.generator_loss(**values, **scores)

    def update_discriminators(self, images: dict[str, tuple[tf.Tensor, tf.Tensor]], step: tf.Tensor) -> dict[str, Any]:
        """Updates the discriminators as often as a step does, and returns the loss of each, a scalar.

        Args:
            images: Real and synthetic images of each domain, `[batch, height, width, channels]` in [-1, 1].
            step: The training step, counted from 0.
        """
        for update in range(self.discriminator_iterations):
            draw = step * self.discriminator_iterations + update
            with tf.GradientTape() as tape:
                losses = {f"discriminator_{domain}": self.judge(domain, *pair, draw) for domain, pair in images.items()}
                objective = tf.add_n(list(losses.values()))
            self.minimise(objective, tape, self.discriminator_optimizer, self.discriminator_variables)
        return losses

    def judge(self, domain: str, real_images: tf.Tensor, fake_images: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        """The loss of a domain's discriminator, a penalty included, a scalar; `draw` numbers the random points."""
        judge = self.discriminators[domain]
        values = {
            "real_images": real_images,
            "fake_images": fake_images,
            "real_scores": judge(real_images, training=True),  # [batch, rows, columns, 1]
            "fake_scores": judge(fake_images, training=True),
            "discriminator": judge,
            "fractions": self.fractions(real_images, draw),
        }
        loss = self.discriminator_loss(**values)
        return loss + self.penalty(**values) if self.penalty else loss

    def fractions(self, images: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        """Draws where each gradient penalty is taken, from 0 (synthetic image) to 1 (real one), `[batch, 1, 1, 1]`.

        The same `draw`, the number of the discriminator's update, gives the same numbers.
        """
        seed = seed_of_step(self.seed, draw) + 2  # apart from the draws of a pool of the same seed
        batch = images.shape[0] * replicas()
        return own_share(tf.random.stateless_uniform([batch, 1, 1, 1], seed, dtype=images.dtype))

    def minimise(
        self, objective: tf.Tensor, tape: tf.GradientTape, optimizer: keras.Optimizer, variables: list[keras.Variable]
    ) -> None:
        """Updates variables by the gradient of a scalar that was computed under the tape."""
        # Keras adds up the replicas' gradients, so each contributes its share of the global mean.
        share = tf.constant(1 / replicas(), objective.dtype)
        gradients = tape.gradient(objective, [variable.value for variable in variables], output_gradients=share)
        optimizer.apply(gradients, variables)

    def report(self, losses: dict[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Notes what a step led to: in the moving averages, and in the mean of each loss since the epoch began.

        A mean over fewer steps than the decay implies, at first, as `tf.train.ExponentialMovingAverage` has it, leaves
        nothing of the random weights that the training began with.
        """
        for way, average in self.averages.items():
            done = tf.cast(step, tf.float32) + 1
            new = 1 - tf.minimum(self.average_decay, (1 + done) / (10 + done))
            for mean, weight in zip(average.weights, self.trained[f"generator_{way}"].weights, strict=True):
                mean.assign(mean + tf.cast(new, mean.dtype) * (weight - mean))
        values = [mean_of_replicas(losses[name]) for name in self.means]
        self.monitor.watch(values, step)
        for mean, value in zip(self.means.values(), values, strict=True):
            mean.update_state(value)
        return {name: mean.result() for name, mean in self.means.items()}


class _Mean(keras.metrics.Mean):
    """A mean that is equal on all replicas; Keras would add up their sums where it reads them."""

    def add_variable(self, *args: Any, **options: Any) -> keras.Variable:
        """A sum or count, of which the first replica's is read."""
        return super().add_variable(*args, **options | {"aggregation": "only_first_replica"})


class FiniteMonitor:
    """Remembers, inside the graph, the first step at which a loss was NaN or beyond `LARGEST`, and that step's losses.

    The host need not wait for each step to learn of it. Replicas watch the same losses, those of the whole batch.

    Args:
        names: Names of the losses, in the order in which they are watched.

    Example:
        >>> monitor = FiniteMonitor(["cycle_a", "cycle_b"])
        >>> monitor.watch([tf.constant(0.5), tf.constant(float("nan"))], tf.constant(7))
        >>> monitor.finding()
        (7, {'cycle_b': nan})
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
        is_first = (self.step.read_value() < 0) & ~tf.reduce_all(tf.abs(values) <= LARGEST)  # no NaN is
        self.values.assign(tf.where(is_first, values, self.values.read_value()))
        self.step.assign(tf.where(is_first, tf.cast(step, tf.int64), self.step.read_value()))

    def finding(self) -> tuple[int, dict[str, float]] | None:
        """The first bad step, counted from 0, and its losses that were NaN or too large; None without one."""
        step = int(self.step.numpy())
        if step < 0:
            return None
        losses = dict(zip(self.names, self.values.numpy().tolist(), strict=True))
        return step, {name: loss for name, loss in losses.items() if not abs(loss) <= LARGEST}


def build_generator(component: Component, way: Direction, shapes: dict[str, ImageShape]) -> keras.Model:
    """Builds the generator of a direction, for images of any size.

    Args:
        component: The generator's name and options.
        way: The direction.
        shapes: `(height, width, channels)` of the training images by domain.
    """
    taken, given = (shapes[domain][-1] for domain in way)
    return build_network("generators", component, (None, None, taken), f"generator_{way}", given)


def has_batch_normalisation(network: keras.Model) -> bool:
    """True for a network that normalises over the images of a batch."""
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


def adversarial_functions(component: Component) -> SimpleNamespace:
    """The functions of a recipe's adversarial loss with their options filled in, as `AdversarialModel` takes them.

    Raises:
        KerasganError: For an unknown loss or option.

    Example:
        >>> from kerasgan.config import Component
        >>> sorted(vars(adversarial_functions(Component(name="least_squares"))))
        ['discriminator', 'generator']
    """
    names = ["generator", "discriminator", *["penalty"] * offers("losses", component, "penalty")]
    return SimpleNamespace(**{name: bind("losses", component, name) for name in names})
