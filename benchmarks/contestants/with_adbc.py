"""ADBC's record batches, each written by pyarrow as it comes."""

import pyarrow.parquet as pq
from adbc_driver_postgresql import dbapi

from benchmarks.contestants.task import dsn, ordered, tables_and_files

with dbapi.connect(dsn()) as connection, connection.cursor() as cursor:
    for table, path in tables_and_files():
        cursor.execute(ordered(table))
        batches = cursor.fetch_record_batch()
        with pq.ParquetWriter(path, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
