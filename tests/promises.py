"""The names of tests, as pages and lists of cases give them: `Class::test` or `test`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


def functions_in(path: Path) -> set[str]:
    """The tests of a file, those of a class as `Class::test`."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + each.name for each in inner if isinstance(each, ast.FunctionDef)}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


def is_there(name: str) -> bool:
    """Whether there is a test of that name, which begins with its file: `tests/x.py::test_y`."""
    path, _, test = name.partition("::")
    return (ROOT / path).exists() and test in functions_in(ROOT / path)
