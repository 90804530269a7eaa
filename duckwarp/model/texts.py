"""Names and texts of the database, as they are shown."""

from __future__ import annotations

import re

_PLAIN_PART = re.compile(r"\w+")


class BrokenText(str):
    r"""Text that has no equivalent in UTF-8; bytes that are not ASCII, or none, as `\x92`."""

    __slots__ = ()


def join_table(schema: str, table: str) -> str:
    """`schema.name` as `split_table` takes it."""
    parts = (schema, table)
    return ".".join(
        part if _PLAIN_PART.fullmatch(part) else '"' + part.replace('"', '""') + '"'
        for part in parts
    )
