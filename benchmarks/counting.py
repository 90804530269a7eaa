"""Counts what was written, in a process of its own: what reads Parquet is heavy.

A child of this process would start with the memory that this process has, and be measured so.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from duckwarp.store.journal import CATALOG_NAMES


@contextlib.contextmanager
def counter() -> Iterator[Callable[[Path], int]]:
    """Counts the rows of all Parquet files below a folder, as long as the block lasts."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        yield lambda folder: process.submit(count_rows, folder).result()


def count_rows(folder: Path) -> int:
    """The rows of all datasets below `folder`, by the footers of their files."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in dataset_files(folder))


def dataset_files(folder: Path) -> list[Path]:
    """The Parquet files below `folder` that have rows of the data: the catalog's are about them."""
    return [path for path in folder.rglob("*.parquet") if path.name not in CATALOG_NAMES]
