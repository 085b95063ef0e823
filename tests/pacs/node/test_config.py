"""The file of a node."""

import re
from datetime import date
from pathlib import Path

import pytest

from kerasgan.errors import KerasganError
from kerasgan.pacs.node.config import read_config

GUIDE = Path(__file__).parents[3] / "docs/clinic.md"
RULE = '[rules.head]\ncalling = ["MR1"]\nmodality = "MR"\nmodel = "demo"\ndestination = "dicom://PACS@10.0.0.1:104"\n'

POLL = "[poll.archive]\nserver = 'dicomweb://10.0.0.2:80/dicom-web'\nsince = 2026-12-01\n"


@pytest.fixture
def read(tmp_path):
    def call(text):
        (tmp_path / "node.toml").write_text(text)
        return read_config(tmp_path / "node.toml")

    return call


def test_the_example_of_the_guide(read, tmp_path):
    (example,) = re.findall(r"<!-- example: node.toml -->\n```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    config = read(example)
    assert config.folder == tmp_path / "node-queue" and config.port == 11112 and config.host == "127.0.0.1"
    assert config.callers == ["ORTHANC", "STORESCU"]
    head = config.rules["head"]
    assert head.model == "demo" and str(head.destination) == "dicom://ORTHANC@127.0.0.1:4242"
    assert config.rule_for("STORESCU", "MR", "HEAD", "Sag T1 MPRAGE") == "head"
    assert config.rule_for("STORESCU", "MR", "Brain", "ep2d diff") == ""
    for attribute, default in re.findall(r"^# (\w+) = ([\d.]+)", example.split("[rules")[0], re.MULTILINE):
        found = [part for part in (config, config.limits) if attribute in type(part).model_fields]
        assert [getattr(part, attribute) for part in found] == [float(default)], attribute


def test_the_first_rule_that_fits_decides(read):
    config = read(
        f"folder = 'q'\n{RULE}description = ['T1', 'mprage']\nbody_part = ['head']\n"
        + RULE.replace("rules.head", "rules.any").replace('"demo"', '"any.kgan"')
    )
    assert config.rule_for("MR1", "MR", "HEAD", "ax t1 se") == "head"
    assert config.rule_for("MR1", "MR", "HEAD", "T2") == config.rule_for("MR1", "MR", "", "T1") == "any"
    assert config.rule_for("MR2", "MR", "HEAD", "T1") == config.rule_for("MR1", "CT", "HEAD", "T1") == ""
    assert config.rules["any"].model == str(config.folder.parent / "any.kgan")


def test_what_an_image_lacks_for_the_nearest_rule(read):
    config = read(
        f"folder = 'q'\n{RULE}description = ['T1', 'mprage']\nbody_part = ['head']\n"
        + RULE.replace("rules.head", "rules.ct").replace('"MR1"', '"CT1"').replace('"MR"', '"CT"')
    )
    assert config.why_none("MR1", "MR", "HEAD", "ax T2") == "rule head: Series Description has none of t1, mprage"
    assert config.why_none("MR1", "MR", "KNEE", "T1") == "rule head: Body Part Examined is none of head"
    assert config.why_none("MR1", "CT", "HEAD", "T1") == "rule head: Modality is CT and not MR"
    both = "rule head: Body Part Examined is none of head and Series Description has none of t1, mprage"
    assert config.why_none("MR1", "MR", "", "") == both
    assert config.why_none("CT1", "", "", "") == "rule ct: Modality is missing and not CT"
    assert config.why_none("MR9", "CT", "", "") == "rule ct: MR9 is none of its senders CT1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folder = 'q'", "rules"),
        (RULE, "folder"),
        (f"folder = 'q'\nprot = 1\n{RULE}", "prot"),
        (f"folder = 'q'\n{RULE}images = 0", r"rules\.head\.images"),
        (f"folder = 'q'\n{RULE}axial_mm = 50", r"rules\.head\.axial_mm"),
        ("folder = 'q'\n" + RULE.replace('["MR1"]', "[]"), r"rules\.head\.calling"),
        ("folder = 'q'\n" + RULE.replace('"MR"', '"PET"'), r"rules\.head\.modality"),
        ("folder = 'q'\n" + RULE.replace(":104", ""), "has no port"),
        ("folder = 'q'\n" + RULE.replace(":104", ":104/1.2.3"), "names a study"),
        (f"folder = 'q'\n{RULE}{POLL}", "no rule takes what poll.archive brings; name archive in its calling"),
        (
            "folder = 'q'\n" + RULE.replace("MR1", "archive") + POLL + "past_days = 31",
            "past_days must be keep_days at most",
        ),
        (
            "folder = 'q'\n"
            + RULE.replace("MR1", "archive")
            + POLL.replace("dicomweb://10.0.0.2:80/dicom-web", "dicom://A@10.0.0.2:104"),
            "only DICOMweb is",
        ),
        ("folder = 'q'\n" + RULE.replace("MR1", "archive") + POLL.replace("since", "sinse"), "Did you mean since"),
        ("folder = ", "is damaged"),
        (
            "folder = 'q'\n" + RULE.replace("modality", "modalty"),
            r"rules\.head\.modality: Field required; no field is called 'rules\.head\.modalty'\. "
            r"Did you mean modality or model\? docs/clinic\.md shows such a file\.$",
        ),
        ("port = 104", r"folder: Field required; rules: Field required\. docs/clinic\.md shows such a file\.$"),
    ],
)
def test_files_that_are_invalid(read, text, words):
    with pytest.raises(KerasganError, match=words):
        read(text)


def test_files_for_tls_are_relative_to_the_file(read, tmp_path):
    config = read(f"folder = 'q'\n{RULE}[tls]\ncertificate = 'node.pem'\nkey = '/etc/node.key'\n")
    assert config.tls.certificate == tmp_path / "node.pem" and config.tls.key == Path("/etc/node.key")
    with pytest.raises(KerasganError, match=r"tls\.key: Field required; no field is called 'tls\.kee'"):
        read(f"folder = 'q'\n{RULE}[tls]\ncertificate = 'node.pem'\nkee = 'node.key'\n")


def test_a_name_of_a_server_is_no_ae_title(read):
    config = read("folder = 'q'\n" + RULE.replace('"MR1"', '"MR1", "archive"') + POLL)
    assert config.callers == ["MR1"] and config.poll["archive"].since == date(2026, 12, 1)
    assert config.rule_for("archive", "MR", None, None) == "head"
