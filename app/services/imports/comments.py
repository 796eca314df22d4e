"""How a block of a staged file of comments becomes comments, or is only checked. See docs/adr/027."""

from collections.abc import Iterable, Sequence

from app.clock import Calendar
from app.csv_files.ahead import RowOfFile
from app.csv_files.comments import CommentReader, ReadComment, refused
from app.csv_files.numbered import RowProblem
from app.csv_files.rows import RefusedRow
from app.database.unit_of_work import UnitOfWork
from app.events import TasksImported
from app.markdown import Markdown
from app.models.comments.comment import MAX_MENTIONS
from app.models.imports.task_import import ImportState, TaskImport
from app.repositories.imports.batches import Person
from app.repositories.imports.comments import CommentOfRow, ImportCommentRepository, ImportedComment, NewComment
from app.repositories.projects import ProjectRepository
from app.services.imports.people import ImportPeople, stranger_problem
from app.services.imports.report import ImportReport


class ImportCommentService:
    """Each method runs inside the caller's transaction."""

    def __init__(
        self,
        uow: UnitOfWork,
        report: ImportReport,
        comments: ImportCommentRepository,
        people: ImportPeople,
        projects: ProjectRepository,
        calendar: Calendar,
    ) -> None:
        self._uow = uow
        self._report = report
        self._comments = comments
        self._people = people
        self._projects = projects
        self._calendar = calendar

    def take(self, task_import: TaskImport, reader: CommentReader, rows: Sequence[RowOfFile]) -> bool:
        """Import the comments of a block, or check them. True if the project has new members.

        Its version does not show them yet. A comment that exists is skipped, and so is one that stands in the file
        twice: its task, author, time and text say which one it is.
        """
        bad = [row for row in rows if isinstance(row, RefusedRow)]
        good: list[tuple[ReadComment, int]] = []
        # Refused before their authors become users.
        for row, task_id in self._with_tasks(task_import, rows):
            problem = self._problem_of_time(reader, row)
            if problem is None and task_id is not None:
                good.append((row, task_id))
            else:
                bad.append(refused(row.row, problem or _unknown_task(reader, row)))
        # Parsed before anything is locked, because a long text takes a while.
        texts = [Markdown(row.body) for row, _task_id in good]
        people, has_new_members = self._people.find(task_import, dict.fromkeys(row.author for row, _task_id in good))
        mentionable = self._mentionable(task_import, texts)
        open_ids = self._comments.lock_tasks(task_import.project_id, {task_id for _row, task_id in good})
        known = self._known(task_import, good, people)
        new: dict[CommentOfRow, NewComment] = {}
        for (row, task_id), text in zip(good, texts, strict=True):
            if row.row.row_number in known:
                continue
            person = people[row.author]
            mentioned = text.names_among(mentionable)
            problem = self._problem_of_people(task_import, reader, row, person, len(mentioned))
            if problem is None and task_id not in open_ids:
                problem = _unknown_task(reader, row)
            if problem is not None:
                bad.append(refused(row.row, problem))
                continue
            # An author whom only a load creates has no id yet.
            comment = ImportedComment(task_id, person.id or 0, row.created_at, row.body)
            user_ids = [mentionable[name] for name in mentioned]
            comment_of_row = _comment_of(row, task_id, person)
            if comment_of_row not in new:
                new[comment_of_row] = NewComment(comment, text.to_html(mentioned), user_ids)
        self._report.refuse(task_import, sorted(bad, key=lambda row: row.row_number))
        task_import.created_count += len(new)
        task_import.skipped_count += len(rows) - len(bad) - len(new)
        if new and task_import.state is ImportState.LOADING:
            self._comments.add([*new.values()], now=self._calendar.now())
            self._uow.publish(TasksImported(task_import.id, len(new)))
        elif new:
            self._comments.draft(task_import.id, new.keys(), now=self._calendar.now())
        return has_new_members

    def _with_tasks(
        self, task_import: TaskImport, rows: Sequence[RowOfFile]
    ) -> Iterable[tuple[ReadComment, int | None]]:
        """The rows that could be read, each with its task, or None if the project has no such task."""
        read = [row for row in rows if isinstance(row, ReadComment)]
        names = [(row.ref, row.external_ref) for row in read]
        return zip(read, self._comments.find_tasks(task_import.project_id, names), strict=True)

    def _mentionable(self, task_import: TaskImport, texts: Sequence[Markdown]) -> dict[str, int]:
        """The people whom the comments may mention: only those who see the project, as everywhere."""
        names = {name for text in texts for name in text.names}
        people = self._projects.list_named(task_import.project_id, names) if names else ()
        return {person.username.lower(): person.id for person in people}

    def _known(
        self, task_import: TaskImport, rows: Sequence[tuple[ReadComment, int]], people: dict[str, Person]
    ) -> set[int]:
        """The numbers of the rows whose comments exist or, in a check, would have been added by an earlier block."""
        comments = {
            row.row.row_number: ImportedComment(task_id, author_id, row.created_at, row.body)
            for row, task_id in rows
            if (author_id := people[row.author].id) is not None
        }
        row_numbers = [*comments]
        known = {row_numbers[place] for place in self._comments.find_existing([*comments.values()])}
        if task_import.state is ImportState.CHECKING:
            of_rows = [_comment_of(row, task_id, people[row.author]) for row, task_id in rows]
            known |= self._comments.find_drafts(task_import.id, of_rows)
        return known

    def _problem_of_time(self, reader: CommentReader, row: ReadComment) -> RowProblem | None:
        if row.created_at is None or row.created_at <= self._calendar.now():
            return None
        return RowProblem(reader.column_of("created_at"), row.created_at.isoformat(), "is in the future")

    def _problem_of_people(
        self, task_import: TaskImport, reader: CommentReader, row: ReadComment, person: Person, mention_count: int
    ) -> RowProblem | None:
        if not person.may_be_assigned:
            return stranger_problem(task_import, row.author, person, reader.column_of("author"))
        if mention_count > MAX_MENTIONS:
            reason = f"mentions {mention_count} people; {MAX_MENTIONS} are the most"
            return RowProblem(reader.column_of("body"), None, reason)
        return None


def _comment_of(row: ReadComment, task_id: int, person: Person) -> CommentOfRow:
    return CommentOfRow(row.row.row_number, task_id, person.username, row.created_at, row.body)


def _unknown_task(reader: CommentReader, row: ReadComment) -> RowProblem:
    if row.external_ref is not None:
        return RowProblem(reader.column_of("external_ref"), row.external_ref, "is no task of the project")
    return RowProblem(reader.column_of("task"), row.ref, "is no task of the project")
