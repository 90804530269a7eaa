"""The cases that are about a run and its surroundings: the tests that each names are there.

`tests/cases/ops.jsonl` has a line for each: where it was reported, what users expect, its tests.
"""

from __future__ import annotations

import json

import pytest

from tests.promises import ROOT, is_there

LINES = (ROOT / "tests" / "cases" / "ops.jsonl").read_text(encoding="utf-8").splitlines()
CASES = {case["slug"]: case["tests"] for case in map(json.loads, LINES)}


@pytest.mark.parametrize("slug", CASES)
def test_a_case_has_tests_that_are_there(slug: str) -> None:
    assert CASES[slug]
    assert [name for name in CASES[slug] if not is_there(name)] == []


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert not is_there("tests/test_ops_cases.py::test_nothing")
    assert not is_there("tests/nowhere.py::test_nothing")
