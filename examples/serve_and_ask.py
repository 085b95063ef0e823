"""Exports a run, serves it on this machine, and asks it for slices by gRPC and by REST.

    python examples/serve_and_ask.py RUN

It needs `pip install 'kerasgan[cpu,serving]'`. `kerasgan serve` starts a server alone; clients need only its address.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import kerasgan
from kerasgan.serving import Client, Server, Settings


def serve_and_ask(run: Path, models: Path) -> None:
    """Writes a served model into `models` and translates three slices with it."""
    kerasgan.export_serving(run, models, name="example")  # kerasgan export RUN models --name example
    with Server(models, Settings(grpc_port=0, rest_port=0)) as server:  # 0: a free port of 127.0.0.1
        for address in (
            f"grpc://127.0.0.1:{server.grpc_port}/example",  # float32 values
            f"http://127.0.0.1:{server.rest_port}/example",  # 16-bit pixels
        ):
            with Client(address) as client:
                ask(client)


def ask(client: Client) -> None:
    """Asks for the contract, then for a translation of made-up slices, and prints what came back."""
    contract = client.contract().directions["ab"]
    source, target = contract.source, contract.target
    height, width = contract.trained_height_width
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    disc = np.maximum(1 - np.hypot(x, y), 0)  # bright in the middle, dark around it
    low, high = source.window
    images = np.stack([low + level * (high - low) * disc for level in (0.5, 0.75, 1.0)])  # [slices, height, width]

    window = (low, high) if source.modality == "MR" else None  # of an MR: the values that become -1 and 1
    synthetic = client.translate(images[..., None], "ab", window)
    print(client.address)
    for slice_in, slice_out in zip(images, synthetic[..., 0], strict=True):
        print(
            f"  {source.modality} {slice_in.min():.0f} to {slice_in.max():.0f}"
            f" -> {target.modality} {slice_out.min():.0f} to {slice_out.max():.0f} {target.unit}"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        serve_and_ask(Path(sys.argv[1]), Path(folder) / "models")
