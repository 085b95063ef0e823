"""The command line: `kerasgan train`, `inspect`, `translate`, `evaluate`, `compare`, `export`, `serve`, `demo`,
`distill`, `reproduce`, `datasets`, `recipes`.

What a command does is in the package; here are its options, its words and its exit codes. Each command imports what it
needs when it runs, so `kerasgan --help` answers at once and loads no TensorFlow.
"""

# The commands register themselves, and --help lists them in this order.
# isort: off
from kerasgan.cli import _train as _train
from kerasgan.cli import _use as _use
from kerasgan.cli import _serve as _serve
from kerasgan.cli import _demo as _demo
from kerasgan.cli import _distill as _distill
from kerasgan.cli import _reproduce as _reproduce
from kerasgan.cli import _catalogue as _catalogue
from kerasgan.cli._app import app, main

__all__ = ["app", "main"]
