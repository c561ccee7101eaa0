"""Bad input gets a clear error, and nothing is stored."""

import json
import socket
from typing import Any
from uuid import uuid4

import pytest

from tests.flow.wire_helpers import Api, Json

MIB = 1024 * 1024


def total(api: Api) -> int:
    """How many tasks the engine knows."""
    status = api.queue()
    return sum(status[word] for word in ("pending", "processing", "completed", "failed", "aborted"))


def reasons(body: Any) -> str:
    """Everything that an error answer says, as one text."""
    return json.dumps(body).lower()


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "content", "required"),
        ({"content": ""}, "content", "blank"),
        ({"content": "   "}, "content", "blank"),
        ({"content": "\n\t"}, "content", "blank"),
        ({"content": None}, "content", "string"),
        ({"content": 7}, "content", "string"),
        ({"content": ["x"]}, "content", "string"),
        ({"content": "x", "colour": "red"}, "colour", "not permitted"),
        ({"content": "x", "status": "COMPLETED"}, "status", "not permitted"),
        ({"content": "x", "priority": 11}, "priority", "10"),
        ({"content": "x", "priority": -1}, "priority", "0"),
        ({"content": "x", "priority": "high"}, "priority", "integer"),
        ({"content": "x", "max_retries": -1}, "max_retries", "0"),
        ({"content": "x", "timeout": 0}, "timeout", "0"),
        ({"content": "x", "timeout": -3}, "timeout", "0"),
        ({"content": "x", "requirements": {"gpus": 1}}, "gpus", "not permitted"),
        ({"content": "x", "requirements": {"tags": "gpu"}}, "tags", "should be"),
        ({"content": "x", "skill": "Echo", "method": "__init__"}, "method", "private"),
        ({"content": "x", "skill": "Echo", "parameters": [1]}, "parameters", "should be"),
        ({"content": "x", "skill": ""}, "skill", "1"),
    ],
)
def test_a_bad_body_is_refused_with_the_field_and_the_reason(
    api: Api, body: Json, field: str, reason: str
) -> None:
    """422; the answer names the field and says what is wrong; nothing is stored."""
    before = total(api)
    answer = api.http.post("/api/v1/tasks", json=body)

    assert answer.status_code == 422, answer.text
    assert field in reasons(answer.json()) and reason in reasons(answer.json()), answer.text
    assert total(api) == before


