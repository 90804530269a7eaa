"""Text without passwords, for whatever leaves the process: the last line of defence."""

from __future__ import annotations

import re

# Passwords in URIs and in key=value strings, quoted or not.
_URI_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")
_NAMED_PASSWORD = re.compile(
    r"(password['\"]?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|[^\s,)]+)", re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """The text with three asterisks in the place of whatever looks like a password."""
    return _NAMED_PASSWORD.sub(r"\1***", _URI_PASSWORD.sub(r"\1***@", text))
