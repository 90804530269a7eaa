"""A publication that never rests, and the checks that find out what became of it."""
