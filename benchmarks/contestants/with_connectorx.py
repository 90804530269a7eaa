"""connectorx into one Arrow table, which pyarrow writes."""

import connectorx as cx
import pyarrow.parquet as pq

from benchmarks.contestants.task import ordered, tables_and_files, uri

for table, path in tables_and_files():
    pq.write_table(cx.read_sql(uri(), ordered(table), return_type="arrow"), path)
