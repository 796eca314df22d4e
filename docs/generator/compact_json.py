"""JSON as people write it: what fits on one line stands on one line."""

import json
from typing import Any

WIDTH = 110


def compact(value: Any, indent: int = 0) -> str:
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {compact(each, indent + 2)}" for key, each in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [compact(each, indent + 2) for each in value]
        opening, closing = "[", "]"
    lines = f",\n{inner}".join(parts)
    return f"{opening}\n{inner}{lines}\n{' ' * indent}{closing}"
