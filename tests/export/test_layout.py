import hashlib
import os
import re
import shutil

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from needed import official

from kerasgan.errors import ExportError, ServingError
from kerasgan.export.layout import MOUNT, check_sums, free_version, models, models_config, versions

FIELD = descriptor_pb2.FieldDescriptorProto


@pytest.fixture
def folder(tmp_path):
    """Two models, one of them with versions 2 and 10."""
    for version in ("one/2", "one/10", "two/1"):
        (tmp_path / version / "assets.extra").mkdir(parents=True)
        (tmp_path / version / "assets.extra" / "contract.json").touch()
    (tmp_path / "models.config").touch()
    (tmp_path / ".two.abc").mkdir()  # what a killed export leaves
    return tmp_path


def test_models_and_versions(folder):
    assert models(folder) == ["one", "two"]
    assert versions(folder / "one") == [2, 10]
    assert models(folder / "elsewhere") == versions(folder / "elsewhere") == []


@pytest.mark.parametrize(
    ("name", "wanted", "version"), [("one", None, 11), ("one", 12, 12), ("new", None, 1), ("new", 5, 5)]
)
def test_free_versions(folder, name, wanted, version):
    assert free_version(folder, name, wanted) == version


@pytest.mark.parametrize("wanted", [1, 2, 9, 10])
def test_a_version_that_a_server_would_not_take(folder, wanted):
    with pytest.raises(ExportError, match=rf"one holds version 10 already.*got --version {wanted}\. .* out for 11"):
        free_version(folder, "one", wanted)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a:b", "models.config", "a b", '"'])
def test_names_that_do_not_do(folder, name):
    with pytest.raises(ExportError, match=r"letters, digits.*got .*Give another --name"):
        free_version(folder, name, None)


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("notes.txt", "notes.txt"),
        ("scans/1/image.dcm", "scans/1"),
        ("one/notes.txt", "one/notes.txt"),
        ("1/saved_model.pb", "1/saved_model.pb"),
        ("one/0099/assets.extra/contract.json", "one/0099"),
    ],
)
def test_foreign_entries(folder, entry, named):
    (folder / entry).parent.mkdir(parents=True, exist_ok=True)
    (folder / entry).touch()
    with pytest.raises(ExportError, match=rf"holds {named}\. Name a new folder"):
        free_version(folder, "one", None)


@pytest.mark.parametrize("number", ["0099", "9" * 30, str(2**63), "٣", "-1", "1.0"])
def test_names_of_folders_that_are_no_version(folder, number):
    (folder / "one" / number / "assets.extra").mkdir(parents=True)
    (folder / "one" / number / "assets.extra" / "contract.json").touch()
    assert versions(folder / "one") == [2, 10]


@pytest.mark.parametrize("wanted", [-1, 0, 2**63, 10**30])
def test_a_version_that_no_message_can_carry(folder, wanted):
    with pytest.raises(ExportError, match=rf"from 1 to 9223372036854775807; got {wanted}\. Give another --version"):
        free_version(folder, "one", wanted)


SUMS = "assets.extra/SHA256SUMS"
DATA = "variables/variables.data-00000-of-00001"


@pytest.fixture
def version(served, tmp_path):
    """A served version, free to be changed."""
    return shutil.copytree(served, tmp_path / "1")


def test_the_digest_of_the_digests_stands_for_all_files(version):
    assert check_sums(version) == hashlib.sha256((version / SUMS).read_bytes()).hexdigest()


def shorten(version, name):
    lines = (version / SUMS).read_text().splitlines(keepends=True)
    (version / SUMS).write_text("".join(line for line in lines if not line.endswith(f"  {name}\n")))


