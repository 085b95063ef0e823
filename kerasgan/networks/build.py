"""Finds the function that a recipe's `Component` names, and checks its options against the function's signature."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from kerasgan import registry
from kerasgan.config import Component, Recipe
from kerasgan.errors import KerasganError
from kerasgan.networks.keras_settings import keras_defaults
from kerasgan.text import nearest

if TYPE_CHECKING:
    import keras

# The functions of one adversarial loss share a component, so an option may belong to any of them.
_ADVERSARIAL = registry.COMPONENTS["losses.adversarial"][1]


def bind(kind: str, component: Component, function: str) -> Callable[..., Any]:
    """Finds the component's function and fills its options in.

    Args:
        kind: `"generators"`, `"discriminators"`, `"segmenters"` or `"losses"`.
        component: Name of a file of that kind and options; options must be keyword-only parameters of the function, or,
            of an adversarial loss, of any of its functions.
        function: Name of the function in the file, such as `"build"`.

    Raises:
        KerasganError: For an unknown name, option or a value of the wrong type (names the nearest ones), or a file
            without that function.

    Example:
        >>> build = bind("generators", Component(name="resnet", filters=2, blocks=1), "build")
        >>> build((32, 32, 1)).output_shape
        (None, 32, 32, 1)
    """
    module = registry.find(kind, component.name)
    target = getattr(module, function, None)
    if target is None:
        offering = [name for name in registry.names(kind) if hasattr(registry.find(kind, name), function)]
        choose = "Define it there, or choose" if component.name.endswith(".py") else "Choose"
        raise KerasganError(
            f"{component.name!r} of {kind} has no function {function}(), which this place in the recipe needs. "
            f"{choose} from: {', '.join(offering)}."
        )
    hints = typing.get_type_hints(target)
    together = [name for name in _ADVERSARIAL if hasattr(module, name)] if function in _ADVERSARIAL else [function]
    known = {option for name in together for option in _options_of(getattr(module, name))}
    options = {name: _checked(component, name, value, known, hints) for name, value in component.options.items()}
    return functools.partial(target, **{name: value for name, value in options.items() if name in _options_of(target)})


def build_network(
    kind: str,
    component: Component,
    shape: tuple[int | None, int | None, int],
    name: str,
    outputs: int | None = None,
) -> keras.Model:
    """Builds the network that a component describes.

    Args:
        kind: `"generators"` or `"discriminators"`.
        component: Name of a file of that kind, and options.
        shape: `(height, width, channels)` of one image; None for any size.
        name: Name of the model.
        outputs: Channels that a generator gives; None: as many as it takes.

    Raises:
        KerasganError: As `bind`; for images or options that the network cannot take, and for a generator that always
            gives as many channels as it takes where others are wanted.

    Example:
        >>> network = build_network("discriminators", Component(name="patchgan", filters=2), (64, 64, 1), "judge")
        >>> network.name, network.output_shape
        ('judge', (None, 6, 6, 1))
    """
    build, wanted = bind(kind, component, "build"), {}
    if outputs not in (None, shape[-1]):
        wanted["outputs"] = outputs
        if "outputs" not in inspect.signature(build).parameters:
            raise KerasganError(
                f"Generator {component.name!r} gives as many channels as it takes, and {shape[-1]} shall become "
                f"{outputs}. Give its build an argument outputs, or choose another one: --set generator.name=resnet."
            )
    try:
        network: keras.Model = build(shape, name=name, **wanted)
        return network
    except ValueError as error:
        where = kind.removesuffix("s")
        raise KerasganError(
            f"{where.capitalize()} {component.name!r} cannot be built: {error} Change data.size or the options of the "
            f"{where} with --set."
        ) from error


def check_components(recipe: Recipe) -> None:
    """Refuses a recipe whose components cannot be used as it says, before any scan is read.

    Args:
        recipe: Its losses are traced with images of its size; of its networks, only a discriminator is built.

    Raises:
        KerasganError: As `bind`, for the first component that is unknown or has an invalid option; for an unknown
            method, a discriminator that cannot be built, and a loss that asks for what a training step does not have,
            fails, or returns another shape than a scalar or a value for each image or pixel.

    Example:
        >>> from kerasgan.recipes.hiasa2018 import RECIPE
        >>> check_components(RECIPE)
        >>> check_components(RECIPE.with_overrides(["generator.filter=8"]))
        Traceback (most recent call last):
        kerasgan.errors.KerasganError: 'resnet' has no option 'filter'. Did you mean filters?
    """
    import tensorflow as tf  # here, as only a training needs it

    from kerasgan.losses._named import NamedLoss

    registry.find("models", recipe.method)
    losses = list[NamedLoss]()
    for path, (kind, functions) in registry.COMPONENTS.items():
        component: Any = recipe
        for name in path.split("."):
            component = component and getattr(component, name)  # some parts may be null
        for function in functions if component else ():
            if function == "penalty" and not offers(kind, component, function):
                continue
            bound = bind(kind, component, function)
            if kind == "losses":
                losses.append(NamedLoss(bound, path.rpartition(".")[2] if function == "loss" else function))
    batch, size, segmentation = recipe.data.batch_size, recipe.data.size, recipe.segmentation
    classes = 1 + len(segmentation.structures) if segmentation else 1
    image = tf.TensorSpec((batch, size, size, 1), tf.float32)
    images = ("source", "synthetic", "reconstructed", "target", "real_images", "fake_images")
    with keras_defaults():
        judge = build_network("discriminators", recipe.discriminator, (size, size, 1), "discriminator")
        scores = tf.TensorSpec((batch, *judge.output_shape[1:]), tf.float32)
        for loss in losses:
            loss.check(
                **dict.fromkeys(images, image),
                **dict.fromkeys(("real_scores", "fake_scores"), scores),
                discriminator=judge,
                fractions=tf.TensorSpec((batch, 1, 1, 1), tf.float32),
                labels=tf.TensorSpec((batch, size, size), tf.int32),
                scores=tf.TensorSpec((batch, size, size, classes), tf.float32),
            )


def offers(kind: str, component: Component, function: str) -> bool:
    """True if the component's file has a function of that name.

    Raises:
        KerasganError: For an unknown component.

    Example:
        >>> offers("losses", Component(name="wasserstein"), "penalty")
        True
    """
    return hasattr(registry.find(kind, component.name), function)


def _options_of(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters
    # `name` selects the component, so it cannot be an option as well.
    return {name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY} - {"name"}


def _checked(component: Component, name: str, value: Any, known: set[str], hints: dict[str, Any]) -> Any:
    if name not in known:
        raise KerasganError(f"{component.name!r} has no option {name!r}. {nearest(name, known)}")
    try:
        return TypeAdapter(hints.get(name, Any)).validate_python(value)
    except ValidationError as error:
        raise KerasganError(f"{component.name!r} option {name}={value!r}: {error.errors()[0]['msg']}.") from error
