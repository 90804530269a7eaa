"""What can be said of a published file without the database: is it whole, and as it was published?

Its hash is the catalog's, its footer agrees with its pages, and its rows are in the order that it
promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from duckwarp.catalog.entry import Entry
from duckwarp.engine.batches import Asker
from duckwarp.files.facts import read_facts
from duckwarp.model.dataset import CATALOG
from duckwarp.model.errors import NothingMatched, UsageError
from duckwarp.model.filenames import code_of
from duckwarp.model.results import FileFacts
from duckwarp.model.source import Selection
from duckwarp.postgres.names import nearest
from duckwarp.verify.contents import Contents, open_contents
from duckwarp.verify.history import digest_of
from duckwarp.verify.sorting import rows_out_of_order
from duckwarp.verify.verdicts import Difference, Finding

_NO_CATALOG = "there is no catalog: its hash was compared with nothing"


def codes_of_files(
    selection: Selection | None, output_dir: Path, catalog: Mapping[str, Entry]
) -> list[str]:
    """The codes of the files that there are, or that the catalog says there are.

    Raises `UsageError` for a selection of tables, and `NothingMatched`.
    """
    if selection is not None and not selection.uses_registry:
        raise UsageError(
            "--offline knows files by their codes: name a publication or a --source, "
            "not a schema or a table"
        )
    present = {code_of(path) for path in output_dir.glob("*.parquet")} - {Path(CATALOG).stem}
    known = sorted(present | catalog.keys())
    if selection is None:
        return known
    taken = [code for code in known if selection.takes(code)]
    for code in selection.codes:
        if code not in taken:
            raise NothingMatched(f'source "{code}" in {output_dir}', nearest(code, known))
    if not taken:
        wanted = selection.publication or ""
        raise NothingMatched(f"{selection} in {output_dir}", nearest(wanted, known))
    return taken


def look_at_file(
    path: Path, asker: Asker, published: Entry | None, *, has_catalog: bool
) -> Finding:
    """What is wrong with one file. Raises `FileUnreadable`.

    `published` is the catalog's entry of it. In the differences, `table` is what should be.
    """
    found = list(_by_catalog(path, published, has_catalog))
    with open_contents(path) as contents:
        facts = read_facts(path)
        if contents.described_code not in (None, code_of(path)):
            found.append(
                Difference(what="source", table=code_of(path), file=contents.described_code)
            )
        found += _by_pages(contents, facts)
        found += _by_order(contents, asker, published)
        columns = len(contents.columns)
    return Finding(
        rows=facts.rows,
        columns=columns,
        size_bytes=facts.size_bytes,
        differences=tuple(found),
        reasons=() if has_catalog else (_NO_CATALOG,),
    )


def _by_catalog(path: Path, published: Entry | None, has_catalog: bool) -> Iterator[Difference]:
    if published is None:
        if has_catalog:
            yield Difference(what="catalog", table="not listed", file="is there")
        return
    digest = digest_of(path)
    if published.sha256 != digest:
        yield Difference(what="SHA-256", table=published.sha256, file=digest)


def _by_pages(contents: Contents, facts: FileFacts) -> Iterator[Difference]:
    """Whether the pages have as many rows, and NULLs in each column, as the footer says."""
    rows, nulls = 0, [0] * len(contents.columns)
    for batch in contents.batches():
        rows += batch.num_rows
        nulls = [n + column.null_count for n, column in zip(nulls, batch.columns, strict=True)]
    if rows != facts.rows:
        yield Difference(what="rows", table=f"{facts.rows:,}", file=f"{rows:,}")
    for column, statistics, found in zip(contents.columns, facts.columns, nulls, strict=True):
        told = statistics.null_count
        if told is not None and told != found:
            yield Difference(what="NULLs", column=column.name, table=f"{told:,}", file=f"{found:,}")


def _by_order(contents: Contents, asker: Asker, published: Entry | None) -> Iterator[Difference]:
    """Whether rows are in the order that the catalog or the footer names, else by all columns."""
    names = [column.name for column in contents.columns]
    promised = contents.order_by if published is None else published.dataset.order_by
    order_by = names if promised is None else [name for name in promised if name in names]
    wrong = rows_out_of_order(contents, asker, order_by)
    if wrong:
        yield Difference(
            what="order", table=f"by {', '.join(order_by)}", file=f"{wrong:,} rows out of order"
        )
