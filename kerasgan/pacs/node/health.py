"""How a node goes, over HTTP: `/health` for those who watch it, `/metrics` for Prometheus. No patient is in either."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kerasgan.errors import PacsError
from kerasgan.pacs.node.config import Health
from kerasgan.pacs.node.queue import STATES, Job

SILENT_S = 10.0  # for which a client may keep a thread waiting
_WAITING = ("receiving", "received", "translated")
_HELP = {
    "images_received": "Images that were written to the disk.",
    "images_refused": "Images that were refused.",
    "associations_refused": "Associations and connections that were refused.",
    "polls": "Times that a server was asked for new series.",
    "polls_failed": "Times that a server did not answer that, or did not hand out a series.",
    "series_sent": "Series that were stored at their destination.",
    "tries_failed": "Times that a destination did not take a series.",
}


class Figures:
    """Counts what happened since the node was started, by all of its threads.

    Example:
        >>> figures = Figures()
        >>> figures.count("images_received")
        >>> figures.text([]).splitlines()[2]
        'kerasgan_node_images_received_total 1'
    """

    def __init__(self) -> None:
        self._counts = defaultdict[str, float](float)
        self._lock = threading.Lock()

    def count(self, name: str, number: float = 1) -> None:
        """Adds to a figure, one of those that `text` writes."""
        with self._lock:
            self._counts[name] += number

    def text(self, jobs: list[Job]) -> str:
        """The page that Prometheus reads.

        Args:
            jobs: What is in the queue.
        """
        with self._lock:
            counts = dict(self._counts)
        lines = []
        for name, words in _HELP.items():
            full = f"kerasgan_node_{name}_total"
            lines += [f"# HELP {full} {words}", f"# TYPE {full} counter", f"{full} {counts.get(name, 0):g}"]
        full = "kerasgan_node_translation_seconds"
        lines += [f"# HELP {full} Time of translations.", f"# TYPE {full} summary"]
        lines += [f"{full}_{part} {counts.get(f'translation_{part}', 0):g}" for part in ("sum", "count")]
        full, states = "kerasgan_node_series", Counter(job.state for job in jobs)
        lines += [f"# HELP {full} Series in the queue.", f"# TYPE {full} gauge"]
        lines += [f'{full}{{state="{state}"}} {states[state]}' for state in STATES]
        full, oldest = (
            "kerasgan_node_oldest_seconds",
            min((one.begun for one in jobs if one.state in _WAITING), default=0),
        )
        lines += [f"# HELP {full} Age of the oldest series that is under way.", f"# TYPE {full} gauge"]
        lines += [f"{full} {time.time() - oldest if oldest else 0:.0f}", ""]
        return "\n".join(lines)


def serve_health(health: Health, fault: Callable[[], str], metrics: Callable[[], str]) -> ThreadingHTTPServer:
    """Answers `/health` and `/metrics` in threads of its own, until it is shut down.

    Args:
        health: Where to listen.
        fault: What keeps the node from working, `""` for nothing.
        metrics: The page for Prometheus.

    Raises:
        PacsError: For a port that cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = SILENT_S

        def do_GET(self) -> None:
            status, text = 404, "There is /health and /metrics.\n"
            if self.path == "/metrics":
                status, text = 200, metrics()
            elif self.path == "/health":
                found = fault()
                status, text = (503, f"{found}\n") if found else (200, "ok\n")
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass  # a line for each question of Prometheus would hide the others

    try:
        server = ThreadingHTTPServer((health.host, health.port), Handler)
    except OSError as error:
        raise PacsError(
            f"Cannot listen on port {health.port} of {health.host} ({error.strerror}); name another in [health]."
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
