"""`verify` knows what a file could not keep by the data in its fields, not by the words beside."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from duckwarp.model.errors import CatalogUnusable
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.verify.published import verify_files, verify_published
from duckwarp.verify.verdicts import Agreement, Verdict
from tests.runs import export
from tests.support import Database

Metadata = dict[bytes, bytes]

TABLE = r"""
    CREATE TABLE t (
        plain int, price numeric(6,2), day date, clock time, days date[], numbers int[],
        loose json[]
    );
    INSERT INTO t VALUES
        (1, 'NaN', 'infinity', '24:00:00', '{2024-01-31,infinity}', '[0:1]={1,2}',
         ARRAY[[json '"\ud800"']]),
        (2, 'NaN', '-infinity', '01:00:00', '[2:2]={-infinity}', '{3}', NULL),
        (3, 1.5, NULL, NULL, NULL, NULL, NULL)"""


@pytest.fixture
def path(database: Database, tmp_path: Path) -> Path:
    """The published file of a table with a column for each kind of loss."""
    database.execute(TABLE)
    export(database, Selection(schema="public"), tmp_path)
    # A file that was changed is told by its hash otherwise.
    (tmp_path / "catalog.parquet").unlink()
    return tmp_path / "t.parquet"


def verdict(database: Database, path: Path) -> Verdict:
    settings = Settings(dsn=database.dsn, output_dir=path.parent)
    [found] = verify_published(Selection(tables=("public.t",)), settings).verdicts
    return found


def with_fields(path: Path, change: Callable[[Metadata], Metadata]) -> None:
    """Write the file with other metadata of its fields."""
    table = pq.read_table(path)
    schema = table.schema
    for place, field in enumerate(schema):
        schema = schema.set(place, field.with_metadata(change(dict(field.metadata))))
    pq.write_table(table.cast(schema), path)


def data_of(path: Path) -> Mapping[str, object]:
    """What the fields say for programs."""
    fields = {field.name: field.metadata.get(b"duckwarp") for field in pq.read_schema(path)}
    return {name: json.loads(text) for name, text in fields.items() if text is not None}


def test_counts_are_data_and_what_was_not_kept_is_no_difference(
    database: Database, path: Path
) -> None:
    assert data_of(path) == {
        "price": {"not_kept": {"NaN": 2}},
        "day": {"not_kept": {"infinity": 2}},
        "clock": {"not_kept": {"24:00:00": 1}},
        "days": {"not_kept": {"lower bounds other than 1": 1, "infinity": 2}},
        "numbers": {"not_kept": {"lower bounds other than 1": 1}},
        "loose": {"unmarked_json": True},
    }
    found = verdict(database, path)
    assert (found.agreement, found.finding.not_kept) == (Agreement.EQUAL, 5)


def test_words_for_people_may_be_any(database: Database, path: Path) -> None:
    words = {b"not_kept": b"einige", b"note": b"nichts"}
    with_fields(path, lambda known: known | {k: words[k] for k in words if k in known})
    assert verdict(database, path).agreement is Agreement.EQUAL


def test_a_file_with_the_words_alone_is_held_to_no_counts(database: Database, path: Path) -> None:
    database.execute("ALTER TABLE t DROP loose")  # of which no such file says that it is JSON
    export(database, Selection(schema="public"), path.parent)
    with_fields(path, lambda known: {k: v for k, v in known.items() if k != b"duckwarp"})
    (path.parent / "catalog.parquet").unlink()
    assert verdict(database, path).agreement is Agreement.EQUAL
    database.execute("UPDATE t SET price = 'NaN' WHERE price = 1.5")
    found = verdict(database, path).finding
    assert {each.column for each in found.differences if each.column} == {"price"}


@pytest.mark.parametrize(
    ("said", "want"),
    [
        pytest.param('{"not_kept":{"NaN":1}}', ["not kept"], id="another count"),
        pytest.param('{"not_kept":{"infinity":2}}', ["NULLs"], id="another kind"),
        pytest.param("[", None, id="no JSON, beside the words"),
        pytest.param('{"not_kept":3}', None, id="no counts, beside the words"),
    ],
)
def test_a_field_that_says_something_else_is_found(
    said: str, want: list[str] | None, database: Database, path: Path
) -> None:
    def change(known: Metadata) -> Metadata:
        is_price = b"NaN" in known.get(b"not_kept", b"")
        return known | ({b"duckwarp": said.encode()} if is_price else {})

    with_fields(path, change)
    found = verdict(database, path).finding
    differing = {each.what for each in found.differences if each.column == "price"}
    assert differing >= set(want or ())
    assert bool(differing) == bool(want)


@pytest.mark.parametrize("offline", [True, False])
def test_a_catalog_that_is_none_is_told(database: Database, path: Path, offline: bool) -> None:
    pq.write_table(pq.read_table(path), path.parent / "catalog.parquet")
    settings = Settings(dsn=database.dsn, output_dir=path.parent)
    verify = (
        partial(verify_files, None)
        if offline
        else partial(verify_published, Selection(tables=("public.t",)))
    )
    with pytest.raises(CatalogUnusable, match="duckwarp catalog rebuild"):
        verify(settings)
