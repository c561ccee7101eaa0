"""Files, functions and classes stay small enough to be read at one go."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.hygiene.tree import SHIPPED, files, name

FILE, FUNCTION, CLASS = 400, 50, 250
OURS = (*SHIPPED, "tests", "tools", "examples")


def test_no_file_is_longer_than_400_lines() -> None:
    """A file that swells is split along its nouns."""
    swollen = {
        name(path): lines
        for path in files(".py", ".sql", ".tcss", under=OURS)
        if (lines := _lines(path)) > FILE
    }
    assert not swollen


def test_no_function_is_longer_than_50_lines_and_no_class_than_250() -> None:
    """Counted without docstring and signature, in everything that we ship."""
    swollen = {
        f"{name(path)}:{node.lineno} {node.name}": length
        for path in files(".py", under=SHIPPED)
        for node in _definitions(path)
        if (length := _length(node)) > (CLASS if isinstance(node, ast.ClassDef) else FUNCTION)
    }
    assert not swollen


def test_every_module_says_what_it_is() -> None:
    """A stranger finds the rule of a file in its first lines."""
    silent = [
        name(path)
        for path in files(".py", under=OURS)
        if _lines(path) and not ast.get_docstring(_parsed(path))
    ]
    assert not silent


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _definitions(path: Path) -> Iterator[Definition]:
    for node in ast.walk(_parsed(path)):
        if isinstance(node, Definition):
            yield node


def _length(node: Definition) -> int:
    docstring = node.body[0] if ast.get_docstring(node) is not None else None
    said = _span(docstring) if docstring else 0
    begins = node.lineno if isinstance(node, ast.ClassDef) else node.body[0].lineno
    return (node.end_lineno or begins) - begins + 1 - said


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