def add(version, name, is_listed):
    (version / name).parent.mkdir(exist_ok=True)
    (version / name).write_bytes(b"more")
    if is_listed:
        with (version / SUMS).open("a") as sums:
            sums.write(f"{hashlib.sha256(b'more').hexdigest()}  {name}\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda version: (version / SUMS).unlink(), r"has no assets\.extra/SHA256SUMS, so it is not complete"),
        (
            lambda version: (version / SUMS).write_text(""),
            r"comparison\.json is not listed in assets\.extra/SHA256SUMS",
        ),
        (lambda version: shorten(version, "saved_model.pb"), r"saved_model\.pb is not listed in .*nobody vouches"),
        (lambda version: shorten(version, "assets.extra/contract.json"), r"contract\.json is not listed in"),
        (lambda version: (version / DATA).unlink(), r"variables\.data-00000-of-00001 is missing: the model is damaged"),
        (lambda version: (version / DATA).write_bytes(b""), r"variables\.data-00000-of-00001 differs from its digest"),
        (lambda version: add(version, "saved_model.cpb", False), r"saved_model\.cpb is no file of a served model"),
        (lambda version: add(version, "saved_model.cpb", True), r"saved_model\.cpb is no file of a served model"),
        (
            lambda version: add(version, "assets/words.txt", True),
            r"words\.txt is no file of a served model\. Remove it",
        ),
        (lambda version: add(version, "../outside", True), r"1/\.\./outside is no file of a served model"),
        (lambda version: (version / "assets").symlink_to("/"), r"1/assets is no file of a served model"),
        (lambda version: (version / SUMS).write_bytes(b"\xff\xfe\n"), r"is no file of a served model"),
    ],
)
def test_versions_that_are_not_whole(version, damage, said):
    shutil.rmtree(version / "assets", ignore_errors=True)
    damage(version)
    with pytest.raises(ServingError, match=said):
        check_sums(version)


def test_a_fifo_is_not_read(version):
    (version / DATA).unlink()
    os.mkfifo(version / DATA)
    with pytest.raises(ServingError, match="is missing"):
        check_sums(version)


def test_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"file is no folder of served models, but a file\. Name a new folder"):
        free_version(tmp_path / "file", "one", None)


def message(name, fields):
    """A message class from its fields: a number and a type for each."""
    used = {kind.file.name for _, kind in fields.values() if not isinstance(kind, int)}
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="test", syntax="proto3", dependency=used)
    described = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        added = described.field.add(name=field, number=number, label=FIELD.LABEL_OPTIONAL)
        if isinstance(kind, int):
            added.type = kind
        else:
            added.type, added.type_name = FIELD.TYPE_MESSAGE, f".{kind.full_name}"
    descriptor_pool.Default().Add(file)
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"test.{name}"))


def test_models_are_read_by_the_official_message(served):
    config_pb2 = official("config.model_server_config_pb2")
    text = (served.parents[1] / "models.config").read_text()
    (config,) = text_format.Parse(text, config_pb2.ModelServerConfig()).model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == ("mr2ct", "/models/mr2ct", "tensorflow")
    two = text_format.Parse(models_config(["a", "b"], "/data"), config_pb2.ModelServerConfig())
    assert [config.base_path for config in two.model_config_list.config] == ["/data/a", "/data/b"]


def test_batching_is_read_as_the_server_declares_it(served):
    """BatchingParameters of session_bundle_config.proto, which the package with the messages leaves out."""
    from google.protobuf import wrappers_pb2

    int64 = wrappers_pb2.Int64Value.DESCRIPTOR
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    parameters = message("BatchingParameters", {name: (i, int64) for i, name in enumerate(names, 1)})
    found = text_format.Parse((served.parents[1] / "batching.config").read_text(), parameters())
    assert [getattr(found, name).value for name in names] == [16, 1000, 64, 2]


def test_monitoring_is_read_as_the_server_declares_it(served):
    """MonitoringConfig of monitoring_config.proto."""
    prometheus = message("PrometheusConfig", {"enable": (1, FIELD.TYPE_BOOL), "path": (2, FIELD.TYPE_STRING)})
    monitoring = message("MonitoringConfig", {"prometheus_config": (1, prometheus.DESCRIPTOR)})
    found = text_format.Parse((served.parents[1] / "monitoring.config").read_text(), monitoring())
    assert found.prometheus_config.enable
    assert found.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_the_container_sees_the_folder_and_only_this_machine_the_container(served):
    text = (served.parents[1] / "compose.yaml").read_text()
    assert re.search(r"^    image: tensorflow/serving:", text, re.MULTILINE)
    assert re.findall(r'^      - "(.*)"$', text, re.MULTILINE) == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert re.search(r"source: \.\n        target: /models\n        read_only: true", text)
    flags = re.findall(r"^      - --(\w+)=(\S+)", text, re.MULTILINE)
    assert [flag for flag, _ in flags] == [
        "model_config_file",
        "model_config_file_poll_wait_seconds",
        "monitoring_config_file",
    ]
    for _, value in flags:
        assert value.isdecimal() or (served.parents[1] / value.removeprefix(f"{MOUNT}/")).is_file()


def test_compose_is_yaml(served):
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    content = yaml.safe_load((served.parents[1] / "compose.yaml").read_text())
    (volume,) = content["services"]["serving"]["volumes"]
    assert volume == {"type": "bind", "source": ".", "target": "/models", "read_only": True}
