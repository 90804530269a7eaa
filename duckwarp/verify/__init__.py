"""Whether a published or staged file equals its table, found out by other code than wrote it.

`published.py` verifies what is published, `staged.py` what is about to be. `bench.py` compares one
file with one table. Begin with `published.py`.
"""
