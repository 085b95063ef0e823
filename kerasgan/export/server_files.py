"""The files that configure TensorFlow Serving for a folder of models."""

from __future__ import annotations

from pathlib import Path

from kerasgan.export.layout import BATCHING_CONFIG, COMPOSE_FILE, MODELS_CONFIG, MONITORING_CONFIG, models
from kerasgan.files import replacing

MOUNT = "/models"  # where compose.yaml shows the folder to the server

BATCHING = """\
# Merges requests of several clients into one batch; off unless compose.yaml is changed as it says there.
# All slices that reach the server must then have one size, and MR must come with its window (serving_windowed or
# serving_bytes_windowed): serving_default and serving_bytes would find one range for the merged scans of two patients.
max_batch_size { value: 16 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 64 }
num_batch_threads { value: 2 }
"""

MONITORING = """\
# Figures for Prometheus on the REST port.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

COMPOSE = f"""\
# Serves every model of this folder:  docker compose up
#   gRPC  127.0.0.1:8500
#   REST  http://127.0.0.1:8501/v1/models/NAME, figures at /monitoring/prometheus/metrics
# Only this machine reaches it. The ports neither encrypt nor ask who calls: before you open them, put a proxy in front.
services:
  serving:
    image: tensorflow/serving:latest  # must not be older than the TensorFlow that exported
    command:
      - --model_config_file={MOUNT}/{MODELS_CONFIG}
      - --model_config_file_poll_wait_seconds=60  # finds new models; new versions are found within a second
      - --monitoring_config_file={MOUNT}/{MONITORING_CONFIG}
      # Only under the conditions that {BATCHING_CONFIG} states:
      # - --enable_batching=true
      # - --batching_parameters_file={MOUNT}/{BATCHING_CONFIG}
    ports:
      - "127.0.0.1:8500:8500"
      - "127.0.0.1:8501:8501"
    volumes:
      - type: bind
        source: .
        target: {MOUNT}
        read_only: true
    restart: unless-stopped
"""


def write_server_files(folder: Path) -> None:
    """Lists all models of a folder in `models.config`, and adds the other files where they are not there yet.

    Args:
        folder: With all models.
    """
    with replacing(folder / MODELS_CONFIG) as path:
        path.write_text(models_config(models(folder), MOUNT))
    for name, content in {BATCHING_CONFIG: BATCHING, MONITORING_CONFIG: MONITORING, COMPOSE_FILE: COMPOSE}.items():
        if not (folder / name).exists():  # who has changed it wants it so
            with replacing(folder / name) as path:
                path.write_text(content)


def models_config(names: list[str], folder: str) -> str:
    """A `ModelServerConfig` in text form.

    Args:
        names: Of the models.
        folder: That holds them, as the server sees it; absolute.
    """
    entries = [
        f'  config {{\n    name: "{name}"\n    base_path: "{folder}/{name}"\n    model_platform: "tensorflow"\n  }}\n'
        for name in names
    ]
    heading = "# Written anew by every kerasgan export: all models of this folder, each in its highest version.\n"
    return f"{heading}model_config_list {{\n{''.join(entries)}}}\n"
