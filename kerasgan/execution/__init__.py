"""Runs many independent jobs: in this process, in processes of this machine, or on a cluster; by dask.distributed."""

from kerasgan.execution.executor import executor
from kerasgan.execution.jobs import LATER, Executor, Later, Outcome

__all__ = ["LATER", "Executor", "Later", "Outcome", "executor"]
