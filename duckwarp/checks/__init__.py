"""What has to hold: before a source is read, and before its staged file takes the place of the one
that is published.

`admission.py` asks whether a source may be read; `comparing.py` finds what differs from the
published file.
"""
