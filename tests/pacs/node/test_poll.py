"""Series that a node finds by itself at a DICOMweb server, a real Orthanc."""

from datetime import date

import pytest
from orthanc import PATIENT
from pydicom.uid import generate_uid
from running_node import IMAGES, SCANNER, eventually

TODAY = f"{date.today():%Y%m%d}"


@pytest.fixture
def polls(start, orthanc):
    """Starts a node that asks the Orthanc all the time."""

    def one(calling=("archive",), **changes):
        poll = {"server": orthanc.web, "since": "2020-01-01", "every_s": 0.1}
        rule = {"calling": list(calling)} | changes.pop("rule", {})
        return start(rule=rule, poll={"archive": poll | changes.pop("poll", {})}, **changes)

    return one


@pytest.fixture
def study(series):
    """Writes a series in a study of its own."""

    def write(name, **attributes):
        return series(name, **{"StudyInstanceUID": generate_uid(), "StudyDate": TODAY} | attributes)

    return write


def count(node, name):
    """A figure of the node."""
    (line,) = [one for one in node.node.metrics().splitlines() if one.startswith(f"kerasgan_node_{name}_total ")]
    return int(line.split()[1])


def wait_for_polls(node, number=5):
    """Waits until the server was asked some more times, and what came of it was worked on."""
    wanted = count(node, "polls") + number
    eventually(lambda: count(node, "polls") >= wanted and not node.jobs("received", "translated"))


def arrived(orthanc):
    """How many images each synthetic series has."""
    found = [str(image.SeriesInstanceUID) for image in orthanc.images("CT")]
    return {uid: found.count(uid) for uid in found}


def test_a_series_that_a_rule_takes_is_found_and_translated_once(polls, orthanc, study):
    orthanc.receive(study("new"))
    orthanc.receive(study("old", StudyDate="20191231"))
    orthanc.receive(study("other", SeriesDescription="T2"))
    node = polls(rule={"description": ["t1"]})
    job = node.ended("sent")
    assert (job.calling, job.images, job.rule) == ("archive", IMAGES, "head")
    wait_for_polls(node)
    assert arrived(orthanc) == {job.made: IMAGES} and len(node.jobs()) == 1
    assert count(node, "images_received") == IMAGES  # nothing was fetched a second time
    node.stop()
    again = polls(rule={"description": ["t1"]})
    wait_for_polls(again)
    assert len(again.jobs()) == 1 and count(again, "images_received") == 0


def test_past_days_bound_how_far_a_node_looks_back(polls, orthanc, study):
    orthanc.receive(study("new"))
    orthanc.receive(study("old", StudyDate="20200102"))
    node = polls(poll={"past_days": 1})
    node.ended("sent")
    wait_for_polls(node)
    assert len(node.jobs()) == 1


def test_what_a_scanner_sent_is_not_fetched_and_what_was_fetched_may_be_sent(polls, orthanc, study):
    first, second = study("first"), study("second")
    node = polls(calling=["archive", SCANNER])
    node.send(first)
    sent = node.ended("sent")
    orthanc.receive(first)
    wait_for_polls(node)
    assert [job.calling for job in node.jobs()] == [SCANNER]
    orthanc.receive(second)
    eventually(lambda: len(node.jobs("sent")) == 2)
    node.send(second)
    eventually(lambda: len(node.jobs("sent")) == 3)
    fetched, again = node.jobs()[1:]
    assert (fetched.calling, again.calling) == ("archive", SCANNER) and fetched.made == again.made
    assert arrived(orthanc) == {sent.made: IMAGES, fetched.made: IMAGES}


def hold_back(series, rest):
    """Moves two images of a series into a new folder."""
    rest.mkdir()
    for file in sorted(series.iterdir())[:2]:
        file.rename(rest / file.name)


def test_a_series_that_is_still_coming_is_waited_for(polls, orthanc, study, tmp_path):
    whole, rest = study("whole"), tmp_path / "rest"
    hold_back(whole, rest)
    orthanc.receive(whole)
    node = polls(rule={"images": IMAGES}, quiet_s=3600)
    wait_for_polls(node)
    assert not node.jobs()
    orthanc.receive(rest)
    assert node.ended("sent").images == IMAGES


def test_a_series_that_grew_is_fetched_anew(polls, orthanc, study, tmp_path):
    whole, rest = study("whole"), tmp_path / "rest"
    hold_back(whole, rest)
    orthanc.receive(whole)
    node = polls()
    first = node.ended("sent")
    orthanc.receive(rest)
    second = eventually(lambda: [job for job in node.jobs("sent") if job.made != first.made])[0]
    assert arrived(orthanc) == {first.made: IMAGES - 2, second.made: IMAGES}


def test_own_results_and_those_of_others_are_not_taken_for_scans(polls, orthanc, study, former, start):
    orthanc.receive(study("new"))
    both = {"calling": ["archive"], "model": str(former / "run"), "destination": orthanc.dimse}
    node = polls(rule=both, rules={"head": both | {"modality": "MR"}, "back": both | {"modality": "CT"}})
    made = node.ended("sent").made
    wait_for_polls(node)
    assert [job.rule for job in node.jobs()] == ["head"] and arrived(orthanc) == {made: IMAGES}
    node.stop()
    another = start(folder=f"{node.folder}-2")  # which knows nothing of it
    eventually(lambda: len(another.jobs()) == 2)
    wait_for_polls(another)
    rejected = another.ended("rejected")
    assert (rejected.series, rejected.reason) == (made, "a network computed it; it is no scan")
    assert arrived(orthanc) == {made: IMAGES}


def test_too_many_images_are_not_fetched(polls, orthanc, study):
    orthanc.receive(study("new"))
    node = polls(limits={"images": IMAGES - 1})
    assert node.ended("rejected").reason == f"it has more than {IMAGES - 1} images"
    wait_for_polls(node)
    assert count(node, "images_received") == 0 and len(node.jobs()) == 1


def test_a_server_that_is_away_is_asked_again(polls, start_orthanc, study, caplog):
    away = start_orthanc()
    away.receive(study("new"))
    away.stop()
    node = polls(poll={"server": away.web}, timeout_s=2)
    eventually(lambda: count(node, "polls_failed") > 1)
    assert f"Asking archive: {away.web} cannot be reached. Check host, port and network." in caplog.messages
    back = start_orthanc(ports=away.ports)
    back.receive(study("again"))
    assert node.ended("sent").calling == "archive"


def test_nobody_may_send_where_rules_name_servers_alone(polls, orthanc):
    node = polls()
    assert node.node.fault() == ""
    with pytest.raises(AssertionError):
        node.send([])
    with pytest.raises(AssertionError):
        node.send([], calling="archive")


def test_the_patient_is_in_no_answer_that_is_kept(polls, orthanc, study, caplog):
    orthanc.receive(study("new", StudyID=PATIENT["PatientID"]))
    polls().ended("sent")  # `start` looks through all that was written and said
    assert "archive" in caplog.text
