"""`duckwarp doctor`: each check where all is well, and where it is not."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from duckwarp.cli.app import main
from duckwarp.demo.server import embedded_server
from duckwarp.doctor import STEPS, Check, Diagnosis, Status, diagnose, machine, server
from duckwarp.doctor.checks import Step, made
from duckwarp.doctor.examination import Examination
from duckwarp.engine import session
from duckwarp.model.settings import MIN_MEMORY_BYTES, Settings
from duckwarp.model.sizes import size_text
from duckwarp.model.source import Selection
from duckwarp.postgres import looking
from duckwarp.postgres import server as asking
from duckwarp.postgres.server import ServerFacts, server_facts
from duckwarp.store.folder import Disk
from duckwarp.store.journal import JOURNAL_NAME
from duckwarp.store.staging import STAGING_FOLDER, open_staging
from tests.conftest import DatabaseMaker, RoleMaker
from tests.doctor.conftest import balancer, free_port
from tests.poolers import needs_pgbouncer, pgbouncer
from tests.runs import export
from tests.support import Database, dsn_with

CANARY = "canary-S3cret-of-the-tests"
ADHD = Selection(publication="adhd")
ABSENT = "adhd_summary_closed_referrals_reason"
AGES = "adhd_summary_open_referrals_age"
TB = 10**12


def examined(dsn: str, output: Path, selection: Selection | None = None, **more: Any) -> Diagnosis:
    """The diagnosis for an export of `selection` to `output`."""
    return diagnose(selection, Settings(dsn=dsn, output_dir=output, **more))


def check(diagnosis: Diagnosis, name: str, source: str | None = None) -> Check:
    """The one check of that name, and of that source."""
    (found,) = [c for c in diagnosis.checks if c.name == name and c.source == source]
    return found


def readable(demo: Database, make_role: RoleMaker, options: str = "") -> str:
    """The DSN of a role that may read the sample publication."""
    role = make_role(options)
    for schema in ("datawarp", "staging"):
        demo.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role.name}")
        demo.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role.name}")
    return demo.dsn_as(role)


class TestAHealthyExport:
    def test_every_check_is_well(
        self, demo_copy: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        present = Selection(codes=(AGES,))
        diagnosis = examined(readable(demo_copy, make_role), tmp_path / "output", present)
        assert {c.name for c in diagnosis.checks} == {s.name for s in STEPS} - {"temporary folder"}
        assert diagnosis.of_status(Status.OK) == diagnosis.checks
        assert diagnosis.is_healthy

    def test_nothing_is_left_behind(self, demo_dsn: str, tmp_path: Path) -> None:
        examined(demo_dsn, tmp_path / "output", ADHD, temp_dir=tmp_path / "temp")
        assert list(tmp_path.iterdir()) == []

    def test_nor_in_a_folder_that_is_there(self, demo_dsn: str, tmp_path: Path) -> None:
        (tmp_path / "there.parquet").touch()
        before = tmp_path.stat().st_mtime_ns
        examined(demo_dsn, tmp_path, ADHD)
        assert [path.name for path in tmp_path.iterdir()] == ["there.parquet"]
        assert tmp_path.stat().st_mtime_ns == before


class TestConnection:
    @pytest.fixture
    def refused(self, tmp_path: Path) -> Diagnosis:
        nowhere = f"host=127.0.0.1 port={free_port()} dbname=x user=x password={CANARY}"
        return examined(nowhere, tmp_path, ADHD)

    def test_says_where(self, demo_dsn: str, tmp_path: Path) -> None:
        found = check(examined(demo_dsn, tmp_path), "connection")
        assert found.status is Status.OK
        assert str(conninfo_to_dict(demo_dsn)["dbname"]) in found.finding

    def test_a_refused_one_fails_and_says_what_to_check(self, refused: Diagnosis) -> None:
        found = check(refused, "connection")
        assert found.status is Status.FAILED
        assert "Connection refused" in found.finding
        assert "DUCKWARP_DSN" in str(found.advice)
        assert not refused.is_healthy

    def test_every_other_check_is_made_or_says_why_not(self, refused: Diagnosis) -> None:
        states = {c.name: c.status for c in refused.checks}
        assert set(states) == {s.name for s in STEPS} - {"temporary folder"}
        local = {"extension", "memory", "output folder", "catalog", "disk", "earlier runs"}
        assert {name for name, status in states.items() if status is Status.OK} == local
        rest = {c.finding for c in refused.of_status(Status.NOT_CHECKED)}
        assert rest == {"it needs the check of the connection, which has failed"}

    def test_a_dsn_that_cannot_be_read_fails_it(self, tmp_path: Path) -> None:
        found = check(examined("postgresql://a:b@c@d/e", tmp_path), "connection")
        assert found.status is Status.FAILED
        assert "cannot be read" in found.finding

    def test_a_network_without_encryption_is_a_warning(
        self, demo_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def elsewhere(connection: psycopg.Connection[Any]) -> ServerFacts:
            return dataclasses.replace(server_facts(connection), host="db.example")

        monkeypatch.setattr(server, "server_facts", elsewhere)
        found = check(examined(demo_dsn, tmp_path), "connection")
        assert found.status is Status.WARNING
        assert "sslmode=verify-full" in str(found.advice)


class TestServer:
    def test_says_version_and_encoding(self, demo_dsn: str, tmp_path: Path) -> None:
        found = check(examined(demo_dsn, tmp_path), "server")
        with psycopg.connect(demo_dsn) as connection:
            version = connection.info.parameter_status("server_version")
        assert found.status is Status.OK
        assert f"PostgreSQL {str(version).split()[0]}, encoding UTF8" in found.finding

    def test_bytes_without_an_encoding_are_a_warning(
        self, make_database: DatabaseMaker, tmp_path: Path
    ) -> None:
        found = check(examined(make_database(encoding="SQL_ASCII").dsn, tmp_path), "server")
        assert found.status is Status.WARNING
        assert "SQL_ASCII" in found.finding

    @pytest.mark.parametrize(
        ("version", "name", "status"),
        [
            pytest.param(110022, "server", Status.WARNING, id="older than what is tested"),
            pytest.param(120000, "server", Status.OK, id="the oldest that is tested"),
            pytest.param(130014, "ctid ranges", Status.WARNING, id="without ranges"),
            pytest.param(140000, "ctid ranges", Status.OK, id="with ranges"),
        ],
    )
    def test_old_ones_are_told(
        self, version: int, name: str, status: Status, demo_dsn: str
    ) -> None:
        assert facing(demo_dsn, name, version=version).status is status

    def test_a_superuser_is_a_warning_and_a_reader_is_not(
        self, demo_copy: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        found = check(examined(demo_copy.dsn, tmp_path), "role")
        assert found.status is Status.WARNING
        assert "docs/cron.md" in str(found.advice)
        dsn = readable(demo_copy, make_role)
        found = check(examined(dsn, tmp_path), "role")
        assert found.status is Status.OK
        assert str(conninfo_to_dict(dsn)["user"]) in found.finding


def facing(dsn: str, name: str, **facts: Any) -> Check:
    """A check of the real server's facts, some of which are others."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        real = server_facts(connection)
    (step,) = [step for step in STEPS if step.name == name]
    patient = Examination(
        settings=Settings(dsn=dsn),
        selection=None,
        stack=None,  # type: ignore[arg-type]
        server=dataclasses.replace(real, **facts),
    )
    (found,) = made([dataclasses.replace(step, needs=())], patient)
    return found


