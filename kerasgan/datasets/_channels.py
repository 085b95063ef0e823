"""The scans of one patient that are channels of each other, joined into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from kerasgan.datasets._scan import Scan
from kerasgan.errors import DatasetError
from kerasgan.io.keys import find_secret, salted

_NAMED = 5  # patients that one message names at most


def joined(scans: Iterable[Scan], channels: Sequence[str], root: Path) -> list[Scan]:
    """Makes one scan of the channels of each patient in domain a; every other scan stays as it is.

    Args:
        scans: Those of a dataset; each of domain a says which channel it is.
        channels: The names that the dataset's card has, in order; none where each scan is one image.
        root: The folder of the data, for messages.

    Raises:
        DatasetError: For a patient who lacks a channel or has one twice, and for a channel that the card does not name.

    Example:
        >>> t2, t1 = (Scan("p0123456789", "a", "MR", (), channel=name) for name in ("T2", "T1"))
        >>> [(scan.channel, scan.further[0].channel) for scan in joined([t2, t1], ["T1", "T2"], Path())]
        [('T1', 'T2')]
    """
    scans = list(scans)
    if unknown := sorted({scan.channel for scan in scans if scan.domain == "a"} - set(channels or [""])):
        raise DatasetError(
            f"The card of the dataset in {root} names {', '.join(channels) or 'no channels'}, and its scans are of "
            f"{', '.join(name or 'no channel' for name in unknown)}. Correct the dataset's file."
        )
    if not channels:
        return scans
    found: dict[str, dict[str, list[Scan]]] = defaultdict(lambda: {name: [] for name in channels})
    for scan in scans:
        if scan.domain == "a":
            found[scan.patient][scan.channel].append(scan)
    wrong = {}
    for patient, own in found.items():
        faults = [f"lacks {name}" if not own[name] else f"has {name} {len(own[name])} times" for name in channels]
        if counted := [fault for fault, name in zip(faults, channels, strict=True) if len(own[name]) != 1]:
            wrong[salted(patient, find_secret(root))] = " and ".join(counted)
    if wrong:
        listed = "; ".join(f"{key} {fault}" for key, fault in sorted(wrong.items())[:_NAMED])
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise DatasetError(
            f"Each patient in domain a of {root} needs channels {', '.join(channels)}, each once; {len(wrong)} of "
            f"{len(found)} have others: {listed}{more}. Add or remove files; kerasgan inspect {root} --key "
            f"{min(wrong)} lists those of a patient."
        )
    whole = []
    for scan in scans:
        if scan.domain != "a":
            whole.append(scan)
        elif own := found.pop(scan.patient, {}):  # where the first of them was
            first, *others = (own[name][0] for name in channels)
            whole.append(replace(first, further=tuple(others)))
    return whole
