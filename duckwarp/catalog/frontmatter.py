"""What stands before a dictionary for generators of static sites: YAML between two rules."""

from __future__ import annotations

import math

import yaml

from duckwarp.catalog.entry import Entry

_RULE = "---\n"


class _Dumper(yaml.SafeDumper):
    """Text is in double quotes: else it depends on the rules of a reader whether it is text."""


def _write_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _write_text)


def front_matter(entry: Entry) -> str:
    """The figures of a dataset as front matter, ending in an empty line."""
    dataset = entry.dataset
    facts = {
        "title": dataset.name,
        "code": dataset.code,
        "domain": dataset.domain,
        "rows": entry.rows,
        "columns": len(dataset.columns),
        "sha256": entry.sha256,
        "tags": list(dataset.tags),
    }
    known = {name: fact for name, fact in facts.items() if fact is not None}
    text = yaml.dump(known, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf)
    return f"{_RULE}{text}{_RULE}\n"