class TestPooler:
    def test_a_server_without_one(self, demo_dsn: str, tmp_path: Path) -> None:
        diagnosis = examined(demo_dsn, tmp_path)
        assert check(diagnosis, "pooler").finding == "no pooler stands between"
        assert check(diagnosis, "snapshot").status is Status.OK

    @pytest.mark.pooler
    @needs_pgbouncer
    def test_one_that_lends_sessions_for_good_is_well(self, demo_dsn: str, tmp_path: Path) -> None:
        with pgbouncer(Database(dsn=demo_dsn), pool_mode="session") as dsn:
            diagnosis = examined(dsn, tmp_path)
        assert check(diagnosis, "pooler").status is Status.OK
        assert "pooler stands between" in check(diagnosis, "pooler").finding
        assert check(diagnosis, "snapshot").status is Status.OK

    @pytest.mark.pooler
    @needs_pgbouncer
    def test_one_that_lends_them_for_a_transaction_fails(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        with pgbouncer(Database(dsn=demo_dsn), pool_mode="transaction") as dsn:
            diagnosis = examined(dsn, tmp_path, ADHD)
            with psycopg.connect(dsn, autocommit=True) as left:
                # Nobody gets a session with the doctor's settings.
                for name in ("default_transaction_read_only", "lock_timeout"):
                    (value,) = left.execute(f"SHOW {name}".encode()).fetchone() or ()
                    assert value in ("off", "0")
        assert check(diagnosis, "pooler").status is Status.FAILED
        assert "pool_mode=session" in str(check(diagnosis, "pooler").advice)
        assert check(diagnosis, "snapshot").status is Status.NOT_CHECKED
        assert check(diagnosis, "source", AGES).status is Status.OK

    @pytest.mark.pooler
    @needs_pgbouncer
    @pytest.mark.parametrize(
        ("size", "status"),
        [pytest.param(2, Status.WARNING, id="two"), pytest.param(1, Status.FAILED, id="one")],
    )
    def test_a_small_pool_has_few_sessions(
        self,
        size: int,
        status: Status,
        demo_dsn: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(looking, "ANSWER_SECONDS", 0.5)
        database = Database(dsn=demo_dsn)
        with pgbouncer(database, pool_mode="session", default_pool_size=size) as dsn:
            diagnosis = examined(dsn, tmp_path)
        found = check(diagnosis, "connections")
        assert found.status is status
        assert f"{size} of the 5" in found.finding
        assert "no session of the server within" in found.finding
        assert check(diagnosis, "snapshot").status is (Status.OK if size > 1 else Status.FAILED)

    def test_a_snapshot_that_another_session_cannot_read_fails(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        with embedded_server() as second:
            targets = [conninfo_to_dict(dsn) for dsn in (demo_dsn, second.dsn)]
            places = [(str(t["host"]), int(str(t.get("port", 5432)))) for t in targets]
            with psycopg.connect(second.dsn, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {targets[0]['dbname']}".encode())
            with balancer(*places) as port:
                diagnosis = examined(dsn_with(demo_dsn, host="127.0.0.1", port=port), tmp_path)
        found = check(diagnosis, "snapshot")
        assert found.status is Status.FAILED
        assert "spreads sessions over several" in str(found.advice)


class TestConnections:
    @pytest.mark.parametrize(
        ("limit", "status", "advice"),
        [
            pytest.param(5, Status.OK, None, id="as many as wanted"),
            pytest.param(3, Status.WARNING, "--max-connections 3", id="fewer"),
            pytest.param(1, Status.FAILED, "a run needs 2", id="one alone"),
        ],
    )
    def test_a_role_may_have_few(
        self,
        limit: int,
        status: Status,
        advice: str | None,
        demo_copy: Database,
        make_role: RoleMaker,
        tmp_path: Path,
    ) -> None:
        dsn = readable(demo_copy, make_role, f"CONNECTION LIMIT {limit}")
        found = check(examined(dsn, tmp_path), "connections")
        assert found.status is status
        assert f"{limit} of the 5" in found.finding
        assert f"the role {limit}" in found.finding
        assert (advice or "None") in str(found.advice)
        assert found.figures["available_connections"] == limit


class TestStandby:
    def test_a_primary(self, demo_dsn: str, tmp_path: Path) -> None:
        assert check(examined(demo_dsn, tmp_path), "standby").finding == "the server is a primary"

    @pytest.mark.parametrize(
        ("delay", "feedback", "status"),
        [
            pytest.param("30s", "off", Status.WARNING, id="the default"),
            pytest.param("30s", "on", Status.OK, id="feedback"),
            pytest.param("-1", "off", Status.OK, id="for ever"),
            pytest.param("1h", "off", Status.OK, id="long enough"),
            pytest.param("1500ms", "off", Status.WARNING, id="milliseconds"),
            pytest.param("0", "off", Status.WARNING, id="none"),
        ],
    )
    def test_a_standby_should_let_a_long_copy_end(
        self, delay: str, feedback: str, status: Status, demo_dsn: str
    ) -> None:
        delays = ("max_standby_streaming_delay", "max_standby_archive_delay")
        found = facing(
            demo_dsn,
            "standby",
            is_standby=True,
            seconds_behind=2.0,
            settings=dict.fromkeys(delays, delay) | {"hot_standby_feedback": feedback},
        )
        assert found.status is status
        assert "a hot standby, its last change 2 s old" in found.finding
        assert f"max_standby_streaming_delay={delay}" in found.finding
        assert ("hot_standby_feedback = on" in str(found.advice)) is (status is Status.WARNING)


class TestTimeouts:
    def test_none(self, demo_dsn: str, tmp_path: Path) -> None:
        assert "none is set" in check(examined(demo_dsn, tmp_path), "timeouts").finding

    def test_those_of_the_role_are_named_and_do_not_end_the_doctor(
        self, demo_copy: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        dsn = readable(demo_copy, make_role)
        role = conninfo_to_dict(dsn)["user"]
        demo_copy.execute(f"ALTER ROLE {role} SET statement_timeout = '50ms'")
        demo_copy.execute(f"ALTER ROLE {role} SET idle_in_transaction_session_timeout = '20ms'")
        diagnosis = examined(dsn, tmp_path, ADHD)
        found = check(diagnosis, "timeouts")
        assert found.status is Status.OK
        assert "statement_timeout 50ms" in found.finding
        assert "idle_in_transaction_session_timeout 20ms" in found.finding
        assert diagnosis.is_healthy

    def test_snapshots_that_grow_too_old_are_a_warning(self, demo_dsn: str) -> None:
        found = facing(demo_dsn, "timeouts", settings={"old_snapshot_threshold": "1h"})
        assert found.status is Status.WARNING
        assert "1h" in found.finding


class TestClock:
    def test_the_same(self, demo_dsn: str, tmp_path: Path) -> None:
        assert check(examined(demo_dsn, tmp_path), "clock").status is Status.OK

    @pytest.mark.parametrize("seconds", [90, -90])
    def test_another(
        self, seconds: int, demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = asking.time.time
        monkeypatch.setattr(asking.time, "time", lambda: now() + seconds)
        found = check(examined(demo_dsn, tmp_path), "clock")
        assert found.status is Status.WARNING
        assert f"90.0 s {'behind' if seconds > 0 else 'ahead of'}" in found.finding


class TestExtension:
    def test_is_loaded_and_has_a_version(self, demo_dsn: str, tmp_path: Path) -> None:
        found = check(examined(demo_dsn, tmp_path), "extension")
        assert found.status is Status.OK
        assert len(found.figures["extension_version"]) > 3

    def test_a_broken_one_fails_and_says_what_to_install(
        self, demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "postgres_scanner.duckdb_extension"
        broken.write_bytes(b"broken")
        monkeypatch.setattr(session, "extension_path", lambda: broken)
        found = check(examined(demo_dsn, tmp_path), "extension")
        assert found.status is Status.FAILED
        assert "duckdb-extension-postgres-scanner" in found.finding


class TestMemory:
    def test_enough(self, demo_dsn: str, tmp_path: Path) -> None:
        found = check(examined(demo_dsn, tmp_path, memory_bytes=MIN_MEMORY_BYTES), "memory")
        assert found.status is Status.OK
        assert f"{size_text(MIN_MEMORY_BYTES)} for a run" in found.finding

    def test_more_than_there_is(self, demo_dsn: str, tmp_path: Path) -> None:
        found = check(examined(demo_dsn, tmp_path, memory_bytes=1000 * TB), "memory")
        assert found.status is Status.FAILED
        assert "--memory" in str(found.advice)

    def test_less_than_the_minimum(
        self, demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "duckwarp.engine.memory.free_memory_bytes", lambda: 2 * MIN_MEMORY_BYTES - 2
        )
        found = check(examined(demo_dsn, tmp_path), "memory")
        assert found.status is Status.FAILED
        assert size_text(MIN_MEMORY_BYTES) in found.finding


class TestRegistry:
    def test_has_the_sources_of_the_publication(self, demo_dsn: str, tmp_path: Path) -> None:
        found = check(examined(demo_dsn, tmp_path, ADHD), "registry")
        assert found.status is Status.OK
        assert '8 sources of publication "adhd"' in found.finding

    def test_of_another_name_is_missing(self, demo_dsn: str, tmp_path: Path) -> None:
        diagnosis = examined(demo_dsn, tmp_path, ADHD, registry_schema="elsewhere")
        assert check(diagnosis, "registry").status is Status.FAILED
        assert "--registry-schema" in check(diagnosis, "registry").finding
        assert check(diagnosis, "source").status is Status.NOT_CHECKED
        assert check(diagnosis, "disk").status is Status.OK

    def test_may_not_be_read_by_everybody(
        self, demo_copy: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        dsn = demo_copy.dsn_as(make_role())
        found = check(examined(dsn, tmp_path), "registry")
        assert found.status is Status.FAILED
        assert "USAGE" in found.finding

    def test_a_publication_that_is_not_there_has_its_nearest_names(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        found = check(examined(demo_dsn, tmp_path, Selection(publication="ahdh")), "registry")
        assert found.status is Status.FAILED
        assert "nearest: adhd" in found.finding

    def test_is_not_needed_for_tables(self, database: Database, tmp_path: Path) -> None:
        database.execute("CREATE TABLE alone (id int)")
        diagnosis = examined(database.dsn, tmp_path, Selection(schema="public"))
        assert "the catalog has 1 source" in check(diagnosis, "registry").finding
        assert check(diagnosis, "source", "alone").status is Status.OK


def prepared(name: str) -> str:
    """SQL that puts something in the way of `AGES`, with the role as `{role}`."""
    return {
        "no privilege": f"REVOKE SELECT ON staging.{AGES} FROM {{role}}",
        "no schema": "REVOKE USAGE ON SCHEMA staging FROM {role}",
        "hidden rows": f"ALTER TABLE staging.{AGES} ENABLE ROW LEVEL SECURITY",
        "no column": f"""
            REVOKE SELECT ON staging.{AGES} FROM {{role}};
            GRANT SELECT (age_group) ON staging.{AGES} TO {{role}}""",
        "gone": f"DROP TABLE staging.{AGES}",
        "a view of what it may not read": f"""
            ALTER TABLE staging.{AGES} RENAME TO hidden;
            ALTER TABLE staging.hidden OWNER TO {{role}};
            CREATE VIEW staging.{AGES} AS SELECT * FROM staging.hidden;
            ALTER VIEW staging.{AGES} OWNER TO {{role}};
            GRANT ALL ON staging.hidden TO postgres;
            REVOKE SELECT ON staging.hidden FROM {{role}}""",
    }[name]


class TestSource:
    @pytest.mark.parametrize(
        ("obstacle", "status", "words"),
        [
            pytest.param("no privilege", Status.FAILED, "no SELECT privilege", id="no privilege"),
            pytest.param(
                "no schema", Status.FAILED, 'USAGE privilege on schema "staging"', id="no schema"
            ),
            pytest.param("hidden rows", Status.FAILED, "--enable-row-security", id="hidden rows"),
            pytest.param("gone", Status.WARNING, "does not exist", id="gone"),
            pytest.param(
                "a view of what it may not read",
                Status.FAILED,
                "permission denied for table hidden",
                id="a view",
            ),
        ],
    )
    def test_what_is_in_the_way_is_told_of_that_source_alone(
        self,
        obstacle: str,
        status: Status,
        words: str,
        demo_copy: Database,
        make_role: RoleMaker,
        tmp_path: Path,
    ) -> None:
        dsn = readable(demo_copy, make_role)
        role = str(conninfo_to_dict(dsn)["user"])
        both = Selection(codes=(AGES, "adhd_assessments_outcome"))
        before = examined(dsn, tmp_path, both)
        assert check(before, "source", AGES).status is Status.OK
        assert "~1,304 rows" in check(before, "source", AGES).finding
        demo_copy.execute(prepared(obstacle).format(role=role))
        after = examined(dsn, tmp_path, both)
        assert check(after, "source", AGES).status is status
        assert words in check(after, "source", AGES).finding
        if obstacle != "no schema":
            assert check(after, "source", "adhd_assessments_outcome").status is Status.OK

    @pytest.mark.parametrize("obstacle", ["no privilege", "no schema"])
    def test_the_advice_is_the_grant_that_helps(
        self, obstacle: str, demo_copy: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        dsn = readable(demo_copy, make_role)
        demo_copy.execute(prepared(obstacle).format(role=conninfo_to_dict(dsn)["user"]))
        wanted = Selection(codes=(AGES,))
        advice = str(check(examined(dsn, tmp_path, wanted), "source", AGES).advice)
        assert advice.startswith("GRANT ")
        demo_copy.execute(advice)
        assert check(examined(dsn, tmp_path, wanted), "source", AGES).status is Status.OK

    def test_one_that_is_being_altered_is_a_warning(
        self, demo_copy: Database, tmp_path: Path
    ) -> None:
        with demo_copy.connect(autocommit=False) as other:
            other.execute(f"ALTER TABLE staging.{AGES} ADD COLUMN more int")
            found = check(examined(demo_copy.dsn, tmp_path, ADHD), "source", AGES)
        assert found.status is Status.WARNING
        assert "being altered" in found.finding

    def test_one_that_does_not_exist_may_be_a_failure(self, demo_dsn: str, tmp_path: Path) -> None:
        diagnosis = examined(demo_dsn, tmp_path, ADHD, fail_on_missing=True)
        assert check(diagnosis, "source", ABSENT).status is Status.FAILED


class TestFolders:
    @pytest.mark.parametrize(
        ("setting", "name"),
        [("output_dir", "output folder"), ("temp_dir", "temporary folder")],
    )
    def test_they_must_be_writable(
        self, setting: str, name: str, demo_dsn: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        file.touch()
        for place, status in (
            (tmp_path / "new" / "deep", Status.OK),
            (tmp_path, Status.OK),
            (file, Status.FAILED),
            (file / "below", Status.FAILED),
            # Nobody can make a file there, not even a superuser.
            (Path("/proc/self"), Status.FAILED),
        ):
            settings = Settings(dsn=demo_dsn, output_dir=tmp_path)
            diagnosis = diagnose(None, dataclasses.replace(settings, **{setting: place}))
            assert check(diagnosis, name).status is status, place

    def test_a_link_in_the_place_of_the_staging_area_is_not_followed(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        (tmp_path / STAGING_FOLDER).symlink_to("/tmp")
        found = check(examined(demo_dsn, tmp_path), "output folder")
        assert found.status is Status.FAILED
        assert "symbolic link" in found.finding

    def test_there_must_be_room_for_the_files(
        self, demo_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = check(examined(demo_dsn, tmp_path, ADHD), "disk")
        assert found.status is Status.OK
        needed = found.figures["needed_disk_bytes"]
        assert needed > 1_000_000
        monkeypatch.setattr(machine, "disk_of", lambda _: Disk(device=1, free_bytes=needed - 1))
        found = check(examined(demo_dsn, tmp_path, ADHD), "disk")
        assert found.status is Status.FAILED
        assert "--temp-dir" in str(found.advice)

    def test_what_is_published_says_what_the_next_files_take(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        (tmp_path / f"{AGES}.parquet").write_bytes(bytes(5_000))
        found = check(examined(demo_dsn, tmp_path, Selection(codes=(AGES,))), "disk")
        assert found.figures["needed_disk_bytes"] == 5_000

    def test_a_sort_that_does_not_fit_into_memory_needs_room(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        weekly = Selection(codes=("adhd_waiting_times_provider_weekly",))

        def needed(memory_bytes: int, **more: Any) -> int:
            diagnosis = examined(demo_dsn, tmp_path, weekly, memory_bytes=memory_bytes, **more)
            return int(check(diagnosis, "disk").figures["needed_disk_bytes"])

        in_memory = needed(1_000_000_000)
        assert needed(MIN_MEMORY_BYTES) == 2 * in_memory
        assert needed(MIN_MEMORY_BYTES, sort_in="postgres") == in_memory
        assert needed(MIN_MEMORY_BYTES, order="none") == in_memory


class TestCatalog:
    def test_may_be_missing_right_wrong_or_somebody_else_s(
        self, demo_dsn: str, tmp_path: Path
    ) -> None:
        def found() -> Check:
            return check(examined(demo_dsn, tmp_path), "catalog")

        assert found().finding == f"there is none yet in {tmp_path}"
        export(demo_dsn, Selection(codes=(AGES,)), tmp_path)
        assert (found().status, found().figures["datasets"]) == (Status.OK, 1)
        (tmp_path / f"{AGES}.parquet").unlink()
        assert found().status is Status.WARNING
        assert f"{AGES}.parquet" in found().finding
        (tmp_path / "catalog.parquet").write_bytes(b"PAR1 and no more")
        assert found().status is Status.FAILED
        assert "duckwarp catalog rebuild" in found().finding


class TestEarlierRuns:
    def test_none(self, demo_dsn: str, tmp_path: Path) -> None:
        assert check(examined(demo_dsn, tmp_path), "earlier runs").status is Status.OK

    def test_what_a_dead_one_has_left_is_told_and_kept(self, demo_dsn: str, tmp_path: Path) -> None:
        run = tmp_path / STAGING_FOLDER / "run-0123456789ab"
        run.mkdir(parents=True)
        (run / "half.parquet").write_bytes(os.urandom(100_000))
        found = check(examined(demo_dsn, tmp_path), "earlier runs")
        assert found.status is Status.WARNING
        assert "dead run" in found.finding
        assert found.figures["dead_bytes"] >= 100_000
        assert (run / "half.parquet").exists()

    def test_one_that_had_begun_to_publish_is_told(self, demo_dsn: str, tmp_path: Path) -> None:
        run = tmp_path / STAGING_FOLDER / "run-0123456789ab"
        run.mkdir(parents=True)
        (run / JOURNAL_NAME).write_text("{}")
        found = check(examined(demo_dsn, tmp_path), "earlier runs")
        assert found.status is Status.WARNING
        assert "completes it" in str(found.advice)

    def test_one_at_work_is_told_with_its_name(self, demo_dsn: str, tmp_path: Path) -> None:
        with open_staging(tmp_path, run_id="export-of-the-night"):
            found = check(examined(demo_dsn, tmp_path), "earlier runs")
        assert found.status is Status.WARNING
        assert "held by run export-of-the-night (process" in found.finding
        assert check(examined(demo_dsn, tmp_path), "earlier runs").status is Status.OK

    def test_another_may_use_the_temporary_folder(self, demo_dsn: str, tmp_path: Path) -> None:
        temp = tmp_path / "temp"
        with open_staging(temp, run_id="export-of-the-night"):
            diagnosis = examined(demo_dsn, tmp_path / "output", temp_dir=temp)
        statuses = [c.status for c in diagnosis.checks if c.name == "earlier runs"]
        assert statuses == [Status.OK, Status.OK]


class TestSteps:
    def test_a_fault_of_a_check_is_its_finding(self) -> None:
        def broken(_: None) -> Any:
            yield from ()
            raise ZeroDivisionError

        def well(_: None) -> Any:
            yield Check(name="second", status=Status.OK, finding="well")

        steps = [
            Step(name="first", make=broken),
            Step(name="second", make=well),
            Step(name="third", make=well, needs=("first",)),
        ]
        found = [(c.name, c.status) for c in made(steps, None)]
        assert found == [
            ("first", Status.FAILED),
            ("second", Status.OK),
            ("third", Status.NOT_CHECKED),
        ]

    def test_every_need_is_a_step_before(self) -> None:
        names: list[str] = []
        for step in STEPS:
            assert set(step.needs) <= set(names)
            names.append(step.name)


class TestCommand:
    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["doctor", *arguments])
        out, err = capsys.readouterr()
        assert CANARY not in out + err
        return int(ended.value.code or 0), out

    def test_all_well_is_0_and_one_line_a_check(
        self, demo_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, out = self.run(capsys, "adhd", "--dsn", demo_dsn, "--output", str(tmp_path))
        *lines, _, last = out.splitlines()
        assert code == 0
        assert len(lines) == len(STEPS) - 1 + 8 - 1
        assert {line.split()[0] for line in lines} == {"ok", "warning"}
        assert last.endswith("An export can do its work.")

    @pytest.mark.parametrize("json_wanted", [True, False])
    def test_a_failure_is_3_and_no_secret_is_shown(
        self,
        json_wanted: bool,
        demo_copy: Database,
        make_role: RoleMaker,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        role = make_role()
        dsn = dsn_with(demo_copy.dsn_as(role), password=CANARY, host="127.0.0.1")
        for given in (dsn, f"postgresql://x:{CANARY}@127.0.0.1:{free_port()}/x"):
            options = ["--json"] if json_wanted else []
            code, out = self.run(capsys, "adhd", "--dsn", given, *options, "-o", str(tmp_path))
            assert code == 3
            assert "connection" in out

    def test_a_document_has_every_check(
        self, demo_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = ["adhd", "--dsn", demo_dsn, "--output", str(tmp_path), "--json"]
        code, out = self.run(capsys, *given)
        document = json.loads(out)
        assert code == document["exit_code"] == 0
        assert document["healthy"] is True
        by_name = {(c["name"], c["source"]): c for c in document["checks"]}
        assert by_name["source", ABSENT]["status"] == "warning"
        assert by_name["server", None]["figures"]["server_encoding"] == "UTF8"

    def test_the_options_reach_the_checks(
        self, demo_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = ["--source", ABSENT, "--fail-on-missing", "--memory", "999TB"]
        given += ["--max-connections", "3", "--temp-dir", "/proc/self"]
        code, out = self.run(capsys, *given, "--dsn", demo_dsn, "--output", str(tmp_path))
        assert code == 3
        failures = [line.split()[1] for line in out.splitlines() if line.startswith("failed")]
        assert failures == ["memory:", "source", "temporary"]
        assert "3 of the 3" in out