@pytest.mark.parametrize(
    "body", [b"", b"{", b"not json", b"[]", b'"text"', b"null", b"\xff\xfe", b'{"content": "\\ud800"}']
)
def test_a_body_that_is_no_proper_json_object_is_refused(api: Api, body: bytes) -> None:
    """422 for anything that is not a JSON object of valid text."""
    before = total(api)
    answer = api.http.post("/api/v1/tasks", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422, answer.text
    assert "traceback" not in answer.text.lower()
    assert total(api) == before


def test_content_of_exactly_one_mebibyte_is_taken(api: Api) -> None:
    """The limit is inclusive, and the whole text comes back."""
    content = "v" * MIB
    assert api.run(content)["result"] == f"Processed: {content}"


@pytest.mark.parametrize("content", ["v" * (MIB + 1), "ż" * (MIB // 2 + 1)])
def test_content_over_one_mebibyte_is_refused(api: Api, content: str) -> None:
    """Bytes count, not characters; the answer names the limit; nothing is stored."""
    before = total(api)
    answer = api.http.post("/api/v1/tasks", json={"content": content})

    assert answer.status_code in (413, 422)
    assert str(MIB) in answer.text or "1 mib" in answer.text.lower()
    assert len(answer.text) < 10_000, "the answer repeats the content"
    assert total(api) == before


def test_a_body_far_over_the_limit_is_refused_and_the_engine_goes_on(api: Api) -> None:
    """64 MiB do not get into the engine."""
    answer = api.http.post("/api/v1/tasks", content=b'{"content": "' + b"v" * (64 * MIB) + b'"}')

    assert answer.status_code in (413, 422)
    assert api.run("hello")["status"] == "COMPLETED"


@pytest.mark.parametrize("depth", [200, 100_000])
def test_deeply_nested_parameters_do_no_harm(api: Api, depth: int) -> None:
    """Taken or refused, but never a 500, and the engine goes on."""
    deep = "[" * depth + "1" + "]" * depth
    body = f'{{"content": "x", "skill": "Echo", "parameters": {{"content": {deep}}}}}'
    answer = api.http.post("/api/v1/tasks", content=body.encode())

    assert answer.status_code in (201, 413, 422), answer.text[:500]
    assert api.run("hello")["status"] == "COMPLETED"


@pytest.mark.parametrize("content", ["nul \x00 inside", "\x1b[2J\x1b]0;title\x07", "\u202eright to left"])
def test_strange_but_valid_text_comes_back_as_it_was(api: Api, content: str) -> None:
    """The API keeps text as it is (screens make it inert)."""
    task = api.run(content)
    assert (task["content"], task["result"]) == (content, f"Processed: {content}")


@pytest.mark.parametrize("content", ["!", "!   ", "!\n"])
def test_an_empty_command_is_refused(api: Api, content: str) -> None:
    """There is nothing to run: said at once, not when it fails."""
    before = total(api)
    answer = api.http.post("/api/v1/tasks", json={"content": content})

    assert answer.status_code in (400, 422), answer.text
    assert "command" in answer.text
    assert total(api) == before


@pytest.mark.parametrize("path", ["/api/v1/tasks/{}", "/api/v1/tasks/{}/stream"])
def test_an_id_that_is_no_uuid_is_refused(api: Api, path: str) -> None:
    """422, naming the field."""
    for wrong in ("42", "not-a-uuid", "00000000-0000-0000-0000-00000000000g", "%00", "x" * 5000):
        answer = api.http.get(path.format(wrong))
        assert answer.status_code == 422, answer.text
        assert "task_id" in answer.text


def test_an_abort_of_an_id_that_is_no_uuid_is_refused(api: Api) -> None:
    """422, naming the field."""
    answer = api.abort("42")
    assert answer.status_code == 422 and "task_id" in answer.text


def test_an_unknown_task_is_a_404_that_a_person_can_read(api: Api) -> None:
    """Show, follow and abort each name the id that is not there."""
    unknown = str(uuid4())
    for answer in (
        api.http.get(f"/api/v1/tasks/{unknown}"),
        api.http.get(f"/api/v1/tasks/{unknown}/stream"),
        api.abort(unknown),
    ):
        assert answer.status_code == 404
        assert unknown in answer.text and "task" in answer.text.lower()


def test_an_unknown_node_is_a_404_that_a_person_can_read(api: Api) -> None:
    """Show and execute each name the node that is not there."""
    for answer in (api.http.get("/api/v1/nodes/ghost"), api.execute("ghost", "Echo", "run", content="x")):
        assert answer.status_code == 404
        assert "ghost" in answer.text and "node" in answer.text.lower()


@pytest.mark.parametrize(
    "query",
    [
        "status=DONE",
        "limit=0",
        "limit=100000",
        "limit=ten",
        "offset=-1",
        "cursor=rubbish",
        "cursor=%00",
        "colour=red",
    ],
)
def test_a_bad_list_query_is_refused(api: Api, query: str) -> None:
    """400 or 422, naming the parameter."""
    answer = api.http.get(f"/api/v1/tasks?{query}")

    assert answer.status_code in (400, 422), answer.text
    assert query.partition("=")[0] in answer.text.lower()


def test_an_unknown_path_and_a_wrong_method_are_answered_plainly(api: Api) -> None:
    """404 and 405, as JSON."""
    assert api.http.get("/api/v1/nothing").status_code == 404
    assert api.http.delete("/api/v1/tasks").status_code == 405
    assert api.http.get("/api/v1/nothing").headers["content-type"].startswith("application/json")


def test_a_client_that_speaks_no_http_disturbs_nobody(api: Api) -> None:
    """Rubbish on the port, and connections that say nothing, leave the engine working."""
    host, port = api.url.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(20)]
    with socket.create_connection((host, int(port))) as rude:
        rude.sendall(b"\x00\xff" * 5000 + b"\r\n\r\n")
    assert api.run("hello")["status"] == "COMPLETED"
    for one in silent:
        one.close()
