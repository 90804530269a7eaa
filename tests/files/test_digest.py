"""SHA-256 of whole files, and of files that are still being written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from duckwarp.files.digest import GrowingDigest, sha256_of
from duckwarp.model.source import Selection
from tests.runs import export
from tests.support import Database

CONTENT = bytes(range(256)) * 20_000  # several reads


def test_it_is_that_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    assert sha256_of(path) == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_file_that_grows_has_the_same(tmp_path: Path, pieces: int) -> None:
    path = tmp_path / "x"
    digest = GrowingDigest(path)
    digest.advance()  # it is not there yet
    size = -(-len(CONTENT) // pieces)
    with path.open("wb") as file:
        for start in range(0, len(CONTENT), size):
            digest.advance()
            file.write(CONTENT[start : start + size])
            file.flush()
    assert digest.ended() == hashlib.sha256(CONTENT).hexdigest()


def test_the_catalog_has_that_of_every_file_whatever_became_of_its_end(
    database: Database, tmp_path: Path
) -> None:
    database.execute(
        "CREATE TABLE plain AS SELECT 1 AS n; CREATE TABLE document AS SELECT '{}'::json AS j; "
        'CREATE TABLE names AS SELECT 1 AS "a", 2 AS "A"; CREATE TABLE zeros AS '
        "SELECT n, '-0'::float8 AS f FROM generate_series(1, 10000) AS n"
    )
    export(database, Selection(schema="public"), tmp_path)
    package = json.loads((tmp_path / "datapackage.json").read_text())
    told = {resource["name"]: resource["hash"] for resource in package["resources"]}
    assert told == {
        name: f"sha256:{hashlib.sha256((tmp_path / f'{name}.parquet').read_bytes()).hexdigest()}"
        for name in ("document", "names", "plain", "zeros")
    }
