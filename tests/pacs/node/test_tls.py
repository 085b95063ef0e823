"""Encrypted associations: who is heard, who is not, and that nobody keeps the others waiting."""

import socket
import ssl
import subprocess

import pytest
from needed import program
from running_node import IMAGES, associate, eventually

from kerasgan.errors import KerasganError
from kerasgan.pacs.node.config import Tls


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Makes certificates of an authority: its own file, and for each name a certificate and a key."""

    def make(*names, called):
        folder = tmp_path_factory.mktemp("authority")

        def openssl(*arguments):
            command = [program("openssl", package="openssl"), *map(str, arguments)]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)

        new = ["-newkey", "rsa:2048", "-nodes"]
        openssl("req", "-x509", *new, "-days", 2, "-subj", f"/CN={called}", "-keyout", "ca.key", "-out", "ca.pem")
        for name in names:
            openssl("req", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            sign = ["-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2]
            openssl("x509", *sign, "-out", f"{name}.pem")
        return folder

    return make


@pytest.fixture(scope="session")
def ours(authority):
    return authority("node", "scanner", called="hospital")


@pytest.fixture(scope="session")
def foreign(authority):
    return authority("node", "scanner", called="somebody")


def client(trusted, shown=None):
    """What a sender trusts, and shows."""
    context = ssl.create_default_context(cafile=str(trusted / "ca.pem"))
    context.check_hostname = False
    if shown:
        context.load_cert_chain(shown / "scanner.pem", shown / "scanner.key")
    return context


def store(port, folder, trusted, shown):
    """Sends a series by dcmtk; its exit code."""
    pair = [str(shown / "scanner.key"), str(shown / "scanner.pem")]
    command = [program("storescu", package="dcmtk"), "-aet", "SCANNER", "-aec", "KERASGAN", "+sd"]
    command += ["+tls", *pair, "+cf", str(trusted / "ca.pem"), "127.0.0.1", str(port), str(folder)]
    return subprocess.run(command, timeout=120, capture_output=True).returncode


@pytest.fixture
def tls(ours):
    return {"certificate": ours / "node.pem", "key": ours / "node.key"}


def test_a_series_by_tls_while_somebody_connects_and_says_nothing(start, ours, tls, mr, caplog):
    node = start(tls=tls | {"authority": ours / "ca.pem"})
    silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(3)]
    assert store(node.port, mr, ours, ours) == 0
    assert node.ended("sent").images == IMAGES
    association = associate(node.port, tls=client(ours, ours))
    assert association.send_c_echo().Status == 0
    association.release()
    for connection in silent:
        connection.settimeout(60)
        assert connection.recv(1) == b""  # the node has closed it
        connection.close()
    said = "A connection from 127.0.0.1 is closed: its handshake for TLS did not end within 10 s."
    eventually(lambda: caplog.messages.count(said) == len(silent))  # after a handshake fails, the socket closes first
    assert "associations_refused_total 3" in node.node.metrics()


def test_certificates_of_others_are_refused_and_named(start, ours, foreign, tls, mr, caplog):
    node = start(tls=tls | {"authority": ours / "ca.pem"})
    assert store(node.port, mr, foreign, ours)
    eventually(lambda: "from 127.0.0.1 is closed: it does not trust our certificate." in caplog.text)
    assert store(node.port, mr, ours, foreign)
    eventually(lambda: "from 127.0.0.1 is closed: its certificate is refused, " in caplog.text)
    assert not associate(node.port, tls=client(ours)).is_established
    eventually(lambda: "is closed: it shows no certificate, as [tls] wants one of authority." in caplog.text)
    assert not node.jobs()


def test_what_is_not_encrypted_is_refused_and_named(start, tls, ours, caplog):
    node = start(tls=tls)
    assert not associate(node.port).is_established
    eventually(lambda: "A connection from 127.0.0.1 is closed: it speaks no TLS." in caplog.messages)
    assert not node.jobs()
    association = associate(node.port, tls=client(ours))  # without authority nobody has to show a certificate
    assert association.is_established
    association.release()


def test_files_that_are_no_certificate_or_key(ours, foreign, tmp_path):
    wrong = {
        "KEY_VALUES_MISMATCH": {"key": foreign / "node.key"},
        "No such file or directory": {"key": tmp_path / "none.key"},
        "NO_CERTIFICATE_OR_CRL_FOUND": {"authority": ours / "node.key"},
    }
    for reason, change in wrong.items():
        given = {"certificate": ours / "node.pem", "key": ours / "node.key"} | change
        with pytest.raises(KerasganError, match=rf"cannot be used \({reason}\).*PEM files that belong together"):
            Tls(**given).context()
    locked = ["openssl", "rsa", "-aes128", "-passout", "pass:sesame", "-in", ours / "node.key", "-out", tmp_path / "k"]
    subprocess.run(locked, check=True, capture_output=True)
    with pytest.raises(KerasganError, match="the key without a passphrase"):
        Tls(certificate=ours / "node.pem", key=tmp_path / "k").context()
