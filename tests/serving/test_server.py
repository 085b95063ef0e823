"""Servers as they are run: addresses, TLS, tokens, limits, many clients, other versions, and the end."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests
from needed import program

from kerasgan.errors import ServingError
from kerasgan.serving import Client, Server
from kerasgan.serving import server as server_module
from kerasgan.serving.models import Wanted

NAME = "mr2ct"
WINDOW = (10.0, 300.0)


@pytest.fixture(params=["grpc", "http"])
def scheme(request):
    return request.param


def test_only_its_own_address_reaches_it(server):
    for port in (server.grpc_port, server.rest_port):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(OSError):  # would answer there, too, if it listened on all addresses
            socket.create_connection(("127.0.0.2", port), timeout=5).close()


@pytest.mark.parametrize("port", ["grpc_port", "rest_port"])
def test_a_port_in_use(serve, port):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(
            ServingError, match=rf"Cannot listen on port {number} of 127\.0\.0\.1: .*in use\. Stop what"
        ):
            serve(**{port: number})


def test_an_address_of_another_machine(serve):
    with pytest.raises(ServingError, match=r"Cannot listen on port 0 of 192\.0\.2\.1: "):
        serve(host="192.0.2.1")


def test_sixty_four_clients_at_once(server, address, model, slices, scheme):
    batches = [slices(1 + seed % 3, seed=seed) for seed in range(64)]
    start = threading.Barrier(64)

    def ask(images):
        with Client(address(server, scheme), deadline_s=60) as client:
            start.wait(30)
            return client.translate(images, window=WINDOW)

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, batches))
    limit = 1e-2 if scheme == "grpc" else 2  # HU
    for images, found in zip(batches, answers, strict=True):
        inputs = {"image": images, "window": np.float32([WINDOW] * len(images))}
        # Relative too: in a batch of another size, float32 sums run in another order.
        np.testing.assert_allclose(found, model.predict("serving_windowed", inputs)["synthetic"], atol=limit, rtol=1e-5)


def test_a_token_is_asked_for(serve, address, slices, scheme, tmp_path, monkeypatch):
    server = serve(token="secret")
    (tmp_path / ".netrc").write_text("default login someone password sesame\n")  # is not for a server of models
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with Client(address(server, scheme), token="secret") as client:
        assert client.translate(slices(1), window=WINDOW).shape == (1, 24, 20, 1)
    for token in (None, "other"):
        with (
            Client(address(server, scheme), token=token) as client,
            pytest.raises(ServingError, match=r"UNAUTHENTICATED: This server asks.*token by --token-file") as caught,
        ):
            client.contract()
        assert caught.value.code == "UNAUTHENTICATED"
    base = f"http://127.0.0.1:{server.rest_port}"
    assert requests.get(f"{base}/monitoring/prometheus/metrics", timeout=20).status_code == 401
    assert requests.get(f"{base}/health", timeout=20).status_code == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = [program("openssl", package="openssl"), "req", "-x509", "-newkey", "ec", "-nodes"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-out", files[0], "-keyout", files[1], "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return files


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_encrypted_connections(serve, address, slices, certificate, scheme, tmp_path):
    server = serve(certificate=certificate[0], key=certificate[1])
    with Client(address(server, scheme), certificate=certificate[0], deadline_s=20) as client:
        assert client.translate(slices(1), window=WINDOW).shape == (1, 24, 20, 1)
    # Nobody vouches for it, which another attempt would not change.
    expected = r"certificate is not trusted \(self.signed certificate\)\. Give its own, or that of its auth"
    with (
        Client(address(server, scheme), deadline_s=600) as client,
        pytest.raises(ServingError, match=expected) as caught,
    ):
        client.contract()
    assert caught.value.code == "UNKNOWN"
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(ServingError, match=r"junk\.pem cannot be read as a PEM certificate .*Check the file"):
        Client(address(server, scheme), certificate=tmp_path / "junk.pem")


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_a_server_without_tls(server, address, scheme):
    expected = f"the server speaks no TLS; ask it by {scheme[:-1]}://"
    with Client(address(server, scheme), deadline_s=600) as client, pytest.raises(ServingError, match=expected):
        client.contract()


def test_certificates_that_do_not_do(serve, certificate, tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(
        ServingError, match=r"certificate\.pem and .*key\.pem cannot be read as a PEM certificate .* belong together"
    ):
        serve(certificate=certificate[0], key=tmp_path / "key.pem")
    with pytest.raises(ServingError, match=r"TLS needs a certificate and its key; the key is missing\. Give both"):
        serve(certificate=certificate[0])


def test_requests_over_the_limit(serve, address, slices, scheme):
    server = serve(message_bytes=2**14)
    with Client(address(server, scheme), deadline_s=20) as client:
        assert client.translate(slices(2), window=WINDOW).shape == (2, 24, 20, 1)
        with pytest.raises(ServingError, match="RESOURCE_EXHAUSTED") as caught:
            client.translate(slices(1, 128, 128), window=WINDOW)
        assert caught.value.code == "RESOURCE_EXHAUSTED"
        assert client.translate(slices(2), window=WINDOW).shape == (2, 24, 20, 1)
    reply = requests.post(f"http://127.0.0.1:{server.rest_port}/v1/models/{NAME}:predict", b"x" * 2**15, timeout=20)
    assert reply.status_code == 413 and "longer than this server's limit of 16384 bytes" in reply.json()["error"]


@pytest.mark.slow
def test_another_version_takes_over_under_load_without_a_failed_request(own_models, add_version, address, slices):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "POLL_S", 0.05)
        server = Server(own_models, server_module.Settings(grpc_port=0, rest_port=0))
    stop, images, seen = threading.Event(), slices(2), [set[int]() for _ in range(6)]

    def ask(scheme, versions):
        with Client(address(server, scheme), deadline_s=60) as client:
            while not stop.is_set():
                assert client.translate(images, window=WINDOW).shape == images.shape
                versions.add(client.contract().version)

    def all_saw(version):
        return all(version in versions for versions in seen) or any(one.done() for one in asking)  # or one failed

    with server, ThreadPoolExecutor(6) as pool:
        asking = [
            pool.submit(ask, scheme, versions) for scheme, versions in zip(("grpc", "http") * 3, seen, strict=True)
        ]
        try:
            _wait_for(lambda: all_saw(1))
            add_version(own_models, 2)
            _wait_for(lambda: all_saw(2))
        finally:
            stop.set()
        for one in asking:
            one.result(60)
    assert seen == [{1, 2}] * 6


def _wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)


def test_requests_under_way_are_answered_before_it_ends(serve, address, slices, scheme, monkeypatch):
    server = serve()
    started, store = threading.Event(), server._backend.store
    model = store.find(Wanted(NAME))
    predict = model.predict

    def slowly(name, inputs):
        started.set()
        time.sleep(0.5)
        return predict(name, inputs)

    with Client(address(server, scheme)) as client:
        described = client.contract()
        monkeypatch.setattr(model, "predict", slowly)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(lambda: list(client.stream(slices(1), described, "ab", WINDOW)))
            assert started.wait(20)
            server.stop()
            assert answer.result(20)[0].shape == (1, 24, 20, 1)
        client.deadline_s = 0.5
        with pytest.raises(ServingError) as caught:
            client.contract()
        assert caught.value.code == "UNAVAILABLE"


def test_a_server_that_does_not_answer_costs_no_more_than_the_deadline(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        place = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/{NAME}"
        with Client(place, deadline_s=1) as client, pytest.raises(ServingError, match=f"{scheme}://") as caught:
            client.contract()
        assert caught.value.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
        assert time.monotonic() - start < 3


def test_models_are_loaded_before_anything_listens_for_good(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ServingError, match="is no folder"):
        Server(tmp_path / "none", server_module.Settings(grpc_port=0, rest_port=port))
    socket.create_server(("127.0.0.1", port)).close()  # given back


def test_the_access_log_has_a_line_for_each_request(serve, address, slices, scheme, caplog):
    server = serve(access_log=True)
    with caplog.at_level("INFO", "kerasgan"), Client(address(server, scheme)) as client:
        client.contract()
        with pytest.raises(ServingError):
            Client(address(server, scheme).replace(NAME, "other\x1b")).contract()
        _wait_for(lambda: len(caplog.messages) == 2)
    asked = {"grpc": ["Predict mr2ct OK", r"Predict other\x1b NOT_FOUND"]}
    asked["http"] = ["POST /v1/models/mr2ct:predict 200", "POST /v1/models/other%1B:predict 404"]
    for line, expected in zip(caplog.messages, asked[scheme], strict=True):
        assert re.fullmatch(rf"\S+T\S+Z \S*127\.0\.0\.1:\d+ {re.escape(expected)} \d+ ms", line), line


def test_there_is_no_access_log_by_default(serve, address, scheme, caplog):
    with caplog.at_level("INFO", "kerasgan"), Client(address(serve(), scheme)) as client:
        client.contract()
    assert not caplog.messages


@pytest.fixture
def process(models):
    """`kerasgan serve` as a process of its own, and its address."""
    command = [sys.executable, "-m", "kerasgan", "serve", str(models), "--embedded", "--port", "0", "--rest-port", "0"]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as started:
        printed = [started.stdout.readline() for _ in range(4)]
        assert "Embedded server, not TensorFlow Serving. Models: mr2ct." in printed[0]
        assert printed[3].startswith("Only this machine reaches it; --host opens it to others.")
        yield started, re.search(r"grpc://\S+", printed[1])[0], re.search(r"http://\S+", printed[2])[0]
        started.kill()


@pytest.mark.slow
def test_a_killed_server_costs_no_more_than_the_deadline(process, slices):
    started, grpc, http = process
    addresses = [f"{grpc}/{NAME}", f"{http.split('/v1')[0]}/{NAME}"]
    clients = [Client(place, deadline_s=2) for place in addresses]
    for client in clients:
        assert client.translate(slices(1), window=WINDOW).shape == (1, 24, 20, 1)
    started.kill()
    started.wait()
    for client in clients:
        start = time.monotonic()
        with client, pytest.raises(ServingError, match="UNAVAILABLE"):
            client.translate(slices(1), window=WINDOW)
        assert time.monotonic() - start < 4


@pytest.mark.slow
def test_the_command_ends_in_order(process):
    started, *_ = process
    started.send_signal(signal.SIGTERM)
    rest, _ = started.communicate(timeout=30)
    assert started.returncode == 0 and "Stopping: requests under way are answered first." in rest
