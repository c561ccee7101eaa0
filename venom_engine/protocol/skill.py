"""The mark that makes a function a skill, so that a user's module needs nothing but this.

The mark does nothing by itself: a node that loads the module (`venom-spore --skills my_module`)
looks for it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, overload

MARK = "__venom_skill__"

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def skill(function: Function, /) -> Function: ...
@overload
def skill(name: str, /) -> Callable[[Function], Function]: ...
def skill(target: Any, /) -> Any:
    """Mark a plain or async function as a skill.

    `@skill` on `resize` makes the skill `resize` with the method `run`; `@skill("Images.resize")`
    makes the method `resize` of the skill `Images`. Plain functions run in a thread.
    """
    if isinstance(target, str):
        name, _, method = target.partition(".")
        if not name or method.startswith("_"):
            raise ValueError(f"a skill is named 'Skill' or 'Skill.method', not {target!r}")
        return lambda function: _marked(function, name, method or "run")
    return _marked(target, target.__name__, "run")


def _marked(function: Function, name: str, method: str) -> Function:
    setattr(function, MARK, (name, method))
    return function
