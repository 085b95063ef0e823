"""The command line, one module a command: what a command does is in the package; here are its options and its words.

Each command imports what it needs when it runs, so `kerasgan --help` answers at once and loads no TensorFlow.
"""

# The commands register themselves, and --help lists them in this order.
# isort: off
from kerasgan.cli import train as train
from kerasgan.cli import inspect as inspect
from kerasgan.cli import translate as translate
from kerasgan.cli import evaluate as evaluate
from kerasgan.cli import score as score
from kerasgan.cli import compare as compare
from kerasgan.cli import runs as runs
from kerasgan.cli import export as export
from kerasgan.cli import pack as pack
from kerasgan.cli import info as info
from kerasgan.cli import challenge as challenge
from kerasgan.cli import serve as serve
from kerasgan.cli import node as node
from kerasgan.cli import demo as demo
from kerasgan.cli import distill as distill
from kerasgan.cli import reproduce as reproduce
from kerasgan.cli import datasets as datasets
from kerasgan.cli import phantom as phantom
from kerasgan.cli import recipes as recipes
from kerasgan.cli._app import app, main

__all__ = ["app", "main"]
