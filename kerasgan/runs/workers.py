"""Several processes that train one run together: which is which, and how they find each other.

TensorFlow connects them once they have met here: its own wait for a worker that never comes cannot be interrupted and
takes an hour.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

from kerasgan.errors import KerasganError

PATIENCE_S = 600.0  # until all have come; a cluster may start its nodes one after the other

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workers:
    """Which worker this process is, and where the workers meet.

    Attributes:
        index: Number of this worker, counted from 0; 0 is the first, which writes the run.
        count: How many there are.
        meeting: `host:port` at which the first worker awaits the others.
        address: `host:port` at which the others reach this one; "": a free port, at the host that the first one sees.

    Raises:
        ValueError: For an index that is none of them.
    """

    index: int
    count: int
    meeting: str
    address: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"The worker must be one of 0 to {self.count - 1}; got {self.index}.")


def meet(workers: Workers, patience_s: float = PATIENCE_S) -> list[str]:
    """Waits until all workers have come, and returns their addresses, `host:port` each, in order.

    Raises:
        KerasganError: Where some have not come in time, or the place where they meet cannot be used.
    """
    host, _, port = workers.meeting.rpartition(":")
    try:
        own = workers.address or f":{_free_port()}"
        if workers.index:
            return _report(host, int(port), workers, own, patience_s)
        return _gather(host, int(port), workers, own, patience_s)
    except (OSError, ValueError, OverflowError) as error:
        raise KerasganError(
            f"The workers cannot meet at {workers.meeting}: {error}. Name a host and a free port that all can reach."
        ) from error


def _gather(host: str, port: int, workers: Workers, own: str, patience_s: float) -> list[str]:
    addresses = {0: f"{host}{own}" if own.startswith(":") else own}
    deadline, said = time.monotonic() + patience_s, False
    with ExitStack() as connections, socket.create_server(("", port)) as server:
        server.settimeout(1.0)
        files = []
        while len(addresses) < workers.count:
            missing = [number for number in range(workers.count) if number not in addresses]
            if time.monotonic() > deadline:
                raise KerasganError(
                    f"Of {workers.count} workers, {', '.join(map(str, missing))} (counted from 0) did not come to "
                    f"{workers.meeting} within {patience_s:.0f} s. Look at what they reported, and start all of them "
                    "again."
                )
            try:
                connection, (visitor, *_) = server.accept()
            except TimeoutError:
                if not said:
                    logger.info("Waiting for %d of %d workers at %s.", len(missing), workers.count, workers.meeting)
                    said = True
                continue
            connection.settimeout(10.0)
            file = connections.enter_context(connections.enter_context(connection).makefile("rw"))
            number, count, address = json.loads(file.readline(1000) or '[0, 0, ""]')
            if number in addresses or count != workers.count:
                raise KerasganError(
                    f"Worker {number} of {count} came to {workers.meeting}, where this is worker 0 of {workers.count} "
                    f"and awaits {', '.join(map(str, missing))}. Give each process its own number and all the same "
                    "count, and every training a port of its own."
                )
            addresses[number] = f"{visitor}{address}" if address.startswith(":") else address
            files.append(file)
        found = [addresses[number] for number in range(workers.count)]
        for file in files:
            file.write(json.dumps(found) + "\n")
            file.flush()
    return found


def _report(host: str, port: int, workers: Workers, own: str, patience_s: float) -> list[str]:
    deadline, said = time.monotonic() + patience_s, False
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=5.0)
            break
        except OSError as error:  # the first worker has not begun to listen
            if time.monotonic() > deadline:
                raise KerasganError(
                    f"The first worker did not answer at {workers.meeting} within {patience_s:.0f} s ({error}). Look "
                    "at what it reported, and start all workers again."
                ) from error
            if not said:
                logger.info(
                    "Worker %d of %d: waiting for the first at %s.", workers.index, workers.count, workers.meeting
                )
                said = True
            time.sleep(0.5)
    with connection, connection.makefile("rw") as file:
        connection.settimeout(max(1.0, deadline - time.monotonic()) + 5.0)  # the first worker names who is missing
        file.write(json.dumps([workers.index, workers.count, own]) + "\n")
        file.flush()
        answer = file.readline()
    if not answer:
        raise KerasganError(f"The first worker, at {workers.meeting}, ended before all had come; it reported why.")
    return list(json.loads(answer))


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])
