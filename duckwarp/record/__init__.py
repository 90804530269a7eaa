"""Listeners of a run's events: the log, the metrics and the lineage.

Each keeps what it has heard and writes a form of its own. Begin with `account.py`.
"""
