"""Addresses as people write them."""

import pytest

from venom_engine.protocol.address import clean_url, is_loopback
from venom_engine.protocol.errors import BadRequest


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://localhost:8000"),
        ("head", "http://head"),
        ("ws://head:8000/", "http://head:8000"),
        ("wss://head", "https://head"),
        ("https://head/venom/", "https://head/venom"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        (" HTTP://Head:80 ", "http://head:80"),
    ],
)
def test_an_address_is_understood(written: str, meant: str) -> None:
    """With and without a scheme, for HTTP and for WebSocket."""
    assert clean_url(written) == meant


@pytest.mark.parametrize(
    "written",
    ["", "http://", "ftp://head", "http://head:port", "http://head:99999", "http://head/?a=b", "http://[::1"],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    """With an example of one."""
    with pytest.raises(BadRequest, match=r"http://127\.0\.0\.1:8000"):
        clean_url(written)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    """An address is shown in errors and logs; a secret has no place in it."""
    with pytest.raises(BadRequest) as refused:
        clean_url("http://me:sesame@head:8000")
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_the_network(host: str, loopback: bool) -> None:
    """Only what no other machine can reach counts."""
    assert is_loopback(host) is loopback
