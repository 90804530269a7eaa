"""The command line: commands, options, live views, pages, JSON documents and exit codes.

No SQL and no rule of an export stand here. Begin with `app.py`, which has a function for each
command.
"""
