"""The doctor at a real hot standby, and at a server whose snapshots grow too old."""

from __future__ import annotations

from pathlib import Path

import pytest

from duckwarp.doctor import Check, Diagnosis, Status, diagnose
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from tests.servers import Server, needs_programs, own_server, standby_of

pytestmark = [pytest.mark.standby, needs_programs]
TABLE = Selection(tables=("public.t",))


def diagnosis_of(server: Server, output: Path) -> Diagnosis:
    return diagnose(TABLE, Settings(dsn=server.database.dsn, output_dir=output))


def check(diagnosis: Diagnosis, name: str) -> Check:
    (found,) = [each for each in diagnosis.checks if each.name == name]
    return found


def setting(server: Server) -> str:
    [(value,)] = server.database.execute("SHOW hot_standby_feedback")
    return str(value)


def test_a_standby_is_told_and_whether_it_lets_a_long_copy_end(tmp_path: Path) -> None:
    with own_server() as primary:
        primary.database.execute("CREATE TABLE t AS SELECT 1 AS n")
        with standby_of(primary) as standby:
            hasty = diagnosis_of(standby, tmp_path)
            standby.configure(hot_standby_feedback="on")
            standby.run("pg_ctl", "reload", "--silent")
            while setting(standby) != "on":
                pass
            patient = diagnosis_of(standby, tmp_path)
        assert check(diagnosis_of(primary, tmp_path), "standby").status is Status.OK
    assert check(hasty, "standby").status is Status.WARNING
    assert "a hot standby" in check(hasty, "standby").finding
    assert "hot_standby_feedback = on" in str(check(hasty, "standby").advice)
    assert check(patient, "standby").status is Status.OK
    assert check(patient, "standby").figures["is_standby"] is True
    for diagnosis in (hasty, patient):
        assert check(diagnosis, "snapshot").status is Status.OK
        assert diagnosis.is_healthy


def test_snapshots_that_grow_too_old_are_told(tmp_path: Path) -> None:
    with own_server() as server:
        [(known,)] = server.database.execute(
            "SELECT count(*) FROM pg_settings WHERE name = 'old_snapshot_threshold'"
        )
        if not known:
            pytest.skip("PostgreSQL 17 and newer have no such setting")
        server.database.execute("CREATE TABLE t AS SELECT 1 AS n")
        assert check(diagnosis_of(server, tmp_path), "timeouts").status is Status.OK
        server.configure(old_snapshot_threshold="60min")
        server.stop()
        server.start()
        found = check(diagnosis_of(server, tmp_path), "timeouts")
    assert found.status is Status.WARNING
    assert found.figures == {"old_snapshot_threshold": "1h"}
