"""The story of a run: its sources, their copies side by side and in turn, what is tried again, what
is skipped, and what is published at the end.

Begin with `run.py`: `run_export` is the whole story. `source.py` is that of one source.
"""
