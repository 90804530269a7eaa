"""Text without passwords, for whatever leaves the process.

The last line of defence: no message is made with a password in it, and what libraries and servers
say passes here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

# A shorter one would be found by chance.
HIDDEN_LENGTH = 4
HIDDEN = "***"

# Passwords in URIs and in key=value strings, quoted or not.
_URI_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")
_NAMED_PASSWORD = re.compile(
    r"(password['\"]?\s*[=:]\s*)('(?:[^'\\]|\\.)*'|[^\s,)]+)", re.IGNORECASE
)

_known: set[str] = set()


def hide(secret: str | None, *, unless: Iterable[str | None] = ()) -> None:
    """Take the secret out of all texts to come, unless it is one of these names as well."""
    if secret and len(secret) >= HIDDEN_LENGTH and secret not in unless:
        _known.update(_spellings(secret))


def without(text: str, secret: str | None) -> str:
    """The text with three asterisks wherever the secret stands as a word of its own."""
    if secret is None or len(secret) < HIDDEN_LENGTH:
        return text
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)


def without_hidden(text: str) -> str:
    """The text with three asterisks in the place of all that is hidden."""
    for secret in sorted(_known, key=len, reverse=True):
        text = without(text, secret)
    return text


def without_passwords(text: str) -> str:
    """The same, and without whatever looks like a password: for what is not our own text."""
    named = _NAMED_PASSWORD.sub(rf"\1{HIDDEN}", without_hidden(text))
    return _URI_PASSWORD.sub(rf"\1{HIDDEN}@", named)


def _spellings(secret: str) -> set[str]:
    """As itself, in a URI, in a key=value string, and quoted by Python, JSON and SQL."""
    escaped = secret.replace("\\", r"\\").replace("'", r"\'")
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        escaped,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        secret.replace("'", "''"),
    }
