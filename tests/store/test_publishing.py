"""A set of files is put in place in one step: whole, in order, and completed after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from duckwarp.model.change import Change
from duckwarp.store.journal import JOURNAL_NAME, has_begun
from duckwarp.store.publishing import Changes
from duckwarp.store.publishing import publish as publish_changes
from duckwarp.store.staging import STAGING_FOLDER, open_staging
from tests.store.publications import identity, names_in, publish, texts_in, write_pair


class Killed(BaseException):
    """Stands for a kill: nothing that duckwarp writes after it gets to the disk."""


class Catalog:
    """A catalog that lists what the text of each dataset is."""

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = output_dir
        path = output_dir / "catalog.parquet"
        self.rows: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        self.staged: dict[str, str] = {}

    def __call__(self, changes: Changes, folder: Path, *, interim: bool) -> Sequence[str]:
        rows = dict(self.rows)
        for change in changes.changed:
            rows.pop(change.code, None)
            if not interim:
                if change.code not in self.staged:
                    staged = folder.parent / f"{change.code}.parquet"
                    self.staged[change.code] = staged.read_text()
                rows[change.code] = self.staged[change.code]
        for name in ("catalog.parquet", "datapackage.json"):
            (folder / name).write_text(json.dumps(rows))
        return ("catalog.parquet", "datapackage.json")


def fail_at(monkeypatch: pytest.MonkeyPatch, target: Path, error: BaseException) -> None:
    """Let the renaming to `target` raise."""
    original = Path.replace

    def replace(path: Path, to: Path) -> Path:
        if to == target:
            raise error
        return original(path, to)

    monkeypatch.setattr(Path, "replace", replace)


REFUSED = PermissionError(1, "Operation not permitted", "a.md")


class TestOnePair:
    def test_it_takes_the_place_of_the_previous_one(self, tmp_path: Path) -> None:
        for text in ("first", "second"):
            with open_staging(tmp_path) as staging:
                write_pair(staging, "a", text)
                assert publish(staging, "a") == {}
        assert names_in(tmp_path) == {"a.parquet", "a.md"}
        assert texts_in(tmp_path) == {"a.parquet": "second", "a.md": "second"}

    @pytest.mark.parametrize("suffix", ["parquet", "md"])
    def test_where_a_folder_is_in_the_way_neither_file_is_placed(
        self, tmp_path: Path, suffix: str
    ) -> None:
        for name in ("a.parquet", "a.md"):
            (tmp_path / name).write_text("old")
        (tmp_path / f"a.{suffix}").unlink()
        (tmp_path / f"a.{suffix}").mkdir()
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "new")
            errors = publish(staging, "a")
        assert isinstance(errors["a"], IsADirectoryError)
        other = {"parquet": "md", "md": "parquet"}[suffix]
        assert (tmp_path / f"a.{other}").read_text() == "old"
        assert names_in(tmp_path) == {"a.parquet", "a.md"}

    @pytest.mark.parametrize("had_one", [True, False], ids=["with a previous pair", "without"])
    @pytest.mark.parametrize("name", ["a.parquet", "a.md"])
    def test_where_one_file_cannot_be_placed_the_pair_is_as_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had_one: bool, name: str
    ) -> None:
        old = {"a.parquet": "old", "a.md": "old"} if had_one else {}
        for each, text in old.items():
            (tmp_path / each).write_text(text)
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "new")
            write_pair(staging, "b", "new")
            with monkeypatch.context() as patch:
                original = Path.replace

                def replace(path: Path, to: Path) -> Path:
                    if to == tmp_path / name and path.parent == staging.folder:
                        raise REFUSED
                    return original(path, to)

                patch.setattr(Path, "replace", replace)
                assert publish(staging, "a", "b") == {"a": REFUSED}
        assert texts_in(tmp_path) == old | {"b.parquet": "new", "b.md": "new"}
        assert not (tmp_path / STAGING_FOLDER).exists()

    def test_a_dictionary_alone_leaves_the_parquet_file_as_it_is(self, tmp_path: Path) -> None:
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "first")
            publish(staging, "a")
        before = identity(tmp_path / "a.parquet")
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "second")
            changes = Changes(changed=(Change(code="a", parquet=False),))
            publish_changes(staging.folder, tmp_path, changes)
        assert texts_in(tmp_path) == {"a.parquet": "first", "a.md": "second"}
        assert identity(tmp_path / "a.parquet") == before

    def test_a_link_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("precious")
        output = tmp_path / "output"
        output.mkdir()
        for name in ("a.parquet", "a.md"):
            (output / name).symlink_to(tmp_path / "precious")
        with open_staging(output) as staging:
            write_pair(staging, "a", "new")
            publish(staging, "a")
        assert (tmp_path / "precious").read_text() == "precious"
        assert texts_in(output) == {"a.parquet": "new", "a.md": "new"}
        assert not any(path.is_symlink() for path in output.iterdir())

    def test_codes_that_resemble_names_of_duckwarp_s_own_are_published(
        self, tmp_path: Path
    ) -> None:
        codes = ("a", "a.before", "journal", "interim", "final", "before", "lock", "holder")
        for text in ("old", "new"):
            with open_staging(tmp_path) as staging:
                for code in codes:
                    write_pair(staging, code, text + code)
                assert publish(staging, *codes) == {}
        assert texts_in(tmp_path) == {
            f"{code}.{suffix}": f"new{code}" for code in codes for suffix in ("parquet", "md")
        }

    def test_the_mode_is_the_one_that_was_asked_for(self, tmp_path: Path) -> None:
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "x")
            publish(staging, "a", mode=0o640, catalog=Catalog(tmp_path))
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert modes == {0o640}
        assert len(names_in(tmp_path)) == 4


class TestTheCatalog:
    def test_it_is_put_in_place_last_and_has_no_row_of_what_changes_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with open_staging(tmp_path) as staging:
            for code in ("a", "b"):
                write_pair(staging, code, "old")
            publish(staging, "a", "b", catalog=Catalog(tmp_path))
        seen: list[tuple[str, dict[str, str]]] = []
        original = Path.replace

        def replace(path: Path, to: Path) -> Path:
            done = original(path, to)
            if to.parent == tmp_path:
                catalog = json.loads((tmp_path / "catalog.parquet").read_text())
                seen.append((to.name, catalog))
            return done

        monkeypatch.setattr(Path, "replace", replace)
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "new")
            publish(staging, "a", catalog=Catalog(tmp_path))
        interim, final = {"b": "old"}, {"a": "new", "b": "old"}
        assert seen == [
            ("catalog.parquet", interim),
            ("datapackage.json", interim),
            ("a.parquet", interim),
            ("a.md", interim),
            ("catalog.parquet", final),
            ("datapackage.json", final),
        ]

    def test_a_dataset_that_cannot_be_placed_has_its_old_row_in_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with open_staging(tmp_path) as staging:
            for code in ("a", "b"):
                write_pair(staging, code, "old")
            publish(staging, "a", "b", catalog=Catalog(tmp_path))
        with open_staging(tmp_path) as staging:
            for code in ("a", "b"):
                write_pair(staging, code, "new")
            fail_at(monkeypatch, tmp_path / "a.parquet", REFUSED)
            assert publish(staging, "a", "b", catalog=Catalog(tmp_path)) == {"a": REFUSED}
        assert json.loads((tmp_path / "catalog.parquet").read_text()) == {"a": "old", "b": "new"}
        assert (tmp_path / "a.md").read_text() == "old"
        assert not (tmp_path / STAGING_FOLDER).exists()

    def test_where_it_cannot_be_placed_nothing_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with open_staging(tmp_path) as staging:
            write_pair(staging, "a", "new")
            fail_at(monkeypatch, tmp_path / "catalog.parquet", REFUSED)
            with pytest.raises(PermissionError):
                publish(staging, "a", catalog=Catalog(tmp_path))
        assert names_in(tmp_path) == set()


def killed_at(
    number: int, monkeypatch: pytest.MonkeyPatch, publication: Callable[[], object]
) -> bool:
    """Carry out a publication until the renaming of that number; whether it got there."""
    originals = {name: getattr(os, name) for name in ("replace", "rename", "unlink", "fsync")}
    calls = 0
    dead = False

    def counted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            nonlocal calls, dead
            calls += 1
            dead = dead or calls == number
            if dead:
                raise Killed
            return originals[name](*arguments, **more)

        return call

    with monkeypatch.context() as patch:
        for name in originals:
            patch.setattr(os, name, counted(name))
        try:
            publication()
        except Killed:
            return True
    return False


def test_whenever_it_is_killed_each_pair_belongs_together_and_the_next_run_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog is right at every moment; what is in the journal is done, or nothing is."""
    codes = ("a", "b", "new")
    outcomes = set()
    for number in range(1, 100):
        output = tmp_path / str(number)
        with open_staging(output) as staging:
            for code in ("a", "b", "other"):
                write_pair(staging, code, "old")
            publish(staging, "a", "b", "other", catalog=Catalog(output))
        kept = open_staging(output)
        staging = kept.__enter__()
        for code in codes:
            write_pair(staging, code, "new")
        catalog = Catalog(output)
        if not killed_at(
            number,
            monkeypatch,
            lambda: publish(staging, *codes, catalog=catalog),  # noqa: B023
        ):
            kept.__exit__(None, None, None)
            break
        begun = has_begun(staging.folder)
        found = texts_in(output)
        rows = json.loads(found.pop("catalog.parquet"))
        assert json.loads(found.pop("datapackage.json")).keys() <= {"a", "b", "new", "other"}
        for code, text in rows.items():
            assert found[f"{code}.parquet"] == found[f"{code}.md"] == text
        for code in ("a", "b", "new", "other"):
            parquet, page = found.get(f"{code}.parquet"), found.get(f"{code}.md")
            assert page in (parquet, None)
        kept.__exit__(None, None, None)
        with open_staging(output) as staging:
            assert bool(staging.completed) == begun
        want = "new" if begun or (number > 1 and found.get("new.md")) else "old"
        outcomes.add(want)
        after = texts_in(output)
        assert after["a.parquet"] == after["a.md"] == after["b.parquet"] == after["b.md"] == want
        assert json.loads(after["catalog.parquet"]) == (
            {"a": "new", "b": "new", "new": "new", "other": "old"}
            if want == "new"
            else {"a": "old", "b": "old", "other": "old"}
        )
        assert not (output / STAGING_FOLDER).exists()
    assert number > 25
    assert outcomes == {"old", "new"}


