"""The engine of a network: the one that was asked for, or the fastest that the gate lets through, found once a machine.

CACHE/engines/<digest of the network>/<digest of the machine>.json   what was measured, and which engine won
CACHE/engines/<digest of the network>/openvino.xml, openvino.bin     the network for OpenVINO
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from kerasgan.engines.gate import Measured, Predict, Probe, error_of, judged, least_seconds
from kerasgan.engines.names import TITLES, Name, Wanted, available, machine, require_available
from kerasgan.engines.openvino import OpenVino, convert, digest, save
from kerasgan.errors import KerasganError
from kerasgan.files import read_record, replacing
from kerasgan.scans.slices import first_channel

if TYPE_CHECKING:
    from kerasgan.engines.graph import Frozen

WORTH = 0.9  # of the exact engine's time: one that saves less is not worth another value
SLICES = 4  # that engines are compared by
MOST_NETWORKS = 8  # in the cache; one takes as much as its weights
FOLDER, MODEL = "engines", "openvino.xml"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A network that engines can run.

    Attributes:
        digest: SHA-256 of its file.
        exact: Loads TensorFlow and the network, and gives what computes it as it is.
        graph: Gives its graph, after `exact`.
    """

    digest: str
    exact: Callable[[], Predict]
    graph: Callable[[], Frozen]


@dataclass(frozen=True)
class Engine:
    """An engine that runs a network.

    Attributes:
        name: Its name.
        predict: From float32 `[batch, height, width, channels]` in [-1, 1] to the same.
        measured: How it stood beside the exact engine; None of that itself.
        unit: The unit of the differences in it.
    """

    name: Name
    predict: Predict
    measured: Measured | None = None
    unit: str = ""

    @property
    def title(self) -> str:
        """What logs, DICOM files and manifests call it."""
        return TITLES[self.name]

    def __str__(self) -> str:
        """One line about it, with what it changes."""
        if self.measured is None:
            return self.title
        return (
            f"{self.title}, {self.measured.seconds:.2g} s a slice; differs from float32 by {self.measured.mean:.2g} "
            f"{self.unit} on average and by less than {self.measured.percentile:.2g} {self.unit} in 99 % of the body"
        )


