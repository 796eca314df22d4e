"""How the rows of other trackers' files are read, and those of files with words of their own."""

from datetime import UTC, datetime

import pytest

from app.csv_files.rows import ReadRow, SkippedRow
from app.csv_files.words import FileWords
from app.models.tasks.fields import TaskPriority, TaskStatus
from tests.csv_files.reading_rows import good, read, refused


class TestStatusOfTrackers:
    @pytest.mark.parametrize(
        ("cells", "status"),
        [
            ("In Review,In Progress", TaskStatus.IN_PROGRESS),
            ("Waiting for Ops,To Do", TaskStatus.TODO),
            ("Shipped,Done", TaskStatus.DONE),
            ("Blocked,In Progress", TaskStatus.BLOCKED),
            (",Done", TaskStatus.DONE),
            (",", TaskStatus.TODO),
        ],
    )
    def test_jiras_category_stands_in_for_an_unknown_status(self, cells, status):
        assert good("Summary,Issue key,Status,Status Category", f"Paint,A-1,{cells}").status is status

    def test_jiras_unknown_status_without_a_known_category_is_refused(self):
        (problem,) = refused("Summary,Issue key,Status,Status Category", "Paint,A-1,Shipped,Unknown").problems

        assert (problem.column, problem.value) == ("Status", "Shipped")
        assert problem.reason.startswith("'Shipped' is not a status")

    @pytest.mark.parametrize(
        ("cells", "status"),
        [
            ("Doing,false,false", TaskStatus.IN_PROGRESS),
            ("Doing,false,true", TaskStatus.DONE),
            ("This week,false,true", TaskStatus.DONE),
            ("Doing,true,false", TaskStatus.CANCELLED),
            ("This week,true,false", TaskStatus.CANCELLED),
            ("Doing,true,true", TaskStatus.DONE),
            ("Done,true,false", TaskStatus.DONE),
            ("Won't do,false,true", TaskStatus.CANCELLED),
        ],
    )
    def test_trellos_card_may_be_complete_or_put_away(self, cells, status):
        assert good("Card ID,Card Name,List Name,Archived,Due Complete", f"1,Paint,{cells}").status is status

    def test_trellos_unknown_list_of_an_open_card_is_refused(self):
        header = "Card ID,Card Name,Archived,Due Complete,List Name"

        (problem,) = refused(header, "1,Paint,false,false,This week").problems
        assert (problem.column, problem.value) == ("List Name", "This week")

    @pytest.mark.parametrize(
        ("cells", "status"),
        [
            ("Open,Backlog", TaskStatus.TODO),
            ("Open,Work in progress", TaskStatus.IN_PROGRESS),
            ("Open,Some column", TaskStatus.TODO),
            ("Closed,Work in progress", TaskStatus.DONE),
            ("Closed,Some column", TaskStatus.DONE),
            ("Closed,Cancelled", TaskStatus.CANCELLED),
        ],
    )
    def test_kanboards_column_says_how_far_an_open_task_is(self, cells, status):
        assert good("Task Id,Swimlane,Title,Status,Column", f"1,Default,Paint,{cells}").status is status


