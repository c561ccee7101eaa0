"""What the black-box tests speak with: HTTP, the event stream, raw node frames, and /proc.

Nothing here imports the product: a test that uses only this file sees what any stranger would see.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from uuid import uuid4

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Json = dict[str, Any]
Found = TypeVar("Found")

FINAL = ("COMPLETED", "FAILED", "ABORTED")
NOTES = "text/event-stream"


class Reachable(Protocol):
    """An engine that somebody started."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


def wait_until(condition: Callable[[], Found | None], timeout: float = 20, what: str = "") -> Found:
    """What the condition returns, as soon as that is true. Fails the test when it never is."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what or condition}")
        time.sleep(0.02)


def holds_for(seconds: float, condition: Callable[[], object], what: str = "") -> None:
    """Look for a while and fail at the first moment at which the condition does not hold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer true: {what or condition}"
        time.sleep(0.02)


class Api:
    """An operator with curl."""

    def __init__(self, engine: Reachable, *, token: str | None = None) -> None:
        self.url = engine.url
        self.token = engine.token if token is None else token
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.http = httpx.Client(base_url=self.url, headers=bearer, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()

    # tasks

    def submit(self, content: str, **fields: Any) -> str:
        """The id of a task that the engine has acknowledged."""
        answer = self.http.post("/api/v1/tasks", json={"content": content, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["task_id"])

    def task(self, task_id: str) -> Json:
        return self._json(self.http.get(f"/api/v1/tasks/{task_id}"))

    def tasks(self, **query: Any) -> list[Json]:
        answer = self.http.get("/api/v1/tasks", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def finished(self, task_id: str, timeout: float = 30) -> Json:
        """The task, once it has a final status."""
        return self.until(task_id, *FINAL, timeout=timeout)

    def until(self, task_id: str, *statuses: str, timeout: float = 30) -> Json:
        """The task, once it has one of these statuses."""
        last: Json = {}

        def there() -> bool:
            last.clear()
            last.update(self.task(task_id))
            return last["status"] in statuses

        try:
            wait_until(there, timeout, f"{statuses} of {task_id}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is: {json.dumps(last, indent=1)}") from None
        return last

    def run(self, content: str, **fields: Any) -> Json:
        """Submit and wait for the end."""
        return self.finished(self.submit(content, **fields))

    def abort(self, task_id: str) -> httpx.Response:
        return self.http.post(f"/api/v1/queue/task/{task_id}/abort")

    # queue

    def queue(self, action: str = "") -> Json:
        """The status, or what a control (`pause`, `resume`, `purge`, `emergency-stop`) answered."""
        if action:
            return self._json(self.http.post(f"/api/v1/queue/{action}"))
        return self._json(self.http.get("/api/v1/queue/status"))

    # nodes

    def nodes(self, **query: Any) -> list[Json]:
        return list(self._json(self.http.get("/api/v1/nodes", params=query))["nodes"])

    def node(self, node_id: str) -> Json:
        return dict(self._json(self.http.get(f"/api/v1/nodes/{node_id}"))["node"])

    def online(self, name: str, timeout: float = 20) -> Json:
        """The node of this name, once it is connected."""
        return wait_until(lambda: self._named(name, online=True), timeout, f"node {name} to be online")

    def offline(self, name: str, timeout: float = 20) -> Json:
        """The node of this name, once the engine says that it is gone."""
        return wait_until(lambda: self._named(name, online=False), timeout, f"node {name} to be offline")

    def execute(
        self, node_id: str, skill: str, method: str, timeout: float = 10, **parameters: Any
    ) -> httpx.Response:
        body = {"skill_name": skill, "method_name": method, "parameters": parameters, "timeout": timeout}
        return self.http.post(f"/api/v1/nodes/{node_id}/execute", json=body)

    def _named(self, name: str, *, online: bool) -> Json | None:
        return next((n for n in self.nodes() if n["node_name"] == name and n["is_online"] is online), None)

    @staticmethod
    def _json(answer: httpx.Response) -> Json:
        assert answer.status_code == 200, (
            f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
        )
        return dict(answer.json())


class Frames:
    """A WebSocket whose frames are kept as they come, so that a test can wait for any of them."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.got: list[Json] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self._open = ExitStack()
        self._socket: ClientConnection = self._open.enter_context(
            connect(url, additional_headers=headers, max_size=None)
        )
        self._reader = Thread(target=self._read, name=f"frames of {url}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def send(self, frame: Json | str | bytes) -> None:
        self._socket.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    def close(self) -> None:
        self._open.close()
        self._reader.join(10)

    def wait_for(self, wanted: Callable[[Json], bool], timeout: float = 20, what: str = "a frame") -> Json:
        """The first frame, heard already or still to come, that is wanted."""

        def heard() -> Json | None:
            return next((frame for frame in tuple(self.got) if wanted(frame)), None)

        try:
            return wait_until(heard, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; heard: {json.dumps(self.got[-20:], indent=1)}") from None

    def wait_for_close(self, timeout: float = 20) -> int:
        """The code with which the other end closed."""
        self._reader.join(timeout)
        assert self.close_code is not None, f"still open; heard: {self.got}"
        return self.close_code

    def _read(self) -> None:
        try:
            for frame in self._socket:
                self.got.append(json.loads(frame))
        except ConnectionClosed:
            pass  # the code below says how
        self.close_code = self._socket.close_code
        self.close_reason = self._socket.close_reason or ""


class Events(Frames):
    """A watcher on `/ws/events`."""

    def __init__(self, engine: Reachable, query: str = "") -> None:
        super().__init__(
            f"{engine.url.replace('http', 'ws', 1)}/ws/events{query}",
            {"Authorization": f"Bearer {engine.token}"},
        )

    def told(self, kind: str, timeout: float = 20, **data: Any) -> Json:
        """The event of this type whose data holds all of this."""
        return self.wait_for(
            lambda e: e["type"] == kind and all(e["data"].get(k) == v for k, v in data.items()),
            timeout,
            f"{kind} {data}",
        )


class RawNode(Frames):
    """A node in the hand of the test: it says what it is told to say, true or not."""

    def __init__(self, engine: Reachable, name: str = "", *, node_id: str = "", url: str = "") -> None:
        self.name = name or f"raw-{uuid4().hex[:8]}"
        self.node_id = node_id or str(uuid4())
        super().__init__(f"{(url or engine.url).replace('http', 'ws', 1)}/ws/nodes")

    def say(self, kind: str, **payload: Any) -> None:
        self.send(
            {"message_type": kind, "payload": {"message_type": kind, **payload}, "timestamp": now_iso()}
        )

    def handshake(self, token: str, *, skills: tuple[str, ...] = ("Dance",), **more: Any) -> None:
        capabilities = {"skills": list(skills), **more.pop("capabilities", {})}
        self.say(
            "HANDSHAKE",
            node_id=self.node_id,
            node_name=self.name,
            capabilities=capabilities,
            token=token,
            timestamp=now_iso(),
            **more,
        )

    def heartbeat(self, **load: Any) -> None:
        told = {"node_id": self.node_id, "cpu_usage": 0.1, "memory_usage": 0.1, "active_tasks": 0, **load}
        self.say("HEARTBEAT", **told)

    def answer(
        self, request: Json, *, success: bool = True, result: Any = None, error: str | None = None
    ) -> None:
        self.say(
            "RESPONSE",
            request_id=request["request_id"],
            node_id=self.node_id,
            success=success,
            result=result,
            error=error,
            execution_time=0.01,
        )

    def asked(self, skill: str, timeout: float = 20, **parameters: Any) -> Json:
        """The payload of the EXECUTE_SKILL for this skill with these parameters."""
        frame = self.wait_for(
            lambda f: (
                f["message_type"] == "EXECUTE_SKILL"
                and f["payload"]["skill_name"] == skill
                and all(f["payload"]["parameters"].get(k) == v for k, v in parameters.items())
            ),
            timeout,
            f"a call of {skill} with {parameters}",
        )
        return dict(frame["payload"])

    @property
    def types_heard(self) -> set[str]:
        return {str(frame["message_type"]) for frame in self.got}


@contextmanager
def server_sent(api: Api, path: str) -> Iterator[Iterator[tuple[str, Json]]]:
    """The (event, data) pairs of a `text/event-stream`, as they come."""
    with api.http.stream("GET", path, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith(NOTES)
        yield _pairs(answer.iter_lines())


def _pairs(lines: Iterator[str]) -> Iterator[tuple[str, Json]]:
    name, data = "message", ""
    for line in lines:
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data += line.removeprefix("data:").strip()
        elif not line and data:
            yield name, json.loads(data)
            name, data = "message", ""


def now_iso() -> str:
    """The time as the original wrote it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def a_marker() -> str:
    """A number of seconds that no other process on this machine sleeps for."""
    return f"300.{uuid4().int % 10**15:015d}"


def processes_with(marker: str) -> dict[int, str]:
    """The live processes whose command line holds the marker."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if marker in command:
            found[int(entry.name)] = command
    return found


def children_of(pid: int) -> list[int]:
    """The direct children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def with_path(*folders: Path) -> str:
    """A PYTHONPATH on which our packages and these folders are found."""
    return ":".join(str(folder) for folder in (Path(__file__).resolve().parents[2], *folders))
