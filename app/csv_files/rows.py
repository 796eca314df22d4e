"""Reads a block of an uploaded CSV into rows: good ones with values, refused ones with the reasons."""

from collections import namedtuple
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from operator import itemgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.csv_files.cell_parts import MAX_SHOWN_LENGTH, SEPARATOR, CellError, parts_of
from app.csv_files.cells import CellReader, CellReaders, join_labels, labels_in_name, restored
from app.csv_files.columns import FIELD_OF, Column, Layout
from app.csv_files.numbered import RowProblem, numbered_rows, problem_of_shape
from app.csv_files.words import FileWords
from app.models.imports.task_import import DateFormat
from app.models.tasks.fields import IMPORTED
from app.models.tasks.recurrence import NEEDS_DEADLINE

# The cells of most columns repeat a few values, and each value is read once.
MAX_REMEMBERED_CELLS = 20_000
# The cells of these columns differ in every row, so remembering them would only cost time.
UNREPEATED = frozenset(
    {"title", "content", "labels_in_content", "description", "todoist_description", "external_ref", "ref"}
)

_EXTERNAL_REF = IMPORTED.index("external_ref")
_DEADLINE, _RECURRENCE = IMPORTED.index("due_at"), IMPORTED.index("recurrence")
# Where a row's parent stands in a file that has parents: after the row's own ref.
_PARENT = len(IMPORTED) + 1


def _named_tuple(names: Sequence[str]) -> Any:
    return namedtuple("Row", names)  # noqa: PYI024 - the names come from a table


class ImportedRow(_named_tuple(("row_number", *IMPORTED))):  # type: ignore[misc]
    """A good row of the file: its number, and a value for each field that an import reads."""

    __slots__ = ()


class RowNames(NamedTuple):
    """The names by which other rows refer to a row, and the parent that it names itself.

    In a file that indents its tasks, `level` says how deep the row stands, and the parent is the last row above it that
    stands less deep. `parent` is None for a task without a parent.
    """

    ref: str | None
    external_ref: str | None
    parent: str | None
    level: int | None = None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    row_number: int
    line_number: int
    # The row of a spreadsheet. None if the block does not say where in the sheet it begins.
    sheet_row: int | None
    cells: list[str]
    problems: tuple[RowProblem, ...]
    # None if the file has no column for parents, or the row has too many cells or too few.
    names: RowNames | None = None


