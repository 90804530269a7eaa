"""rivet: a configuration for one table, in the profile that does not spare the source.

Its default profile pauses between batches and takes about three times as long.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.contestants.task import URI, ordered


def command(table: str, folder: Path, output: Path) -> list[str]:
    """Write the configuration (JSON is YAML) into `folder`; the command that carries it out."""
    configuration = folder / "rivet.yaml"
    configuration.write_text(
        json.dumps(
            {
                "source": {
                    "type": "postgres",
                    "url_env": URI,
                    "tls": {"mode": "disable"},
                    "tuning": {"profile": "fast"},
                },
                "exports": [
                    {
                        "name": "table",
                        "query": ordered(table),
                        "mode": "full",
                        "format": "parquet",
                        "compression": "snappy",
                        "destination": {"type": "local", "path": str(output)},
                    }
                ],
            }
        ),
        encoding="utf-8",
    )
    program = str(Path(sys.executable).with_name("rivet"))
    return [program, "run", "--config", str(configuration), "--no-notify"]
