"""docs/types.md is what its generator writes."""

from __future__ import annotations

from docs import make_types
from duckwarp.engine.types import COMPOSITE, ENUM, FALLBACK, RULES


def test_the_page_of_types_is_what_the_type_map_says() -> None:
    page = make_types.PAGE.read_text(encoding="utf-8")
    assert page == make_types.page(), "stale: run python docs/make_types.py"


def test_every_row_of_the_map_is_on_the_page() -> None:
    page = make_types.page()
    for rule in (*RULES, ENUM, COMPOSITE, FALLBACK):
        assert f"| {rule.kind.words} | {rule.why} |" in page
        assert all(f"`{name}`" in page for name in rule.types)
