"""A node from the scanner to the destination, which is a real Orthanc."""

import shutil
import time
from urllib.request import urlopen

import numpy as np
import pydicom
import pytest
from orthanc import PATIENT, STUDY, TITLE
from pydicom.uid import generate_uid
from running_node import IMAGES, associate, eventually

from kerasgan.export import pack
from kerasgan.io import read_volume
from kerasgan.translation.translate import translate_volume


def sent(orthanc):
    """The synthetic images at the destination, by series."""
    found = {}
    for image in orthanc.images("CT"):
        found.setdefault(str(image.SeriesInstanceUID), []).append(image)
    return found


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_series_that_a_scanner_sends_arrives_translated(start, orthanc, mr, model, way, caplog):
    node = start(rule={"destination": getattr(orthanc, way)})
    assert node.send(mr) == [0] * IMAGES
    job = node.ended("sent")
    eventually(lambda: "sent as series" in caplog.text)
    said = [line.partition(": ")[2] for line in caplog.messages if line.startswith("Series 1 from SCANNER: ")]
    assert said == ["whole, 6 images.", "translating by rule head.", "translated.", f"sent as series {job.made}."]
    ((uid, images),) = sent(orthanc).items()
    assert uid == job.made and uid.startswith("2.25.") and (job.images, job.rule) == (IMAGES, "head")
    assert {(one.StudyInstanceUID, one.PatientID) for one in images} == {(STUDY, PATIENT["PatientID"])}
    images.sort(key=lambda image: float(image.ImagePositionPatient[2]))
    expected = translate_volume(model, read_volume(mr)).array
    np.testing.assert_allclose(np.stack([image.pixel_array for image in images]), expected, atol=0.5)
    assert not list((node.folder / "received").iterdir()) and not list((node.folder / "made").iterdir())


def test_a_model_may_be_a_pack(start, orthanc, mr, former, tmp_path):
    node = start(rule={"model": str(pack(former / "run", tmp_path / "model.kgan"))})
    node.send(mr)
    node.ended("sent")
    ((_, images),) = sent(orthanc).items()
    images.sort(key=lambda image: float(image.ImagePositionPatient[2]))
    expected = translate_volume(former / "run", read_volume(mr)).array
    np.testing.assert_allclose(np.stack([image.pixel_array for image in images]), expected, atol=0.6)  # whole HU


def test_a_pacs_sends_to_the_node_and_is_its_destination(start, orthanc):
    node = start(rule={"calling": [TITLE]}, port=orthanc.receiver)
    (scan,) = orthanc.ask("/series")
    urlopen(f"{orthanc.http}/modalities/ours/store", data=scan.encode()).close()
    assert node.ended("sent").calling == TITLE
    assert [len(images) for images in sent(orthanc).values()] == [IMAGES]


def test_what_is_sent_again_arrives_under_the_same_uids(start, orthanc, mr):
    node = start()
    node.send(mr)
    node.ended("sent")
    before = {str(image.SOPInstanceUID) for image in orthanc.images("CT")}
    node.send(mr)
    eventually(lambda: node.node.figures.text([]).count("series_sent_total 2"))
    assert {str(image.SOPInstanceUID) for image in orthanc.images("CT")} == before and len(before) == IMAGES


def test_a_stated_number_of_images_ends_a_series_while_its_association_is_open(start, orthanc, mr):
    node = start(rule={"images": IMAGES}, quiet_s=3600)
    association = associate(node.port)
    for file in sorted(mr.iterdir()):
        association.send_c_store(file)
    node.ended("sent")
    further = pydicom.dcmread(min(mr.iterdir()))
    further.SOPInstanceUID = further.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    assert association.send_c_store(further).Status == 0  # which waits for the others
    association.release()
    assert [job.state for job in node.jobs()] == ["receiving"]
    node.send(sorted(mr.iterdir())[2:])
    time.sleep(1)
    assert [job.state for job in node.jobs()] == ["receiving"]


def test_what_broke_off_is_not_sent_until_the_rest_came(start, orthanc, mr, caplog):
    node = start()
    files = sorted(mr.iterdir())
    node.send(files[:4], end="abort")
    time.sleep(1.5)
    (job,) = node.jobs()
    assert (job.state, job.images) == ("receiving", 4) and not sent(orthanc)
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.begun + 3600))
    assert job.reason == f"broke off after 4 images; send the rest or all of it before {end}"
    assert f"Series 1 from SCANNER: {job.reason}." in caplog.messages
    node.send(files[4:])
    assert node.ended("sent").images == IMAGES
    assert [len(images) for images in sent(orthanc).values()] == [IMAGES]


