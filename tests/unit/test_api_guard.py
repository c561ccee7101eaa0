"""Who is let in: the layer alone, around an app that answers 204 to everybody."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.responses import Response

from venom_engine.api.auth import LOOPBACK_HOSTS, MAX_BODY_BYTES, Guard

Ask = Callable[..., Awaitable[int]]
TOKEN = "open-sesame"


@pytest.fixture
def ask() -> Ask:
    """The status for a request with these headers."""

    async def asked(
        path: str = "/api/v1/tasks",
        *,
        token: str | None = TOKEN,
        hosts: frozenset[str] | None = LOOPBACK_HOSTS,
        base: str = "http://localhost:8000",
        **headers: str,
    ) -> int:
        guard = Guard(Response(status_code=204), token=token, allowed_hosts=hosts)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guard), base_url=base) as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await client.get(path, headers=sent)).status_code

    return asked


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 204),
        (f"bearer  {TOKEN}", 204),
        ("", 401),
        ("Bearer", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
    ],
)
async def test_only_the_bearer_of_the_token_comes_in(ask: Ask, authorization: str, status: int) -> None:
    """The whole token, announced as Bearer."""
    assert await ask(Authorization=authorization) == status


async def test_every_path_needs_the_token_but_two(ask: Ask) -> None:
    """Health is for everybody; a node's token comes in its handshake. A longer path is another path."""
    for path in ("/healthz", "/ws/nodes"):
        assert await ask(path) == 204
    for path in ("/docs", "/openapi.json", "/ws/events", "/healthz/", "/healthz/x", "/nope"):
        assert await ask(path) == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 204),
        ("LOCALHOST", 204),
        ("127.0.0.1:9000", 204),
        ("[::1]:8000", 204),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ],
)
async def test_on_loopback_it_answers_to_local_names_only(ask: Ask, host: str, status: int) -> None:
    """A web page that points its own name at 127.0.0.1 is turned away, with and without a token."""
    assert await ask("/healthz", Host=host) == status
    assert await ask("/healthz", token=None, Host=host) == status


async def test_on_a_network_it_answers_to_any_name(ask: Ask) -> None:
    """Nobody knows there by which name it is reached."""
    assert await ask("/healthz", hosts=None, Host="head.example") == 204


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 204),
        ("https://localhost:8000", 204),
        ("http://localhost", 403),
        ("http://localhost:8001", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_a_page_from_elsewhere_is_turned_away(ask: Ask, origin: str, status: int) -> None:
    """A browser names the page it acts for; it must come from here."""
    assert await ask("/healthz", token=None, Origin=origin) == status


async def test_a_default_port_may_be_left_out(ask: Ask) -> None:
    """`http://head` and `head:80` are the same place."""
    assert await ask("/healthz", hosts=None, Host="head:80", Origin="http://head") == 204
    assert await ask("/healthz", hosts=None, Host="head", Origin="http://head:80") == 204
    assert await ask("/healthz", hosts=None, Host="head", Origin="https://head") == 403


async def test_a_body_that_says_it_is_too_large_is_not_read(ask: Ask) -> None:
    """413 by its Content-Length alone."""
    bearer = f"Bearer {TOKEN}"
    too_much, most = str(MAX_BODY_BYTES + 1), str(MAX_BODY_BYTES)
    assert await ask(Authorization=bearer, Content_Length=too_much) == 413
    assert await ask(Authorization=bearer, Content_Length=most) == 204
    assert await ask(Content_Length=too_much) == 401
