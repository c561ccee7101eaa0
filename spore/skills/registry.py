"""Which skills a node has: the built-in ones, and those of the user's modules."""

import importlib
import inspect
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from spore.errors import SkillsUnusable
from spore.skills.base import Skill
from spore.skills.echo import Echo
from spore.skills.file import FileSkill
from spore.skills.method import SkillMethod
from spore.skills.shell import ShellSkill
from venom_engine.protocol.node import NodeText
from venom_engine.protocol.skill import MARK

_NAME: TypeAdapter[str] = TypeAdapter(NodeText)


class UnknownSkill(LookupError):
    """This node does not have the skill at all."""


class UnknownMethod(LookupError):
    """This node has the skill, but not the method."""


class Registry:
    """Skills by name."""

    def __init__(self) -> None:
        self._methods: dict[str, dict[str, SkillMethod]] = {}
        self._origins: dict[tuple[str, str], object] = {}

    @property
    def skills(self) -> tuple[str, ...]:
        """The names, in the order in which they came."""
        return tuple(self._methods)

    def find(self, skill: str, method: str) -> SkillMethod:
        """Raises UnknownSkill or UnknownMethod, saying what there is instead."""
        methods = self._methods.get(skill)
        if methods is None:
            raise UnknownSkill(f"This node has no skill {skill!r}. It has: {', '.join(self.skills)}.")
        found = methods.get(method)
        if found is None:
            raise UnknownMethod(f"{skill} has no method {method!r}. It has: {', '.join(methods)}.")
        return found

    def add(self, skill: type[Skill]) -> None:
        """Add a class with all its public methods."""
        name = skill.name or skill.__name__
        try:
            instance = skill()
        except Exception as error:
            raise SkillsUnusable(
                f"The skill {name} cannot be made: {type(error).__name__}: {error}.",
                do="A Skill class is made without arguments.",
            ) from error
        methods = [
            (method, getattr(instance, method))
            for method, _ in inspect.getmembers(skill, inspect.isroutine)
            if not method.startswith("_")
        ]
        if not methods:
            raise SkillsUnusable(f"The skill {name} has no public method.", do="Give it one, such as `run`.")
        for method, function in methods:
            self.add_function(function, name, method, origin=skill)

    def add_function(
        self, function: Callable[..., Any], skill: str, method: str = "run", *, origin: object = None
    ) -> None:
        """Add one function as `skill.method`. SkillsUnusable when the name is taken or is none."""
        origin = origin or function
        here = self._origins.get((skill, method))
        if here is origin:
            return
        if here is not None:
            raise SkillsUnusable(
                f"{skill}.{method} is defined twice: in {_home(here)} and in {_home(origin)}.",
                do="Rename one of them.",
            )
        try:
            _NAME.validate_python(skill)
        except ValidationError as error:
            raise SkillsUnusable(
                f"{skill!r} is no name for a skill.", do="Use up to 120 characters, no blanks."
            ) from error
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise SkillsUnusable(
                f"{skill}.{method} is a generator.",
                do="Return the result, and show parts with context.output().",
            )
        self._origins[skill, method] = origin
        self._methods.setdefault(skill, {})[method] = SkillMethod(skill, method, function)

    def load(self, module_name: str) -> None:
        """Import a module and add what it marks with `@skill` or derives from `Skill`."""
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as error:
            raise SkillsUnusable(
                f"The skills module {module_name!r} cannot be imported: {type(error).__name__}: {error}.",
                do="It must be importable from the folder where the Spore is started.",
            ) from error
        found = _skills_in(module)
        if not found:
            raise SkillsUnusable(
                f"The module {module_name!r} has no skill.",
                do="Mark a function with @skill (from venom_engine import skill), or derive a class from Skill.",
            )
        for item in found:
            if isinstance(item, type):
                self.add(item)
            else:
                self.add_function(item, *getattr(item, MARK))


def default_registry(
    modules: Iterable[str] = (), *, enable_shell: bool = True, enable_file: bool = True
) -> Registry:
    """Echo, the shell and files unless switched off, and the user's modules."""
    registry = Registry()
    registry.add(Echo)
    if enable_shell:
        registry.add(ShellSkill)
    if enable_file:
        registry.add(FileSkill)
    for module in modules:
        registry.load(module)
    return registry


def _skills_in(module: ModuleType) -> list[Any]:
    return [
        item
        for item in vars(module).values()
        if (isinstance(item, type) and issubclass(item, Skill) and _is_of_user(item))
        or (not isinstance(item, type) and callable(item) and isinstance(getattr(item, MARK, None), tuple))
    ]


def _is_of_user(skill: type[Skill]) -> bool:
    return not skill.__module__.startswith("spore.") and not inspect.isabstract(skill)


def _home(origin: object) -> str:
    return str(getattr(origin, "__module__", "") or origin)
