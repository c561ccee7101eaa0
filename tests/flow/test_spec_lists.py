"""The list of tasks: newest first, filtered, and walked page by page while tasks keep coming."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from tests.flow.wire_helpers import Api, Json

CURSOR_HEADER = "X-Next-Cursor"
NOBODY = {"tags": ["a-tag-that-no-node-has"]}


def walked(api: Api, **query: Any) -> Iterator[list[Json]]:
    """The pages of a list, each with the cursor of the one before."""
    cursor: dict[str, str] = {}
    while True:
        answer = api.http.get("/api/v1/tasks", params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if CURSOR_HEADER not in answer.headers:
            return
        cursor = {"cursor": answer.headers[CURSOR_HEADER]}


def test_the_list_is_an_array_of_tasks_newest_first(api: Api) -> None:
    """Each entry is a VenomTask; what was submitted last comes first."""
    ids = [api.submit("x", requirements=NOBODY) for _ in range(5)]
    listed = api.tasks(limit=5)

    assert [task["id"] for task in listed] == ids[::-1]
    shown = api.task(ids[0])
    assert {key: listed[4][key] for key in shown if key != "logs"} == {
        k: v for k, v in shown.items() if k != "logs"
    }
    assert listed == sorted(listed, key=lambda task: task["created_at"], reverse=True)


def test_the_list_can_be_filtered(api: Api) -> None:
    """By status (one or several), queue, skill, node and a piece of the content."""
    queue = f"q-{uuid4().hex}"
    done = api.run("a needle", queue=queue)
    failed = api.run("!exit 1", queue=queue)
    waits = api.submit("100% of A_NEEDLE", queue=queue, requirements=NOBODY)

    def found(**query: Any) -> list[str]:
        return [task["id"] for task in api.tasks(queue=queue, **query)]

    assert found() == [waits, failed["id"], done["id"]]
    assert found(status="FAILED") == [failed["id"]]
    assert found(status=["FAILED", "PENDING"]) == [waits, failed["id"]]
    assert found(skill="ShellSkill") == [failed["id"]]
    assert found(node=done["node_id"]) == [failed["id"], done["id"]]
    assert found(text="needle") == [waits, done["id"]]
    assert found(text="a_needle") == [waits], "_ is a letter, not a wildcard"
    assert found(text="100%") == [waits]
    assert found(text="nothing like it") == []


def test_the_list_is_paged_by_a_cursor_in_a_header(api: Api) -> None:
    """Each page names the next in a header; the last one names none."""
    queue = f"q-{uuid4().hex}"
    ids = [api.submit("x", queue=queue, requirements=NOBODY) for _ in range(23)]
    pages = list(walked(api, queue=queue, limit=10))

    assert [len(page) for page in pages] == [10, 10, 3]
    assert [task["id"] for page in pages for task in page] == ids[::-1]


def test_the_pages_stay_right_while_tasks_come_and_change(api: Api) -> None:
    """New tasks between two pages shift nothing: every old task is seen once, in order."""
    queue = f"q-{uuid4().hex}"
    ids = [api.submit("x", queue=queue, requirements=NOBODY) for _ in range(23)]
    seen: list[str] = []
    for page in walked(api, queue=queue, limit=5):
        seen += [task["id"] for task in page]
        for _ in range(3):
            api.submit("new", queue=queue, requirements=NOBODY)
        api.abort(seen[-1])

    assert seen == ids[::-1]


def test_a_page_of_a_filtered_list_stays_right_when_its_last_task_leaves_the_filter(api: Api) -> None:
    """The task at the cursor is no longer PENDING: the next page still begins right after it."""
    queue = f"q-{uuid4().hex}"
    ids = [api.submit("x", queue=queue, requirements=NOBODY) for _ in range(9)]
    seen: list[str] = []
    for page in walked(api, queue=queue, status="PENDING", limit=3):
        seen += [task["id"] for task in page]
        api.abort(seen[-1])

    assert seen == ids[::-1]


def test_an_empty_list_is_an_empty_array(api: Api) -> None:
    """200, [], and no next page."""
    answer = api.http.get("/api/v1/tasks", params={"queue": f"q-{uuid4().hex}"})
    assert (answer.status_code, answer.json()) == (200, [])
    assert CURSOR_HEADER not in answer.headers
