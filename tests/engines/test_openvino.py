"""OpenVINO beside what else goes on in its process."""

import subprocess
import sys

SIGNALLED = """
import signal, threading
import numpy as np
import openvino.opset13 as operations
from openvino import Model
from kerasgan.engines.openvino import OpenVino

image = operations.parameter([1, 8, 8, 1], np.float32)
model, images = Model([operations.relu(image)], [image]), np.ones((1, 8, 8, 1), np.float32)
signal.signal(signal.SIGINT, lambda *_: print("heard"))
first, second = OpenVino(model, "f32"), OpenVino(model, "f32")
first(images), second(images)
del first
del second
kept = [OpenVino(model, "f32")]
kept[0](images)
thread = threading.Thread(target=kept.clear)
thread.start()
thread.join()
signal.raise_signal(signal.SIGINT)
"""


def test_a_signal_is_heard_after_engines_have_gone_in_any_order_and_thread(tmp_path):
    """With a core for each engine, the process ended by a segmentation fault (OpenVINO 2026.4.1, Linux)."""
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
