"""One method of a skill: checks what it is called with, and calls it.

Coroutines run in the loop, plain functions in a thread of their own. A thread cannot be stopped from
outside, so a stopped call lasts until its function returns.
"""

import asyncio
import contextvars
import copy
import inspect
import threading
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import JsonValue, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from spore.skills.base import SkillContext, SkillFailed

T = TypeVar("T")


class SkillMethod:
    """A function under the name `skill.method`."""

    def __init__(self, skill: str, name: str, function: Callable[..., Any]) -> None:
        self.skill, self.name, self.function = skill, name, function
        self._signature = inspect.signature(function)
        self._is_async = inspect.iscoroutinefunction(function)
        hints = _hints(function)
        self._context = next(
            (
                name
                for name in self._signature.parameters
                if name == "context" or hints.get(name) is SkillContext
            ),
            None,
        )
        self._checks = {
            name: check
            for name, hint in hints.items()
            if name in self._signature.parameters and name != self._context and (check := _check(hint))
        }

    @property
    def source(self) -> str:
        """The file that the function was written in."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return code.co_filename if code else ""

    def arguments(self, parameters: dict[str, JsonValue], context: SkillContext) -> dict[str, Any]:
        """What to call the function with. Raises SkillFailed, naming the parameter that does not fit."""
        # A copy: in the engine's own process, these are the engine's.
        given: dict[str, Any] = copy.deepcopy(parameters)
        if self._context:
            if self._context in given:
                raise self._misfit(f"{self._context!r} is given by the node")
            given[self._context] = context
        try:
            self._signature.bind(**given)
        except TypeError as error:
            raise self._misfit(str(error)) from None
        for name in self._checks.keys() & given.keys():
            try:
                given[name] = self._checks[name].validate_python(given[name])
            except ValidationError as error:
                raise self._misfit(f"{name}: {error.errors()[0]['msg']}") from None
        return given

    async def call(self, arguments: dict[str, Any]) -> Any:
        """The function's result; what it raises goes through, but cannot end the node."""
        try:
            result = await (self.function(**arguments) if self._is_async else self._in_thread(arguments))
            return await result if inspect.isawaitable(result) else result
        except SystemExit as error:
            raise SkillFailed(f"SystemExit: the skill called exit({error.code!r})") from error

    async def _in_thread(self, arguments: dict[str, Any]) -> Any:
        future = in_thread(lambda: self.function(**arguments), name=f"{self.skill}.{self.name}")
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait({future})
            raise

    def _misfit(self, what: str) -> SkillFailed:
        takes = [str(p) for name, p in self._signature.parameters.items() if name != self._context]
        return SkillFailed(
            f"{self.skill}.{self.name}: {what}. It takes: {', '.join(takes) or 'no parameters'}."
        )


def in_thread(work: Callable[[], T], *, name: str) -> "asyncio.Future[T]":
    """Run `work` in a thread of its own, which does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration | asyncio.CancelledError):
            future.set_exception(RuntimeError(f"the skill raised {type(error).__name__}"))
        else:
            future.set_exception(error)

    def body() -> None:
        result, failure = None, None
        try:
            result = context.run(work)
        except BaseException as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=body, name=name, daemon=True).start()
    return future


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:
        # Annotations may be any expression, also one that only a type checker can follow.
        return {}


def _check(hint: Any) -> TypeAdapter[Any] | None:
    if hint is Any:
        return None
    try:
        return TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError, TypeError):
        return None
