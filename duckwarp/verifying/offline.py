"""What can be said of a published file without the database: is it whole, and as it was published?

Its hash is the catalog's, its footer agrees with its pages, and its rows are in the order that it
promises.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from duckwarp.engine.batches import Asker
from duckwarp.output.parquet import read_facts
from duckwarp.results import ParquetFacts
from duckwarp.verifying.contents import Contents, open_contents
from duckwarp.verifying.history import Published, sha256_of
from duckwarp.verifying.sorting import rows_out_of_order
from duckwarp.verifying.verdicts import Agreement, Difference, Verdict


def verdict_on_file(
    path: Path, asker: Asker, published: Published | None, *, has_catalog: bool
) -> Verdict:
    """What becomes of one file. Raises `SourceError`.

    `published` is the catalog's row of it. In the differences, `table` is what should be.
    """
    code = path.stem
    found = list(_by_catalog(path, published, has_catalog))
    facts = read_facts(path)
    with open_contents(path) as contents:
        if contents.described_code not in (None, code):
            found.append(Difference(what="source", table=code, file=contents.described_code))
        found += _by_pages(contents, facts)
        found += _by_order(contents, asker, published)
        columns = len(contents.columns)
    reasons = () if has_catalog else ("there is no catalog: its hash was compared with nothing",)
    return Verdict(
        code=code,
        agreement=Agreement.DIFFERENT if found else Agreement.EQUAL,
        rows=facts.rows,
        columns=columns,
        size_bytes=facts.size_bytes,
        differences=tuple(found),
        reasons=reasons,
    )


def _by_catalog(path: Path, published: Published | None, has_catalog: bool) -> Iterator[Difference]:
    if published is None:
        if has_catalog:
            yield Difference(what="catalog", table="not listed", file="is there")
        return
    digest = sha256_of(path)
    if published.sha256 is not None and published.sha256 != digest:
        yield Difference(what="SHA-256", table=published.sha256, file=digest)


def _by_pages(contents: Contents, facts: ParquetFacts) -> Iterator[Difference]:
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


def _by_order(
    contents: Contents, asker: Asker, published: Published | None
) -> Iterator[Difference]:
    """Whether rows are in the order that the catalog or the footer names, else by all columns."""
    names = [column.name for column in contents.columns]
    promised = contents.order_by if published is None else published.order_by
    order_by = names if promised is None else [name for name in promised if name in names]
    wrong = rows_out_of_order(contents, asker, order_by)
    if wrong:
        yield Difference(
            what="order", table=f"by {', '.join(order_by)}", file=f"{wrong:,} rows out of order"
        )
