"""The command line as its users meet it: what it prints where, and the exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from duckwarp import Selection
from duckwarp.cli.app import main
from duckwarp.demo.server import EmbeddedServer, embedded_server
from duckwarp.export import preview as survey
from duckwarp.export.preview import PlannedSource, plan_export
from duckwarp.model.redaction import without_passwords
from duckwarp.model.settings import (
    MIN_MEMORY_BYTES,
    Compression,
    Order,
    Settings,
    SortIn,
    SpecialValues,
)
from duckwarp.model.sizes import size_text
from duckwarp.model.version import __version__
from duckwarp.store.journal import CATALOG_NAMES
from tests.conftest import DatabaseMaker, RoleMaker
from tests.doctor.conftest import free_port
from tests.support import Database, dsn_with

PUBLICATION_SOURCES = 8
ABSENT = "adhd_summary_closed_referrals_reason"
AGES = "adhd_summary_open_referrals_age"
HEAVY = ("duckdb", "pyarrow", "psycopg", "rich", "duckwarp.export.run")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        return dict(json.loads(self.out))


class Shell:
    """Runs commands in this process, in an empty folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], dsn: str) -> None:
        self._capsys = capsys
        self._dsn = dsn

    def __call__(self, *arguments: str, dsn: str | None = None) -> Ended:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--dsn", dsn or self._dsn])
        return self._ended(ended.value.code)

    def bare(self, *arguments: str) -> Ended:
        """The same without a DSN."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return self._ended(ended.value.code)

    def _ended(self, code: str | int | None) -> Ended:
        assert not isinstance(code, str)
        out, err = self._capsys.readouterr()
        return Ended(code or 0, out, err)


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str],
    demo_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(capsys, demo_dsn)


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def files(folder: Path) -> list[str]:
    """What is in a folder, besides the catalog."""
    names = (path.name for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(name for name in names if name not in CATALOG_NAMES)


class TestExport:
    def test_writes_a_pair_for_each_source_and_names_the_skip_once(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        got = shell("export", "adhd")
        assert got.code == 0
        assert len(files(tmp_path / "output")) == 2 * (PUBLICATION_SOURCES - 1)
        (skip,) = [line for line in got.out.splitlines() if line.startswith(ABSENT)]
        assert "skipped" in skip
        assert "7 exported, 1 skipped. The files are in output" in got.out
        assert "error" not in (got.out + got.err).lower()
        assert "failed" not in got.out + got.err

    def test_without_a_terminal_no_control_character_is_written(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        got = shell("export", "adhd")
        lines = (got.out + got.err).splitlines()
        assert len(lines) > 2 * PUBLICATION_SOURCES
        assert all(line.isprintable() for line in lines)

    def test_quiet_says_nothing_when_all_is_well(self, shell: Shell, tmp_path: Path) -> None:
        assert shell("export", "adhd", "--quiet") == Ended(0, "", "")
        assert files(tmp_path / "output")

    def test_quiet_says_what_failed(self, shell: Shell) -> None:
        got = shell("export", "adhd", "--quiet", "--fail-on-missing")
        assert (got.code, got.out) == (1, "")
        assert got.err == f"failed    {ABSENT}: relation staging.{ABSENT} does not exist\n"

    def test_json_is_one_document_and_people_read_standard_error(self, shell: Shell) -> None:
        got = shell("export", "adhd", "--json")
        assert got.code == 0
        assert [entry["state"] for entry in got.document["results"]] == ["exported"] * 7
        assert [entry["canonical_code"] for entry in got.document["skipped"]] == [ABSENT]
        assert got.document["totals"]["rows"] > 500_000
        assert "7 exported, 1 skipped" in got.err

    def test_plan_says_what_would_be_done_and_does_nothing(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        got = shell("export", "adhd", "--plan")
        assert got.code == 0
        reading = f"read staging.{AGES} in one snapshot over 1 connection"
        assert f"{AGES}\n  {reading}" in got.out
        assert f"{ABSENT}\n  skipped: relation" in got.out
        assert "7 of 8 sources would be exported. Nothing was written." in got.out
        assert files(tmp_path) == []

    @pytest.mark.parametrize(
        ("arguments", "want"),
        [
            pytest.param(
                [],
                [
                    f"read staging.{AGES} in one snapshot over 1 connection",
                    'order by all columns, "sub_icb_location_code" first, ascending, NULLs last',
                    "sort in DuckDB: all rows fit into memory",
                    "row groups of ",
                    f"write {AGES}.parquet (snappy)",
                ],
                id="as it suits the table",
            ),
            pytest.param(
                ["--sort-in", "postgres", "--compression", "zstd"],
                ["sort in PostgreSQL: as it was asked for", f"write {AGES}.parquet (zstd)"],
                id="as it was asked for",
            ),
            pytest.param(
                ["--order", "first"], ['order by "sub_icb_location_code" alone'], id="by one column"
            ),
            pytest.param(["--order", "none"], ["no order: the bytes"], id="in no order"),
        ],
    )
    def test_plan_says_who_reads_and_sorts_in_what_row_groups_and_why(
        self, shell: Shell, arguments: list[str], want: list[str]
    ) -> None:
        got = shell("export", "--source", AGES, "--plan", *arguments)
        assert got.code == 0
        lines = [line.strip() for line in got.out.splitlines()]
        for beginning in want:
            assert any(line.startswith(beginning) for line in lines), (beginning, lines)
        is_sorted = "none" not in arguments
        assert any(line.startswith("sort in ") for line in lines) == is_sorted

    def test_plan_says_why_a_table_is_read_and_sorted_otherwise(
        self, shell: Shell, database: Database
    ) -> None:
        database.execute("""
            CREATE TABLE huge (n int, b bytea); ALTER TABLE huge ALTER b SET STORAGE EXTERNAL;
            INSERT INTO huge SELECT n, convert_to(repeat('x', 6000000), 'UTF8')
            FROM generate_series(1, 12) n;
            CREATE TABLE long (n int, s text); ALTER TABLE long ALTER s SET STORAGE EXTERNAL;
            INSERT INTO long SELECT n, repeat('x', 3000) FROM generate_series(1, 45000) n;
            CREATE TABLE many AS SELECT n, n / 2 AS m FROM generate_series(1, 2000000) n""")
        got = shell(
            *("export", "--schema", "public", "--plan", "--json", "--memory", "560MB"),
            *("--threads", "2"),
            dsn=database.dsn,
        )
        plans = {entry["canonical_code"]: entry["plan"] for entry in got.document["sources"]}
        of_huge, of_long, of_many = (" | ".join(plans[code]) for code in ("huge", "long", "many"))
        assert "over 1 connection, in batches of bytes: the longest row has 6.0 MB" in of_huge
        assert "sort in PostgreSQL: it need not carry the long values" in of_huge
        assert "row groups of about " in of_huge
        assert "rows of about 3,004 bytes are too long for DuckDB's sort" in of_long
        assert "row groups of 8,192 rows, of about 3,004 bytes each (counted)" in of_long
        assert "over 2 connections, each a range of pages" in of_many
        assert "sort in DuckDB: within " in of_many
        assert "on disk" in of_many

    def test_plan_foretells_a_failure_with_its_exit_code(self, shell: Shell) -> None:
        got = shell("export", "adhd", "--plan", "--json", "--fail-on-missing")
        assert (got.code, got.document["exit_code"]) == (1, 1)
        failing = [entry for entry in got.document["sources"] if entry["plan"] is None]
        assert [(entry["canonical_code"], entry["missing"]) for entry in failing] == [
            (ABSENT, False)
        ]

    def test_options_reach_the_export(self, shell: Shell, tmp_path: Path) -> None:
        got = shell(
            "export",
            *("--source", AGES, "--source", "gp_appt_national_daily", "--output", "there"),
            *("--compression", "none", "--period", "2025-12", "--events", "events.jsonl"),
        )
        assert got.code == 0
        assert len(files(tmp_path / "there")) == 4
        lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        assert events[-1]["event_type"] == "run_ended"
        assert {event["period"] for event in events} == {"2025-12"}

    @pytest.mark.parametrize(
        ("arguments", "want"),
        [
            pytest.param([], {}, id="none: the defaults"),
            pytest.param(["--compression", "zstd"], {"compression": Compression.ZSTD}, id="codec"),
            pytest.param(
                ["--special-values", "text"], {"special_values": SpecialValues.TEXT}, id="specials"
            ),
            pytest.param(["--enable-row-security"], {"enable_row_security": True}, id="policies"),
            pytest.param(["--fail-on-missing"], {"fail_on_missing": True}, id="missing"),
            pytest.param(["--lock-timeout", "2.5"], {"lock_timeout_seconds": 2.5}, id="locks"),
            pytest.param(
                ["--statement-timeout", "9"], {"statement_timeout_seconds": 9.0}, id="statements"
            ),
            pytest.param(["--idle-timeout", "9"], {"idle_timeout_seconds": 9.0}, id="silence"),
            pytest.param(["--order", "first"], {"order": Order.FIRST}, id="order"),
            pytest.param(["--sort-in", "postgres"], {"sort_in": SortIn.POSTGRES}, id="who sorts"),
            pytest.param(["--memory", "512MB"], {"memory_bytes": 512_000_000}, id="memory"),
            pytest.param(["--memory", "0.5 GiB"], {"memory_bytes": 2**29}, id="memory in GiB"),
            pytest.param(["--threads", "3"], {"threads": 3}, id="threads"),
            pytest.param(["--jobs", "3"], {"jobs": 3}, id="jobs"),
            pytest.param(["--max-connections", "2"], {"max_connections": 2}, id="connections"),
            pytest.param(["--temp-dir", "there"], {"temp_dir": Path("there")}, id="where to spill"),
            pytest.param(["--temp-limit", "2GB"], {"temp_limit_bytes": 2 * 10**9}, id="how much"),
            pytest.param(["--temp-limit", "0"], {"temp_limit_bytes": 0}, id="not at all"),
        ],
    )
    def test_each_option_reaches_the_settings(
        self,
        shell: Shell,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        want: dict[str, Any],
    ) -> None:
        heard: list[Settings] = []

        def listen(selection: Selection, settings: Settings) -> tuple[PlannedSource, ...]:
            heard.append(settings)
            return plan_export(selection, settings)

        monkeypatch.setattr(survey, "plan_export", listen)
        assert shell("export", "--source", AGES, "--plan", *arguments).code == 0
        assert heard == [Settings(**({"dsn": heard[0].dsn} | want))]

    @pytest.mark.parametrize(
        ("environment", "arguments", "want"),
        [
            pytest.param("350MB", [], 350_000_000, id="the environment's"),
            pytest.param("350MB", ["--memory", "400MB"], 400_000_000, id="the option's before it"),
            pytest.param("", [], None, id="nothing"),
        ],
    )
    def test_the_memory_may_stand_in_the_environment(
        self,
        shell: Shell,
        monkeypatch: pytest.MonkeyPatch,
        environment: str,
        arguments: list[str],
        want: int | None,
    ) -> None:
        monkeypatch.setenv("DUCKWARP_MEMORY", environment)
        heard: list[int | None] = []

        def listen(selection: Selection, settings: Settings) -> tuple[PlannedSource, ...]:
            heard.append(settings.memory_bytes)
            return plan_export(selection, settings)

        monkeypatch.setattr(survey, "plan_export", listen)
        assert shell("export", "--source", AGES, "--plan", *arguments).code == 0
        assert heard == [want]

    def test_tables_are_exported_without_the_registry(self, shell: Shell, tmp_path: Path) -> None:
        got = shell(
            "export", "--table", f"staging.{AGES}", "--table", '"staging"."gpxappt_pilot_daily"'
        )
        assert got.code == 0
        assert len(files(tmp_path / "output")) == 4

    def test_a_source_without_privilege_fails_and_the_others_are_exported(
        self, shell: Shell, demo_copy: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        role = make_role()
        demo_copy.execute(
            f"GRANT USAGE ON SCHEMA datawarp, staging TO {role.name};"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA datawarp, staging TO {role.name};"
            f"REVOKE SELECT ON staging.{AGES} FROM {role.name}"
        )
        got = shell("export", "adhd", dsn=demo_copy.dsn_as(role))
        demo_copy.execute(f"DROP OWNED BY {role.name}")
        assert got.code == 1
        assert "SELECT privilege" in got.out
        assert "6 exported, 1 skipped, 1 failed" in got.out
        assert f"{AGES}.parquet" not in files(tmp_path / "output")

    def test_a_code_that_leaves_the_folder_is_a_failed_source(
        self, shell: Shell, demo_copy: Database, tmp_path: Path
    ) -> None:
        demo_copy.execute(
            "UPDATE datawarp.tbl_data_sources SET code = '../x' WHERE code = %s", [AGES]
        )
        got = shell("export", "--all", dsn=demo_copy.dsn)
        assert got.code == 1
        assert "../x" in got.out
        assert [path.name for path in tmp_path.iterdir()] == ["output"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "dsn", "code", "message"),
        [
            pytest.param([], {}, 2, "say what to export", id="nothing to export"),
            pytest.param(["adhdx"], {}, 2, "nothing matches", id="an unknown publication"),
            pytest.param(["ahdd"], {}, 2, "nearest: adhd", id="a typo gets the nearest name"),
            pytest.param(
                ["--source", AGES[:-1]], {}, 2, f"nearest: {AGES}", id="a source gets it, too"
            ),
            pytest.param(["adhd", "--all"], {}, 2, "--all already has", id="a publication and all"),
            pytest.param(
                ["adhd", "--compression", "nonsense"], {}, 2, "'snappy', 'zstd'", id="a codec"
            ),
            pytest.param(
                ["adhd", "--lock-timeout", "-1"], {}, 2, "--lock-timeout", id="below zero"
            ),
            pytest.param(
                ["adhd", "--memory", "255MB"],
                {},
                2,
                f"--memory 255 MB is too little: the minimum is {size_text(MIN_MEMORY_BYTES)}",
                id="memory below the minimum",
            ),
            pytest.param(
                ["adhd", "--memory", "much"], {}, 2, '"much" is no size', id="no amount of memory"
            ),
            pytest.param(
                ["adhd", "--temp-limit", "-1"], {}, 2, '"-1" is no size', id="no amount of disk"
            ),
            pytest.param(["adhd", "--temp-dir", ""], {}, 2, "it is empty", id="no folder"),
            pytest.param(["adhd", "--threads", "0"], {}, 2, "--threads", id="no threads"),
            pytest.param(["adhd", "--jobs", "0"], {}, 2, "--jobs", id="no jobs"),
            pytest.param(
                ["adhd", "--max-connections", "1"], {}, 2, "--max-connections", id="one connection"
            ),
            pytest.param(
                ["adhd", "--statement-timeout", "-1"], {}, 2, "--statement-timeout", id="less time"
            ),
            pytest.param(
                ["adhd", "--statement-timeout", "1e9"],
                {},
                2,
                "--statement-timeout takes 0 to 2147483 seconds",
                id="more time than the server knows",
            ),
            pytest.param(["adhd", "--retries", "-1"], {}, 2, "--retries", id="fewer retries"),
            pytest.param(["adhd", "--order", "last"], {}, 2, "'all', 'first'", id="an order"),
            pytest.param(
                ["adhd", "--sort-in", "python"], {}, 2, "'auto', 'duckdb'", id="a place to sort"
            ),
            pytest.param(["adhd", "--nonsense"], {}, 2, "--nonsense", id="an unknown option"),
            pytest.param(["--table", "nodot"], {}, 2, "schema.name", id="a table without schema"),
            pytest.param(
                ["adhd", "--retries", "0"],
                {"host": "/nowhere"},
                3,
                "cannot connect to PostgreSQL",
                id="wrong host",
            ),
            pytest.param(
                ["adhd"], {"dbname": "nowhere"}, 3, '"nowhere" does not exist', id="wrong database"
            ),
            pytest.param(
                ["adhd", "--registry-schema", "nowhere"],
                {},
                3,
                'registry "nowhere".tbl_data_sources does not exist',
                id="no registry",
            ),
            pytest.param(["adhd", "-o", "a_file"], {}, 3, "a_file", id="the output is a file"),
            pytest.param(
                ["adhd", "-o", "a_file/x"], {}, 3, "output folder", id="the output cannot be made"
            ),
            pytest.param(
                ["adhd", "--events", "a_file/x"], {}, 3, "cannot write events", id="nor the events"
            ),
        ],
    )
    def test_one_line_says_why_and_the_exit_code_of_what_kind(  # noqa: PLR0917
        self,
        shell: Shell,
        demo_dsn: str,
        tmp_path: Path,
        arguments: list[str],
        dsn: dict[str, str],
        code: int,
        message: str,
    ) -> None:
        (tmp_path / "a_file").touch()
        got = shell("export", *arguments, "--json", dsn=dsn_with(demo_dsn, **dsn))
        assert got.code == code
        first, *hints = got.err.splitlines()
        assert first.startswith("error: ")
        assert message in first
        assert all(hint.startswith("hint: ") for hint in hints)
        document = got.document
        assert document["exit_code"] == code
        assert f"error: {document['error']}" == first
        assert files(tmp_path) == ["a_file"]

    @pytest.mark.parametrize("text", [r"a\b", r"\\server\share", r"it's C:\x"])
    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param([], id="a command"),
            pytest.param(["export", "adhd", "--compression"], id="a choice"),
            pytest.param(["export", "adhd", "--retries"], id="a number"),
            pytest.param(["export", "adhd", "--memory"], id="a size"),
            pytest.param(["export", "--table"], id="a table"),
            pytest.param(["export"], id="a publication"),
            pytest.param(["describe"], id="a source"),
        ],
    )
    def test_a_backslash_is_not_doubled(
        self, shell: Shell, arguments: list[str], text: str
    ) -> None:
        got = shell(*arguments, text) if arguments else shell.bare(text)
        assert got.code == 2
        assert got.err.count(text) == 1
        assert text.replace("\\", "\\\\") not in got.err

    def test_an_empty_dsn_is_refused(self, shell: Shell) -> None:
        got = shell.bare("export", "adhd", "--dsn", "")
        assert got.code == 2
        assert got.err.startswith("error: --dsn is empty")

    def test_an_empty_output_is_refused_and_not_taken_for_this_folder(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        got = shell("export", "adhd", "--output", "")
        assert got.code == 2
        assert "it is empty" in got.err
        assert files(tmp_path) == []

    def test_a_folder_to_spill_into_that_is_a_file_is_named(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        (tmp_path / "a_file").write_text("precious")
        got = shell("export", "adhd", "--temp-dir", "a_file")
        assert got.code == 3
        assert got.err.startswith("error: cannot write to ")
        assert "a_file: Not a directory" in got.err
        assert (tmp_path / "a_file").read_text() == "precious"
        assert not (tmp_path / "output").exists()

    def test_a_database_without_a_registry_is_no_place_for_a_publication(
        self, shell: Shell, make_database: DatabaseMaker
    ) -> None:
        got = shell("export", "adhd", dsn=make_database().dsn)
        assert got.code == 3
        assert "--schema or --table" in got.err

    @pytest.mark.embedded
    def test_a_wrong_password_is_refused_and_not_repeated(self, shell: Shell) -> None:
        with embedded_server() as server:
            _ask_for_passwords(server)
            dsn = dsn_with(server.dsn, user="reader", password="canary")
            got = shell("export", "adhd", "--verbose", "--json", dsn=dsn)
        assert got.code == 3
        assert "password authentication failed" in got.err
        assert "canary" not in got.out + got.err

    def test_a_dsn_is_never_repeated(self, shell: Shell) -> None:
        dsns = (
            "postgresql://u:canary@/x?host=/nowhere",
            "host=/nowhere password=canary",
            "password='canary",
            "postgresql://u:canary@[/x",
        )
        for dsn in dsns:
            got = shell("sources", "--verbose", "--json", dsn=dsn)
            assert got.code in (2, 3), dsn
            assert "canary" not in got.out + got.err, dsn

    def test_an_unexpected_error_is_one_line_and_a_traceback_on_demand(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ValueError("in postgresql://u:canary@h/d and password='can ary'")

        monkeypatch.setattr("duckwarp.export.preview.list_sources", broken)
        got = shell("sources", "--json")
        assert (got.code, got.document["exit_code"]) == (3, 3)
        assert got.err.startswith("error: unexpected ValueError in test_app.py:")
        assert "Traceback" not in got.err
        verbose = shell("sources", "-v")
        assert "Traceback" in verbose.err
        assert "postgresql://u:***@h/d and password=***" in verbose.err
        assert "ary" not in verbose.err.replace("binary", "")


def _ask_for_passwords(server: EmbeddedServer) -> None:
    """Make a role `reader` with the password `right`, and wait until the server asks for it."""
    rules = "local all postgres trust\nlocal all all scram-sha-256\n"
    (server.folder / "data/pg_hba.conf").write_text(rules)
    Database(dsn=server.dsn).execute(
        "CREATE ROLE reader LOGIN PASSWORD 'right'; SELECT pg_reload_conf()"
    )
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(server.dsn, user="reader", password="wrong").close()
        except psycopg.OperationalError:
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


class TestLooking:
    def test_sources_lists_what_is_there_and_what_is_not(self, shell: Shell) -> None:
        got = shell("sources", "adhd")
        assert (got.code, got.err) == (0, "")
        heading, _, *rows = got.out.splitlines()
        assert heading.split() == [
            *("source", "exists", "~rows", "size", "last", "load", "name", "relation")
        ]
        assert len(rows) == PUBLICATION_SOURCES
        fields = {row.split()[0]: row.split() for row in rows}
        assert fields[AGES][1:3] == ["yes", "1,304"]
        assert fields[ABSENT][1] == "no"
        assert any("(materialized view)" in row for row in rows)

    def test_sources_without_a_publication_lists_all(self, shell: Shell) -> None:
        got = shell("sources", "--json")
        codes = [entry["canonical_code"] for entry in got.document["sources"]]
        assert {AGES, ABSENT, "gp_appt_national_daily", "gpxappt_pilot_daily"} < set(codes)
        absent = got.document["sources"][codes.index(ABSENT)]
        assert (absent["exists"], absent["kind"], absent["estimated_rows"]) == (False, None, None)

    def test_a_table_that_nobody_has_counted_has_unknown_rows(
        self, shell: Shell, demo_copy: Database
    ) -> None:
        demo_copy.execute(
            f"ALTER TABLE staging.{AGES} RENAME TO other; CREATE TABLE staging.{AGES} (a int)"
        )
        got = shell("sources", AGES, dsn=demo_copy.dsn)
        assert got.out.splitlines()[2].split()[1:3] == ["yes", "unknown"]

    def test_describe_shows_the_dictionary_and_writes_nothing(
        self, shell: Shell, tmp_path: Path
    ) -> None:
        got = shell("describe", AGES)
        assert (got.code, got.err) == (0, "")
        lines = got.out.splitlines()
        assert lines[0] == "ADHD Summary - Open Referrals by Age"
        assert f"Relation  staging.{AGES} (table)" in lines
        assert "Columns   15" in lines
        code = next(i for i, line in enumerate(lines) if line.startswith("sub_icb_location_code"))
        assert lines[code].split() == [
            *("sub_icb_location_code", "varchar(255)", "NOT", "NULL", "dimension")
        ]
        assert lines[code + 2] == "  source column: SUB ICB LOCATION CODE"
        assert files(tmp_path) == []

    def test_describe_as_a_document_has_every_column(self, shell: Shell) -> None:
        got = shell("describe", AGES, "--json")
        columns = got.document["columns"]
        assert [column["position"] for column in columns] == list(range(1, 16))
        assert columns[0]["original_name"] == "SUB ICB LOCATION CODE"
        assert all(column["parquet_type"] for column in columns)

    @pytest.mark.parametrize(
        ("code", "exit_code", "message"),
        [
            pytest.param(ABSENT, 1, "does not exist", id="a source without a relation"),
            pytest.param("nowhere", 2, "nothing matches", id="an unknown source"),
        ],
    )
    def test_describe_says_why_it_cannot(
        self, shell: Shell, code: str, exit_code: int, message: str
    ) -> None:
        got = shell("describe", code, "--json")
        assert got.code == exit_code
        assert message in got.document["error"]


class TestHelp:
    @pytest.mark.parametrize("option", ["--help", "--version"])
    def test_is_quick_because_nothing_heavy_is_imported(self, option: str) -> None:
        program = (
            "import sys\n"
            "from duckwarp.cli.app import main\n"
            f"try: main([{option!r}])\n"
            f"finally: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
        )
        got = python("-c", program)
        assert got.returncode == 0
        assert got.stdout
        assert got.stderr == "[]\n"

    def test_version_is_the_package_s(self, shell: Shell) -> None:
        assert shell.bare("--version") == Ended(0, f"duckwarp {__version__}\n", "")

    @pytest.mark.parametrize("command", ["", "export", "sources", "describe", "doctor", "demo"])
    def test_every_command_has_examples(self, shell: Shell, command: str) -> None:
        got = shell.bare(*filter(None, [command]), "--help")
        assert got.code == 0
        assert f"Examples:\n  duckwarp {command}" in got.out
        assert all(len(line) <= 80 for line in got.out.splitlines())

    def test_export_tells_its_exit_codes(self, shell: Shell) -> None:
        got = shell.bare("export", "--help")
        for code in (0, 1, 2, 3, 130, 143):
            assert f"\n  {code:<3}  " in got.out

    def test_no_command_is_a_usage_error_that_shows_the_help(self, shell: Shell) -> None:
        got = shell.bare()
        assert got.code == 2
        assert "Commands:" in got.out + got.err

    def test_shells_get_completion(self) -> None:
        got = python(
            *("-m", "duckwarp"),
            env=os.environ
            | {
                "_DUCKWARP_COMPLETE": "complete_bash",
                "COMP_WORDS": "duckwarp export --comp",
                "COMP_CWORD": "2",
            },
        )
        assert "--compression" in got.stdout.split()


@pytest.fixture
def slow_database(database: Database) -> Database:
    """A database with a relation whose reading takes an hour."""
    database.execute(
        "CREATE VIEW slow AS SELECT n, pg_sleep(1)::text AS nap FROM generate_series(1, 3600) n"
    )
    return database


class TestInterruption:
    @pytest.mark.parametrize(
        ("signal_number", "code", "message"),
        [
            pytest.param(signal.SIGINT, 130, "error: interrupted", id="Ctrl-C"),
            pytest.param(signal.SIGTERM, 143, "error: ended by SIGTERM", id="SIGTERM"),
        ],
    )
    def test_a_signal_ends_the_run_within_three_seconds(
        self, slow_database: Database, tmp_path: Path, signal_number: int, code: int, message: str
    ) -> None:
        arguments = ["export", "--table", "public.slow", "--dsn", slow_database.dsn, "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "duckwarp", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _wait_until_reading(slow_database, process)
        process.send_signal(signal_number)
        sent = time.monotonic()
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - sent < 3
        assert process.returncode == code
        assert err.splitlines()[-1] == message
        assert json.loads(out)["exit_code"] == code
        assert not (tmp_path / "output").exists()


def _wait_until_reading(database: Database, process: subprocess.Popen[str]) -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'"
    )
    deadline = time.monotonic() + 30
    while not database.execute(query)[0][0]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def on_a_terminal(arguments: Sequence[str], folder: Path, **environment: str) -> Ended:
    """The command with standard error on a terminal of 80 columns, standard output in a pipe."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "duckwarp", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"} | environment,
    )
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:
        pass  # Linux ends the reading of a closed terminal with EIO
    os.close(master)
    out = process.communicate(timeout=60)[0]
    return Ended(process.returncode, out.decode(), shown.decode())


