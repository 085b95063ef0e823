"""Run directories: what training reads and writes, its checkpoints, and the device that it uses."""

from kerasgan.runs.run import Run, load_run

__all__ = ["Run", "load_run"]
