"""The settings of Keras that kerasgan needs, whatever `keras.json` and the environment say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from kerasgan.errors import KerasganError


def require_tensorflow() -> None:
    """Refuses a Keras that runs on anything but TensorFlow, which a program can only choose before Keras is imported.

    Raises:
        KerasganError: For another backend, whether it is installed or not.
    """
    remedy = (
        "Set the environment variable KERAS_BACKEND to tensorflow, or the backend in ~/.keras/keras.json, and start "
        "Python again."
    )
    try:
        import keras
    except ImportError as error:
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
