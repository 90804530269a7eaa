"""What says what is published: `catalog.parquet` with a row for each dataset, `datapackage.json`.

`update.py` keeps them in step with the files, `entry.py` is one row. Begin with `update.py`.
"""
