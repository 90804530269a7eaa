"""What a run has come to, as its events tell it, is what its own report says."""

from __future__ import annotations

from pathlib import Path

from duckwarp.export.run import run_export
from duckwarp.model.results import ExportResult, SourceOutcome, SourceState
from duckwarp.model.run_events import Reporter, SourceExported, SourcePublished
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.record.account import Account
from duckwarp.record.store import EventStore
from tests.support import Database


def test_the_account_of_a_run_is_its_report(database: Database, tmp_path: Path) -> None:
    database.execute("""
        CREATE TABLE a AS SELECT 1 AS n, 'NaN'::numeric(4,2) AS lossy;
        CREATE VIEW b AS SELECT 1 / (n - n) AS m FROM a;
        CREATE TABLE c ("N" int, n int)""")
    account = Account(run_id="r")
    store = EventStore("r", listeners=[account.listen])
    settings = Settings(dsn=database.dsn, output_dir=tmp_path / "out")
    report = run_export(Selection(schema="public"), settings, store)
    got = account.report()
    assert len(report.of_state(SourceState.FAILED)) == 1
    assert any(outcome.losses for outcome in report.outcomes)
    assert any(outcome.notes for outcome in report.outcomes)
    assert got.outcomes == report.outcomes
    assert (got.run_id, got.output_dir) == (report.run_id, report.output_dir)
    assert got.seconds > 0


def test_what_is_only_staged_is_not_published() -> None:
    account = Account(run_id="r")
    report = Reporter(
        sink=EventStore("r", listeners=[account.listen]),
        run_id="r",
        publication=None,
        period=None,
    )
    result = ExportResult(True, "a", 1, 1, 0.1, "a.parquet", "a.md")
    outcome = SourceOutcome(code="a", state=SourceState.EXPORTED, result=result)
    report(SourceExported(outcome=outcome, snapshot_id="1"))
    assert not account.report().outcomes
    report(SourcePublished(source="a"))
    assert account.report().outcomes == (outcome,)


def test_what_is_unchanged_is_known_at_once_and_what_is_tried_again_warns_once(
    database: Database, tmp_path: Path
) -> None:
    database.execute("CREATE TABLE a AS SELECT 1 AS n, 'NaN'::numeric(4,2) AS lossy")
    settings = Settings(dsn=database.dsn, output_dir=tmp_path / "out")
    account = Account(run_id="r")
    for _ in range(2):
        store = EventStore("r", listeners=[account.listen])
        run_export(Selection(schema="public"), settings, store)
    [outcome] = account.report().outcomes
    assert outcome.state is SourceState.UNCHANGED
    assert len(outcome.losses) == 1
