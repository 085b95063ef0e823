import re

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from kerasgan.errors import ExportError
from kerasgan.export.layout import MOUNT, free_version, models, models_config, versions

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


@pytest.mark.parametrize("entry", ["notes.txt", "scans/1/image.dcm", "one/notes.txt", "1/saved_model.pb"])
def test_foreign_entries(folder, entry):
    (folder / entry).parent.mkdir(parents=True, exist_ok=True)
    (folder / entry).touch()
    with pytest.raises(ExportError, match=rf"holds {entry.split('/')[0]}\. Name a new folder"):
        free_version(folder, "one", None)


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
    config_pb2 = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2", reason="tensorflow-serving-api is not installed"
    )
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