class Record(BaseModel):
    """What was measured of a network's engines on this machine.

    Attributes:
        best: The fastest that the gate let through.
        slices: How many slices they were compared by.
        unit: Unit of all differences.
        engines: Each engine that the machine has.
        openvino: Digest of the network's files for OpenVINO; `""` without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    best: Name
    slices: int = Field(ge=1)
    unit: str
    engines: dict[Name, Measured]
    openvino: str = ""

    def answers(self, wanted: Wanted, probe: Probe) -> bool:
        """True where nothing need be measured anew: not by more slices, nor against a truth that was not known."""
        knows_truth = self.engines["exact"].error is not None
        enough = self.slices >= min(SLICES, len(probe.images)) and (knows_truth or probe.truth is None)
        return enough and (wanted == "best" or wanted in self.engines)


def choose(network: Network, wanted: Wanted, probe: Probe, cache: Path | None = None) -> Engine:
    """The engine for a network, measured on the slices of a scan where no former measurement answers.

    Args:
        network: The network.
        wanted: The name of an engine, or `"best"` for the fastest one that the gate lets through.
        probe: Slices of the scan that is about to be translated.
        cache: Folder in which measurements and converted networks are kept; None: they are not.

    Raises:
        KerasganError: For an engine that this machine has not, or that changes too much.
    """
    if wanted == "exact":
        return Engine("exact", network.exact())
    require_available(wanted)
    if not re.fullmatch(r"[0-9a-f]{64}", network.digest):
        raise ValueError(f"A network's digest has 64 hexadecimal digits; got {network.digest!r}.")
    folder = cache and cache / FOLDER / network.digest
    record, made = _known(folder), dict[Name, Predict]()
    if record is None or not record.answers(wanted, probe):
        record, made = _measured(network, probe, folder)
    name = record.best if wanted == "best" else wanted
    measured = record.engines[name]
    if measured.refused:
        raise KerasganError(
            f"The engine {name} is not used for this network: {measured.refused}. Leave --engine out for the fastest "
            "one that may be."
        )
    predict = made[name] if name in made else _opened(name, network, folder and folder / MODEL)
    if folder:
        with suppress(OSError):
            folder.touch()  # the networks that were used last stay in the cache
    return Engine(name, predict, None if name == "exact" else measured, record.unit)


def _known(folder: Path | None) -> Record | None:
    """What was measured before on this machine; None for nothing, and where any of the files is not as it was."""
    if folder is None:
        return None
    with suppress(KerasganError):
        record = read_record(folder / f"{machine()}.json", Record.model_validate_json, "")
        if record.engines.keys() == {*available()} and record.openvino in ("", digest(folder / MODEL)):
            return record
    return None


def _opened(name: Name, network: Network, model: Any) -> Predict:
    """An engine, from what OpenVINO has of the network or from its graph."""
    if name == "exact":
        return network.exact()
    if name == "tensorflow-bf16":
        from kerasgan.engines.graph import in_bfloat16

        network.exact()
        return in_bfloat16(network.graph())
    return OpenVino(model, "bf16" if name == "openvino-bf16" else "f32")


def _measured(network: Network, probe: Probe, folder: Path | None) -> tuple[Record, dict[Name, Predict]]:
    """Compares and times all engines of the machine; the record is kept in the folder where there is one."""
    logger.info("Measuring which engine is the fastest here; this is done once for a network and a machine.")
    probe = _some(probe)
    made: dict[Name, Predict] = {"exact": network.exact()}
    exact = first_channel(made["exact"](probe.images))
    engines: dict[Name, Measured] = {"exact": Measured(error=error_of(exact, probe))}
    model: Any = None
    for name in available()[:-1]:
        try:
            if model is None and name.startswith("openvino"):
                model = convert(network.graph())
            predict = _opened(name, network, model)
            values = first_channel(predict(probe.images))
        except Exception as error:  # an engine may refuse what it is not made for, in any way
            reason = (str(error) or type(error).__name__).strip().splitlines()[0][:200]
            engines[name] = Measured(refused=f"it cannot run the network ({reason})")
            continue
        engines[name] = judged(values, exact, probe, is_reduced=name.endswith("bf16"))
        if not engines[name].refused:
            made[name] = predict
    for name, seconds in least_seconds(made, probe).items():
        engines[name] = engines[name].model_copy(update={"seconds": seconds})
    for name, one in engines.items():
        logger.debug("%s: %s", name, one)
    best = min(made, key=lambda name: engines[name].seconds)
    if engines[best].seconds > WORTH * engines["exact"].seconds:
        best = "exact"
    files = ""
    if folder is not None:
        try:
            files = save(model, folder / MODEL) if model is not None else ""
        except KerasganError as error:
            logger.warning("%s What was measured is not kept.", error)
            folder = None
    record = Record(best=best, slices=len(probe.images), unit=probe.unit, engines=engines, openvino=files)
    if folder is not None:
        with replacing(folder / f"{machine()}.json") as path:
            path.write_text(record.model_dump_json(indent=2))
        _forget_others(folder)
    return record, made


def _some(probe: Probe) -> Probe:
    """The first few slices of a probe."""
    truth = None if probe.truth is None else probe.truth[:SLICES]
    return Probe(probe.images[:SLICES], probe.body[:SLICES], probe.width, probe.unit, truth)


def _forget_others(folder: Path) -> None:
    """Removes the networks from the cache that were not used for the longest time."""
    found = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[MOST_NETWORKS:]:
        if path != folder and re.fullmatch(r"[0-9a-f]{64}", path.name):
            shutil.rmtree(path, ignore_errors=True)
