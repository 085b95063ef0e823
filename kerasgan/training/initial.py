"""The weights of another run with which a new one begins."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kerasgan.config import Recipe, flat
from kerasgan.datasets import DatasetCard
from kerasgan.errors import RunError
from kerasgan.files import file_digest
from kerasgan.models import AdversarialModel
from kerasgan.networks.build import build_network
from kerasgan.networks.copies import portable_copy, with_fast_layers
from kerasgan.runs import checkpoints
from kerasgan.runs.run import Run, load_network
from kerasgan.scans.contract import DIRECTIONS, Direction
from kerasgan.training.start import run_of_weights

KEEP = "Use the networks of that run, or leave --init out."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Initial:
    """Networks of a run, or one generator of it, from which a training starts with new optimisers.

    Attributes:
        place: The run, or the `.keras` file of a generator.
        run: The run; None for a file outside of one.
        generators: The generators by direction, the last of the run.
        digests: SHA-256 of the file that each generator came from.
    """

    place: Path
    run: Run | None
    generators: dict[Direction, keras.Model]
    digests: dict[str, str]

    @classmethod
    def of(cls, place: Path, recipe: Recipe) -> Initial:
        """Opens what a training shall start from.

        Args:
            place: A run directory, or a `.keras` file of a generator, as runs have.
            recipe: What is going to be trained.

        Raises:
            RunError: For a run without weights, a damaged file, or other generators than the recipe's.
        """
        run = run_of_weights(place)
        if run is None or place.is_file():
            network = load_network(place)
            found = {way: (place, network) for way in DIRECTIONS if network.name == f"generator_{way}"}
            if not found:
                raise RunError(f"{place} holds the network {network.name!r}, expected a generator of a run. {KEEP}")
        else:
            found = {way: (run.generator_path(way, "last"), run.generator(way, "last")) for way in run.facts.directions}
        for way, (_, network) in found.items():
            taken, given = network.input_shape[-1], network.output_shape[-1]
            own = build_network("generators", recipe.generator, (None, None, taken), f"generator_{way}", given)
            if difference := _difference(network, own):
                own_settings = _settings(run.recipe, recipe) if run else ""
                raise RunError(f"{place} has another generator than this recipe: {own_settings or difference}. {KEEP}")
        digests = {f"generator_{way}": file_digest(path) for way, (path, _) in found.items()}
        return cls(place, run, {way: network for way, (_, network) in found.items()}, digests)

    def require_domains(self, card: DatasetCard) -> None:
        """Refuses data whose domains are other modalities, or have another number of channels, than the networks take.

        Raises:
            RunError: For such data.
        """
        if self.run and (own := tuple(self.run.facts.modalities[domain] for domain in "ab")) != card.modalities:
            raise RunError(
                f"{self.place} was trained on {own[0]} as domain a and {own[1]} as domain b, and this data has "
                f"{card.modalities[0]} and {card.modalities[1]}. Exchange the domains of the data, or leave --init out."
            )
        shapes = {way: (network.input_shape[-1], network.output_shape[-1]) for way, network in self.generators.items()}
        channels = {"a": len(card.channels) or 1, "b": 1}
        for way, (taken, given) in shapes.items():
            wanted = tuple(channels[domain] for domain in way)
            if (taken, given) != wanted:
                raise RunError(
                    f"The generator {way} of {self.place} takes {taken} channels and gives {given}, and this data "
                    f"needs {wanted[0]} and {wanted[1]}. Give data with as many channels, or leave --init out."
                )

    def give_weights(self, model: AdversarialModel, recipe: Recipe) -> dict[str, str]:
        """Starts a model from these weights: its generators, and further networks where both recipes have the same.

        Args:
            model: The compiled model.
            recipe: Its recipe.

        Returns:
            SHA-256 of the file that each network came from, by its name in the model.
        """
        given = {}
        for way, network in self.generators.items():
            if f"generator_{way}" in model.networks:
                model.start_generator(way, network)
                given[f"generator_{way}"] = self.digests[f"generator_{way}"]
        if self.run and self.place.is_dir():
            folder = self.run.path / "checkpoints"
            present = checkpoints.names(folder)
            fitting = {}
            for name, network in model.networks.items():
                kind, variables = name.partition("_")[0], checkpoints.named({name: network.variables})
                if _others(recipe).get(kind, 0) == _others(self.run.recipe).get(kind) and variables.keys() <= present:
                    fitting[name] = variables
            step = checkpoints.restore({key: one for own in fitting.values() for key, one in own.items()}, folder)
            given |= {name: file_digest(checkpoints.path_of_step(folder, step)) for name in fitting}
        anew = [name for name in model.networks if name not in given and not name.startswith("average_")]
        rest = f"; {', '.join(anew)} and the optimisers begin anew" if anew else "; the optimisers begin anew"
        logger.info("Starting with %s of %s%s.", ", ".join(given), self.place, rest)
        return given


def _others(recipe: Recipe) -> dict[str, Any]:
    """What the other networks than generators are, by the kind with which their names begin."""
    parts = recipe.segmentation
    return {"discriminator": recipe.discriminator, "segmenter": parts and (parts.network, parts.structures)}


def _settings(there: Recipe, here: Recipe) -> str:
    """The settings of the generator in which two recipes differ."""
    values = [flat({"generator": recipe.generator.model_dump()}) for recipe in (there, here)]
    paths = sorted(path for path in {**values[0], **values[1]} if values[0].get(path) != values[1].get(path))
    shown = [[own.get(path, "the default") for own in values] for path in paths]
    return ", ".join(f"{path} is {old} there and {new} here" for path, (old, new) in zip(paths, shown, strict=True))


def _as_opened(network: keras.Model) -> keras.Model:
    """The network as its file gives it back, whatever version wrote the file: its convolutions are not deformable."""
    return keras.Model.from_config(with_fast_layers(portable_copy(network).get_config()))


def _difference(there: keras.Model, here: keras.Model) -> str:
    """The first layer in which two networks differ other than in their weights; "" where they are the same."""
    there, here = map(_as_opened, (there, here))
    if len(there.layers) != len(here.layers):
        return f"{len(there.layers)} layers there and {len(here.layers)} here"
    for number, pair in enumerate(zip(there.layers, here.layers, strict=True), 1):
        kinds = [type(layer).__name__ for layer in pair]
        if kinds[0] != kinds[1]:
            return f"layer {number} is {kinds[0]} there and {kinds[1]} here"
        configs = [json.loads(json.dumps(layer.get_config(), default=str)) for layer in pair]
        for name, value in configs[0].items():
            is_free = name in ("name", "dtype", "trainable") or name.endswith("_initializer")
            if not is_free and value != configs[1].get(name):
                return f"{name} of layer {number}, {kinds[0]}, is {value} there and {configs[1].get(name)} here"
    return ""
