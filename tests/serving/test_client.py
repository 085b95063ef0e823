import threading

import numpy as np
import pytest

from kerasgan.errors import ServingError
from kerasgan.serving import Client
from kerasgan.serving import client as client_module
from kerasgan.serving.protocol import Address

WINDOW = (10.0, 300.0)
HALF_HU, QUANTISED_HU = 0.5, 2.0  # of REST: whole HU out, and 16 bits in through a network


def tolerance(client):
    return 1e-3 if client.address.is_grpc else QUANTISED_HU


def test_the_contract_comes_from_the_server(client):
    described = client.contract()
    assert (described.name, described.version) == ("mr2ct", 1) and set(described.directions) == {"ab", "ba"}


def test_mr_with_a_window_in_many_batches(client, model, slices):
    images = slices(19)
    expected = model.predict("serving_windowed", {"image": images, "window": np.float32([WINDOW] * 19)})["synthetic"]
    found = client.translate(images, window=WINDOW)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=tolerance(client))


def test_mr_without_a_window_shares_one_range_over_all_slices(client, model, slices):
    images = slices(19) * np.linspace(0.1, 1, 19, dtype=np.float32)[:, None, None, None]
    expected = model.predict("serving_default", {"image": images})["synthetic"]
    np.testing.assert_allclose(client.translate(images), expected, atol=tolerance(client))


def test_ct_goes_the_other_way(client, model, slices):
    images = slices(3) * 5 - 1000
    expected = model.predict("serving_default_ba", {"image": images})["synthetic"]
    np.testing.assert_allclose(client.translate(images, "ba"), expected, atol=0.2)


@pytest.mark.parametrize(("value", "count"), [(np.nan, 1), (np.inf, 2), (1e39, 3)])
def test_values_that_are_not_finite_are_refused_before_they_are_sent(client, slices, value, count):
    images = slices(1).astype(np.float64)
    images[0, 0, :count] = value
    with pytest.raises(
        ValueError, match=rf"{count} of 480 pixel values in `images` are NaN or infinite; replace them with finite"
    ):
        client.translate(images)


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4), (2, 4, 4, 3), (0, 4, 4, 1)])
def test_other_shapes_are_refused(client, shape):
    with pytest.raises(ValueError, match=r"Needs images of shape \[slices, height, width, 1\]; got \["):
        client.translate(np.zeros(shape))


def test_a_window_may_be_an_array_and_has_two_ends(client, slices):
    images = slices(1)
    expected = client.translate(images, window=WINDOW)
    np.testing.assert_array_equal(client.translate(images, window=np.array(WINDOW)), expected)
    for wrong in ((0.0, 100.0, 200.0), (), (WINDOW, WINDOW)):
        with pytest.raises(ValueError, match=r"Needs 1 windows \(low, high\), one for each channel; got \("):
            client.translate(images, window=wrong)


def test_a_window_for_ct_is_refused(client, slices):
    with pytest.raises(
        ValueError, match=r"Direction ba takes CT, -1000 to 1600 HU, whose window is fixed; leave window"
    ):
        client.translate(slices(1), "ba", window=WINDOW)


def test_a_model_that_is_not_there(server, address):
    for scheme in ("grpc", "http"):
        with (
            Client(address(server, scheme).replace("mr2ct", "other")) as client,
            pytest.raises(
                ServingError,
                match=rf"{scheme}://.*/other: NOT_FOUND: Servable not found .*Latest\(other\)\. kerasgan serve names",
            ),
        ):
            client.contract()


@pytest.mark.parametrize(
    ("port", "scheme", "said"),
    [
        ("grpc", "http", "UNAVAILABLE: Connection aborted. Check that a server runs there, that it is the port for"),
        ("http", "grpc", "Check that a server runs there, that it is the port for gRPC or REST"),
        ("http", "https", "the server speaks no TLS; ask it by http://."),
        ("grpc", "grpcs", "the server speaks no TLS; ask it by grpc://."),
    ],
)
def test_another_port_than_the_address_says(server, address, port, scheme, said):
    place = address(server, port).partition("://")[2]
    with Client(f"{scheme}://{place}", deadline_s=3) as client, pytest.raises(ServingError) as caught:
        client.contract()
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_port_where_nothing_listens():
    expected = r"http://127.0.0.1:9/ct: UNAVAILABLE: \[Errno \d+\] Connection refused\. Check that a server runs"
    with Client("http://127.0.0.1:9/ct", deadline_s=0.3) as client, pytest.raises(ServingError, match=expected):
        client.contract()


class Recorded:
    """In place of a server: answers with the image times ten times its version, and may move on to another one."""

    def __init__(self, contract):
        self.contract, self.version, self.sizes, self.lock = contract, 1, [], threading.Lock()
        self.move_on_after = None

    def predict(self, signature, inputs, version, timeout_s):
        with self.lock:
            if signature == "contract":
                return np.array([self.contract.model_copy(update={"version": self.version}).model_dump_json()], object)
            if version != self.version:
                raise ServingError("gone", "NOT_FOUND")
            self.sizes.append(len(inputs["image"]))
            if len(self.sizes) == self.move_on_after:
                self.version += 1
        return 10 * inputs["image"] * version


