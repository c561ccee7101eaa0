"""Direct calls of a node's skills, and the skills that every Spore has."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import EngineStarter, SporeStarter
from tests.flow.wire_helpers import (
    Api,
    Json,
    RawNode,
    Reachable,
    a_marker,
    processes_with,
    wait_until,
    with_path,
)
from tests.processes import EngineProcess, SporeProcess


class Called:
    """A Spore as the only node of its engine, called directly."""

    def __init__(self, api: Api, node_id: str, workspace: Path) -> None:
        self.api, self.node_id, self.workspace = api, node_id, workspace

    def __call__(self, skill: str, method: str, timeout: float = 10, **parameters: Any) -> Json:
        answer = self.api.execute(self.node_id, skill, method, timeout, **parameters)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def spore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Called]:
    """A Spore that anybody may call."""
    base = tmp_path_factory.mktemp("called")
    engine = EngineProcess(base / "state", "--no-local-node")
    try:
        process = SporeProcess(base / "spore", engine.url, engine.node_token)
        try:
            with Api(engine) as api:
                node = api.online(process.name)
                assert process.workspace.is_dir()
                yield Called(api, node["node_id"], process.workspace)
        finally:
            process.end()
    finally:
        engine.end()


def test_a_call_answers_success_result_error_and_time(spore: Called) -> None:
    """200 with exactly these four; a skill that fails is a 200 too, with its error."""
    good = spore("Echo", "run", content="x")
    assert good.keys() == {"success", "result", "error", "execution_time"}
    assert (good["success"], good["result"], good["error"]) == (True, "Processed: x", None)
    assert good["execution_time"] >= 0

    bad = spore("ShellSkill", "run", command="echo why >&2; exit 4")
    assert bad["success"] is False
    assert "4" in bad["error"] and "why" in bad["error"]


def test_a_call_is_no_task(spore: Called) -> None:
    """It stands outside the queue: no task is stored, and a paused queue does not hold it up."""
    before = spore.api.tasks(limit=1000)
    spore.api.queue("pause")
    try:
        assert spore("Echo", "run", content="x")["success"]
    finally:
        spore.api.queue("resume")
    assert spore.api.tasks(limit=1000) == before


def test_a_call_of_a_node_that_is_offline_is_a_400(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """And says that it is offline."""
    with RawNode(shared_engine) as node:
        node.handshake(node_token)
        api.online(node.name)
    api.offline(node.name)
    answer = api.execute(node.node_id, "Dance", "run")
    assert answer.status_code == 400 and "offline" in answer.text


def test_a_node_that_goes_away_during_a_call_is_a_400(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """The caller hears of it at once, not at the timeout."""
    with RawNode(shared_engine) as node, ThreadPoolExecutor(1) as caller:
        node.handshake(node_token)
        api.online(node.name)
        call = caller.submit(api.execute, node.node_id, "Dance", "run", 300)
        node.asked("Dance")
        node.close()
        answer = call.result(20)
    assert answer.status_code == 400 and node.name in answer.text


def test_a_call_that_takes_too_long_is_a_504_and_is_stopped_there(spore: Called) -> None:
    """The answer names the time, and no process of it is left."""
    marker = a_marker()
    answer = spore.api.execute(
        spore.node_id, "ShellSkill", "run", 0.5, command=f"sleep {marker} & sleep {marker}"
    )

    assert answer.status_code == 504 and "0.5" in answer.text
    wait_until(lambda: not processes_with(marker), what="its processes to be gone")


def test_a_node_that_never_answers_is_a_504(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """Also one that cannot be told to stop."""
    with RawNode(shared_engine) as node:
        node.handshake(node_token)
        api.online(node.name)
        assert api.execute(node.node_id, "Dance", "run", 0.2).status_code == 504


def test_a_caller_who_hangs_up_leaves_nothing_running(spore: Called) -> None:
    """The connection of the caller breaks: the call is cancelled on the node."""
    marker = a_marker()
    body = {"skill_name": "ShellSkill", "method_name": "run", "parameters": {"command": f"sleep {marker}"}}
    with (
        httpx.Client(headers=spore.api.http.headers, timeout=0.7) as impatient,
        pytest.raises(httpx.ReadTimeout),
    ):
        impatient.post(f"{spore.api.url}/api/v1/nodes/{spore.node_id}/execute", json={**body, "timeout": 200})
    wait_until(lambda: not processes_with(marker), 30, "the call to be cancelled")


def test_a_call_that_says_nothing_else_may_take_thirty_seconds(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """The default of the protocol; the parameters are empty."""
    with RawNode(shared_engine) as node, ThreadPoolExecutor(1) as caller:
        node.handshake(node_token)
        api.online(node.name)
        path, body = f"/api/v1/nodes/{node.node_id}/execute", {"skill_name": "Dance", "method_name": "run"}
        call = caller.submit(api.http.post, path, json=body)
        request = node.asked("Dance")
        node.answer(request, result=1)
        assert (request["timeout"], request["parameters"]) == (30, {})
        assert call.result(20).json()["result"] == 1


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "skill_name"),
        ({"skill_name": "Echo"}, "method_name"),
        ({"skill_name": "Echo", "method_name": "run", "timeout": 0}, "timeout"),
        ({"skill_name": "Echo", "method_name": "run", "timeout": "soon"}, "timeout"),
        ({"skill_name": "Echo", "method_name": "run", "parameters": "x"}, "parameters"),
        ({"skill_name": "Echo", "method_name": "run", "colour": "red"}, "colour"),
        ({"skill_name": "NoSuchSkill", "method_name": "run"}, "NoSuchSkill"),
    ],
)
def test_a_bad_call_is_a_400_that_says_what_is_wrong(spore: Called, body: Json, word: str) -> None:
    """Missing, wrong and unknown fields, and a skill that the node does not have."""
    answer = spore.api.http.post(f"/api/v1/nodes/{spore.node_id}/execute", json=body)
    assert answer.status_code == 400, answer.text
    assert word in answer.text


@pytest.mark.parametrize("method", ["no_such_method", "_private", "__init__", "__class__"])
def test_only_public_methods_that_exist_can_be_called(spore: Called, method: str) -> None:
    """Refused by the node, which says what there is."""
    answer = spore.api.execute(spore.node_id, "Echo", method, content="x")
    assert answer.status_code == 400 or answer.json()["success"] is False, answer.text
    assert method in answer.text


# -- ShellSkill


def test_the_shell_runs_a_command_and_hands_back_what_it_printed(spore: Called) -> None:
    """Both streams, in the workspace as its folder, with nothing on its input."""
    text = str(spore("ShellSkill", "run", command="echo out; echo err >&2; pwd; cat")["result"])
    assert "out" in text and "err" in text and str(spore.workspace.resolve()) in text


def test_the_shell_ends_a_command_at_its_own_timeout(spore: Called) -> None:
    """`timeout` is a parameter of the skill too."""
    marker = a_marker()
    body = {"command": f"sleep {marker}", "timeout": 0.3}
    answer = spore.api.http.post(
        f"/api/v1/nodes/{spore.node_id}/execute",
        json={"skill_name": "ShellSkill", "method_name": "run", "parameters": body, "timeout": 20},
    )
    assert answer.status_code in (200, 504)
    assert answer.status_code == 504 or answer.json()["success"] is False
    assert "0.3" in answer.text
    wait_until(lambda: not processes_with(marker), what="it to be gone")


def test_the_shell_shows_no_secret_of_the_node(spore: Called) -> None:
    """The Spore's token is not in the environment of what it runs."""
    text = str(spore("ShellSkill", "run", command="env; cat /proc/self/environ | tr '\\0' '\\n'")["result"])
    assert "PATH=" in text
    assert "SHARED_TOKEN" not in text