class TestDatesOfTrackers:
    def test_jiras_and_kanboards_deadline_is_a_day(self):
        end = datetime(2026, 3, 9, 22, 59, 59, tzinfo=UTC)

        (jira,) = read("Summary,Issue key,Due date", "Paint,A-1,09/Mar/26 12:00 AM", zone="Europe/Berlin")
        (kanboard,) = read("Task Id,Swimlane,Title,Due date", "1,x,Paint,03/09/2026 00:00", zone="Europe/Berlin")

        assert jira.row.due_at == kanboard.row.due_at == end

    def test_jiras_and_kanboards_completion_is_kept(self):
        jira = good("Summary,Issue key,Status,Resolved", "Paint,A-1,Done,09/Mar/26 4:45 PM")
        kanboard = good(
            "Task Id,Swimlane,Title,Status,Completion date,Start date",
            "1,x,Paint,Closed,03/09/2026 16:45,03/08/2026 09:00",
        )

        assert jira.completed_at == kanboard.completed_at == datetime(2026, 3, 9, 16, 45, tzinfo=UTC)
        assert kanboard.started_at == datetime(2026, 3, 8, 9, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("cells", "due_at"),
        [
            ("2026-03-09 17:00,,Europe/Madrid", datetime(2026, 3, 9, 16, tzinfo=UTC)),
            ("2026-03-09 17:00,,", datetime(2026, 3, 9, 17, tzinfo=UTC)),
            ("2026-03-09T17:00:00Z,,Europe/Madrid", datetime(2026, 3, 9, 17, tzinfo=UTC)),
            ("2026-03-09,,Europe/Madrid", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
            ("every day,2026-03-11,Europe/Madrid", datetime(2026, 3, 11, 23, 59, 59, tzinfo=UTC)),
            (",,Europe/Madrid", None),
        ],
    )
    def test_todoists_deadline_comes_before_its_date(self, cells, due_at):
        assert good("TYPE,CONTENT,INDENT,DATE,DEADLINE,TIMEZONE", f"task,Paint,1,{cells}").due_at == due_at

    @pytest.mark.parametrize("zone", ["Europe/Nowhere", "../../etc/passwd", "/etc/passwd", "Europe"])
    def test_todoists_unknown_time_zone_is_refused(self, zone):
        (problem,) = refused("TYPE,CONTENT,INDENT,DATE,TIMEZONE", f"task,Paint,1,2026-03-09 17:00,{zone}").problems

        assert (problem.column, problem.value) == ("TIMEZONE", zone)
        assert problem.reason == f"{zone!r} is not a time zone such as Europe/Berlin"

    def test_todoists_unreadable_date_is_named(self):
        header = "TYPE,CONTENT,INDENT,Deadline,Date"

        (deadline,) = refused(header, "task,Paint,1,sometime,2026-03-09").problems
        (planned,) = refused(header, "task,Paint,1,,9.3.2026").problems
        assert (deadline.column, deadline.value) == ("Deadline", "sometime")
        assert (planned.column, planned.value) == ("Date", "9.3.2026")

    @pytest.mark.parametrize(
        ("planned", "due_at"),
        [
            ("May 15", datetime(2026, 5, 15, 23, 59, 59, tzinfo=UTC)),
            ("1 Mar", datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)),
            ("Feb 28", datetime(2027, 2, 28, 23, 59, 59, tzinfo=UTC)),
            ("29 February", datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)),
            ("May 15 4:30 PM", datetime(2026, 5, 15, 16, 30, tzinfo=UTC)),
            ("Mar 9, 2026", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
        ],
    )
    def test_todoists_day_without_a_year_is_the_next_one_after_the_upload(self, planned, due_at):
        row = good("TYPE,CONTENT,DESCRIPTION,INDENT,DATE", f'task,Paint,Twice,1,"{planned}"')

        assert (row.due_at, row.description) == (due_at, "Twice")

    @pytest.mark.parametrize(
        ("header", "cells", "description"),
        [
            ("DESCRIPTION,INDENT,DATE", "Twice,1,every monday", "Twice\n\nDate in Todoist: every monday"),
            ("DESCRIPTION,INDENT,DATE", ",1,Feb 30", "Date in Todoist: Feb 30"),
            ("INDENT,DATE", "1,tomorrow", "Date in Todoist: tomorrow"),
        ],
    )
    def test_todoists_repetition_is_kept_in_the_description(self, header, cells, description):
        row = good(f"TYPE,CONTENT,{header}", f"task,Paint,{cells}")

        assert (row.due_at, row.description) == (None, description)

    def test_vikunjas_zero_time_is_no_time(self):
        zero = "0001-01-01T00:00:00Z"

        row = good("title,done,due_date,done_at,created", f"Paint,false,{zero},{zero},{zero}")
        assert (row.due_at, row.completed_at, row.created_at) == (None, None, None)

    def test_vikunjas_own_columns_are_read(self):
        row = good(
            "title,done,done_at,created,identifier,due_date",
            "Paint,true,2026-03-09T12:00:00Z,2026-03-01T12:00:00Z,OPS-7,2026-03-10",
        )

        assert row.completed_at == datetime(2026, 3, 9, 12, tzinfo=UTC)
        assert row.created_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert (row.external_ref, row.due_at) == ("OPS-7", datetime(2026, 3, 10, 23, 59, 59, tzinfo=UTC))


class TestTodoistsRows:
    def test_that_are_no_tasks_are_skipped_whatever_they_hold(self):
        lines = ("section,Garden,,", "task,Water,1,", "note,,,sometime", ",,,")

        section, task, note = read("TYPE,CONTENT,INDENT,DATE", *lines)
        assert [type(row) for row in (section, task, note)] == [SkippedRow, ReadRow, SkippedRow]
        assert (section.row_number, note.row_number) == (1, 3)


