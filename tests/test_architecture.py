"""The walls between the rooms: who may import what, read from the source itself."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import duckwarp

PACKAGE = Path(duckwarp.__file__).parent

PAGE = PACKAGE.parent / "docs" / "architecture.md"


@dataclass(frozen=True)
class Room:
    """A row of the table of rooms: what the room may import of this package, and from outside."""

    name: str
    may_import: frozenset[str]
    libraries: frozenset[str]


def rooms_in(page: str) -> dict[str, Room]:
    """The rooms of the table, from the ground up."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", page, re.MULTILINE)
    return {
        name: Room(
            name=name,
            may_import=frozenset(re.findall(r"`(\w+)`", rooms)),
            libraries=frozenset(filter(None, re.split(r",\s*", libraries.strip()))),
        )
        for name, rooms, libraries in rows
    }


ROOMS = rooms_in(PAGE.read_text(encoding="utf-8"))
# A library of one of the rooms is imported there and nowhere else.
OWNED = {library for room in ROOMS.values() for library in room.libraries}


@dataclass(frozen=True)
class Import:
    """One import of `imported` (a dotted name) in the module `module` (dotted, in the package)."""

    module: str
    imported: str

    @property
    def room(self) -> str:
        return self.module.split(".", maxsplit=1)[0]

    @property
    def library(self) -> str:
        return self.imported.split(".", maxsplit=1)[0]

    @property
    def target(self) -> str:
        """What is imported of this package, without the package's name."""
        return self.imported.removeprefix("duckwarp.")

    @property
    def target_room(self) -> str:
        return self.target.split(".", maxsplit=1)[0]


def imports_in(source: str, module: str, *, at_start_only: bool = False) -> Iterator[Import]:
    """The imports of a module that are carried out, not those for the type checker alone."""
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending.extend(node.orelse)
        elif at_start_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        elif isinstance(node, ast.Import):
            yield from (Import(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            yield from (Import(module, f"{node.module}.{alias.name}") for alias in node.names)
        else:
            pending.extend(ast.iter_child_nodes(node))


def modules() -> Mapping[str, str]:
    """The source of each module, by its dotted name in the package; a room's own is the room."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "__init__"
        found[name] = path.read_text(encoding="utf-8")
    assert len(found) > 20
    return found


def all_imports(*, at_start_only: bool = False) -> list[Import]:
    return [
        found
        for module, source in modules().items()
        for found in imports_in(source, module, at_start_only=at_start_only)
    ]


def broken_walls(imports: Iterable[Import]) -> list[Import]:
    return [
        each
        for each in imports
        if each.library in OWNED and each.library not in ROOMS[each.room].libraries
    ]


def broken_arrows(imports: Iterable[Import]) -> list[Import]:
    return [
        each
        for each in imports
        if each.library == "duckwarp"
        and each.room in ROOMS
        and each.target_room not in ROOMS[each.room].may_import | {each.room}
    ]


def test_the_page_names_every_room() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(ROOMS) == folders


def test_the_top_of_the_package_holds_no_module_of_its_own() -> None:
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "py.typed"}


def test_each_library_stays_in_its_room() -> None:
    assert {"duckdb", "psycopg", "typer"} < OWNED
    assert broken_walls(all_imports()) == []


def test_imports_run_downwards_only() -> None:
    assert broken_arrows(all_imports()) == []


def test_a_room_imports_only_those_that_stand_before_it_in_the_table() -> None:
    above: set[str] = set()
    for room in ROOMS.values():
        assert room.may_import <= above, room.name
        above.add(room.name)


def test_an_arrow_of_the_table_is_one_of_the_code() -> None:
    found = {(each.room, each.target_room) for each in all_imports() if each.library == "duckwarp"}
    drawn = {(room.name, other) for room in ROOMS.values() for other in room.may_import}
    assert drawn - found == set()


def test_only_the_package_itself_imports_the_command_line() -> None:
    found = {
        each.module
        for each in all_imports()
        if each.library == "duckwarp" and each.target_room == "cli" and each.room != "cli"
    }
    assert found == {"__main__"}


def test_there_is_no_circle() -> None:
    names = set(modules())
    graph: dict[str, set[str]] = {name: set() for name in names}
    for each in all_imports():
        if each.library == "duckwarp":
            target = each.target if each.target in names else each.target.rpartition(".")[0]
            graph[each.module] |= {target} & (names - {each.module, "__init__"})
    assert sum(map(len, graph.values())) > len(names)
    graphlib.TopologicalSorter(graph).prepare()


def test_importing_the_package_imports_nothing_heavy() -> None:
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    at_start = {each.imported for each in imports_in(source, "__init__", at_start_only=True)}
    assert {name for name in at_start if name.startswith("duckwarp")} == {
        "duckwarp.model.version.__version__"
    }


def test_every_public_name_can_be_had() -> None:
    assert len(duckwarp.__all__) > 10
    for name in duckwarp.__all__:
        assert getattr(duckwarp, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = duckwarp.nonsense


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("postgres.registry", "import duckdb", id="a library"),
        pytest.param("store.staging", "def f():\n    from psycopg import sql", id="in a function"),
        pytest.param("store.lock", "import typing, pyarrow.parquet", id="among others"),
        pytest.param("export.run", "if True:\n    import rich.console", id="under a condition"),
    ],
)
def test_a_broken_wall_is_noticed(module: str, source: str) -> None:
    assert len(broken_walls(imports_in(source, module))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("postgres.registry", "from duckwarp.engine.plan import x", id="upwards"),
        pytest.param("postgres.registry", "from duckwarp import export", id="of the package"),
        pytest.param("store.staging", "import duckwarp.engine.plan", id="sideways"),
        pytest.param("model.errors", "from duckwarp.postgres import registry", id="a noun"),
    ],
)
def test_a_broken_arrow_is_noticed(module: str, source: str) -> None:
    assert len(broken_arrows(imports_in(source, module))) == 1
