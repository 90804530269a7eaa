"""The promises of an export, through the public functions and `run_export`, on real servers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from duckwarp import (
    Compression,
    EventLevel,
    EventStore,
    EventType,
    ExportResult,
    Selection,
    Settings,
    export_publication_to_parquet,
    export_source_to_parquet,
)
from duckwarp.export import source as preparing
from duckwarp.model.errors import NothingMatched, OutputUnusable, RegistryMissing
from duckwarp.model.events import Event
from duckwarp.model.results import SourceState
from duckwarp.model.settings import SortIn
from duckwarp.model.source import Source
from tests.conftest import RoleMaker
from tests.runs import (
    Recorder,
    by_code,
    column_values,
    dataset_files,
    export,
    promised_table,
    published_files,
    reading_over,
    when,
)
from tests.support import Database, dsn_with

SUMMARY = "adhd_summary_open_referrals_age"
MISSING = "adhd_summary_closed_referrals_reason"
DEMO_ROWS = {
    SUMMARY: 1_304,
    "adhd_waiting_times_provider_weekly": 500_000,
    "adhd_prescribing_items_icb_month": 7_560,
    "adhd_assessments_outcome": 652,
    "adhd_prevalence_estimates_icb": 336,
    "adhd_medication_supply_alerts": 0,
    "adhd_national_open_referrals_weekly": 500,
}
DEMO_RELATIONS = {code: code for code in DEMO_ROWS} | {
    "adhd_prescribing_items_icb_month": "tbl_adhd_prescribing"
}


@pytest.fixture(scope="module")
def demo_export(
    demo_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[ExportResult], Recorder]:
    """The sample publication, exported once for all tests that look at what came out."""
    output_dir = tmp_path_factory.mktemp("demo") / "output"
    recorder = Recorder()
    results = export_publication_to_parquet(
        "adhd", output_dir, recorder, period="2025-12", dsn=demo_dsn
    )
    return output_dir, results, recorder


class TestFourScenarios:
    """What the exporter that this one replaces was tested for."""

    def test_a_source_with_a_table_gives_its_rows_and_two_files(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        result = export_source_to_parquet(SUMMARY, tmp_path, dsn=demo_dsn)
        size_bytes = (tmp_path / f"{SUMMARY}.parquet").stat().st_size
        assert result == ExportResult(
            success=True,
            canonical_code=SUMMARY,
            row_count=1_304,
            column_count=15,
            parquet_size_mb=size_bytes / 1_000_000,
            parquet_path=str(tmp_path / f"{SUMMARY}.parquet"),
            metadata_path=str(tmp_path / f"{SUMMARY}.md"),
        )
        assert published_files(tmp_path) == {f"{SUMMARY}.parquet", f"{SUMMARY}.md"}

    def test_a_source_without_a_table_alone_is_a_failure_that_nobody_logs_as_an_error(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        recorder = Recorder()
        result = export_source_to_parquet(MISSING, tmp_path, recorder, "adhd", dsn=demo_dsn)
        reason = f"relation staging.{MISSING} does not exist"
        assert result == ExportResult(False, MISSING, 0, 0, 0.0, "", "", reason)
        [skipped] = recorder.of(EventType.STAGE_SKIPPED)
        assert (skipped.level, skipped.context["source"]) == (EventLevel.INFO, MISSING)
        assert not recorder.of_level(EventLevel.WARNING, EventLevel.ERROR)
        assert published_files(tmp_path) == set()

    def test_a_source_without_a_table_in_a_batch_has_no_result_and_one_event(
        self, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        output_dir, results, recorder = demo_export
        assert [result.canonical_code for result in results] == sorted(DEMO_ROWS)
        naming = [event for event in recorder.events if MISSING in str(event)]
        assert [(event.event_type, event.level) for event in naming] == [
            (EventType.STAGE_SKIPPED, EventLevel.INFO)
        ]
        assert not recorder.of_level(EventLevel.WARNING, EventLevel.ERROR)
        assert published_files(output_dir) == {
            f"{code}.{suffix}" for code in DEMO_ROWS for suffix in ("parquet", "md")
        }

    def test_a_batch_has_no_failures(
        self, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        _, results, _ = demo_export
        assert {r.canonical_code: r.row_count for r in results if r.success} == DEMO_ROWS

    def test_the_dictionary_has_headings_types_and_descriptions(
        self, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        output_dir, _, _ = demo_export
        page = (output_dir / f"{SUMMARY}.md").read_text(encoding="utf-8")
        size_mb = (output_dir / f"{SUMMARY}.parquet").stat().st_size / 1_000_000
        lines = page.splitlines()
        assert lines[0] == "# ADHD Summary - Open Referrals by Age"
        assert lines[2].startswith("Synthetic data for demonstration. Open referrals for an ADHD")
        for want in (
            f"**Dataset:** `{SUMMARY}`",
            "**Rows:** 1,304",
            "**Columns:** 15",
            f"**File Size:** {size_mb:.2f} MB",
            "## Columns",
            "### `sub_icb_location_code`",
            "**Type:** `varchar(255)`",
            "Code of the sub ICB location, the smallest area of this publication.",
            "*Source column:* `SUB ICB LOCATION CODE`",
            "**Type:** `numeric(12,2)`",
        ):
            assert any(line.startswith(want) for line in lines), want
        assert lines.index("## Columns") < lines.index("### `sub_icb_location_code`")


class TestFiles:
    @pytest.mark.parametrize("code", sorted(DEMO_ROWS))
    def test_a_file_has_the_rows_of_its_relation_in_the_promised_order(
        self,
        demo_dsn: str,
        demo_export: tuple[Path, list[ExportResult], Recorder],
        code: str,
    ) -> None:
        got = pq.read_table(demo_export[0] / f"{code}.parquet")
        relation = sql.Identifier("staging", DEMO_RELATIONS[code])
        want = promised_table(Database(dsn=demo_dsn), relation, got.schema)
        assert got.num_rows == DEMO_ROWS[code]
        assert got.equals(want)

    def test_the_comparison_notices_another_order_and_another_value(
        self, demo_dsn: str, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        got = pq.read_table(demo_export[0] / f"{SUMMARY}.parquet")
        relation = sql.Identifier("staging", SUMMARY)
        want = promised_table(Database(dsn=demo_dsn), relation, got.schema)
        swapped = got.take([1, 0, *range(2, got.num_rows)])
        assert not swapped.equals(want)
        other = pa.array(["other", *got.column(0).to_pylist()[1:]])
        assert not got.set_column(0, got.schema.field(0), other).equals(want)

    def test_rows_are_ordered_by_all_columns_nulls_last_and_text_by_its_bytes(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute(
            """CREATE TABLE t (a text, b integer, c numeric(4,1));
            INSERT INTO t VALUES (NULL, 1, 1), ('é', 1, 1), ('z', 2, 1), ('z', NULL, 1),
                ('Z', 1, 1), ('z', 2, NULL), ('z', 2, -1), ('', 9, 9), ('a', 1, 1),
                (NULL, NULL, NULL), ('B', 1, 1), ('z', -5, 1)"""
        )
        export(database, Selection(tables=("public.t",)), tmp_path)
        rows = [tuple(row.values()) for row in pq.read_table(tmp_path / "t.parquet").to_pylist()]
        assert [(a, b, None if c is None else float(c)) for a, b, c in rows] == [
            ("", 9, 9.0),
            ("B", 1, 1.0),
            ("Z", 1, 1.0),
            ("a", 1, 1.0),
            ("z", -5, 1.0),
            ("z", 2, -1.0),
            ("z", 2, 1.0),
            ("z", 2, None),
            ("z", None, 1.0),
            ("é", 1, 1.0),
            (None, 1, 1.0),
            (None, None, None),
        ]

    def test_the_same_data_gives_the_same_bytes(
        self, demo_dsn: str, tmp_path: Path, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        export(demo_dsn, Selection(codes=(SUMMARY,)), tmp_path, **reading_over(1))
        name = f"{SUMMARY}.parquet"
        assert (tmp_path / name).read_bytes() == (demo_export[0] / name).read_bytes()

    def test_an_empty_table_gives_a_valid_file_with_its_schema(
        self, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        table = pq.read_table(demo_export[0] / "adhd_medication_supply_alerts.parquet")
        assert table.num_rows == 0
        assert {field.name: str(field.type) for field in table.schema} == {
            "alert_reference": "string",
            "medicine": "string",
            "issued_on": "date32[day]",
            "is_resolved": "bool",
            "_load_id": "int64",
            "_loaded_at": "timestamp[us, tz=UTC]",
            "_period": "string",
            "_manifest_file_id": "int32",
        }

    @pytest.mark.parametrize(
        ("compression", "want"),
        [
            pytest.param(None, "SNAPPY", id="snappy unless told otherwise"),
            pytest.param(Compression.SNAPPY, "SNAPPY", id="snappy"),
            pytest.param(Compression.ZSTD, "ZSTD", id="zstd"),
            pytest.param(Compression.LZ4, "LZ4", id="lz4"),
            pytest.param(Compression.GZIP, "GZIP", id="gzip"),
            pytest.param(Compression.NONE, "UNCOMPRESSED", id="none"),
        ],
    )
    def test_the_pages_are_compressed_as_asked(
        self, demo_dsn: str, tmp_path: Path, compression: Compression | None, want: str
    ) -> None:
        settings = Settings(compression=compression) if compression else None
        code = "gp_appt_national_daily"
        result = export_source_to_parquet(code, tmp_path, settings=settings, dsn=demo_dsn)
        column = pq.read_metadata(result.parquet_path).row_group(0).column(0)
        assert column.compression == want
        assert pq.read_table(result.parquet_path).num_rows == 31


class TestEvents:
    def test_a_source_tells_its_steps_in_order(self, demo_dsn: str, tmp_path: Path) -> None:
        recorder = Recorder()
        result = export_source_to_parquet(SUMMARY, tmp_path, recorder, "adhd", "p", dsn=demo_dsn)
        told = [
            (event.event_type, event.stage, event.level)
            for event in recorder.events
            if event.context.get("source") == SUMMARY and not event.is_tick
        ]
        assert told == [
            (EventType.STAGE_STARTED, "export", EventLevel.INFO),
            (EventType.STAGE_STARTED, "read", EventLevel.DEBUG),
            (EventType.STAGE_STARTED, "write", EventLevel.DEBUG),
            (EventType.STAGE_COMPLETED, "read", EventLevel.DEBUG),
            (EventType.STAGE_COMPLETED, "write", EventLevel.DEBUG),
            (EventType.STAGE_COMPLETED, "export", EventLevel.INFO),
            (EventType.STAGE_COMPLETED, "publish", EventLevel.DEBUG),
        ]
        for stage in ("read", "write"):
            [event] = recorder.of(EventType.STAGE_COMPLETED, stage)
            assert (event.context["rows"], event.context["columns"]) == (1_304, 15)
            assert event.context["path"].endswith(f"{SUMMARY}.parquet")
        [completed] = recorder.of(EventType.STAGE_COMPLETED, "export")
        assert {key: completed.context[key] for key in ("rows", "columns", "size_bytes")} == {
            "rows": 1_304,
            "columns": 15,
            "size_bytes": Path(result.parquet_path).stat().st_size,
        }
        assert completed.context["parquet_path"] == result.parquet_path
        assert completed.context["metadata_path"] == result.metadata_path

    def test_a_run_tells_its_start_its_progress_and_its_end(
        self, demo_dsn: str, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        _, results, recorder = demo_export
        told = [event for event in recorder.events if event.stage in (None, "export_batch")]
        kinds = [(event.event_type, event.stage) for event in told]
        assert kinds == [
            (EventType.RUN_STARTED, None),
            (EventType.STAGE_STARTED, "export_batch"),
            *[(EventType.PROGRESS, "export_batch")] * 7,
            (EventType.STAGE_COMPLETED, "export_batch"),
            (EventType.RUN_COMPLETED, None),
        ]
        assert {event.level for event in told} == {EventLevel.INFO}
        assert told[1].context["sources"] == 7
        assert told[1].context["database"] == Database(dsn=demo_dsn).name
        assert [event.message for event in told[2:-2]] == [
            f"exported {number}/7 sources" for number in range(1, 8)
        ]
        size_bytes = sum(Path(result.parquet_path).stat().st_size for result in results)
        for event in told[-2:]:
            figures = {key: value for key, value in event.context.items() if key != "seconds"}
            assert figures == {
                "successful": 7,
                "unchanged": 0,
                "failed": 0,
                "skipped": 1,
                "total_rows": sum(DEMO_ROWS.values()),
                "total_bytes": size_bytes,
            }

    def test_every_event_has_the_run_the_publication_and_the_period(
        self, demo_export: tuple[Path, list[ExportResult], Recorder]
    ) -> None:
        _, _, recorder = demo_export
        labels = {(event.run_id, event.publication, event.period) for event in recorder.events}
        assert labels == {("test-run", "adhd", "2025-12")}

    def test_a_failed_source_tells_one_error_with_the_reason(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute("CREATE TABLE bare (); CREATE TABLE good (a int)")
        recorder = Recorder()
        report = export(database, Selection(schema="public"), tmp_path, recorder)
        [error] = recorder.of_level(EventLevel.ERROR)
        assert (error.event_type, error.stage) == (EventType.ERROR, "export")
        assert error.context["source"] == "bare"
        assert error.context["error"] == by_code(report)["bare"].error
        assert recorder.of(EventType.RUN_COMPLETED)[0].context["failed"] == 1

    def test_the_store_writes_a_json_document_per_line_and_no_ticks(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "events.jsonl"
        heard: list[Event] = []
        with EventStore("r1", path, [heard.append]) as store:
            export_publication_to_parquet("gp_appt", tmp_path, store, "2026-01", dsn=demo_dsn)
        documents = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        kept = [event for event in heard if not event.is_tick]
        assert [document["sequence"] for document in documents] == [*range(1, len(kept) + 1)]
        without_sequence = [{k: v for k, v in d.items() if k != "sequence"} for d in documents]
        assert without_sequence == [event.as_dict() for event in kept]
        assert documents[0]["event_type"] == "run_started"
        assert documents[-1]["event_type"] == "run_completed"
        assert documents[-1]["run_id"] == "r1"
        assert documents[-1]["context"]["total_rows"] == 31

    def test_without_a_sink_the_functions_work_as_well(self, demo_dsn: str, tmp_path: Path) -> None:
        results = export_publication_to_parquet("gp_appt", str(tmp_path), dsn=demo_dsn)
        assert [(r.canonical_code, r.row_count) for r in results] == [
            ("gp_appt_national_daily", 31)
        ]


class TestFailures:
    def test_a_batch_that_cannot_start_is_one_result_after_an_event(self, tmp_path: Path) -> None:
        recorder = Recorder()
        dsn = "host=/nowhere/at/all user=nobody"
        results = export_publication_to_parquet("adhd", tmp_path / "out", recorder, dsn=dsn)
        [result] = results
        assert result == ExportResult(False, "", 0, 0, 0.0, "", "", result.error)
        assert (result.error or "").startswith("cannot connect to PostgreSQL: ")
        [failed] = recorder.of(EventType.STAGE_FAILED)
        assert (failed.stage, failed.level) == ("export_batch", EventLevel.ERROR)
        assert failed.context["error"] == result.error
        assert recorder.events[-1] is failed
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("publication", "settings", "want"),
        [
            pytest.param("adhd", {"registry_schema": "no"}, '"no".tbl_data_sources', id="registry"),
            pytest.param("nonsense", {}, 'nothing matches publication "nonsense"', id="no such"),
            pytest.param("", {}, "the publication is empty", id="an empty publication"),
            pytest.param("adhd", {"dsn": " "}, "--dsn is empty", id="an empty DSN"),
        ],
    )
    def test_a_failure_of_the_batch_is_one_result_with_an_empty_code(
        self, demo_dsn: str, tmp_path: Path, publication: str, settings: dict[str, Any], want: str
    ) -> None:
        recorder = Recorder()
        chosen = Settings(**({"dsn": demo_dsn} | settings))
        [result] = export_publication_to_parquet(publication, tmp_path, recorder, settings=chosen)
        assert (result.success, result.canonical_code) == (False, "")
        assert want in (result.error or "")
        assert [event.context["error"] for event in recorder.of(EventType.STAGE_FAILED)] == [
            result.error
        ]

    def test_a_source_that_is_not_registered_is_a_failed_result(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        result = export_source_to_parquet("adhd_summary_open", tmp_path, dsn=demo_dsn)
        assert not result.success
        assert SUMMARY in (result.error or "")

    @pytest.mark.parametrize("kind", ["int", "numeric"])
    @pytest.mark.parametrize("sort_in", SortIn)
    def test_what_a_view_says_of_its_failure_is_told_with_detail_and_hint(
        self, database: Database, tmp_path: Path, kind: str, sort_in: SortIn
    ) -> None:
        """A numeric is measured before it is copied: each has a way of its own to fail."""
        database.execute(r"""
            CREATE FUNCTION month(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
            IF n > 5 THEN RAISE 'month % is closed', n USING
            DETAIL = 'in C:\months', HINT = 'open it
            with open_month()'; END IF; RETURN n; END $$""")
        database.execute(
            f"CREATE VIEW v AS SELECT month(n)::{kind} AS n FROM generate_series(1, 9) AS n"
        )
        recorder = Recorder()
        selection = Selection(tables=("public.v",))
        report = export(database, selection, tmp_path, recorder, sort_in=sort_in)
        error = by_code(report)["v"].error or ""
        told = r"month 6 is closed; DETAIL: in C:\months; HINT: open it with open_month()"
        assert error.endswith(f": {told}")
        [event] = recorder.of(EventType.ERROR)
        assert event.context["error"] == error

    def test_a_missing_relation_fails_where_the_user_wants_it(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        recorder = Recorder()
        codes = (MISSING, "gp_appt_national_daily")
        report = export(demo_dsn, Selection(codes=codes), tmp_path, recorder, fail_on_missing=True)
        assert {outcome.code: outcome.state for outcome in report.outcomes} == {
            MISSING: SourceState.FAILED,
            "gp_appt_national_daily": SourceState.EXPORTED,
        }
        assert "does not exist" in (by_code(report)[MISSING].error or "")
        [error] = recorder.of(EventType.ERROR)
        assert error.context["source"] == MISSING
        assert not recorder.of(EventType.STAGE_SKIPPED)

    def test_a_failed_source_leaves_the_previous_pair_and_no_staging(
        self, database: Database, tmp_path: Path
    ) -> None:
        selection = Selection(tables=("public.v", "public.t"))
        database.execute(
            "CREATE TABLE t AS SELECT 1 AS n; CREATE VIEW v AS SELECT 10 / n AS n FROM t"
        )
        assert all(result.success for result in export(database, selection, tmp_path).results)
        pair = [tmp_path / "v.parquet", tmp_path / "v.md"]
        before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in pair]
        database.execute("UPDATE t SET n = 0")
        results = by_code(export(database, selection, tmp_path))
        assert "division by zero" in (results["v"].error or "")
        assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in pair] == before
        assert results["t"].success
        assert column_values(tmp_path / "t.parquet", "n") == [0]
        assert published_files(tmp_path) == {"v.parquet", "v.md", "t.parquet", "t.md"}

    def test_a_table_without_the_privilege_fails_alone_and_names_it(
        self, database: Database, tmp_path: Path, make_role: RoleMaker
    ) -> None:
        role = make_role()
        database.execute(
            "CREATE SCHEMA closed; CREATE TABLE closed.c AS SELECT 1 AS a; "
            "CREATE TABLE a AS SELECT 1 AS a; CREATE TABLE b AS SELECT 1 AS a, 2 AS b; "
            "CREATE TABLE d AS SELECT 1 AS a; "
            f"GRANT SELECT ON d TO {role.name}; GRANT SELECT (a) ON b TO {role.name}; "
            f"GRANT SELECT ON closed.c TO {role.name}"
        )
        tables = ("public.a", "public.b", "public.d", "closed.c")
        report = export(database.dsn_as(role), Selection(tables=tables), tmp_path)
        lacks = f'role "{role.name}" has no'
        assert {code: result.error for code, result in by_code(report).items()} == {
            "a": f"{lacks} SELECT privilege on table public.a",
            "b": f'{lacks} SELECT privilege on column "b" of table public.b',
            "c": f'{lacks} USAGE privilege on schema "closed"',
            "d": None,
        }

    @pytest.mark.parametrize(
        "code",
        [
            pytest.param("../x", id="it leaves the folder"),
            pytest.param("a/b", id="it has a slash"),
            pytest.param("", id="it is empty"),
            pytest.param("x" * 201, id="it has over 200 bytes"),
            pytest.param("a\nb", id="it has a line break"),
            pytest.param(".hidden", id="it would be hidden"),
        ],
    )
    def test_a_registered_code_that_is_no_file_name_fails_alone(
        self, database: Database, tmp_path: Path, code: str
    ) -> None:
        make_registry(database, "code text PRIMARY KEY, table_name text")
        database.execute("CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS a")
        for each in (code, "good"):
            database.execute("INSERT INTO datawarp.tbl_data_sources VALUES (%s, 't')", [each])
        report = export(database, Selection(everything=True), tmp_path / "out")
        results = by_code(report)
        assert "cannot be a file name" in (results[code].error or "")
        assert results["good"].success
        assert published_files(tmp_path) == {"out"}
        assert published_files(tmp_path / "out") == {"good.parquet", "good.md"}

    def test_an_output_folder_that_cannot_be_one_is_an_error_of_the_run(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("precious")
        recorder = Recorder()
        with pytest.raises(OutputUnusable, match="it is not a folder"):
            export(demo_dsn, Selection(publication="adhd"), tmp_path / "file", recorder)
        assert recorder.events[-1].event_type is EventType.STAGE_FAILED
        assert (tmp_path / "file").read_text() == "precious"

    def test_a_fault_of_our_own_fails_its_source_and_not_the_others(
        self, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database.execute("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 2 AS n")
        described = preparing.dictionary

        def faulty(source: Source, *arguments: Any, **keywords: Any) -> str:
            if source.code == "a":
                raise ZeroDivisionError("a fault")
            return described(source, *arguments, **keywords)

        monkeypatch.setattr(preparing, "dictionary", faulty)
        results = by_code(export(database, Selection(schema="public"), tmp_path))
        assert results["a"].error == (
            "unexpected ZeroDivisionError: a fault; this is an error in duckwarp"
        )
        assert published_files(tmp_path) == {"b.parquet", "b.md"}

    @pytest.mark.parametrize("folder", ["year=2024", "~x", "file:x", "a*b?[c]", "it's"])
    def test_the_name_of_the_output_folder_means_nothing_but_itself(
        self, folder: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database.execute("CREATE TABLE a AS SELECT 1 AS n")
        monkeypatch.chdir(tmp_path)
        results = by_code(export(database, Selection(schema="public"), Path(folder)))
        assert results["a"].error is None
        assert pq.read_table(tmp_path / folder / "a.parquet").to_pylist() == [{"n": 1}]
        assert published_files(tmp_path / folder) == {"a.parquet", "a.md"}

    def test_a_server_that_ends_the_sessions_fails_what_is_left_and_not_the_caller(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 2 AS n")

        def end_all() -> None:
            database.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name LIKE 'duckwarp %' AND datname = current_database()"
            )

        recorder = Recorder(when(EventType.STAGE_COMPLETED, "a", end_all))
        everything = Selection(schema="public")
        results = by_code(export(database, everything, tmp_path, recorder, retries=0))
        assert results["a"].success
        assert "connection" in (results["b"].error or "")
        assert published_files(tmp_path) == {"a.parquet", "a.md"}


def make_registry(
    database: Database, sources: str, metadata: str | None = None, schema: str = "datawarp"
) -> None:
    """A registry with these columns."""
    database.execute(f'CREATE SCHEMA "{schema}"')
    database.execute(f'CREATE TABLE "{schema}".tbl_data_sources ({sources})')
    if metadata is not None:
        database.execute(f'CREATE TABLE "{schema}".tbl_column_metadata ({metadata})')


class TestRegistries:
    def test_an_old_registry_without_the_optional_columns_and_the_metadata_serves(
        self, database: Database, tmp_path: Path
    ) -> None:
        make_registry(database, "code varchar(100) UNIQUE, table_name text")
        database.execute(
            "CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS a; "
            "COMMENT ON COLUMN staging.t.a IS 'from the catalog'; "
            "INSERT INTO datawarp.tbl_data_sources VALUES ('old_t', 't')"
        )
        report = export(database, Selection(publication="old"), tmp_path)
        assert by_code(report)["old_t"].success
        page = (tmp_path / "old_t.md").read_text(encoding="utf-8")
        assert page.startswith("# old\\_t\n") or page.startswith("# old_t\n")
        assert "from the catalog" in page

    def test_metadata_without_the_optional_columns_serves(
        self, database: Database, tmp_path: Path
    ) -> None:
        make_registry(
            database,
            "code varchar(100) UNIQUE, table_name text",
            "canonical_source_code text, column_name text, description text",
        )
        database.execute(
            "CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS a; "
            "INSERT INTO datawarp.tbl_data_sources VALUES ('old_t', 't'); "
            "INSERT INTO datawarp.tbl_column_metadata VALUES ('old_t', 'a', 'what it is')"
        )
        export(database, Selection(publication="old"), tmp_path)
        assert "what it is" in (tmp_path / "old_t.md").read_text(encoding="utf-8")

    def test_a_registry_may_be_in_another_schema(self, database: Database, tmp_path: Path) -> None:
        make_registry(
            database,
            "code text, name text, table_name text, schema_name text",
            "canonical_source_code text, column_name text, description text",
            schema="My Registry",
        )
        database.execute(
            "CREATE TABLE t AS SELECT 1 AS a; "
            "INSERT INTO \"My Registry\".tbl_data_sources VALUES ('x_t', NULL, 't', 'public'); "
            "INSERT INTO \"My Registry\".tbl_column_metadata VALUES ('x_t', 'a', 'from there')"
        )
        selection = Selection(publication="x")
        report = export(database, selection, tmp_path, registry_schema="My Registry")
        assert by_code(report)["x_t"].success
        assert "from there" in (tmp_path / "x_t.md").read_text(encoding="utf-8")
        with pytest.raises(RegistryMissing, match="--registry-schema"):
            export(database, Selection(publication="x"), tmp_path)

    def test_metadata_matches_by_exact_name_then_by_lower_case_and_doubles_no_column(
        self, database: Database, tmp_path: Path
    ) -> None:
        make_registry(
            database,
            "code text, table_name text",
            "canonical_source_code text, column_name text, description text",
        )
        database.execute(
            """CREATE SCHEMA staging;
            CREATE TABLE staging.t (exact int, "Mixed" int, "Twice" int, twice_lower int, none int);
            INSERT INTO datawarp.tbl_data_sources VALUES ('m_t', 't');
            INSERT INTO datawarp.tbl_column_metadata VALUES
                ('m_t', 'exact', 'exact wins'), ('m_t', 'EXACT', 'upper loses'),
                ('m_t', 'mixed', 'lower case serves'),
                ('m_t', 'twice', 'lower twice'), ('m_t', 'TWICE', 'upper twice'),
                ('m_t', 'twice_lower', 'same'), ('m_t', 'twice_lower', 'same'),
                ('other', 'none', 'of another source')"""
        )
        result = by_code(export(database, Selection(publication="m"), tmp_path))["m_t"]
        assert result.column_count == 5
        page = (tmp_path / "m_t.md").read_text(encoding="utf-8")
        for once in ("exact wins", "lower case serves", "same"):
            assert page.count(once) == 1, once
        assert page.count("lower twice") + page.count("upper twice") == 1
        assert "upper loses" not in page
        assert "of another source" not in page
        assert "- `none` (integer)" in page

    @pytest.mark.parametrize(
        ("publication", "want"),
        [
            pytest.param("gp_appt", ["gp_appt_national_daily"], id="an underscore is no wildcard"),
            pytest.param("gpxappt", ["gpxappt_pilot_daily"], id="the other way round"),
            pytest.param("gp", ["gp_appt_national_daily", "gpxappt_pilot_daily"], id="both"),
        ],
    )
    def test_a_publication_is_a_prefix_taken_literally(
        self, demo_dsn: str, tmp_path: Path, publication: str, want: list[str]
    ) -> None:
        results = export_publication_to_parquet(publication, tmp_path, dsn=demo_dsn)
        assert [(result.canonical_code, result.success) for result in results] == [
            (code, True) for code in want
        ]

    @pytest.mark.parametrize(
        ("selection", "wanted", "nearest"),
        [
            pytest.param(
                Selection(publication="adhs"), 'publication "adhs"', "adhd", id="a publication"
            ),
            pytest.param(
                Selection(publication="gp_apt"), 'publication "gp_apt"', "gp_appt", id="two words"
            ),
            pytest.param(
                Selection(codes=("adhd_asessments_outcome",)),
                'source "adhd_asessments_outcome"',
                "adhd_assessments_outcome",
                id="a code",
            ),
            pytest.param(Selection(schema="stagin"), 'schema "stagin"', "staging", id="a schema"),
        ],
    )
    def test_a_selection_that_matches_nothing_names_the_nearest(
        self, demo_dsn: str, tmp_path: Path, selection: Selection, wanted: str, nearest: str
    ) -> None:
        with pytest.raises(NothingMatched, match=f"nothing matches {wanted}") as caught:
            export(demo_dsn, selection, tmp_path)
        assert nearest in caught.value.nearest
        assert nearest in str(caught.value)


class TestWithoutRegistry:
    def test_a_schema_is_exported_with_its_comments(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute(
            """CREATE TABLE regions (id integer, label text);
            COMMENT ON TABLE regions IS 'All regions of the country';
            COMMENT ON COLUMN regions.label IS 'What people call it';
            CREATE VIEW names AS SELECT label FROM regions;
            COMMENT ON VIEW names IS 'Only the names'"""
        )
        report = export(database, Selection(schema="public"), tmp_path)
        assert [(r.canonical_code, r.success) for r in report.results] == [
            ("names", True),
            ("regions", True),
        ]
        page = (tmp_path / "regions.md").read_text(encoding="utf-8")
        assert "All regions of the country" in page
        assert "What people call it" in page
        assert "Only the names" in (tmp_path / "names.md").read_text(encoding="utf-8")

    def test_tables_of_the_same_name_are_told_apart_by_their_schemas(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute(
            "CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t AS SELECT 1 AS n; "
            "CREATE TABLE two.t AS SELECT 2 AS n; CREATE TABLE two.u AS SELECT 3 AS n"
        )
        export(database, Selection(tables=("one.t", "two.t", "two.u", "one.t")), tmp_path)
        got = {path.stem: column_values(path, "n") for path in dataset_files(tmp_path)}
        assert got == {"one.t": [1], "two.t": [2], "u": [3]}

    def test_a_table_named_in_vain_is_refused(self, database: Database, tmp_path: Path) -> None:
        database.execute("CREATE TABLE now AS SELECT 1 AS n")
        with pytest.raises(NothingMatched, match=r'"public\.no"; nearest: public\.now'):
            export(database, Selection(tables=("public.no", "public.now")), tmp_path)
        assert published_files(tmp_path) == set()


FOREIGN = """
    CREATE EXTENSION postgres_fdw;
    CREATE SERVER myself FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({options});
    CREATE USER MAPPING FOR CURRENT_USER SERVER myself OPTIONS (user {user});
    CREATE FOREIGN TABLE r (n integer, s text) SERVER myself OPTIONS (table_name 'plain')"""


def foreign_table(database: Database) -> str:
    """Statements for a foreign table `r` on the table `plain` of the same database."""
    [(host, port)] = database.execute(
        "SELECT split_part(current_setting('unix_socket_directories'), ',', 1), "
        "current_setting('port')"
    )
    options = f"host '{host}', port '{port}', dbname '{database.name}'"
    return (
        "CREATE TABLE plain (n integer, s text);"
        + FOREIGN.format(options=options, user="'postgres'")
        + "; INSERT INTO plain VALUES (2, 'b'), (1, 'a'), (3, NULL)"
    )


VALUES = "VALUES (2, 'b'), (1, 'a'), (3, NULL)"


class TestRelations:
    @pytest.mark.parametrize(
        "statements",
        [
            pytest.param(
                f"CREATE TABLE r (n integer, s text); INSERT INTO r {VALUES}", id="a table"
            ),
            pytest.param(
                "CREATE TABLE r (n integer, s text) PARTITION BY RANGE (n); "
                "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (2); "
                "CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (2) TO (9) PARTITION BY LIST (n); "
                f"CREATE TABLE r2a PARTITION OF r2 DEFAULT; INSERT INTO r {VALUES}",
                id="a partitioned table, partitioned again",
            ),
            pytest.param(
                "CREATE TABLE r (n integer, s text); CREATE TABLE child () INHERITS (r); "
                "INSERT INTO r VALUES (1, 'a'); INSERT INTO child VALUES (2, 'b'), (3, NULL)",
                id="a table with a child",
            ),
            pytest.param(f"CREATE VIEW r (n, s) AS {VALUES}", id="a view"),
            pytest.param(
                f"CREATE MATERIALIZED VIEW r (n, s) AS {VALUES}", id="a materialized view"
            ),
            pytest.param("foreign", id="a foreign table"),
            pytest.param(
                "CREATE TABLE r (a integer, n integer, b integer, s text); "
                "ALTER TABLE r DROP COLUMN a, DROP COLUMN b; " + f"INSERT INTO r {VALUES}",
                id="a table with dropped columns",
            ),
            pytest.param(
                "CREATE UNLOGGED TABLE r (n integer GENERATED ALWAYS AS IDENTITY, s text); "
                "INSERT INTO r (s) VALUES ('a'), ('b'), (NULL)",
                id="an unlogged table with an identity",
            ),
        ],
    )
    @pytest.mark.parametrize("by_schema", [False, True], ids=["named", "by its schema"])
    def test_every_kind_of_relation_with_rows_is_exported(
        self, database: Database, tmp_path: Path, statements: str, by_schema: bool
    ) -> None:
        database.execute(foreign_table(database) if statements == "foreign" else statements)
        selection = Selection(schema="public") if by_schema else Selection(tables=("public.r",))
        report = export(database, selection, tmp_path)
        assert by_code(report)["r"].error is None
        assert pq.read_table(tmp_path / "r.parquet").to_pylist() == [
            {"n": 1, "s": "a"},
            {"n": 2, "s": "b"},
            {"n": 3, "s": None},
        ]

    @pytest.mark.parametrize(
        ("statement", "want"),
        [
            pytest.param("CREATE SEQUENCE r", "is no table, view", id="a sequence"),
            pytest.param(
                "CREATE TABLE t (n integer); CREATE INDEX r ON t (n)",
                "is no table, view",
                id="an index",
            ),
            pytest.param("CREATE TABLE r ()", "has no columns", id="a table without columns"),
            pytest.param(
                "CREATE VIEW r AS SELECT 1 / (n - n) AS n FROM generate_series(1, 2) AS n",
                "division by zero",
                id="a view that fails",
            ),
        ],
    )
    def test_a_relation_that_cannot_be_exported_fails_with_the_reason(
        self, database: Database, tmp_path: Path, statement: str, want: str
    ) -> None:
        database.execute(statement)
        report = export(database, Selection(tables=("public.r",)), tmp_path)
        error = by_code(report)["r"].error or ""
        assert want in error
        assert published_files(tmp_path) == set()

    def test_a_schema_is_exported_without_sequences_partitions_and_indexes(
        self, database: Database, tmp_path: Path
    ) -> None:
        database.execute(
            "CREATE TABLE p (n serial PRIMARY KEY) PARTITION BY RANGE (n); "
            "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); "
            "INSERT INTO p DEFAULT VALUES"
        )
        report = export(database, Selection(schema="public"), tmp_path)
        assert [(r.canonical_code, r.row_count) for r in report.results] == [("p", 1)]


def _codes(results: Sequence[ExportResult]) -> list[str]:
    return [result.canonical_code for result in results]


class TestRowSecurity:
    @pytest.fixture
    def policed(self, database: Database, make_role: RoleMaker) -> str:
        """A DSN of a role that may see one of the two rows of the table `t`."""
        role = make_role()
        database.execute(
            "CREATE TABLE t AS SELECT n FROM generate_series(1, 2) AS n; "
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY; "
            f"GRANT SELECT ON t TO {role.name}; CREATE POLICY one ON t USING (n = 1)"
        )
        return database.dsn_as(role)

    def test_rows_are_not_hidden_in_silence(self, policed: str, tmp_path: Path) -> None:
        [result] = export(policed, Selection(tables=("public.t",)), tmp_path).results
        assert "--enable-row-security" in (result.error or "")
        assert published_files(tmp_path) == set()

    def test_hidden_rows_may_be_accepted_and_that_is_told(
        self, policed: str, tmp_path: Path
    ) -> None:
        recorder = Recorder()
        selection = Selection(tables=("public.t",))
        report = export(policed, selection, tmp_path, recorder, enable_row_security=True)
        assert column_values(tmp_path / "t.parquet", "n") == [1]
        [warning] = recorder.of(EventType.WARNING)
        assert "row-level security" in warning.message
        assert any("row-level security" in note for note in report.outcomes[0].notes)

    def test_a_view_that_reads_a_policed_table_fails_with_the_server_s_words(
        self, database: Database, policed: str, tmp_path: Path
    ) -> None:
        role = conninfo_to_dict(policed)["user"]
        database.execute(
            f"GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role}; "
            "CREATE VIEW v AS SELECT n FROM t"
        )
        [result] = export(policed, Selection(tables=("public.v",)), tmp_path).results
        assert "row-level security" in (result.error or "")


def test_a_relation_registered_twice_is_exported_under_both_codes(
    database: Database, tmp_path: Path
) -> None:
    make_registry(database, "code text, table_name text")
    database.execute(
        "CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS n; "
        "COMMENT ON TABLE staging.t IS 'the comment'; "
        "INSERT INTO datawarp.tbl_data_sources VALUES ('x_one', 't'), ('x_two', 't'), (NULL, 't')"
    )
    report = export(database, Selection(publication="x"), tmp_path)
    assert _codes(report.results) == ["x_one", "x_two"]
    for code in ("x_one", "x_two"):
        assert "the comment" in (tmp_path / f"{code}.md").read_text(encoding="utf-8")


def test_the_role_of_the_dsn_reads_what_is_exported(
    database: Database, tmp_path: Path, make_role: RoleMaker
) -> None:
    role = make_role()
    database.execute(
        "CREATE VIEW v AS SELECT current_user::text AS me; GRANT SELECT ON v TO PUBLIC"
    )
    export(dsn_with(database.dsn, user=role.name), Selection(tables=("public.v",)), tmp_path)
    assert column_values(tmp_path / "v.parquet", "me") == [role.name]
