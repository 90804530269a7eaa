"""One export of all kinds of columns for all readers, and a Spark that starts once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from duckwarp.model.results import SourceState
from tests.readers.kinds import FILES, KINDS, Kind, create_tables, right_values
from tests.types.harness import Text, export, scratch_database

# One core, no web page, and no code made for each schema: that takes longer than reading 20 rows.
SPARK_ARGUMENTS = (
    "--master local[1] --conf spark.ui.enabled=false --conf spark.log.level=OFF "
    "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN "
    "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' "
    "pyspark-shell"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The files of all kinds, and the values that are right."""

    folder: Path
    right: dict[str, dict[str, list[Text]]]

    def path(self, kind: Kind) -> Path:
        """The file of one kind."""
        return _path(self.folder, kind)


@pytest.fixture(scope="session")
def published(
    server_dsn: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    """All kinds, exported."""
    folder = tmp_path_factory.mktemp("kinds")
    kinds = (*KINDS, *FILES)
    with scratch_database(server_dsn, worker_id) as database:
        with database.connect() as connection:
            create_tables(connection, kinds)
        for schema, codec in {(kind.schema, kind.codec) for kind in kinds}:
            found = export(database.dsn, folder / schema, schema=schema, compression=codec)
            assert found.report.outcomes
            assert {each.state for each in found.report.outcomes} == {SourceState.EXPORTED}
        right = right_values(database.dsn, kinds, partial(_path, folder))
        yield Published(folder=folder, right=right)


def _path(folder: Path, kind: Kind) -> Path:
    return folder / kind.schema / f"{kind.relation}.parquet"


@pytest.fixture(scope="session", autouse=True)
def _spark_arguments() -> Iterator[None]:
    os.environ["PYSPARK_SUBMIT_ARGS"] = SPARK_ARGUMENTS
    yield
    del os.environ["PYSPARK_SUBMIT_ARGS"]
