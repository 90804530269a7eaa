"""One export of all kinds of columns for all readers, and a Spark that starts once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.readers.kinds import KINDS, Kind, create_kinds, right_values
from tests.types.harness import Text, export, scratch_database

# One core, no web page, and no code made for each schema: that takes longer than reading 20 rows.
SPARK_ARGUMENTS = (
    "--master local[1] --conf spark.ui.enabled=false --conf spark.log.level=OFF "
    "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN "
    "pyspark-shell"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The files of all kinds, and the values that are right."""

    folder: Path
    right: dict[str, dict[str, list[Text]]]

    def path(self, kind: Kind) -> Path:
        """The file of one kind."""
        return self.folder / f"{kind.relation}.parquet"


@pytest.fixture(scope="session")
def published(
    server_dsn: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Published]:
    """All kinds, exported."""
    folder = tmp_path_factory.mktemp("kinds")
    with scratch_database(server_dsn, worker_id) as database:
        with database.connect() as connection:
            create_kinds(connection)
        exported = export(database.dsn, folder)
        assert len(exported.report.outcomes) == len(KINDS)
        yield Published(folder=folder, right=right_values(database.dsn, exported))


@pytest.fixture(scope="session", autouse=True)
def _spark_arguments() -> Iterator[None]:
    os.environ["PYSPARK_SUBMIT_ARGS"] = SPARK_ARGUMENTS
    yield
    del os.environ["PYSPARK_SUBMIT_ARGS"]
