import re

import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from kerasgan.errors import ServingError
from kerasgan.export.operations import foreign_operations


def test_what_an_export_writes_passes(served):
    assert foreign_operations(served) == []


class Foreign(tf.Module):
    """A model with one signature, which runs a function on its way."""

    def __init__(self, meanwhile):
        super().__init__()
        self.factor = tf.Variable(2.0)
        self.meanwhile = meanwhile

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def double(self, x):
        with tf.control_dependencies([self.meanwhile(x)]):
            return {"y": self.factor * x}


@pytest.fixture
def saved(tmp_path):
    def save(meanwhile):
        model = Foreign(meanwhile)
        tf.saved_model.save(model, str(tmp_path / "1"), signatures={"serving_default": model.double})
        return tmp_path / "1"

    return save


@pytest.mark.parametrize(
    ("meanwhile", "named"),
    [
        (lambda x: tf.io.write_file("/elsewhere", "x"), "WriteFile"),
        (lambda x: tf.io.read_file("/etc/hostname"), "ReadFile"),
        (lambda x: tf.io.matching_files("/etc/*"), "MatchingFiles"),
        (lambda x: tf.raw_ops.PrintV2(input="secret", output_stream="file:///elsewhere"), "PrintV2"),
        (
            lambda x: tf.raw_ops.SaveV2(prefix="/elsewhere", tensor_names=["x"], shape_and_slices=[""], tensors=[x]),
            r"\w+_double_\d+",
        ),
        (lambda x: tf.numpy_function(lambda value: value, [x], tf.float32), "(Eager)?PyFunc"),
        (lambda x: tf.cond(x[0] > 0, lambda: tf.io.read_file("/etc/hostname"), lambda: tf.constant("")), "ReadFile"),
        (lambda x: tf.while_loop(lambda i: i < 9, lambda i: (i + 1,), [0])[0], "While"),
        (lambda x: tf.random.uniform([1]), "RandomUniform"),
        (lambda x: tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int32), "HashTableV2"),
    ],
)
def test_what_does_more_than_arithmetic(saved, meanwhile, named):
    assert any(re.search(named, found) for found in foreign_operations(saved(meanwhile)))


def test_a_signature_that_stores_what_others_sent(tmp_path):
    class Keeping(tf.Module):
        def __init__(self):
            super().__init__()
            self.last = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def keep(self, x):
            return {"y": self.last.assign(x)}

    model = Keeping()
    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": model.keep})
    assert any("keep" in name for name in foreign_operations(tmp_path))  # its functions are none that restore weights


def test_a_function_that_calls_the_one_that_saves(saved):
    folder = saved(tf.abs)
    path = folder / "saved_model.pb"
    content = SavedModel.FromString(path.read_bytes())
    functions = content.meta_graphs[0].graph_def.library.function
    saving = next(one.signature.name for one in functions if "traced_save" in one.signature.name)
    signature = next(one for one in functions if "signature_wrapper" in one.signature.name)
    call = next(node for node in signature.node_def if node.op == "StatefulPartitionedCall")
    call.attr["f"].func.name = saving
    path.write_bytes(content.SerializeToString())
    assert foreign_operations(folder) == [saving]


def test_an_asset(saved, tmp_path):
    (tmp_path / "words.txt").write_text("a")
    folder = saved(tf.abs)
    path = folder / "saved_model.pb"
    content = SavedModel.FromString(path.read_bytes())
    content.meta_graphs[0].object_graph_def.nodes.add().asset.asset_file_def_index = 0
    path.write_bytes(content.SerializeToString())
    assert foreign_operations(folder) == ["asset"]


def test_no_graph_at_all(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x00broken")
    with pytest.raises(ServingError, match=r"saved_model\.pb is no SavedModel \(.*\)\. Export the run again"):
        foreign_operations(tmp_path)
