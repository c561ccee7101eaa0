"""Addresses of engines, as people write them."""

import ipaddress
from urllib.parse import urlsplit

from venom_engine.protocol.errors import BadRequest

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def clean_url(text: str) -> str:
    """`host:port`, `http(s)://…` or `ws(s)://…` as the base address of an engine, http or https.

    Raises BadRequest for anything else, and for an address that holds a password.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _no_address(text) from error
    scheme = _SCHEMES.get(parts.scheme)
    if not host or scheme is None or "@" in parts.netloc or parts.query or parts.fragment:
        raise _no_address(text)
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether the name stands for this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _no_address(text: str) -> BadRequest:
    shown = text.rpartition("@")[2][:200]
    return BadRequest(
        f"{shown!r} is no address of an engine.",
        kept="Nothing was sent.",
        do="Give one such as http://127.0.0.1:8000; a token goes into --token or VENOM_TOKEN.",
    )
