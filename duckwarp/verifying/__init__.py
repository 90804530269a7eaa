"""Whether a published file still equals its table: the parts of the story in `verify.py`."""
