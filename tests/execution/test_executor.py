"""Jobs run in this process, in processes that are killed, and on schedulers that are not there."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

import made_up_jobs
import psutil
import pytest
from made_up_jobs import Job, compute, current_folder, most_at_a_time, process, thread, threads_of_libraries

from kerasgan.errors import DicomError, KerasganError, WorkerError
from kerasgan.execution import LATER, cluster, executor


@pytest.fixture(scope="module")
def two():
    """Two processes of this machine, with three jobs each at a time."""
    with executor(workers=2) as opened:
        yield opened


def values(outcomes):
    return {outcome.job.number: outcome.value for outcome in outcomes}


def jobs(count, fates=None):
    return [Job(number, (fates or {}).get(number, "fine")) for number in range(count)]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_failure_stops_no_other_job(threads):
    with executor(threads=threads) as here:
        found = {one.job.number: one for one in here.run(compute, jobs(6, {1: "refused", 4: "mistaken"}))}
    assert {number: one.value for number, one in found.items()} == {0: 0, 1: None, 2: 20, 3: 30, 4: None, 5: 50}
    assert (found[0].error, found[0].failure) == ("", None)
    assert found[1].error == "A slice is missing. Add it." and isinstance(found[1].failure, DicomError)
    assert found[4].error == "ValueError: number 4" and not isinstance(found[4].failure, KerasganError)


def test_one_thread_is_the_callers_own():
    with executor(threads=1) as here:
        assert {one.value for one in here.run(thread, jobs(2))} == {threading.current_thread().name}
    with executor() as here:
        assert threading.current_thread().name not in {one.value for one in here.run(thread, jobs(4))}


def require_lazy(opened, room):
    taken = done = 0

    def source():
        nonlocal taken
        for job in jobs(40):
            taken += 1
            assert taken - done <= room
            yield job

    for _ in opened.run(process, source()):
        done += 1
    assert taken == done == 40


def test_jobs_are_taken_when_there_is_room():
    with executor() as here:
        require_lazy(here, 3 + 3)  # those in flight, and those that are completed at once with the one that is seen


def test_jobs_may_wait_for_others():
    done = set()

    def source():
        for number in range(5):
            while number and number - 1 not in done:
                yield LATER
            yield Job(number)

    with executor() as here:
        for outcome in here.run(compute, source()):
            done.add(outcome.job.number)
        assert done == set(range(5))
        with pytest.raises(RuntimeError, match="LATER was given in place of a job while none was in flight"):
            list(here.run(compute, [LATER]))


def test_an_invalid_number_of_workers_is_refused():
    with pytest.raises(KerasganError, match=r"workers must be 1 or more; got 0\."), executor(0):
        pass


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "kerasgan.execution.cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(KerasganError, match=r"pip install 'kerasgan\[cluster\]'\. One worker needs none"), executor(2):
        pass


def test_two_processes_share_jobs_and_cores(two):
    assert len({one.value for one in two.run(process, jobs(12))} - {os.getpid()}) == 2
    require_lazy(two, 6 + 6)
    assert {frozenset(one.value) for one in two.run(threads_of_libraries, jobs(2))} == {
        frozenset({max(1, len(os.sched_getaffinity(0)) // 2)})
    }


def test_poison_is_named_and_nothing_else_is_lost(two, caplog):
    found = list(two.run(compute, jobs(20, {3: "poison", 5: "refused", 7: "mistaken", 9: "warned"})))
    assert sorted(one.job.number for one in found) == list(range(20))  # nothing twice
    failed = {one.job.number: one for one in found if one.error}
    assert values(found) == {number: None if number in failed else 10 * number for number in range(20)}
    assert failed.keys() == {3, 5, 7}
    assert isinstance(failed[3].failure, WorkerError)
    assert "process ended, also while no other job ran: it crashed, or" in failed[3].error
    assert "Look at its input, or give the workers more memory." in failed[3].error
    assert failed[5].error == "A slice is missing. Add it." and isinstance(failed[5].failure, DicomError)
    assert failed[7].error == "ValueError: number 7"
    assert "Number 9 is odd." in caplog.messages
    assert not any(record.name.startswith(("distributed", "tornado", "asyncio")) for record in caplog.records)


def test_jobs_of_a_killed_worker_are_repeated(two):
    victim = next(two.run(process, jobs(1))).value

    def source():
        for job in jobs(40):
            if job.number == 20:
                os.kill(victim, signal.SIGKILL)
            yield job

    found = list(two.run(process, source()))
    assert sorted(one.job.number for one in found) == list(range(40)) and not any(one.error for one in found)
    for _ in range(1000):  # until it is replaced
        if len(seen := {one.value for one in two.run(process, jobs(6))}) == 2:
            break
    assert len(seen) == 2 and victim not in seen


def test_processes_that_do_not_come_back_are_named(monkeypatch):
    monkeypatch.setattr(cluster, "WORKERS_S", 0.0)
    with pytest.raises(WorkerError, match=r"All worker processes ended, and no other"), executor(2) as opened:
        for outcome in opened.run(process, jobs(1000)):
            os.kill(outcome.value, signal.SIGKILL)


def test_only_loopback_is_listened_to(two):
    mine = psutil.Process()
    for one in (mine, *mine.children(recursive=True)):
        places = [found.laddr.ip for found in one.net_connections("tcp") if found.status == psutil.CONN_LISTEN]
        assert set(places) <= {"127.0.0.1", "::ffff:127.0.0.1"}, places  # gRPC of other tests writes it in IPv6


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A function that starts a scheduler and a worker, which runs some code first; returns its address and process."""
    started = []

    def begin(program, *options, first=""):
        code = f"{first}\nfrom distributed.cli.dask_{program} import main\nmain()"
        command = [sys.executable, "-c", code, "--no-dashboard", *options]
        environment = os.environ | {"PYTHONPATH": str(Path(made_up_jobs.__file__).parent)}
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        return started[-1]

    def start(worker="", has_worker=True):
        file = tmp_path_factory.mktemp("scheduler") / "scheduler.json"
        scheduler = begin("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        if has_worker:
            begin("worker", "--scheduler-file", str(file), "--nthreads", "4", "--no-nanny", first=worker)
        while not (text := file.read_text() if file.exists() else "").endswith("\n}"):  # dask writes it in place
            assert scheduler.poll() is None
            time.sleep(0.1)
        return json.loads(text)["address"], scheduler

    yield start
    for one in started:
        one.kill()
        one.wait()


def test_a_running_scheduler_computes(start, tmp_path, monkeypatch):
    address, scheduler = start()
    folder = tmp_path / "of the command"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        with executor(cluster=address) as there:
            assert {one.value for one in there.run(current_folder, jobs(4))} == {str(folder)}
            folder.rmdir()
            (lost,) = there.run(current_folder, jobs(1))
            assert lost.error.startswith(f"A worker does not see {folder}. Workers need the disk of the process that")
    with executor(cluster=address) as there:
        assert values(there.run(compute, jobs(10))) == {number: 10 * number for number in range(10)}
        assert max(one.value for one in there.run(most_at_a_time, jobs(9))) == 3
    with executor(cluster=address, threads=1) as there:
        assert {one.value for one in there.run(most_at_a_time, jobs(4))} == {1}
    with (
        pytest.raises(
            WorkerError, match=r"scheduler was lost; what is finished is kept\. Start it and its workers again"
        ),
        executor(cluster=address) as there,
    ):
        for outcome in there.run(process, jobs(1000)):
            if outcome.job.number == 10:
                scheduler.kill()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_a_scheduler_that_is_not_there_is_named(address, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_S", 1)
    wanted = rf"No scheduler .* at {address} within 1 s\. Start one with `dask scheduler`, or check the address"
    with pytest.raises(WorkerError, match=wanted), executor(cluster=address):
        pass


def test_a_scheduler_without_workers_is_named(start, monkeypatch):
    monkeypatch.setattr(cluster, "WORKERS_S", 1)
    address, _ = start(has_worker=False)
    with (
        pytest.raises(WorkerError, match=f"scheduler at {address} has had no worker for 1 s. Start workers with `dask"),
        executor(cluster=address),
    ):
        pass


@pytest.mark.parametrize(
    ("body", "fault"),
    [("return '0.0.9'", "has kerasgan 0.0.9"), ("raise metadata.PackageNotFoundError(name)", "cannot import kerasgan")],
)
def test_a_worker_without_this_kerasgan_is_named(start, body, fault):
    own = metadata.version("kerasgan")
    first = f"""import importlib.metadata as metadata
former = metadata.version
def version(name):
    if name != "kerasgan": return former(name)
    {body}
metadata.version = version"""
    address, _ = start(first)
    wanted = rf"The worker at tcp://\S+ {fault}, and {own} is needed\. Install it there"
    with pytest.raises(WorkerError, match=wanted), executor(cluster=address):
        pass


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A function that puts commands in the place of Slurm's: `sbatch` and `squeue` with some lines, and `scancel`."""

    def write(sbatch, squeue="exit 1"):
        for name, lines in (("sbatch", sbatch), ("squeue", squeue), ("scancel", 'kill -- -"$1"')):
            (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("PYTHONPATH", str(Path(made_up_jobs.__file__).parent))
        path = tmp_path / "slurm.toml"
        path.write_text('cores = 1\nmemory = "1 GB"\ninterface = "lo"')
        return path

    return write


def test_jobs_of_slurm_compute(slurm):
    kept = 'cp "$1" "$0.$$"'  # as Slurm does: the script is removed once it is submitted
    path = slurm(f'{kept}\nsetsid sh "$0.$$" > /dev/null 2>&1 < /dev/null &\necho "Submitted batch job $!"')
    before = signal.getsignal(signal.SIGINT)
    with executor(2, f"slurm:{path}") as there:
        found = {one.job.number: one for one in there.run(compute, jobs(6, {2: "poison"}))}
        workers = {one.value for one in there.run(process, jobs(20))}
    assert [found[number].value for number in range(6)] == [0, 10, None, 30, 40, 50]
    assert "process ended, also while no other job ran" in found[2].error
    assert signal.getsignal(signal.SIGINT) is before
    for _ in range(100):
        if not any(psutil.pid_exists(one) for one in workers):
            break
        time.sleep(0.1)
    assert not any(psutil.pid_exists(one) for one in workers)


@pytest.mark.parametrize("output", ["slurm-$$.out", "logs/dask-worker-$$.err", None])
def test_jobs_of_slurm_that_end_at_once_are_not_waited_for(output, slurm, tmp_path, monkeypatch):
    """They queue when they are asked about first, and are gone when they are asked about again."""
    monkeypatch.setattr(cluster, "WORKERS_S", 0.5)
    monkeypatch.chdir(tmp_path)
    said = f'mkdir -p logs; printf "one\\n\\nline 5: python: not found\\n" > {output}\n' if output else ""
    path = slurm(
        f'{said}echo $$ >> asked\necho "Submitted batch job $$"',
        "echo 1\n[ -e again ] && exit\ntouch again\ntail -n 1 asked",
    )
    if output and output.startswith("logs"):
        path.write_text(path.read_text() + '\nlog_directory = "logs"')
    with pytest.raises(WorkerError) as caught, executor(2, f"slurm:{path}"):
        pass
    assert Path("again").exists()
    found = re.search(r"Slurm was asked for have ended; their jobs were (\d+), (\d+)\. ", str(caught.value))
    assert set(found.groups()) == set(Path("asked").read_text().split())
    wanted = f"{tmp_path} has no output of theirs"
    if output:
        wanted = f"{tmp_path / output.replace('$$', found[1])} ends with: line 5: python: not found. Mend that"
    assert wanted in str(caught.value)


def test_what_slurm_refuses_is_said(slurm, tmp_path):
    path = slurm('echo "sbatch: error: invalid partition specified: gpu" >&2\nexit 1')
    wanted = r"Slurm refused the job of a worker: sbatch: error: invalid partition specified: gpu Name a TOML file with"
    with pytest.raises(WorkerError, match=wanted), executor(2, f"slurm:{path}"):
        pass
    with (
        pytest.raises(WorkerError, match=r"Slurm refused the job of a worker: Could not parse job id from submission"),
        executor(2, f"slurm:{slurm('echo maintenance')}"),
    ):
        pass
    path.write_text('cores = 1\nmemory = "1 GB"\ncolour = "red"')
    with (
        pytest.raises(KerasganError, match=r"slurm\.toml: .*colour.* Name a TOML file with"),
        executor(2, f"slurm:{path}"),
    ):
        pass
    path.write_text("cores =")
    with (
        pytest.raises(KerasganError, match=r"slurm\.toml is damaged: .* Name a TOML file"),
        executor(2, f"slurm:{path}"),
    ):
        pass


SIGNALLED = """
import signal
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    stop_at_signals()
    with executor(2) as two:
        list(two.run(compute, [Job(number, "waiting", Path(sys.argv[1])) for number in range(2)]))
"""
UNGUARDED = """
with executor(2) as two:
    list(two.run(compute, [Job(0)]))
"""


def script(content, folder):
    """Starts a program with a content, in a process group of its own."""
    path = folder / "program.py"
    path.write_text(f"""import sys
from pathlib import Path
from made_up_jobs import Job, compute
from kerasgan.cli._console import stop_at_signals
from kerasgan.execution import executor
{content}""")
    environment = os.environ | {"PYTHONPATH": str(Path(made_up_jobs.__file__).parent)}
    command = [sys.executable, str(path), str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_a_program_that_every_worker_would_repeat_is_told(tmp_path):
    _, errors = script(UNGUARDED, tmp_path).communicate(timeout=60)
    assert 'put its calls under if __name__ == "__main__": since each process reads the script first' in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_their_parent(number, tmp_path):
    """Its process group gets the signal, as from a terminal."""
    parent = script(SIGNALLED, tmp_path)
    while len(found := list(tmp_path.glob("*.*[01]"))) < 2:
        assert parent.poll() is None
        time.sleep(0.1)
    os.killpg(parent.pid, number)
    _, errors = parent.communicate(timeout=300)
    assert "KeyboardInterrupt" in errors or "Stopped" in errors
    assert errors.count("Traceback") == 1  # the parent's alone
    for path in found:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.stem), 0)