def test_a_series_without_end_is_given_up_and_can_be_sent_again(start, orthanc, mr):
    node = start(give_up_s=1)
    files = sorted(mr.iterdir())
    node.send(files[:4], end="abort")
    assert "after 4 images; send the whole series again" in node.ended("failed").reason
    node.send(files)
    assert node.ended("sent").images == IMAGES and len(sent(orthanc)) == 1


def test_images_that_come_late_are_not_sent_alone(start, orthanc, mr):
    node = start()
    files = sorted(mr.iterdir())
    node.send(files[:5])
    node.ended("sent")
    node.send(files[5:])
    assert "1 of its 5 images came again" in node.ended("failed").reason
    node.send(files)
    assert node.ended("sent").images == IMAGES
    assert sorted(len(images) for images in sent(orthanc).values()) == [
        5,
        IMAGES,
    ]  # another series, with UIDs of its own


def test_series_that_are_not_one_scan_of_one_patient_are_rejected(start, orthanc, series):
    node = start(rule={"description": ["t1"]})
    mixed = generate_uid()
    folders = [
        series("zaphod", SeriesInstanceUID=mixed),
        series("arthur", SeriesInstanceUID=mixed, PatientName="Arthur"),
    ]
    node.send([file for folder in folders for file in folder.iterdir()])
    assert node.ended("rejected").reason == "its images are of several patients; nothing was sent"
    node.send(series("other", SeriesDescription="T2"))
    wanted = [
        "its images are of several patients; nothing was sent",
        "no rule takes it; rule head: Series Description has none of t1",
    ]
    eventually(lambda: [job.reason for job in node.jobs("rejected")] == wanted)
    gap = series("gap")
    sorted(gap.iterdir())[2].unlink()
    node.send(gap)
    gap = eventually(lambda: node.jobs("rejected")[2:])[0]
    assert gap.reason.startswith("series 7 of patient unnamed: ") and "gaps" in gap.reason
    assert not sent(orthanc) and not list((node.folder / "received").iterdir())


def test_a_scan_that_is_foreign_to_the_model_is_rejected(start, orthanc, mr):
    node = start(rule={"model": "demo"})
    node.send(mr)
    assert "is foreign to" in node.ended("rejected").reason
    assert not sent(orthanc)


def test_a_destination_that_is_away_gets_it_later(start, start_orthanc, mr):
    away = start_orthanc()
    away.stop()
    node = start(rule={"destination": away.dimse}, timeout_s=2)
    node.send(mr)
    eventually(lambda: [job for job in node.jobs("translated") if "cannot be reached" in job.reason])
    back = start_orthanc(ports=away.ports)
    node.ended("sent")
    assert len(back.images("CT")) == IMAGES


def test_patience_ends_and_a_restart_tries_again(start, orthanc, mr):
    right = orthanc.dimse
    node = start(rule={"destination": right.replace("ORTHANC@", "OTHER@")}, patience_s=0)
    node.send(mr)
    assert "rejects an association of 'KERASGAN'" in node.ended("failed").reason
    node.stop()
    again = start(rule={"destination": right})
    made = again.ended("sent").made
    assert list(sent(orthanc)) == [made] and len(sent(orthanc)[made]) == IMAGES


def test_a_result_that_somebody_removed_does_not_stop_the_others(start, orthanc, mr, series):
    node = start(rule={"destination": orthanc.dimse.replace("ORTHANC@", "OTHER@")})
    node.send(mr)
    node.ended("translated")
    node.stop()
    shutil.rmtree(node.folder / "made" / "1")
    again = start(rule={"destination": orthanc.dimse})
    again.send(series("other"))
    again.ended("sent")
    assert [(job.state, job.reason) for job in again.jobs("translated")] == [
        ("translated", "No such file or directory")
    ]


def test_a_model_that_fails_is_not_the_fault_of_the_scan(start, orthanc, mr, monkeypatch):
    node = start()

    def broken(*_, **__):
        raise ValueError("Zaphod")

    monkeypatch.setattr("kerasgan.pacs.node.worker.translate_read", broken)
    node.send(mr)
    assert node.ended("failed").reason == "ValueError"
    node.stop()
    monkeypatch.undo()
    start().ended("sent")
    assert len(sent(orthanc)) == 1


def test_a_second_node_in_the_same_folder_is_refused(start):
    start()
    with pytest.raises(Exception, match="Another node works in"):
        start()
