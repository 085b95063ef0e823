"""Jobs for `kerasgan.execution`, in a module that worker processes can import."""

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import NamedTuple

from kerasgan.errors import DicomError

running = 0


class Job(NamedTuple):
    """A job and what is to become of it: `"fine"`, `"refused"`, `"mistaken"`, `"warned"`, `"poison"` or `"waiting"`."""

    number: int
    fate: str = "fine"
    folder: Path = Path()


def compute(job: Job) -> int:
    """The number ten times, after the job's fate."""
    if job.fate == "refused":
        raise DicomError("A slice is missing.\nAdd it.")
    if job.fate == "mistaken":
        raise ValueError(f"number {job.number}")
    if job.fate == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.fate == "warned":
        logging.getLogger("kerasgan.made_up").warning("Number %d is odd.", job.number)
    if job.fate == "waiting":
        (job.folder / f"{os.getpid()}.{job.number}").touch()
        time.sleep(60)
    return 10 * job.number


def process(job: Job) -> int:
    """The process that computes the job, when it has taken a little time."""
    time.sleep(0.05)
    return os.getpid()


def current_folder(job: Job) -> str:
    """The folder that the job is computed in."""
    return os.getcwd()


def most_at_a_time(job: Job) -> int:
    """How many jobs the process computes while it computes this one."""
    global running
    running += 1
    time.sleep(0.2)
    found, running = running, running - 1
    return found


def thread(job: Job) -> str:
    """The name of the thread that computes the job."""
    return threading.current_thread().name


def threads_of_libraries(job: Job) -> set[int]:
    """The numbers of threads that SimpleITK and OpenCV use."""
    import cv2
    import SimpleITK as sitk

    return {sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), cv2.getNumThreads()}