def test_an_interrupt_in_between_puts_the_whole_set_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.replace
    pending = [KeyboardInterrupt()]

    def replace(path: Path, to: Path) -> Path:
        done = original(path, to)
        if to == tmp_path / "a.parquet" and pending:
            raise pending.pop()
        return done

    monkeypatch.setattr(Path, "replace", replace)

    def publish_both() -> None:
        with open_staging(tmp_path) as staging:
            for code in ("a", "b"):
                write_pair(staging, code, "new")
            publish(staging, "a", "b", catalog=Catalog(tmp_path))

    with pytest.raises(KeyboardInterrupt):
        publish_both()
    assert texts_in(tmp_path).keys() == {
        *("a.parquet", "a.md", "b.parquet", "b.md", "catalog.parquet", "datapackage.json")
    }
    assert json.loads((tmp_path / "catalog.parquet").read_text()) == {"a": "new", "b": "new"}
    assert not (tmp_path / STAGING_FOLDER).exists()


@pytest.mark.parametrize(
    "journal",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="a list"),
        pytest.param('{"changed": [{"code": "../x"}], "interim": [], "final": []}', id="upwards"),
        pytest.param('{"changed": [], "interim": [], "final": ["x.md"]}', id="no catalog"),
    ],
)
def test_a_journal_that_is_none_of_ours_moves_nothing(tmp_path: Path, journal: str) -> None:
    output = tmp_path / "output"
    folder = output / STAGING_FOLDER / "run-0"
    for place in (folder, folder / "final", folder / "interim"):
        place.mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / "final", folder.parent):
        for name in ("x.parquet", "x.md"):
            (place / name).write_text("planted")
    (folder / JOURNAL_NAME).write_text(journal)
    with open_staging(output):
        pass
    assert names_in(tmp_path) == {
        "output",
        *(f"output/.duckwarp{n}" for n in ("", "/x.md", "/x.parquet")),
    }
