"""Which of several processes that train together this one is, as `TF_CONFIG` or Slurm says it."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from kerasgan.errors import KerasganError

if TYPE_CHECKING:
    from kerasgan.runs.workers import Workers

FIRST_PORT, PORTS = 20_000, 10_000  # a job of Slurm meets at one that follows from its number


def workers_of_environment() -> Workers | None:
    """Returns what `TF_CONFIG` says, or Slurm of a step with several tasks; None where neither speaks of several.

    Raises:
        KerasganError: If `TF_CONFIG` cannot be used.
    """
    config, count = os.environ.get("TF_CONFIG"), int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1)
    if not config and count == 1:
        return None  # before anything heavy is loaded
    from kerasgan.runs.workers import Workers

    if config:
        try:
            values = json.loads(config)
            cluster, task = values.get("cluster", {}), values.get("task", {})
            addresses = [*cluster.get("chief", []), *cluster.get("worker", [])]
            place = ("chief", "worker").index(task["type"]) if addresses else 0
            index = int(task["index"]) + place * len(cluster.get("chief", [])) if addresses else 0
            return Workers(index, len(addresses), addresses[0], addresses[index]) if len(addresses) > 1 else None
        except (ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
            raise KerasganError(
                f"TF_CONFIG cannot be used ({error}): {config[:200]}. It needs the form "
                '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", "index": 0}}, with '
                "another index in each process; or unset it to train in this process alone."
            ) from error
    first = re.match(r"([^\[,]+)(?:\[(\d+))?", os.environ["SLURM_STEP_NODELIST"])  # node[01-04,7]: node01
    host = "".join(first.groups(default="")) if first else ""
    port = FIRST_PORT + int(os.environ.get("SLURM_JOB_ID") or 0) % PORTS
    return Workers(int(os.environ["SLURM_PROCID"]), count, f"{host}:{port}")
