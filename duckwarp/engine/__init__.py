"""The copy: type map, plan, DuckDB session, COPY. The only room with DuckDB."""