class ReadRow(NamedTuple):
    """A good row. Its cells are kept in case the row has to be refused later."""

    row: ImportedRow
    line_number: int
    sheet_row: int | None
    cells: list[str]
    # None if the file has no column for parents.
    names: RowNames | None = None


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that is no task, such as a section of Todoist."""

    row_number: int


AnyRow = ReadRow | RefusedRow | SkippedRow


class RowReader:
    """Reads the blocks of one file. Values that were read in one block are remembered for the next.

    A row that sets a recurrence rule is refused without a deadline. If `updates_tasks`, a file without a column for
    deadlines leaves them to the tasks.
    """

    def __init__(
        self,
        layout: Layout,
        delimiter: str,
        time_zone: ZoneInfo,
        *,
        date_format: DateFormat,
        cell_characters: int,
        words: FileWords = FileWords(),  # noqa: B008 - it is frozen
        uploaded_on: date,
        updates_tasks: bool = False,
    ) -> None:
        self._layout = layout
        self._delimiter = delimiter
        self._max_cell_characters = cell_characters
        readers = CellReaders(time_zone, layout.priorities, date_format, words, uploaded_on=uploaded_on).by_name
        of_field = {FIELD_OF.get(column.reader, column.reader): column for column in layout.columns}
        self._label_columns = [column for column in layout.columns if FIELD_OF.get(column.reader) == "labels"]
        if len(self._label_columns) > 1:
            # Their cells are joined into another cell, which is added to each row after the empty one.
            of_field["labels"] = replace(of_field["labels"], index=layout.width + 1, reader="labels")
        # Cells that are read together are joined into further cells of each row.
        together = [column for column in layout.columns if column.together]
        self._together = [replace(column, index=index) for index, column in enumerate(together, layout.width + 2)]
        of_field |= {FIELD_OF[column.reader]: column for column in self._together}
        # A field without a column gets its default, by reading an empty cell that is added to each row.
        self._may_skip = "only_tasks" in of_field
        self._has_parents = "parent" in of_field
        self._may_lack_deadline = "recurrence" in of_field and ("due_at" in of_field or not updates_tasks)
        links = ("ref", "parent") if self._has_parents else ()
        named = (*IMPORTED, *links, *(("only_tasks",) if self._may_skip else ()))
        self._columns = [of_field.get(field, Column(layout.width, field, field)) for field in named]
        self._pick = itemgetter(*(column.index for column in self._columns))
        self._values = [
            _Values(
                readers[column.reader],
                limit=0 if column.index != layout.width and column.reader in UNREPEATED else MAX_REMEMBERED_CELLS,
            )
            for column in self._columns
        ]

    @property
    def fields(self) -> frozenset[str]:
        """The fields that the file has columns for."""
        return self._layout.fields

    def column_of(self, field: str) -> str:
        """The name of the file's column for an imported field."""
        return self._columns[IMPORTED.index(field)].name

    @property
    def parent_column(self) -> str | None:
        """The name of the file's column for parents. None if it has none."""
        return self._columns[_PARENT].name if self._has_parents else None

    def read(self, text: str, *, first_row: int, first_line: int, first_sheet_row: int | None) -> Iterator[AnyRow]:
        """Read the rows in the order of the file."""
        for row in numbered_rows(
            text, self._delimiter, first_row=first_row, first_line=first_line, first_sheet_row=first_sheet_row
        ):
            yield self._read_row(*row)

    def _read_row(self, row_number: int, line_number: int, sheet_row: int | None, cells: list[str]) -> AnyRow:
        problem = problem_of_shape(cells, width=self._layout.width, max_characters=self._max_cell_characters)
        if problem is not None:
            cut = [cell[: self._max_cell_characters] for cell in cells]
            return RefusedRow(row_number, line_number, sheet_row, cut, (problem,))
        picked = self._pick([*cells, "", self._joined_labels(cells), *self._joined_cells(cells)])
        values = [values_of[cell] for values_of, cell in zip(self._values, picked, strict=True)]
        if self._may_skip and values[-1] is False:
            return SkippedRow(row_number)
        names = self._names_in(values) if self._has_parents else None
        if _Refusal in map(type, values) or (self._may_lack_deadline and _lacks_deadline(values)):
            return RefusedRow(row_number, line_number, sheet_row, cells, tuple(self._problems(picked, values)), names)
        return ReadRow(ImportedRow(row_number, *values[: len(IMPORTED)]), line_number, sheet_row, cells, names)

    def _names_in(self, values: Sequence[Any]) -> RowNames:
        ref, external_ref, parent = (
            None if isinstance(value, _Refusal) else value
            for value in (values[_PARENT - 1], values[_EXTERNAL_REF], values[_PARENT])
        )
        if isinstance(parent, int):
            return RowNames(ref, external_ref, str(parent) if parent > 1 else None, parent)
        return RowNames(ref, external_ref, parent)

    def _joined_cells(self, cells: list[str]) -> Iterator[str]:
        for column in self._together:
            parts = ("" if index is None else cells[index].replace(SEPARATOR, " ").strip() for index in column.together)
            yield SEPARATOR.join(parts)

    def _joined_labels(self, cells: list[str]) -> str:
        """Jira writes each label into a column of its own, and a file with labels in names may also have a column."""
        if len(self._label_columns) <= 1:
            return ""
        return ",".join(
            restored(cells[column.index].strip())
            if column.reader == "labels"
            else join_labels(labels_in_name(cells[column.index]))
            for column in self._label_columns
        )

    def _problems(self, picked: Sequence[str], values: Sequence[Any]) -> Iterator[RowProblem]:
        for column, cell, value in zip(self._columns, picked, values, strict=True):
            if isinstance(value, _Refusal):
                name, shown_cell = column.name, cell
                if column.together:
                    name = column.part_names[value.part]
                    shown_cell = parts_of(cell, len(column.together))[value.part]
                yield RowProblem(name, shown_cell[:MAX_SHOWN_LENGTH], value.reason)
        if self._may_lack_deadline and _lacks_deadline(values):
            yield RowProblem(self.column_of("recurrence"), picked[_RECURRENCE][:MAX_SHOWN_LENGTH], NEEDS_DEADLINE)


def _lacks_deadline(values: Sequence[Any]) -> bool:
    return isinstance(values[_RECURRENCE], str) and values[_DEADLINE] is None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The value of a cell that cannot be read. Of cells that are read together, `part` is the one."""

    reason: str
    part: int


class _Values(dict[str, Any]):
    """The values of a column's cells. Up to `limit` values are remembered, so each is read once."""

    def __init__(self, read: CellReader, *, limit: int) -> None:
        super().__init__()
        self._read = read
        self._limit = limit

    def __missing__(self, cell: str) -> Any:
        try:
            value = self._read(cell.strip())
        except CellError as error:
            value = _Refusal(str(error), error.part)
        if len(self) < self._limit:
            self[cell] = value
        return value
