"""The copy of one source: what each type becomes, what is measured, where rows are sorted, and the
SQL that DuckDB and PostgreSQL are given.

`types.py` is the type map. `planning.py` makes an `ExportPlan`, which says everything that
`copy.py` needs. Begin with `plan.py`.
"""
