"""The settings of Keras that kerasgan needs, whatever `keras.json` and the environment say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from kerasgan.errors import KerasganError
from kerasgan.text import NO_TENSORFLOW, TENSORFLOW, kind


def require_tensorflow() -> None:
    """Refuses a Keras that runs on anything but TensorFlow, which a program can only choose before Keras is imported.

    Raises:
        KerasganError: Where TensorFlow is not installed, and for another backend, whether that is installed or not.
    """
    remedy = (
        "Set the environment variable KERAS_BACKEND to tensorflow, or the backend in ~/.keras/keras.json, and start "
        "Python again."
    )
    try:
        import keras
    except ImportError as error:
        if error.name in TENSORFLOW:
            raise KerasganError(NO_TENSORFLOW) from error
        raise KerasganError(
            f"Keras cannot be imported ({error}); kerasgan runs on its TensorFlow backend. {remedy}"
        ) from error
    if keras.config.backend() != "tensorflow":
        raise KerasganError(f"Keras runs on {keras.config.backend()}; kerasgan needs TensorFlow. {remedy}")


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Builds Keras layers under a dtype policy, then restores the former one.

    Example:
        >>> import keras
        >>> with dtype_policy("mixed_bfloat16"):
        ...     keras.layers.Dense(1).compute_dtype
        'bfloat16'
    """
    import keras

    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)


@contextlib.contextmanager
def keras_defaults() -> Iterator[None]:
    """Computes in float32 and `[batch, height, width, channels]`, then restores the user's settings; also a decorator.

    Raises:
        KerasganError: Where Keras does not run on TensorFlow.

    Example:
        >>> import keras
        >>> keras.config.set_floatx("float16")
        >>> with keras_defaults():
        ...     keras.config.floatx()
        'float32'
        >>> keras.config.floatx()
        'float16'
        >>> keras.config.set_floatx("float32")
    """
    require_tensorflow()
    import keras

    former = keras.config.floatx(), keras.config.image_data_format()
    with dtype_policy("float32"):
        keras.config.set_floatx("float32")
        keras.config.set_image_data_format("channels_last")
        try:
            yield
        finally:
            keras.config.set_floatx(former[0])
            keras.config.set_image_data_format(former[1])


def refusing_others(network: Any) -> Any:
    """The network itself, which from now on refuses what are no images that it gives back in their size.

    Keras would show a page of numbers for arrays of another rank; and of sides that it halves with a remainder, a
    network makes larger ones.

    Args:
        network: A network from images `[batch, height, width, channels]` to others of the same height and width.

    Example:
        >>> import keras, numpy as np
        >>> image = keras.Input((None, None, 1))
        >>> halved = keras.layers.UpSampling2D()(keras.layers.MaxPooling2D(padding="same")(image))
        >>> refusing_others(keras.Model(image, halved))(np.zeros((1, 5, 4, 1)))
        Traceback (most recent call last):
        ValueError: The network gives images of 5 x 4 pixels back with 6 x 4. Pad them with -1 to multiples of 4, ...
    """
    call, channels = network.call, network.input_shape[-1]

    def refusal(text: str) -> ValueError:
        error = ValueError(text)
        error._keras_call_info_injected = True  # type: ignore[attr-defined]  # so that Keras adds no lines
        return error

    def checked(inputs: Any, *arguments: Any, **options: Any) -> Any:
        shape: Any = getattr(inputs, "shape", ())
        if len(shape) != 4 or shape[-1] != channels:
            raise refusal(
                f"The network takes images [batch, height, width, {channels}]; got {kind(inputs)}. Of a slice "
                "[height, width], slice[None, :, :, None] is such a batch."
            )
        outputs = call(inputs, *arguments, **options)
        sides, found = (tuple(tensor.shape[1:3]) for tensor in (inputs, outputs))
        if None not in sides + found and sides != found:
            got = " x ".join(map(str, sides)), " x ".join(map(str, found))
            raise refusal(
                f"The network gives images of {got[0]} pixels back with {got[1]}. Pad them with -1 to multiples of 4, "
                "and cut what it gives to their size."
            )
        return outputs

    network.call = checked
    return network


def image_input(shape: tuple[int | None, int | None, int]) -> Any:
    """The input of a network, images `[batch, height, width, channels]`.

    Args:
        shape: `(height, width, channels)`.

    Raises:
        KerasganError: Where Keras takes the channels first, or does not run on TensorFlow.
    """
    require_tensorflow()
    import keras

    if keras.config.image_data_format() != "channels_last":
        raise KerasganError(
            "Keras is set to image_data_format 'channels_first', and kerasgan's networks take [batch, height, width, "
            "channels]. Call keras.config.set_image_data_format('channels_last') first."
        )
    return keras.Input(shape, name="image")
