"""duckwarp without one of its devices for speed, which gives its neutral answer instead.

    DUCKWARP_DSN=… python -m benchmarks.contestants.without DEVICE export …

It knows inner names, and says so when one is gone: a device that is removed is removed here.
"""

from __future__ import annotations

import contextlib
import runpy
import sys
from collections.abc import Callable
from typing import Any

# What is replaced of each device: names of functions, and what they answer.
DEVICES: dict[str, dict[str, Callable[..., Any]]] = {
    "sort codes": {"coded_texts": lambda _: {}},
    "narrowing": {"shorten_type": lambda *_: None},
    "never 0": {"never_zero": lambda *_: False},
    "the look": {"looked_at": lambda _connection, _source, plan, *_, **__: plan},
    "the watcher": {"memory_given_back": lambda _: contextlib.nullcontext()},
    "lanes": {"lanes_for": lambda *_: 0},
}


def remove(device: str) -> None:
    """Replace the functions of the device wherever the export has them; raises `SystemExit`."""
    # Whatever an export needs is imported with it.
    from duckwarp import run_export  # noqa: F401

    modules = [module for name, module in sys.modules.items() if name.startswith("duckwarp.")]
    for name, neutral in DEVICES[device].items():
        found = [module for module in modules if callable(getattr(module, name, None))]
        if not found:
            raise SystemExit(f"duckwarp has no {name} any more")
        for module in found:
            setattr(module, name, neutral)


if __name__ == "__main__":
    remove(sys.argv.pop(1))
    runpy.run_module("duckwarp", run_name="__main__", alter_sys=True)
