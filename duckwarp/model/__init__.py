"""The nouns that every room shares: settings, sources, relations, columns, types, results, events,
errors. Nothing here reads, writes or asks.

Begin with `settings.py` and `source.py`.
"""
