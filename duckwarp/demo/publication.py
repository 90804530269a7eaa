"""The sample warehouse: a registry and an invented ADHD publication, written by one SQL script."""

from __future__ import annotations

from importlib.resources import files

import psycopg


def create_publication(dsn: str) -> None:
    """Creates the schemas `datawarp` and `staging` with all sources in a database without them.

    The data is the same each time: computed, not random. The publication `adhd` has eight sources:
    one of 1,304 rows and 15 columns, one of 500,000 rows, an empty one, one whose table does not
    exist, one without metadata, and a materialized view among them. `gp_appt` and `gpxappt` are two
    more publications of one small source each. Takes about three seconds.
    """
    script = files(__package__).joinpath("publication.sql").read_text(encoding="utf-8")
    # All of it or nothing: a script sent as one statement is one transaction.
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
        connection.execute(script.encode())
