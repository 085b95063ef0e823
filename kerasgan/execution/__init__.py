"""Runs many independent jobs: in this process, in processes of this machine, or on a cluster; by dask.distributed."""

from kerasgan.execution.executor import cores, executor
from kerasgan.execution.jobs import LATER, SHARED, Executor, Later, Outcome
from kerasgan.execution.sent import SentOnce

__all__ = ["LATER", "SHARED", "Executor", "Later", "Outcome", "SentOnce", "cores", "executor"]
