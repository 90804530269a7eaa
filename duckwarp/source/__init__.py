"""The database's side: connection, snapshot, registry and metadata. The only room with psycopg."""
