"""What a node refuses of senders, and that it then goes on."""

import re
import socket
import sqlite3
import time
from contextlib import closing
from io import BytesIO
from urllib.error import HTTPError
from urllib.request import urlopen

import pydicom
import pytest
from orthanc import free_port
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from running_node import IMAGES, SCANNER, associate, eventually

from kerasgan.pacs.node.queue import FILE

OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0xA700, 0xC000


def store_bytes(association, content, uid):
    """Sends bytes in place of an image, and returns the status."""
    (context,) = [one for one in association.accepted_contexts if one.abstract_syntax.name == "MR Image Storage"]
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = context.abstract_syntax, uid
    request.DataSet = BytesIO(content)
    association._reactor_checkpoint.clear()  # as its own functions do, so that the answer comes here
    eventually(lambda: association._is_paused)
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer and answer.Status


def is_alive(node):
    association = associate(node.port)
    assert association.is_established
    assert association.send_c_echo().Status == 0
    association.release()


def test_echo_answers_those_that_a_rule_names_and_nobody_else(start, caplog):
    node = start()
    is_alive(node)
    # Where the answer is faster than its own thread, pynetdicom takes the connection for one that never came about.
    eventually(lambda: associate(node.port, calling="STRANGER").is_rejected)
    eventually(lambda: associate(node.port, called="OTHER").is_rejected)
    eventually(lambda: int(re.search(r"associations_refused_total (\d+)", node.node.metrics())[1]) >= 2)
    assert "'STRANGER' is refused: no rule names its AE title" in caplog.text
    assert "it calls 'OTHER', which is not our AE title" in caplog.text


def test_bytes_that_are_no_image_are_refused_and_end_no_series(start, mr, caplog):
    node = start()
    image = pydicom.dcmread(min(mr.iterdir()))
    content = encode(image, is_implicit_vr=False, is_little_endian=True)
    association = associate(node.port)
    assert store_bytes(association, bytes(range(256)) * 9, image.SOPInstanceUID) == NOT_UNDERSTOOD
    assert store_bytes(association, content, "1.2.3") == NOT_UNDERSTOOD
    assert store_bytes(association, content, image.SOPInstanceUID) == 0
    association.release()
    time.sleep(1)
    (job,) = node.jobs()
    assert (job.state, job.images) == ("receiving", 1)  # what was refused may be one of it
    assert job.reason.startswith("1 of its images came, and others were refused; send the rest or all of it before ")
    assert "images_refused_total 2" in node.node.metrics() and "another one than was announced" in caplog.text


def test_bytes_that_are_no_association_end_nothing_but_their_connection(start, caplog):
    node = start(limits={"idle_s": 1})
    for content in (
        bytes(range(256)) * 40,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + bytes(100),  # an A-ASSOCIATE-RQ of 4 GB
        b"\x01\x00\x00\x00\x01\x00" + bytes(3),  # one that stops
        b"\x04\x00\x00\x00\x00\x10" + bytes(16),  # P-DATA-TF without an association
        b"",
    ):
        with socket.create_connection(("127.0.0.1", node.port)) as connection:
            connection.settimeout(30)
            connection.sendall(content)
            if content:
                while connection.recv(4096):
                    pass
    with socket.create_connection(("127.0.0.1", node.port)) as connection:  # one byte after the other
        connection.sendall(b"\x01\x00\x00\x00\x10\x00")
        with pytest.raises(ConnectionError):
            for _ in range(4096):
                connection.sendall(b"\x00")
                time.sleep(0.1)
    is_alive(node)
    assert "a message has more than" in caplog.text


def test_an_image_that_is_too_large_ends_its_association(start, mr):
    node = start(limits={"image_mb": 0.001})
    association = associate(node.port)
    assert association.send_c_store(min(mr.iterdir())).get("Status") is None
    eventually(lambda: not association.is_established)
    is_alive(node)
    assert not node.jobs()


def test_a_series_of_too_many_images_is_rejected(start, mr):
    node = start(limits={"images": 4})
    assert node.send(mr) == [0, 0, 0, 0, OUT_OF_RESOURCES, OUT_OF_RESOURCES]
    assert node.ended("rejected").reason == "it has more than 4 images"
    assert not list((node.folder / "received").iterdir())


def test_a_series_beside_one_that_was_refused_is_whole(start, mr, series, caplog):
    node = start(rule={"images": None}, limits={"images": IMAGES})
    long = series("long")
    further = pydicom.dcmread(min(long.iterdir()))
    further.SOPInstanceUID = further.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    further.save_as(long / "further")
    assert set(node.send([*sorted(long.iterdir()), *sorted(mr.iterdir())])) == {0, OUT_OF_RESOURCES}
    good = node.ended("sent")
    assert good.images == IMAGES and node.ended("rejected").reason == f"it has more than {IMAGES} images"
    assert "broke off" not in caplog.text and "others were refused" not in caplog.text


