"""How is a file read, and what becomes of its rows? The options of an import, and their part of its hash."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

from app.csv_files.encodings import Encoding
from app.models.imports.mapping import MAP_NAMES
from app.models.imports.task_import import DateFormat, DuplicatePolicy, ImportKind, ImportMode
from app.models.projects.project import DEFAULT_PROJECT_KEY
from app.models.tasks.fields import TaskPriority, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to read a file and what to do with its rows.

    An encoding or delimiter of None is detected. A map of None is the one that the project has kept. In a file of our
    own it is empty.
    """

    project: str = DEFAULT_PROJECT_KEY
    kind: ImportKind = ImportKind.TASKS
    is_dry_run: bool = False
    mode: ImportMode = ImportMode.SKIP_BAD
    on_duplicate: DuplicatePolicy = DuplicatePolicy.CREATE
    creates_users: bool = True
    encoding: Encoding | None = None
    delimiter: str | None = None
    date_format: DateFormat = DateFormat.US
    column_map: Mapping[str, str | None] | None = None
    status_map: Mapping[str, TaskStatus] | None = None
    priority_map: Mapping[str, TaskPriority] | None = None
    people_map: Mapping[str, str | None] | None = None

    @property
    def maps(self) -> dict[str, Mapping[str, Any]]:
        """The maps that the import names."""
        return {name: words for name in MAP_NAMES if (words := getattr(self, name)) is not None}


# The options that every hash holds, together with `is_day_first`.
_ALWAYS_HASHED = ("project", "is_dry_run", "mode", "on_duplicate", "creates_users", "encoding", "delimiter")


def content_hash_of(options: ImportOptions, delimiter: str, header: Sequence[str]) -> blake2b:
    """Begin a hash of everything that decides the outcome. The caller adds the bytes of the file as they come in.

    A repeated request finds its import by the hash, also after an upgrade. So the form of the text never changes: it is
    how Python wrote the first options. An option that came later is in it only if it is not at its default.
    """
    is_day_first = options.date_format is DateFormat.DAY_FIRST
    written = [f"{name}={getattr(options, name)!r}" for name in _ALWAYS_HASHED]
    first_options = f"ImportOptions({', '.join(written)}, is_day_first={is_day_first})"
    later = {
        field.name: value
        for field in fields(options)
        if field.name not in _ALWAYS_HASHED and (value := getattr(options, field.name)) != field.default
    }
    if is_day_first:
        del later["date_format"]
    text = f"({first_options}, {delimiter!r}, {[*header]!r})"
    return blake2b((text + (json.dumps(later, sort_keys=True) if later else "")).encode(), digest_size=32)
