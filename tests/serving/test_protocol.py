import re

import pytest

from kerasgan.errors import ServingError
from kerasgan.serving.protocol import parse_address


@pytest.mark.parametrize(
    ("text", "place", "is_grpc", "is_encrypted"),
    [
        ("grpc://host:9000/ct", "host:9000", True, False),
        ("grpcs://host/ct", "host:8500", True, True),
        ("http://10.0.0.7/ct/", "10.0.0.7:8501", False, False),
        ("https://[::1]:443/ct", "[::1]:443", False, True),
    ],
)
def test_parts_and_default_ports(text, place, is_grpc, is_encrypted):
    address = parse_address(text)
    assert (address.place, address.model) == (place, "ct")
    assert (address.is_grpc, address.is_encrypted) == (is_grpc, is_encrypted)


@pytest.mark.parametrize(
    "text",
    ["", "host:8500/ct", "ftp://host/ct", "grpc://host", "grpc:///ct", "http://host/v1/models/ct", "grpc://host:no/ct"],
)
def test_other_texts_are_refused_with_an_example(text):
    with pytest.raises(ServingError, match=re.escape(f"{text!r} is no address of a model; give one such as grpc://")):
        parse_address(text)
