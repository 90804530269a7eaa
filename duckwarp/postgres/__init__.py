"""All that is asked of the server, and the only room that knows psycopg.

One connection holds the snapshot of a run and its locks; every question about a source is asked in
it. Begin with `snapshot.py`.
"""