class TestTodoistsLabels:
    @pytest.mark.parametrize(
        ("content", "title", "labels"),
        [
            ("Water the beds @garden @daily", "Water the beds", ["garden", "daily"]),
            ("@garden Water the beds", "Water the beds", ["garden"]),
            ("Write to ada@example.org", "Write to ada@example.org", []),
            ("@garden", "@garden", ["garden"]),
            ("Water the beds", "Water the beds", []),
        ],
    )
    def test_are_part_of_the_name(self, content, title, labels):
        row = good("TYPE,CONTENT,INDENT", f"task,{content},1")

        assert (row.title, row.labels) == (title, labels)

    @pytest.mark.parametrize(
        ("header", "cells"),
        [
            ("TYPE,CONTENT,INDENT,LABELS", "task,Water @garden @daily,1,"),
            ("TYPE,CONTENT,INDENT,LABELS", 'task,Water @garden,1,"daily, garden"'),
            ("LABELS,TYPE,CONTENT,INDENT", '"garden, daily",task,Water,1'),
            ("Label,TYPE,CONTENT,INDENT,Tags", "garden,task,Water,1,daily"),
        ],
    )
    def test_stand_beside_those_of_a_column(self, header, cells):
        row = good(header, cells)

        assert (row.title, row.labels) == ("Water", ["garden", "daily"])

    def test_that_are_too_long_are_refused(self):
        (problem,) = refused("TYPE,CONTENT,INDENT", "task,Water @" + "x" * 51 + ",1").problems

        assert problem.reason == "has 51 characters; 50 are the most"


class TestFileWords:
    WORDS = FileWords(
        {"this week": TaskStatus.IN_PROGRESS, "closed": TaskStatus.CANCELLED},
        {"p1": TaskPriority.CRITICAL, "major": TaskPriority.LOW},
        {"ada lovelace": "ada@example.org", "nobody yet": None, "ada, bob": "ada"},
    )

    def test_come_before_all_other_words_in_any_case(self):
        header = "task_name,status,priority,assignee"

        one, two = read(header, "1,THIS  Week,P1,Ada LOVELACE", "2,Closed,Major,Nobody yet", words=self.WORDS)
        assert (one.row.status, one.row.priority) == (TaskStatus.IN_PROGRESS, TaskPriority.CRITICAL)
        assert (two.row.status, two.row.priority) == (TaskStatus.CANCELLED, TaskPriority.LOW)
        assert (one.row.assignee, two.row.assignee) == ("ada@example.org", None)

    def test_other_words_keep_their_meaning(self):
        (row,) = read("task_name,status,priority,assignee", "1,blocked,urgent,bob", words=self.WORDS)

        assert (row.row.status, row.row.priority, row.row.assignee) == (
            TaskStatus.BLOCKED,
            TaskPriority.CRITICAL,
            "bob",
        )

    def test_name_the_lists_of_trello_and_the_columns_of_kanboard(self):
        (trello,) = read("Card ID,Card Name,List Name,Archived", "1,Paint,This week,false", words=self.WORDS)
        (kanboard,) = read("Task Id,Swimlane,Title,Status,Column", "1,x,Paint,Open,This week", words=self.WORDS)

        assert trello.row.status is kanboard.row.status is TaskStatus.IN_PROGRESS

    def test_may_choose_one_of_several_members(self):
        (row,) = read("Card ID,Card Name,Members", '1,Paint,"Ada, Bob"', words=self.WORDS)

        assert row.row.assignee == "ada"


class TestRowOfTheSheet:
    def test_counts_rows_as_a_spreadsheet_does(self):
        lines = ["task_name,description,status", '"One","a\nb\nc",maybe', "", ",,", 'Two,"d\ne",maybe', "Three,,maybe"]

        rows = read(*lines)

        assert [(row.row_number, row.line_number, row.sheet_row) for row in rows] == [(1, 2, 2), (2, 7, 5), (3, 9, 6)]

    @pytest.mark.parametrize("block_rows", [1, 2])
    def test_continues_across_blocks(self, monkeypatch, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        rows = read("task_name,status", "One,maybe", "", '"Two\nlines",maybe', "", "", "Three,maybe", "Four,maybe")

        assert [(row.line_number, row.sheet_row) for row in rows] == [(2, 2), (4, 4), (8, 7), (9, 8)]
