"""Where files go: the output folder with its lock, the staging folder of a run, and the one step in
which staged files are put in place.

Begin with `publishing.py`.
"""
