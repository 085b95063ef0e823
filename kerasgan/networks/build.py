"""From a recipe's `Component` to the function it names, its options checked against that function's signature."""

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
from kerasgan.text import nearest

if TYPE_CHECKING:
    import keras

# The functions of one adversarial loss: they share a component, so an option may belong to any of them.
_ADVERSARIAL = ("discriminator", "generator", "penalty")


def bind(kind: str, component: Component, function: str) -> Callable[..., Any]:
    """The component's function with its options filled in.

    Args:
        kind: `"generators"`, `"discriminators"`, `"segmenters"` or `"losses"`.
        component: Name of a file of that kind and options; options must be keyword-only parameters of the function, or,
            of an adversarial loss, of any of its functions.
        function: Name of the function in the file, such as `"build"`.

    Raises:
        KerasganError: For an unknown name, option or a value of the wrong type (names the nearest ones), or a file
            without that function.
    """
    module = registry.find(kind, component.name)
    target = getattr(module, function, None)
    if target is None:
        raise KerasganError(
            f"{component.name!r} of {kind} has no function {function}(), which this place in the recipe needs. "
            f"Choose from: {', '.join(_offering(kind, function))}."
        )
    hints = typing.get_type_hints(target)
    together = [name for name in _ADVERSARIAL if hasattr(module, name)] if function in _ADVERSARIAL else [function]
    known = {option for name in together for option in _options_of(getattr(module, name))}
    options = {name: _checked(component, name, value, known, hints) for name, value in component.options.items()}
    return functools.partial(target, **{name: value for name, value in options.items() if name in _options_of(target)})


def build_network(kind: str, component: Component, shape: tuple[int | None, int | None, int], name: str) -> keras.Model:
    """The network that a component describes.

    Args:
        kind: `"generators"` or `"discriminators"`.
        component: Name of a file of that kind, and options.
        shape: `(height, width, channels)` of one image; None for any size.
        name: Name of the model.

    Raises:
        KerasganError: As `bind`; where the network takes no such images or options.
    """
    build = bind(kind, component, "build")
    try:
        network: keras.Model = build(shape, name=name)
        return network
    except ValueError as error:
        where = kind.removesuffix("s")
        raise KerasganError(
            f"{where.capitalize()} {component.name!r} cannot be built: {error} Change data.size or the options of the "
            f"{where} with --set."
        ) from error


def check_components(recipe: Recipe) -> None:
    """Makes sure that every component of a recipe exists and takes its options, before any scan is read.

    Args:
        recipe: No network is built and no data is read.

    Raises:
        KerasganError: As `bind`, for the first component that is unknown or has an invalid option.
    """
    losses, segmentation, distillation = recipe.losses, recipe.segmentation, recipe.distillation
    wanted = [
        ("generators", recipe.generator, "build"),
        ("discriminators", recipe.discriminator, "build"),
        ("losses", losses.adversarial, "generator"),
        ("losses", losses.adversarial, "discriminator"),
        ("losses", losses.cycle, "loss"),
        ("losses", losses.structure, "loss"),
    ]
    if segmentation:
        wanted += [("segmenters", segmentation.network, "build"), ("losses", segmentation.loss, "segmentation")]
    if distillation:
        wanted.append(("generators", distillation.generator, "build"))
    for kind, component, function in wanted:
        bind(kind, component, function)


def offers(kind: str, component: Component, function: str) -> bool:
    """Whether the component's file has a function of that name.

    Raises:
        KerasganError: For an unknown component.
    """
    return hasattr(registry.find(kind, component.name), function)


def _options_of(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters
    # `name` selects the component, so it cannot be an option as well.
    return {name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY} - {"name"}


def _offering(kind: str, function: str) -> list[str]:
    return [name for name in registry.names(kind) if hasattr(registry.find(kind, name), function)]


def _checked(component: Component, name: str, value: Any, known: set[str], hints: dict[str, Any]) -> Any:
    if name not in known:
        raise KerasganError(f"{component.name!r} has no option {name!r}. {nearest(name, known)}")
    try:
        return TypeAdapter(hints.get(name, Any)).validate_python(value)
    except ValidationError as error:
        raise KerasganError(f"{component.name!r} option {name}={value!r}: {error.errors()[0]['msg']}.") from error
