"""Maps the columns of a CSV to the fields of a task, for our own files and those of other trackers."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from app.errors import UnreadableCsvError
from app.models.tasks.fields import FIELDS, READ_FROM_FILES, TaskPriority

# A header this similar to a known name is a misspelling. Ignoring its column would lose its contents.
MISSPELLING_SIMILARITY = 0.88
MAX_SHOWN_NAME_LENGTH = 50
# At most this many ignored columns are named; the others are counted.
MAX_NAMED_COLUMNS = 50


@dataclass(frozen=True, slots=True)
class Tracker:
    """How one tracker's export differs from everybody else's.

    `reads_as` maps a header to the reader in `cells` that reads its column, and `also` to one that reads it a second
    time. `together` maps a reader to the headers whose cells it reads together, of which some may be absent. The column
    `names_rows` holds the names by which other rows of the file refer to a row. A file with all headers in `marks`
    comes from this tracker.
    """

    marks: frozenset[str]
    reads_as: dict[str, str]
    also: dict[str, str] = field(default_factory=dict)
    together: dict[str, tuple[str, ...]] = field(default_factory=dict)
    priorities: dict[str, TaskPriority] = field(default_factory=dict)
    names_rows: str = "ref"

    def without(self, names: Collection[str]) -> "Tracker":
        """Leave out these columns, which mean something else. Others are not read together with them."""
        return replace(
            self,
            reads_as={name: reader for name, reader in self.reads_as.items() if name not in names},
            also={name: reader for name, reader in self.also.items() if name not in names},
            together={reader: read for reader, read in self.together.items() if not set(read) & set(names)},
        )


# The names of columns. Case does not matter, and spaces and hyphens count as underscores.
EVERYBODYS: dict[str, str] = {
    **{
        header: field.name
        for field in FIELDS
        if field.name in READ_FROM_FILES
        for header in (field.name, *field.headers)
    },
    "assignees": "one_member",
}
TRACKERS: dict[str, Tracker] = {
    "jira": Tracker(
        frozenset({"summary", "issue_key"}),
        {"issue_key": "external_ref", "resolved": "completed_at", "due_date": "due_on"},
        together={
            "jira_status": ("status", "status_category"),
            # The newest releases write all three, and older ones the id alone.
            "jira_parent": ("parent_key", "parent", "parent_id"),
        },
        names_rows="issue_id",
    ),
    "trello": Tracker(
        frozenset({"card_id", "card_name"}),
        {
            "card_id": "external_ref",
            "card_name": "title",
            "card_description": "description",
            "members": "one_member",
        },
        together={"trello_status": ("list_name", "due_complete", "archived")},
    ),
    "todoist": Tracker(
        frozenset({"type", "content", "indent"}),
        {"type": "only_tasks", "content": "content", "responsible": "numbered_person", "indent": "indent"},
        also={"content": "labels_in_content"},
        together={
            "todoist_due_at": ("date", "deadline", "timezone"),
            "todoist_description": ("description", "date"),
        },
        # Todoist writes its highest priority as 1. In other trackers higher numbers are higher priorities.
        priorities={
            "1": TaskPriority.CRITICAL,
            "2": TaskPriority.HIGH,
            "3": TaskPriority.MEDIUM,
            "4": TaskPriority.LOW,
        },
    ),
    "vikunja": Tracker(
        frozenset({"title", "done"}),
        {
            "done": "is_done",
            "done_at": "set_completed_at",
            "created": "set_created_at",
            "due_date": "set_due_at",
            "identifier": "external_ref",
        },
    ),
    "kanboard": Tracker(
        frozenset({"task_id", "swimlane"}),
        {"task_id": "external_ref", "due_date": "due_on", "start_date": "started_at"},
        together={"kanboard_status": ("status", "column")},
    ),
}
# The field that each cell reader fills. `only_tasks` fills none: it says which rows are skipped.
FIELD_OF = {
    **{name: name for name in READ_FROM_FILES},
    "content": "title",
    "todoist_description": "description",
    **dict.fromkeys(("is_done", "jira_status", "trello_status", "kanboard_status"), "status"),
    **dict.fromkeys(("one_member", "numbered_person"), "assignee"),
    **dict.fromkeys(("due_on", "set_due_at", "todoist_due_at"), "due_at"),
    **dict.fromkeys(("jira_parent", "indent"), "parent"),
    "set_created_at": "created_at",
    "set_completed_at": "completed_at",
    "labels_in_content": "labels",
}
# The columns of our own files that imports do not read. They are not reported as ignored.
PASSED_OVER = frozenset({"ref", "project", "creator", "updated_at", "error"})
# Every release has exported these columns.
_OUR_MARKS = frozenset(
    {
        *("ref", "project", "title", "description", "status", "priority", "labels", "assignee", "due_at"),
        *("external_ref", "created_at", "started_at", "completed_at"),
    }
)
KNOWN_NAMES = frozenset(EVERYBODYS).union(
    *(tracker.reads_as for tracker in TRACKERS.values()),
    *(names for tracker in TRACKERS.values() for names in tracker.together.values()),
)
NO_TRACKER = Tracker(frozenset(), {})


@dataclass(frozen=True, slots=True)
class Column:
    """Where a column stands, how its cells are read, and what the file calls it.

    If its cells are read together with those of other columns, `together` has the place of each, and None if it is
    absent; `part_names` has their names.
    """

    index: int
    reader: str
    name: str
    together: tuple[int | None, ...] = ()
    part_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    columns: tuple[Column, ...]
    width: int
    ignored: tuple[str, ...]
    priorities: dict[str, TaskPriority]

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(FIELD_OF[column.reader] for column in self.columns if column.reader in FIELD_OF)


def layout_of(header: Sequence[str], column_map: Mapping[str, str | None] | None = None) -> Layout:
    """The layout of a file with this header. Unknown columns are ignored and listed.

    `column_map` names the field that a column fills, or None for a column to ignore, and comes before all known names.
    Labels may have several columns, as in Jira's files. Raises UnreadableCsvError for a header without a title, with a
    misspelled name, or with two columns for any other field.
    """
    folded = [folded_name(name) for name in header]
    tracker = next((tracker for tracker in TRACKERS.values() if tracker.marks <= set(folded)), NO_TRACKER)
    meant = {folded_name(name): field for name, field in (column_map or {}).items()}
    # The map is in lower case as for comparisons, where `ß` is `ss`.
    mapped = {name: meant[key] for name in folded if (key := name.casefold()) in meant}
    if mapped:
        tracker = tracker.without(mapped)
    named = EVERYBODYS | tracker.reads_as | mapped
    reads_as = {name: reader for name, reader in named.items() if reader is not None}
    columns = tuple(_columns_of(header, folded, tracker, reads_as))
    known = ", ".join(sorted(set(FIELD_OF.values()) | {"task_name", "assigned_user"}))
    filled = [FIELD_OF.get(column.reader, column.reader) for column in columns]
    read = PASSED_OVER.union(reads_as, *tracker.together.values())
    if "parent" in filled and tracker.names_rows in folded and tracker.names_rows not in mapped:
        # Only parents refer to rows.
        place = folded.index(tracker.names_rows)
        columns = (*columns, Column(place, "ref", _shown(header[place])))
        read |= {tracker.names_rows}
    ignored = [index for index, name in enumerate(folded) if name not in read]
    for index in ignored:
        if folded[index] in mapped:
            continue
        near = _correct_spelling_of(folded[index])
        if near is not None and FIELD_OF.get(reads_as.get(near, ""), "") not in {"", *filled}:
            raise UnreadableCsvError(f"unknown column {_shown(header[index])}; did you mean {near}?")
    if "title" not in filled:
        raise UnreadableCsvError(
            f"the first line names no task_name or title column; it must name the columns, such as: {known}; "
            "for other names, set column_map"
        )
    twice = sorted({name for name in filled if filled.count(name) > 1 and name != "labels"})
    if twice:
        raise UnreadableCsvError(f"more than one column for {', '.join(twice)}")
    return Layout(
        columns,
        len(header),
        _listed([*dict.fromkeys(_shown(header[index]) for index in ignored)]),
        tracker.priorities,
    )


def layout_with(header: Sequence[str], places: Mapping[str, int]) -> Layout:
    """A layout with one column for each of these fields, at its place. The others are ignored."""
    ignored = (
        index
        for index, name in enumerate(header)
        if index not in places.values() and folded_name(name) not in PASSED_OVER
    )
    return Layout(
        tuple(Column(index, field, _shown(header[index])) for field, index in places.items()),
        len(header),
        _listed([*dict.fromkeys(_shown(header[index]) for index in ignored)]),
        {},
    )


def _columns_of(
    header: Sequence[str], folded: Sequence[str], tracker: Tracker, reads_as: dict[str, str]
) -> Iterator[Column]:
    """The columns in the order of the file."""
    begun: set[str] = set()
    for index, name in enumerate(folded):
        readers = [reader for reader, names in tracker.together.items() if name in names]
        for reader in readers:
            if reader not in begun or folded.index(name) < index:
                begun.add(reader)
                places = tuple(folded.index(each) if each in folded else None for each in tracker.together[reader])
                names = tuple("" if place is None else _shown(header[place]) for place in places)
                yield Column(index, reader, _shown(header[index]), places, names)
        if not readers and name in reads_as:
            yield Column(index, reads_as[name], _shown(header[index]))
        if name in tracker.also:
            yield Column(index, tracker.also[name], _shown(header[index]))


def is_ours(header: Sequence[str]) -> bool:
    """True for an export of ours, also of an older release. Its words are ours, whatever those of other files mean."""
    return {folded_name(name) for name in header} >= _OUR_MARKS


def folded_name(name: str) -> str:
    """The name in lower case, with underscores and without invisible characters."""
    visible = "".join(character for character in name if character.isprintable() or character.isspace())
    return "_".join(visible.lower().replace("-", " ").replace("_", " ").split())


def _correct_spelling_of(name: str) -> str | None:
    """The known name that was probably meant. A known name with a suffix is a different column on purpose."""
    near = get_close_matches(name, KNOWN_NAMES, 1, MISSPELLING_SIMILARITY)
    return near[0] if near and not name.startswith(f"{near[0]}_") else None


def _listed(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) <= MAX_NAMED_COLUMNS:
        return tuple(names)
    return (*names[:MAX_NAMED_COLUMNS], f"and {len(names) - MAX_NAMED_COLUMNS} more")


def _shown(name: str) -> str:
    printable = "".join(character for character in name.strip() if character.isprintable())
    return printable[:MAX_SHOWN_NAME_LENGTH] or "(no name)"
