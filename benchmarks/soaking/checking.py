"""What a reader finds in the output folder: is each file whole, are those of a run of one commit?

Reads with pyarrow what DuckDB has written, and knows from `loading.py` what should be in it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.soaking.loading import SOURCES, code_of, last_of, number_of, row_of, rows_of

IN_THE_RUN = frozenset({"exported", "unchanged"})
SPEAKING_OF_ALL = frozenset({"catalog.parquet", "datapackage.json"})
# What `--skip-unchanged` remembers, which is all that may stay in the hidden folder.
HIDDEN, REMEMBERED = ".duckwarp", "exports.json"


class Unsound(Exception):
    """A file, or the folder as a whole, is not as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that was found sound: the generation of each source that has files."""

    generations: Mapping[str, int]
    run_generation: int | None


def generation_in(path: Path) -> int:
    """The generation that a file is of, all of it. Raises `Unsound`."""
    number = number_of(path.stem)
    try:
        # Opened once: given a path, pyarrow opens it for the footer and again for the pages.
        with path.open("rb") as file:
            table = pq.read_table(file, columns=["id", "generation", "amount", "said"])
    except Exception as error:
        raise Unsound(f"{path.name} cannot be read: {error}") from error
    found = set(table.column("generation").to_pylist())
    if len(found) != 1:
        raise Unsound(f"{path.name} is of the generations {sorted(found)}")
    (generation,) = found
    wanted = [row_of(number, generation, id + 1) for id in range(rows_of(number, generation))]
    got = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    if got != wanted:
        raise Unsound(f"{path.name} has {len(got)} rows which are not those of {generation}")
    return generation


def checked(folder: Path, states: Mapping[str, str], before: Mapping[str, int]) -> Folder:
    """The folder after a run in which the sources have ended in `states`.

    `before` has the generations of the files before it. Raises `Unsound`.
    """
    codes = {code_of(number) for number in range(SOURCES)}
    present = {path.stem for path in folder.glob("*.parquet")} & codes
    wanted = {f"{code}{suffix}" for code in present for suffix in (".parquet", ".md")}
    others = {path.name for path in folder.iterdir()} - SPEAKING_OF_ALL
    if (folder / HIDDEN / REMEMBERED).exists():
        wanted.add(HIDDEN)
        others |= {path.name for path in (folder / HIDDEN).iterdir()} - {REMEMBERED}
    if others != wanted:
        raise Unsound(f"unexpected in the folder, or missing: {sorted(others ^ wanted)}")
    generations = {code: generation_in(folder / f"{code}.parquet") for code in sorted(present)}
    for code, generation in generations.items():
        page = (folder / f"{code}.md").read_text(encoding="utf-8")
        rows = rows_of(number_of(code), generation)
        if f"{rows:,}" not in page:
            raise Unsound(f"{code}.md does not say that there are {rows} rows")
    of_run = {code: generations[code] for code, state in states.items() if state in IN_THE_RUN}
    commits = _commits(of_run)
    if of_run and not commits:
        raise Unsound(f"the files of one run are of no common commit: {of_run}")
    for code, state in states.items():
        if state not in IN_THE_RUN and generations.get(code) != before.get(code):
            raise Unsound(f"{code} was {state} and has changed all the same")
    _check_catalog(folder, present)
    return Folder(generations=generations, run_generation=min(commits, default=None))


def _commits(generations: Mapping[str, int]) -> range:
    """The generations in which all these tables are as they are in their files."""
    if not generations:
        return range(0)
    last = min(last_of(number_of(code), each) for code, each in generations.items())
    return range(max(generations.values()), last + 1)


def _check_catalog(folder: Path, present: Set[str]) -> None:
    """Whether the catalog, where there is one, has exactly the files that are there."""
    catalog = folder / "catalog.parquet"
    if not catalog.exists():
        return
    rows = pq.read_table(catalog, columns=["source_code", "row_count", "sha256"]).to_pylist()
    if {row["source_code"] for row in rows} != present:
        raise Unsound("the catalog has other datasets than the folder")
    for row in rows:
        content = (folder / f"{row['source_code']}.parquet").read_bytes()
        rows_in_file = pq.read_metadata(BytesIO(content)).num_rows
        if (row["row_count"], row["sha256"]) != (rows_in_file, sha256(content).hexdigest()):
            raise Unsound(f"the catalog describes another {row['source_code']}.parquet")


@dataclass(slots=True, kw_only=True)
class Reader:
    """Reads one published file after the other while runs take place, in a thread of its own.

    By name, and as the catalog names them.
    """

    folder: Path
    reads: int = 0
    looks_into_the_catalog: int = 0
    faults: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Reader:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join()

    def _read(self) -> None:
        while not self._over.is_set():
            self._look_into_the_catalog()
            for number in range(SOURCES):
                path = self.folder / f"{code_of(number)}.parquet"
                if self._over.wait(0.02) or not path.exists():
                    continue
                try:
                    generation_in(path)
                except (Unsound, OSError) as error:
                    self.faults.append(str(error))
                self.reads += 1

    def _look_into_the_catalog(self) -> None:
        """A file that is not the one in the catalog is a fault if the catalog is still that one."""
        catalog = self.folder / "catalog.parquet"
        if not catalog.exists():
            return
        content = catalog.read_bytes()
        rows = pq.read_table(BytesIO(content), columns=["source_code", "sha256"]).to_pylist()
        self.looks_into_the_catalog += 1
        for row in rows:
            path = self.folder / f"{row['source_code']}.parquet"
            same = path.exists() and sha256(path.read_bytes()).hexdigest() == row["sha256"]
            if not same and catalog.read_bytes() == content:
                self.faults.append(f"the catalog names another {path.name}")
