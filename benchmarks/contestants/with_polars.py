"""polars: `read_database_uri`, then `DataFrame.write_parquet`."""

import polars as pl

from benchmarks.contestants.task import ordered, tables_and_files, uri

for table, path in tables_and_files():
    pl.read_database_uri(ordered(table), uri()).write_parquet(path, compression="snappy")
