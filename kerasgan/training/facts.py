"""What a run records of its data and its training, for all who use it later."""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path

import numpy as np

from kerasgan import datasets
from kerasgan.runs.device import uses_xla
from kerasgan.runs.run import RunFacts
from kerasgan.scans.contract import Channel, Direction, WayBack
from kerasgan.scans.gate import MINIMUM_PATIENTS, fit_gate
from kerasgan.training.data import Data
from kerasgan.training.guide import Guide
from kerasgan.training.request import Request

# Chosen on real heads, see benchmarks/README.md: a wider shell serves a good generator little and hurts a poor one.
WAY_BACK = WayBack(enlarging="lanczos", shell_mm=4.0)

logger = logging.getLogger(__name__)


def facts_of(
    request: Request,
    data: Data,
    precision: str,
    directions: tuple[Direction, ...],
    guide: Guide | None,
    replicas: int,
) -> RunFacts:
    """Gathers what a run records, and fits the input gates to its training scans.

    Args:
        request: Dataset and seed.
        data: The prepared slices.
        precision: The dtype policy.
        directions: Those that have a generator.
        guide: The run to whose results the pairs were registered.
        replicas: How many devices share each batch.
    """
    maps, modalities, gates = {}, {}, {}
    channels: tuple[Channel, ...] = ()
    for domain, cached, scans in zip("ab", data.train, (data.split.train.a, data.split.train.b), strict=True):
        modalities[domain], fitted = scans[0].modality, []
        for number in range(len(cached[0].channels)):
            shown = [scan.channels[number] for scan in cached]
            low, high = np.median([(one.map.low, one.map.high) for one in shown], axis=0)
            measured = [(one.measurements, scan.patient) for one, scan in zip(shown, cached, strict=True)]
            gate = fit_gate([(values, patient) for values, patient in measured if values])
            fitted.append(((float(low), float(high)), gate))
        maps[domain], gate = fitted[0]
        if gate is None:
            few = "No input gate for %s, which needs %d patients: nothing will say whether a scan is like these."
            logger.warning(few, modalities[domain], MINIMUM_PATIENTS)
        if domain == "a" and data.card.channels:
            of_names = zip(data.card.channels, fitted, strict=True)
            channels = tuple(Channel(name=name, window=window, gate=gate) for name, (window, gate) in of_names)
        elif gate:
            gates[domain] = gate
    root = (request.data_dir or Path(data.card.default_dir)).absolute()
    return RunFacts(
        kerasgan=version("kerasgan"),
        dataset=request.dataset or "",
        data_dir=str(root),
        patient_keys=datasets.digest(datasets.find_secret(root) if request.secret is None else request.secret),
        anatomy=data.card.anatomy,
        paired=data.card.paired,
        modalities=modalities,
        seed=request.seed or 0,
        preparation=data.settings,
        maps=maps,
        way_back=WAY_BACK,
        precision=precision,
        xla=uses_xla() and replicas == 1,
        directions=directions,
        fingerprint=data.fingerprint,
        gates=gates,
        channels=channels,
        guide=guide and guide.digest,
        fold=request.fold,
        replicas=replicas,
    )
