"""docs/performance.md says what the stored results say, failures included."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contestants import registry
from benchmarks.page import NAME, page
from benchmarks.results import STORED, load, merged, save
from tests.benchmarks.builders import costs, measured, results

PAGE = Path(__file__).parents[2] / "docs" / NAME


def row(text: str, *beginning: str) -> list[str]:
    """The cells of the one row of a table in `text` that begins with these."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    (found,) = [cells for cells in rows if cells[: len(beginning)] == list(beginning)]
    return found


def test_the_page_is_what_the_stored_results_say() -> None:
    stale = "stale: run python -m benchmarks --page"
    assert PAGE.read_text(encoding="utf-8") == page(load(STORED)), stale


def test_who_failed_is_in_the_table_and_the_reason_below() -> None:
    race = (
        *measured(registry.PANDAS, costs(3.0)),
        *measured(registry.RIVET, "rivet-cli is not installed"),
    )
    text = page(results(t=race))
    assert row(text, registry.PANDAS, "-")[2] == "3.0 s"
    assert row(text, registry.RIVET, "-")[2] == "failed"
    assert "- rivet, T: rivet-cli is not installed" in text


def test_times_are_given_as_multiples_of_both_floors() -> None:
    race = (
        *measured(registry.SEND, costs(2.0)),
        *measured(registry.SORT, costs(4.0)),
        *measured(registry.DUCKWARP, costs(9.0), memory="1GB"),
    )
    assert row(page(results(t=race)), registry.DUCKWARP, "1GB")[2:5] == ["9.0 s", "4.50", "1.50"]


def test_each_shape_stands_beside_the_others_and_the_mean_below() -> None:
    shapes = []
    for dataset, wall in (("t", 6.0), ("lineitem", 1.5)):
        shapes += measured(registry.DUCKWARP, costs(wall), memory="1GB", dataset=dataset)
        shapes += measured(registry.DUCKDB_ORDERED, costs(3.0), memory="1GB", dataset=dataset)
        shapes += measured(registry.SEND, costs(1.0), dataset=dataset)
        shapes += measured(registry.SORT, costs(2.0), dataset=dataset)
    shapes += measured(registry.ADBC, costs(12.0))
    shapes += measured(registry.ADBC, "no such type", dataset="lineitem")
    text = page(results(shapes=tuple(shapes)))
    cells = ["6.0 s", "3.0 s", "12.0 s", "3.0 s", "2.00", "0.50", "2.00", "100 MB"]
    assert row(text, "T")[1:] == cells
    assert row(text, "lineitem")[1:] == [
        "1.5 s",
        "3.0 s",
        "-",
        "3.0 s",
        "0.50",
        "-",
        "0.50",
        "100 MB",
    ]
    assert row(text, "geometric mean")[5:8] == ["1.00", "0.50", "1.00"]
    assert "- ADBC + pyarrow, lineitem: no such type" in text


def test_what_is_taken_away_is_compared_with_all_that_there_is() -> None:
    devices = (
        *measured(registry.DUCKWARP, costs(2.0), costs(4.0), memory="1GB"),
        *measured("duckwarp without this", costs(2.2), costs(4.0), memory="1GB"),
        *measured("duckwarp without that", costs(1.9, peak_bytes=2_000_000_000), memory="1GB"),
    )
    text = page(results(devices=devices))
    assert row(text, "", "wall", "peak")[3:] == ["without this", "peak", "without that", "peak"]
    assert row(text, "T")[3:] == ["+5.0 %", "100 MB", "-5.0 %", "2.0 GB (!)"]
    assert row(text, "geometric mean")[3:] == ["+5.0 %", "", "-5.0 %", ""]


def test_a_peak_above_what_was_allowed_is_marked() -> None:
    memory = (
        *measured(registry.DUCKWARP, costs(peak_bytes=499_000_000), memory="512MB"),
        *measured(registry.DUCKDB_ORDERED, costs(peak_bytes=700_000_000), memory="512MB"),
    )
    cells = row(page(results(memory=memory)), "T", "512MB")
    assert (cells[2], cells[4]) == ("499 MB", "700 MB (!)")


def test_a_peer_that_is_not_in_the_race_of_rows_is_taken_from_that_of_t() -> None:
    rows = (
        *measured(registry.DUCKWARP, costs(2.0), memory="1GB", dataset="t1"),
        *measured(registry.PANDAS, costs(5.0), dataset="t1"),
    )
    text = page(results(t=measured(registry.PANDAS, costs(50.0)), rows=rows))
    section = text[text.index("## Time against rows") :]
    assert row(section, registry.PANDAS)[2:] == ["5.0 s", "50.0 s", "-", "-"]


def test_results_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    kept = results(t=measured(registry.PANDAS, costs(temp_bytes=5), "too late"))
    save(kept, tmp_path / "folder" / "some.json")
    assert load(tmp_path / "folder" / "some.json") == kept


def test_a_scenario_that_is_measured_again_replaces_itself_alone() -> None:
    old = results(t=measured(registry.PANDAS, costs()), small=measured(registry.PANDAS, costs()))
    new = results(t=measured(registry.PANDAS, costs(9.0)))
    both = merged(old, new)
    assert both.scenarios["t"] == new.scenarios["t"]
    assert both.scenarios["small"] == old.scenarios["small"]
