"""Clients of the REST port that keep silent, and too many of them."""

import socket
import time

import pytest
import requests

from kerasgan.serving import connections

HEADER = b"POST /v1/models/mr2ct:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"


def connected(server, said=b""):
    connection = socket.create_connection(("127.0.0.1", server.rest_port), timeout=20)
    connection.sendall(said)
    return connection


def is_ended(connection):
    """True once the server has ended it; the test waits for that."""
    try:
        while connection.recv(1000):
            pass
    except ConnectionError:
        pass
    return True


def healthy(server):
    return requests.get(f"http://127.0.0.1:{server.rest_port}/health", timeout=20).status_code == 200


@pytest.mark.parametrize(
    "said", [b"", b"GET /hea", HEADER, HEADER + b"{", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET"]
)
def test_a_client_that_keeps_silent_is_given_up(serve, monkeypatch, said):
    monkeypatch.setattr(connections, "SILENT_S", 0.3)
    monkeypatch.setattr(connections, "SWEEP_S", 0.1)
    with connected(serve(), said) as connection:
        assert is_ended(connection)


def test_bytes_one_by_one_do_not_keep_a_request_alive(serve, monkeypatch):
    monkeypatch.setattr(connections, "SILENT_S", 0.5)
    monkeypatch.setattr(connections, "SWEEP_S", 0.1)
    with connected(serve(), HEADER) as connection, pytest.raises(ConnectionError):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            connection.sendall(b" ")
            time.sleep(0.05)


def test_a_request_that_is_worked_on_is_not_given_up(serve, monkeypatch, slices):
    monkeypatch.setattr(connections, "SILENT_S", 0.2)
    monkeypatch.setattr(connections, "SWEEP_S", 0.05)
    server = serve()
    answer = server._rest._app.routes[0].endpoint.__self__
    slowly = answer._answer
    monkeypatch.setattr(answer, "_answer", lambda *arguments: [time.sleep(1), slowly(*arguments)][1])
    address = f"http://127.0.0.1:{server.rest_port}/v1/models/mr2ct:predict"
    assert requests.post(address, json={"instances": slices(1, 6, 5).tolist()}, timeout=20).status_code == 200


def test_a_reply_that_nobody_reads_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(connections, "SILENT_S", 0.5)
    monkeypatch.setattr(connections, "SWEEP_S", 0.1)
    server = serve()
    monkeypatch.setattr(server._backend.metrics, "text", lambda: "x" * (64 * 2**20))
    with connected(server, b"GET /monitoring/prometheus/metrics HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        time.sleep(2)
        received = 0
        while chunk := connection.recv(2**20):
            received += len(chunk)
    assert received < 64 * 2**20


def test_a_reply_that_is_read_slowly_arrives(serve, monkeypatch):
    monkeypatch.setattr(connections, "SILENT_S", 0.5)
    monkeypatch.setattr(connections, "SWEEP_S", 0.1)
    server, text = serve(), "".join(map(str, range(2_000_000)))
    monkeypatch.setattr(server._backend.metrics, "text", lambda: text)
    with connected(server, b"GET /monitoring/prometheus/metrics HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        received = bytearray()
        while len(received) < len(text):
            received += connection.recv(2**20)
            time.sleep(0.05)
    assert bytes(received).partition(b"\r\n\r\n")[2] == text.encode()[: len(received) - received.find(b"\r\n\r\n") - 4]


def test_the_one_that_was_waited_for_longest_makes_room(serve, monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS", 4)
    server = serve()
    silent = [connected(server) for _ in range(6)]
    assert healthy(server)
    assert all(is_ended(one) for one in silent[:3])
    silent[5].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert silent[5].recv(1000).startswith(b"HTTP/1.1 200")
    for one in silent:
        one.close()


def test_a_flood_of_connections_leaves_the_server_answering(serve, monkeypatch):
    monkeypatch.setattr(connections, "CONNECTIONS", 50)
    server = serve()
    silent = [connected(server) for _ in range(300)]
    assert healthy(server)
    assert len(server._rest._open()) <= 51
    for one in silent:
        one.close()


def test_a_refused_descriptor_is_told_and_lived_through(serve, monkeypatch, caplog):
    server = serve()
    assert healthy(server)  # it accepts, and not only from the refused call on
    silent = connected(server)
    loop_accept, left = connections.asyncio.SelectorEventLoop.sock_accept, [2]

    async def accept(self, listening):
        if left[0]:
            left[0] -= 1
            raise OSError(24, "Too many open files")
        return await loop_accept(self, listening)

    monkeypatch.setattr(connections.asyncio.SelectorEventLoop, "sock_accept", accept)
    assert healthy(server) and healthy(server)
    assert is_ended(silent)
    assert "A connection cannot be accepted: [Errno 24] Too many open files." in caplog.messages


def test_replies_do_not_wait_for_the_acknowledgement_of_their_headers(server):
    with connected(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        assert connection.recv(1000)
        port = connection.getsockname()[1]
        accepted = server._rest._connections["127.0.0.1", port].socket
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
