"""Identifiers and literals as text, for the SQL that the engine writes.

The rules are the same for PostgreSQL (with `standard_conforming_strings`, which every session of a
run has on) and for DuckDB.
"""

from __future__ import annotations

import re
from pathlib import Path

from duckwarp.model.filenames import utf8_path


def identifier(name: str) -> str:
    """A name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def file_pattern(path: Path) -> str:
    """A path in single quotes for DuckDB's readers: nothing in it is taken for a wildcard."""
    return literal(re.sub(r"[*?\[]", r"[\g<0>]", utf8_path(path)))