# -- FileSkill


def test_files_are_written_read_and_listed_in_the_workspace(spore: Called) -> None:
    """write_file, read_file and list_files, with folders and any text."""
    text = "zażółć\n\ttwo\n"
    assert spore("FileSkill", "write_file", path="deep/er/note.txt", content=text)["success"]
    assert (spore.workspace / "deep/er/note.txt").read_text() == text
    assert spore("FileSkill", "read_file", path="deep/er/note.txt")["result"] == text
    assert "note.txt" in str(spore("FileSkill", "list_files", path="deep/er")["result"])
    assert "deep" in str(spore("FileSkill", "list_files", path=".")["result"])
    assert spore("FileSkill", "write_file", path="deep/er/note.txt", content="")["success"]
    assert (spore.workspace / "deep/er/note.txt").read_text() == ""


@pytest.fixture(scope="module")
def outside(spore: Called, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside, to which symlinks in the workspace lead."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret.txt").write_text("the secret")
    (spore.workspace / "inner").mkdir()
    links: dict[str, Path | str] = {
        "folder-link": folder,
        "file-link": folder / "secret.txt",
        "new-link": folder / "made.txt",
        "relative-link": os.path.relpath(folder, spore.workspace),
        "inner/up-link": Path("../.."),
        "link-to-link": "folder-link",
    }
    for name, target in links.items():
        (spore.workspace / name).symlink_to(target)
    return folder


OUT = [
    "../x",
    "inner/../../x",
    "..",
    "./../x",
    "inner/./../../x",
    "/etc/passwd",
    "//etc/passwd",
    "{outside}/secret.txt",
    "folder-link/secret.txt",
    "folder-link",
    "relative-link/secret.txt",
    "inner/up-link/x",
    "link-to-link/secret.txt",
    "file-link",
    "new-link",
    "inner/../folder-link/secret.txt",
    "~/.bashrc/../../../etc/passwd",
    "nul\x00byte",
]


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("method", ["read_file", "write_file", "list_files"])
def test_a_path_that_leaves_the_workspace_is_refused(
    spore: Called, outside: Path, method: str, path: str
) -> None:
    """By `..`, by an absolute path, by a symlink to a file, a folder or nothing yet: nothing read or written."""
    before = sorted(spore.workspace.parent.iterdir())
    more: Json = {"content": "overwritten"} if method == "write_file" else {}
    answer = spore("FileSkill", method, path=path.format(outside=outside), **more)

    assert answer["success"] is False, answer
    assert answer["error"] and "the secret" not in str(answer) and "root:" not in str(answer)
    assert (outside / "secret.txt").read_text() == "the secret"
    assert sorted(p.name for p in outside.iterdir()) == ["secret.txt"]
    assert sorted(spore.workspace.parent.iterdir()) == before


# -- skills of the user's own


def test_users_add_skills_of_their_own(
    engine_process: EngineStarter, spore_process: SporeStarter, faulty_skills: Path
) -> None:
    """`--skills MODULE`: a marked function is a skill, plain or async, announced and callable."""
    engine = engine_process("--no-local-node")
    spore = spore_process(engine, "--skills", "faulty_skills", PYTHONPATH=with_path(faulty_skills))
    with Api(engine) as api:
        node = api.online(spore.name)
        assert {"Echo", "ShellSkill", "FileSkill", "Faulty", "double"} <= set(node["capabilities"]["skills"])
        assert api.run("x", skill="double", parameters={"number": 21})["result"] == 42
        assert api.run("x", skill="Faulty", method="shout", parameters={"content": "hi"})["result"] == "HI"
