r"""Text of the catalog and of the registry, which need not be UTF-8: read so that nothing fails.

A server sends no row at all with a text that it cannot put into UTF-8: a byte without a character
in WIN1252, any byte in SQL_ASCII, what a load has left in a database in UTF8. So questions ask for
the bytes of a text (`in_bytes`), and `read_rows` makes text of them. What is none comes as a
`BrokenText`, for whoever exports the source to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.rows import namedtuple_row

from duckwarp.model.texts import BrokenText

_ARRAY = "A"
_ALREADY_UTF8 = ("UTF8", "SQL_ASCII")


def in_bytes(expression: str) -> str:
    r"""SQL for a text's bytes, in the encoding of the database.

    `convert_to` and `textsend` would check them. As the text of a `bytea` they are taken as they
    are, but for backslashes.
    """
    text = f'({expression})::pg_catalog.text COLLATE pg_catalog."C"'
    backslash = "pg_catalog.chr(92)"
    doubled = f"pg_catalog.replace({text}, {backslash}, {backslash} || {backslash})"
    return f"{doubled}::pg_catalog.bytea"


def read_columns(categories: Mapping[str, str]) -> sql.Composed:
    """SQL for the texts of these columns, of arrays for each item of theirs.

    `categories` has the `typcategory` of the type of each.
    """
    item = in_bytes("item")
    texts = []
    for name, category in categories.items():
        column = sql.Identifier(name)
        if category == _ARRAY:
            items = f"SELECT pg_catalog.array_agg({item}) FROM pg_catalog.unnest({{}}) AS item"
            text = f"({items}) AS {{}}"
        else:
            text = f"{in_bytes('{}')} AS {{}}"
        texts.append(sql.SQL(text).format(column, column))
    return sql.SQL(", ").join(texts)


def read_rows(
    connection: psycopg.Connection[Any],
    query: bytes | sql.Composed,
    values: Sequence[Any] | None = None,
) -> list[Any]:
    """The rows of a question, as named tuples, with texts for the bytes in them.

    Raises psycopg's errors.
    """
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        rows: list[Any] = cursor.execute(query, values).fetchall()
    texts = _decode(connection, {each for row in rows for value in row for each in _bytes(value)})
    return [row._make(_text(value, texts) for value in row) for row in rows]


def _bytes(value: object) -> Iterable[bytes]:
    many = value if isinstance(value, list) else [value]
    return (each for each in many if isinstance(each, bytes))


def _text(value: Any, texts: dict[bytes, str]) -> Any:
    if isinstance(value, list):
        return [_text(each, texts) for each in value]
    return texts[value] if isinstance(value, bytes) else value


def _decode(connection: psycopg.Connection[Any], found: set[bytes]) -> dict[bytes, str]:
    """The texts of these bytes, which are in the encoding of the database."""
    texts = {each: each.decode() for each in found if each.isascii()}
    others = sorted(found - texts.keys())
    if not others:
        return texts
    row = connection.execute("SELECT pg_catalog.current_setting('server_encoding')").fetchone()
    assert row is not None
    if row[0] in _ALREADY_UTF8:
        return texts | {each: _utf8(each) for each in others}
    return texts | _convert(connection, others, row[0])


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return BrokenText(raw.decode(errors="backslashreplace"))


def _convert(
    connection: psycopg.Connection[Any], raws: Sequence[bytes], encoding: str
) -> dict[bytes, str]:
    """The texts by the server's own rules, by which it finds a name again.

    It refuses all of them for the sake of one, which is looked for by halves.
    """
    query = (
        "SELECT pg_catalog.array_agg(pg_catalog.convert(raw, %s, 'UTF8') ORDER BY place)"
        " FROM pg_catalog.unnest(%s::bytea[]) WITH ORDINALITY AS given (raw, place)"
    )
    try:
        with connection.transaction():
            row = connection.execute(query, [encoding, list(raws)]).fetchone()
    except (pg_errors.UntranslatableCharacter, pg_errors.CharacterNotInRepertoire):
        if len(raws) == 1:
            return {raws[0]: BrokenText(raws[0].decode("ascii", errors="backslashreplace"))}
        half = len(raws) // 2
        parts = raws[:half], raws[half:]
        first, second = (_convert(connection, part, encoding) for part in parts)
        return first | second
    assert row is not None
    return dict(zip(raws, (each.decode() for each in row[0]), strict=True))
