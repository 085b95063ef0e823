"""The command line: `kerasgan train`, `inspect`, `translate`, `evaluate`, `export`, `datasets`, `recipes`.

What a command does is in the package; here are its options, its words and its exit codes. Each command imports what it
needs when it runs, so `kerasgan --help` answers at once and loads no TensorFlow.
"""

from kerasgan.cli import _train, _use, _catalogue  # noqa: I001  the order in which --help lists the commands
from kerasgan.cli._app import app, main

__all__ = ["app", "main"]
