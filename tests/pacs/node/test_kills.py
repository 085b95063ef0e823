"""`kerasgan node` as a process of its own, which is killed and told to stop."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pydicom
import pytest
from needed import program
from orthanc import PATIENT
from pydicom.uid import generate_uid
from running_node import IMAGES, associate, eventually

KILLS, SERIES = 3, 3


@pytest.fixture
def file(content, tmp_path):
    """The file of the node."""
    rule = "".join(f"{name} = {json.dumps(value)}\n" for name, value in content["rules"]["head"].items())
    path = tmp_path / "node.toml"
    path.write_text(
        f"folder = 'queue'\nport = {content['port']}\nquiet_s = 1\n"
        f"[limits]\nfree_gb = 0.1\n[health]\nport = {content['health']['port']}\n[rules.head]\n{rule}"
    )
    return path


@pytest.fixture
def run(file, content, tmp_path):
    """Starts the process, whose output goes to the end of one file, and waits until it listens."""
    processes = []

    def start():
        with (tmp_path / "log").open("ab") as log:
            command = [sys.executable, "-m", "kerasgan", "node", str(file)]
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        eventually(is_up)
        return processes[-1]

    def is_up():
        assert processes[-1].poll() is None, (tmp_path / "log").read_text()
        try:
            return urlopen(f"http://127.0.0.1:{content['health']['port']}/health").read() == b"ok\n"
        except URLError:
            return False

    yield start
    for process in processes:
        process.kill()
        process.wait()


def listed(file):
    command = [sys.executable, "-m", "kerasgan", "node", str(file), "--list", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.slow
def test_whatever_moment_it_is_killed_at_each_series_arrives_once(run, file, content, orthanc, series, tmp_path):
    folders = [series(f"mr{number}") for number in range(SERIES)]
    storescu = [program("storescu", package="dcmtk"), "-aet", "SCANNER", "-aec", "KERASGAN", "+sd", "127.0.0.1"]
    draw, waiting, senders = random.Random(0), list(folders), {}

    def send():
        """Each series is sent again until its sender is content, as scanners do."""
        for folder in waiting:
            if folder not in senders:
                command = [*storescu, str(content["port"]), str(folder)]
                senders[folder] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for folder, process in list(senders.items()):
            if process.poll() is not None:
                del senders[folder]
                if process.returncode == 0:
                    waiting.remove(folder)

    process = run()
    for _ in range(KILLS):
        end = time.monotonic() + draw.uniform(0.2, 4)
        while time.monotonic() < end:
            send()
            time.sleep(0.02)
        process.kill()
        process.wait()
        process = run()

    def all_sent():
        send()
        found = listed(file)
        return not waiting and len(found) == SERIES and {job["state"] for job in found} == {"sent"}

    eventually(all_sent)
    made = orthanc.images("CT")
    assert len({image.SeriesInstanceUID for image in made}) == SERIES and len(made) == SERIES * IMAGES
    sources = [image.SourceImageSequence[0].ReferencedSOPInstanceUID for image in made]
    wanted = [pydicom.dcmread(path).SOPInstanceUID for folder in folders for path in folder.iterdir()]
    assert sorted(sources) == sorted(wanted)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    said = (tmp_path / "log").read_text()
    assert "Stopping: associations under way" in said
    for value in [*PATIENT.values(), "Zaphod", str(Path.home())]:
        assert value not in said


@pytest.mark.slow
def test_whatever_moment_it_is_killed_at_what_it_finds_arrives_once(run, file, orthanc, series, tmp_path):
    poll = f'[poll.archive]\nserver = "{orthanc.web}"\nsince = {date.today()}\nevery_s = 0.2\n'
    file.write_text(file.read_text().replace('calling = ["SCANNER"]', 'calling = ["archive"]') + poll)
    today = f"{date.today():%Y%m%d}"
    folders = [
        series(f"mr{number}", StudyInstanceUID=generate_uid(), StudyDate=today, SeriesDescription="T1")
        for number in range(SERIES)
    ]
    draw, process = random.Random(1), run()
    for folder in folders:  # a kill while one is found, fetched, translated and sent
        orthanc.receive(folder)
        time.sleep(draw.uniform(0.2, 4))
        process.kill()
        process.wait()
        process = run()

    def all_sent():
        found = listed(file)
        return len(found) == SERIES and {job["state"] for job in found} == {"sent"}

    eventually(all_sent)
    made = orthanc.images("CT")
    assert len({image.SeriesInstanceUID for image in made}) == SERIES and len(made) == SERIES * IMAGES
    assert "asks archive" in (tmp_path / "log").read_text()


def test_an_operator_sees_what_broke_off_and_when(run, file, content, series, tmp_path):
    process = run()
    association = associate(content["port"])
    for image in sorted(series("mr").iterdir())[:2]:
        association.send_c_store(image)
    assert [job["images"] for job in listed(file)] == [2]
    association.abort()
    eventually(lambda: listed(file)[0]["reason"])
    command = [sys.executable, "-m", "kerasgan", "node", str(file), "--list"]
    _, row = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    time_ = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    reason = f"broke off after 2 images; send the rest or all of it before {time_}"
    assert re.fullmatch(rf"1 +SCANNER +receiving +2 +{time_} +{reason}", row)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if "Series" in line]
    assert len(lines) == 1 and re.fullmatch(rf"{time_} Warning: Series 1 from SCANNER: {reason}\.", lines[0])


def test_what_is_wrong_with_it_is_said_in_one_line(file, kerasgan, tmp_path):
    assert "holds no queue yet" in kerasgan("node", file, "--list").output
    text = file.read_text()
    file.write_text(text.replace('"MR"', '"CT"'))
    assert f"{file}: Rule head is for CT, and its model takes MR" in kerasgan("node", file).output
    file.write_text(re.sub('model = ".*"', 'model = "no.tflite"', text))
    result = kerasgan("node", file)
    assert result.exit_code == 2 and f"{file}: Rule head: There is no file {tmp_path / 'no.tflite'}" in result.output
    file.write_text(text.replace("dicom://ORTHANC@", "dicom://ORTHANC:sesame@"))
    result = kerasgan("node", file)
    assert result.exit_code == 2 and "password in it" in result.output and "sesame" not in result.output
    assert kerasgan("node", file, "--json").exit_code == 2