def test_an_association_that_ended_well_beside_one_that_broke_off(start, mr, caplog):
    node = start(quiet_s=1)
    files = sorted(mr.iterdir())
    one, other = associate(node.port), associate(node.port)
    assert one.send_c_store(files[0]).Status == other.send_c_store(files[1]).Status == 0
    one.abort()
    eventually(lambda: node.jobs()[0].reason.startswith("broke off after 2 images; send the rest"))
    assert [other.send_c_store(file).Status for file in files[2:]] == [0] * (IMAGES - 2)
    other.release()
    words = "6 of its images came, and another association that brought some did not end well; send the rest"
    assert eventually(lambda: node.jobs()[0].reason).startswith(words)
    assert caplog.text.count("broke off after") == 1
    node.send(mr)
    assert node.ended("sent").images == IMAGES


def test_a_series_that_came_whole_is_not_given_up_after_a_long_rest(start, mr):
    node = start(quiet_s=3600)
    node.send(mr)
    eventually(lambda: node.jobs()[0].released)
    node.stop()
    with closing(sqlite3.connect(node.folder / FILE)) as database, database:
        database.execute("UPDATE job SET begun = begun - 7200")
    assert start(quiet_s=0.5, give_up_s=3600).ended("sent", "failed").state == "sent"


def test_an_image_that_comes_once_more_changes_nothing(start, mr):
    node = start(rule={"images": IMAGES, "destination": f"dicom://AWAY@127.0.0.1:{free_port()}"})
    node.send(mr)
    eventually(lambda: node.jobs("translated") and node.jobs()[0].tries)
    before = node.jobs()[0]
    assert node.send(mr) == [0] * IMAGES
    after = node.jobs()[0]
    assert (after.state, after.revision, after.changed) == ("translated", before.revision, before.changed)


def test_nothing_is_taken_while_the_disk_is_full(start, mr, content):
    node = start(limits={"free_gb": 1e6})
    assert node.send(mr) == [OUT_OF_RESOURCES] * IMAGES
    with pytest.raises(HTTPError, match="503"):
        urlopen(f"http://127.0.0.1:{content['health']['port']}/health")
    assert not node.jobs()


def test_an_association_that_stays_open_is_aborted(start, mr):
    node = start(limits={"idle_s": 1})
    association = associate(node.port)
    association.send_c_store(min(mr.iterdir()))
    eventually(lambda: not association.is_established)
    assert [(job.state, job.released) for job in node.jobs()] == [("receiving", 0)]


def test_so_many_associations_at_once_and_no_more(start):
    node = start(limits={"associations": 3})
    open_ = [associate(node.port) for _ in range(5)]
    assert [one.is_established for one in open_] == [True] * 3 + [False] * 2
    for one in open_[:3]:
        one.release()
    eventually(lambda: associate(node.port).is_established)


def test_so_many_connections_a_minute_and_no_more(start, caplog):
    node = start(limits={"connections_a_minute": 2})
    is_alive(node)
    is_alive(node)
    assert not associate(node.port).is_established
    assert "there were 2 within a minute" in caplog.text


def test_health_and_metrics(start, content, mr):
    node = start()
    base = f"http://127.0.0.1:{content['health']['port']}"
    assert urlopen(f"{base}/health").read() == b"ok\n"
    node.send(mr)
    node.ended("sent")
    eventually(lambda: "series_sent_total 1" in node.node.metrics())
    lines = urlopen(f"{base}/metrics").read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values["kerasgan_node_images_received_total"] == str(IMAGES)
    assert values['kerasgan_node_series{state="sent"}'] == values["kerasgan_node_translation_seconds_count"] == "1"
    assert float(values["kerasgan_node_translation_seconds_sum"]) > 0
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"{base}/jobs")


def test_images_are_kept_as_they_came(start, mr):
    node = start(quiet_s=3600)
    node.send(mr)
    images = sorted((node.folder / "received" / "1").iterdir())
    wanted = {str(pydicom.dcmread(file).SOPInstanceUID): pydicom.dcmread(file) for file in mr.iterdir()}
    assert [file.stem for file in images] == sorted(wanted)
    for file in images:
        image = pydicom.dcmread(file)
        assert image == wanted[file.stem] and image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert {job.calling for job in node.jobs()} == {SCANNER}
