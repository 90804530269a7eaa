"""Whether lineage is asked for, by the variables of OpenLineage's client, and can be told."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

INSTALL = "pip install 'duckwarp[lineage]'"
_VARIABLES = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
_TRANSPORT = "OPENLINEAGE__TRANSPORT"


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a lineage backend, and does not switch lineage off."""
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    return any(
        value and (name in _VARIABLES or name.startswith(_TRANSPORT))
        for name, value in environ.items()
    )


def is_installed() -> bool:
    """Whether the client is there."""
    try:
        return importlib.util.find_spec("openlineage.client") is not None
    except ModuleNotFoundError:
        return False
