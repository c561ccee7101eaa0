"""What a task runs: content and names -> lane, method, parameters."""

import re

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from venom_engine.protocol.errors import BadRequest
from venom_engine.protocol.task import TaskRequest
from venom_engine.rules.records import Lane

SHELL_MARK = "!"


def route(request: TaskRequest, default_skill: str) -> tuple[Lane, str, dict[str, JsonValue]]:
    """The lane to wait in, the method to call and what to call it with.

    Named skill: as named. `!command`: the shell. Anything else: the default skill, with the content.
    Raises BadRequest for a method without a skill and for an empty command.
    """
    _check_parameters(request.parameters)
    if request.skill is not None:
        skill, method, parameters = request.skill, request.method or "run", request.parameters
    elif request.method is not None or request.parameters:
        raise BadRequest(
            "`method` and `parameters` say how to call a skill, but no `skill` is named.",
            kept="Nothing was stored.",
            do="Name the skill, or send the content alone.",
        )
    elif request.content.startswith(SHELL_MARK):
        skill, method, parameters = "ShellSkill", "run", {"command": _command(request.content)}
    else:
        skill, _, method = default_skill.partition(".")
        method, parameters = method or "run", {"content": request.content}
    return Lane(request.queue, skill, request.requirements), method, parameters


def _check_parameters(parameters: dict[str, JsonValue]) -> None:
    """What cannot be written and read back as JSON would harm whoever reads it later."""
    try:
        from_json(to_json(parameters))
    except ValueError as error:
        raise BadRequest(
            f"`parameters` cannot be kept as JSON: {str(error)[:200]}.",
            kept="Nothing was stored.",
            do="Nest them less deeply, and use valid Unicode text.",
        ) from error


def _command(content: str) -> str:
    command = re.sub(f"^{SHELL_MARK}\\s*", "", content)
    if not command.strip():
        raise BadRequest(
            "There is no command after the `!`.",
            kept="Nothing was stored.",
            do="Write it, as in `!uname -a`.",
        )
    return command