@pytest.fixture
def recorded(server, address, monkeypatch):
    with Client(address(server)) as real:
        transport = Recorded(real.contract())
    monkeypatch.setattr(client_module, "connect", lambda *_: transport)
    return transport


def test_batches_fit_into_a_message_and_keep_their_order(recorded, slices):
    images = slices(7, 64, 64)  # 16 KiB each
    found = Client("grpc://host/ct", message_bytes=2**14 + 3 * 2**14 + 100).translate(images, window=WINDOW)
    assert sorted(recorded.sizes) == [1, 3, 3]
    np.testing.assert_array_equal(found, 10 * images)
    recorded.sizes.clear()
    Client("grpc://host/ct", message_bytes=1000).translate(images, window=WINDOW)
    assert recorded.sizes == [1] * 7  # a slice cannot be cut
    recorded.sizes.clear()
    Client("grpc://host/ct").translate(slices(20), window=WINDOW)
    assert sorted(recorded.sizes) == [4, 8, 8]


def test_all_slices_come_from_one_version(recorded, slices):
    recorded.move_on_after = 2
    images = slices(30)
    found = Client("grpc://host/ct").translate(images, window=WINDOW)
    np.testing.assert_allclose(found, 20 * images)


def test_a_version_that_vanishes_without_another_is_an_error(recorded, slices, monkeypatch):
    client = Client("grpc://host/ct")
    described = client.contract()
    monkeypatch.setattr(client, "contract", lambda: described)
    recorded.version = 5
    with pytest.raises(ServingError, match="gone"):
        client.translate(slices(1), window=WINDOW)


def test_replies_that_are_no_images_are_refused(recorded, slices, monkeypatch):
    monkeypatch.setattr(Recorded, "predict", _with_nan)
    with pytest.raises(ServingError, match=r"gave images of shape \(1, 24, 20, 1\) or not finite; it is not usable"):
        Client("grpc://host/ct").translate(slices(1), window=WINDOW)


def test_raw_pixels_that_were_cut_are_refused(recorded, slices, monkeypatch):
    monkeypatch.setattr(Recorded, "predict", _cut)
    with pytest.raises(ServingError, match=r"An image of 24 rows and 20 columns needs 960 bytes; got 5"):
        Client("http://host/ct").translate(slices(1), window=WINDOW)


def test_a_server_that_dies_during_a_translation_is_waited_for_once(recorded, slices, monkeypatch):
    client, asked = Client("grpc://host/ct", deadline_s=0.1), []

    def predict(signature, *others):
        asked.append(signature)
        if len(asked) > 1:
            raise ServingError("dead", "UNAVAILABLE")
        return Recorded.predict(recorded, signature, *others)

    monkeypatch.setattr(recorded, "predict", predict)
    with pytest.raises(ServingError, match="dead"):
        client.translate(slices(1), window=WINDOW)
    assert asked[0] == "contract" and "contract" not in asked[1:]


def _cut(self, signature, inputs, version, timeout_s):
    if signature == "contract":
        return np.array([self.contract.model_dump_json()], object)
    return np.array([b"12345"], object)


def _with_nan(self, signature, inputs, version, timeout_s):
    if signature == "contract":
        return np.array([self.contract.model_dump_json()], object)
    return inputs["image"] * np.nan


@pytest.mark.parametrize(
    ("code", "said"), [("FAILED_PRECONDITION", "is no model that kerasgan exported: x"), ("UNAVAILABLE", "^x$")]
)
def test_models_of_other_projects(recorded, monkeypatch, code, said):
    def predict(*_):
        raise ServingError("x", code)

    monkeypatch.setattr(recorded, "predict", predict)
    with pytest.raises(ServingError, match=said) as caught:
        Client("grpc://host/ct", deadline_s=0.1).contract()
    assert caught.value.code == code


def test_contracts_of_other_versions_of_kerasgan(recorded, monkeypatch):
    monkeypatch.setattr(recorded, "predict", lambda *_: np.array([b'{"name": "ct"}'], object))
    with pytest.raises(ServingError, match="was exported by another version of kerasgan"):
        Client("grpc://host/ct").contract()


def test_packages_that_are_missing_are_named_with_their_extra(monkeypatch):
    from kerasgan.serving import protocol

    monkeypatch.setattr(protocol, "find_spec", lambda name: None)
    for scheme, package in (("grpc", "grpcio"), ("http", "requests")):
        with pytest.raises(
            ServingError, match=rf"This needs {package}; install it with: pip install 'kerasgan\[serving]'"
        ):
            Client(f"{scheme}://host/ct")


def test_addresses_read_as_they_were_written():
    assert str(Address("grpc", "host:1", "ct")) == "grpc://host:1/ct"
