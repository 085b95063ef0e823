"""How a training step hands values to a loss: by the names of the loss function's arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasgan.errors import KerasganError

_IMAGES = ("source", "synthetic", "reconstructed", "real_images", "fake_images", "discriminator")
_DISCRIMINATOR = ("real_scores", "fake_scores", "real_images", "fake_images", "discriminator", "fractions")

# For each place in a training step, the arguments that a loss may have, each with the value that it receives.
PLACES: dict[str, dict[str, str]] = {
    "generator": {name: name for name in ("fake_scores", "real_scores", *_IMAGES)},
    "discriminator": {name: name for name in _DISCRIMINATOR},
    "penalty": {name: name for name in _DISCRIMINATOR},
    "cycle": {name: name for name in _IMAGES}
    | {"image": "source", "other": "reconstructed", "y_true": "source", "y_pred": "reconstructed"},
    "structure": {name: name for name in _IMAGES}
    | {"image": "source", "other": "synthetic", "y_true": "source", "y_pred": "synthetic"},
    "histogram": {name: name for name in (*_IMAGES, "target")}
    | {"image": "target", "other": "synthetic", "y_true": "target", "y_pred": "synthetic"},
    "segmentation": {name: name for name in ("labels", "scores", "source", "synthetic")}
    | {"y_true": "labels", "y_pred": "scores"},
}


class NamedLoss:
    """A loss function that receives from a training step the values that its arguments name.

    Args:
        function: Its positional arguments are names that `kerasgan.losses` lists for the place; a keyword-only argument
            is an option, which needs a default.
        place: `"generator"`, `"discriminator"`, `"penalty"`, `"cycle"`, `"structure"`, `"histogram"` or
            `"segmentation"`.

    Raises:
        KerasganError: For an argument that the place does not offer; lists those that it does.

    Example:
        >>> loss = NamedLoss(lambda real_scores, fake_scores: tf.nn.softplus(real_scores - fake_scores), "generator")
        >>> ones = tf.ones([2, 3, 3, 1])
        >>> round(float(loss(real_images=ones, real_scores=ones, fake_scores=ones)), 4)
        0.6931
    """

    def __init__(self, function: Callable[..., Any], place: str) -> None:
        self.function, self.place = function, place
        plain, names = getattr(function, "func", function), PLACES[place]  # a partial has no name of its own
        module = str(getattr(plain, "__module__", "")).rpartition(".")[2]
        self.name = f"{module}.{getattr(plain, '__name__', type(plain).__name__)}"
        parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        unknown = [p.name for p in parameters if p.name not in names and p.default is p.empty]
        if unknown:
            raise KerasganError(
                f"The {place} loss {self.name!r} asks for {' and '.join(unknown)}, which no training step has. Rename "
                f"the argument, or make it an option with a default after a *; a {place} loss may ask for: "
                f"{', '.join(names)}."
            )
        self.asked = {p.name: names[p.name] for p in parameters if p.name in names}

    def __call__(self, **values: Any) -> tf.Tensor:
        """Averages the loss over the batch.

        Args:
            values: All that the step has, by name; each tensor is `[batch, ...]`.

        Raises:
            KerasganError: For a loss that returns anything but a scalar or a value for each image, pixel or patch.
        """
        loss = self.function(**{argument: values[value] for argument, value in self.asked.items()})
        shape = tuple(getattr(loss, "shape", [type(loss).__name__]))
        shapes = [tuple(value.shape) for value in values.values() if hasattr(value, "shape")]
        # Other shapes come from broadcasting [batch, height, width] with [batch, height, width, 1], say.
        if shape and not any(_is_of(shape, whole) for whole in shapes):
            raise KerasganError(
                f"The {self.place} loss {self.name!r} returned {list(shape)} for values of {list(shapes[0])}; expected "
                "a scalar, or a value for each image, [batch], or each pixel. Average over height, width and channels: "
                "keras.ops.mean(value, axis=[1, 2, 3])."
            )
        return tf.reduce_mean(loss)

    def check(self, **values: Any) -> None:
        """Traces the loss once, as a training step does; nothing is computed.

        Args:
            values: What steps have, by name: a `tf.TensorSpec` for each tensor, and the discriminator.

        Raises:
            KerasganError: For a loss that cannot be computed from these, or returns another shape.
        """
        values = {name: values[name] for name in set(PLACES[self.place].values())}
        specs = {name: value for name, value in values.items() if isinstance(value, tf.TensorSpec)}
        others = {name: value for name, value in values.items() if name not in specs}
        step = tf.function(lambda tensors: self(**tensors, **others), autograph=False)
        try:
            step.get_concrete_function(specs)
        except KerasganError:
            raise
        except Exception as error:  # a file of one's own raises what it likes
            asked = [f"{name} {list(specs[value].shape)}" for name, value in self.asked.items() if value in specs]
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise KerasganError(
                f"The {self.place} loss {self.name!r} fails on {', '.join(asked)}: {type(error).__name__}: {reason}. "
                "Correct its file or its options; --debug shows the line."
            ) from error


def _is_of(shape: tuple[Any, ...], whole: tuple[int | None, ...]) -> bool:
    """True for the shape of values of whole images, rows, pixels or channels, with or without the reduced axes."""
    sides = zip(shape[1:], whole[1:], strict=False)
    return shape[0] == whole[0] and len(shape) <= len(whole) and all(size in (1, side) for size, side in sides)


def step_values(source: Any, synthetic: Any, reconstructed: Any = None, **others: Any) -> dict[str, Any]:
    """The values that a training step hands to its losses in one direction, by name.

    Args:
        source: Real images, `[batch, height, width, channels]` in [-1, 1].
        synthetic: Their translations, which are also `fake_images` unless others are named.
        reconstructed: The translations of these back again; None in a method without a cycle.
        others: `real_images` of the target domain, its `discriminator` and, if it sees others, its `fake_images`.
    """
    images = {"source": source, "synthetic": synthetic, "reconstructed": reconstructed, "fake_images": synthetic}
    return images | others


def channel_by_channel(loss: NamedLoss, values: dict[str, Any]) -> tf.Tensor:
    """A structural loss between images of different numbers of channels: the mean over each channel with each other.

    Every contrast has its borders where the others have theirs, so each is compared by itself; one histogram of all
    their values would mix them. Images of one number of channels go into the loss as they are.

    Args:
        loss: The structural loss.
        values: As `step_values` gives them.

    Returns:
        A scalar.

    Example:
        >>> from kerasgan.losses import absolute_error
        >>> two, one = tf.constant([0.0, 1.0], shape=(1, 1, 1, 2)), tf.zeros((1, 1, 1, 1))
        >>> float(channel_by_channel(NamedLoss(absolute_error, "structure"), step_values(two, one)))
        0.5
    """
    source, synthetic = values["source"], values["synthetic"]
    if source.shape[-1] == synthetic.shape[-1]:
        return loss(**values)
    each = [tf.split(images, images.shape[-1], axis=-1) for images in (source, synthetic)]
    losses = [loss(**values | {"source": one, "synthetic": other}) for one in each[0] for other in each[1]]
    return tf.add_n(losses) / len(losses)
