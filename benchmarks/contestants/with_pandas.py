"""The way that duckwarp replaces: `pandas.read_sql`, then `DataFrame.to_parquet`."""

import pandas as pd
import psycopg
import sqlalchemy

from benchmarks.contestants.task import dsn, ordered, tables_and_files

engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn()))
with engine.connect() as connection:
    for table, path in tables_and_files():
        pd.read_sql(ordered(table), connection).to_parquet(path, index=False)