class TestTerminal:
    def test_bars_are_drawn_and_the_result_stays_plain(self, demo_dsn: str, tmp_path: Path) -> None:
        got = on_a_terminal(["export", "adhd", "--dsn", demo_dsn], tmp_path)
        assert got.code == 0
        assert "━" in got.err
        assert "of 7 sources" in got.err
        assert "reading" in got.err
        assert all(line.isprintable() for line in got.out.splitlines())
        assert "7 exported" in got.out

    def test_no_color_leaves_no_colour(self, demo_dsn: str, tmp_path: Path) -> None:
        got = on_a_terminal(["export", "adhd", "--dsn", demo_dsn], tmp_path, NO_COLOR="1")
        assert "of 7 sources" in got.err
        assert "\x1b[3" not in got.err

    def test_a_refused_connection_says_that_it_is_tried_again_and_how_often(
        self, tmp_path: Path
    ) -> None:
        dsn = f"host=127.0.0.1 port={free_port()} user=x dbname=x"
        command = ["export", "--table", "public.t", "--dsn", dsn, "--retries", "1"]
        got = on_a_terminal(command, tmp_path, COLUMNS="200")
        assert got.code == 3
        assert re.search(r"retrying  the run: in \d\.\d s, 1 of 1: .*Connection refused", got.err)
        assert "trying again, 1 of 1" in got.err
        assert "error: cannot connect to PostgreSQL" in got.err

    def test_a_dumb_terminal_gets_lines(self, demo_dsn: str, tmp_path: Path) -> None:
        got = on_a_terminal(["export", "adhd", "--dsn", demo_dsn], tmp_path, TERM="dumb")
        assert "exported  " in got.err
        assert "\x1b" not in got.err


@pytest.mark.embedded
def test_the_demo_exports_its_publication_and_says_what_to_try(
    shell: Shell, tmp_path: Path
) -> None:
    got = shell.bare("demo", "--output", "there")
    assert got.code == 0
    assert f"{AGES}.parquet" in files(tmp_path / "there")
    assert "7 exported, 1 skipped" in got.out
    commands = [line.strip() for line in got.out.splitlines() if "python -c" in line]
    assert len(commands) == 2
    for command in commands:
        tried = subprocess.run(
            command,
            shell=True,
            capture_output=True,
            check=True,
            cwd=tmp_path,
        )
        assert tried.stdout
    assert f"duckwarp describe {AGES} --dsn" in got.out


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("postgresql://u:secret@host/db", "postgresql://u:***@host/db"),
        ("postgresql://:secret@/db", "postgresql://:***@/db"),
        ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
        (r"password = 'a \' b' user=u", "password = *** user=u"),
        ("{'password': 'secret'}", "{'password': ***}"),
        ("a table called passwords", "a table called passwords"),
    ],
)
def test_whatever_looks_like_a_password_is_taken_out(text: str, want: str) -> None:
    assert without_passwords(text) == want
