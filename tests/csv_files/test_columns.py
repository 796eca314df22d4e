from contextlib import suppress
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.csv_files.cells import CellReaders
from app.csv_files.columns import (
    EVERYBODYS,
    FIELD_OF,
    KNOWN_NAMES,
    MAX_NAMED_COLUMNS,
    MAX_SHOWN_NAME_LENGTH,
    PASSED_OVER,
    TRACKERS,
    Layout,
    folded_name,
    layout_of,
)
from app.csv_files.writing import ERROR_COLUMN
from app.errors import UnreadableCsvError
from app.models.imports.task_import import DateFormat
from app.models.tasks.fields import EXPORTED, TaskPriority
from tests.unhurried import UNHURRIED

JIRA = (
    "Summary,Issue key,Issue id,Issue Type,Status,Project key,Project name,Project type,Project lead,"
    "Project description,Project url,Priority,Resolution,Assignee,Assignee Id,Reporter,Reporter Id,Creator,Creator Id,"
    "Created,Updated,Last Viewed,Resolved,Affects versions,Fix versions,Fix versions,Components,Due date,Votes,"
    "Labels,Labels,Labels,Description,Environment,Watchers,Watchers,Original estimate,Remaining Estimate,Time Spent,"
    "Work Ratio,Security Level,Inward issue link (Blocks),Attachment,Attachment,Custom field (Rank),"
    "Custom field (Start date),Custom field (Story Points),Sprint,Comment,Comment,Parent,Parent summary,Status Category"
)
TRELLO = (
    "Card ID,Card Name,Card URL,Card Description,Labels,Members,Due Date,Attachment Count,Attachment Links,"
    "Checklist Item Total Count,Checklist Item Completed Count,Vote Count,Comment Count,Last Activity Date,List ID,"
    "List Name,Board ID,Board Name,Archived,Start Date,Due Complete"
)
TODOIST = "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE"
VIKUNJA = "id,title,description,done,due_date,priority,labels,project"
KANBOARD = (
    "Task Id,Reference,Project,Status,Category,Swimlane,Column,Position,Color,Due date,Creator,Creator Name,"
    "Assignee Username,Assignee Name,Complexity,Title,Creation date,Modification date,Completion date,Start date,"
    "Time estimated,Time spent,Priority,Tags"
)


class TestName:
    @pytest.mark.parametrize(
        ("field", "names"),
        [
            ("title", ["title", "task_name", "task", "name", "summary", "subject"]),
            ("description", ["description", "details", "body", "notes"]),
            ("status", ["status", "state"]),
            ("priority", ["priority"]),
            ("created_at", ["created_at", "created", "created_date", "date_created", "creation_date"]),
            ("assignee", ["assigned_user", "assignee", "assigned_to", "assignee_username"]),
            ("due_at", ["due_at", "due", "due_date", "deadline"]),
            ("labels", ["labels", "tags", "label"]),
            ("external_ref", ["external_ref", "external_id"]),
        ],
    )
    def test_a_column_has_several_names(self, field, names):
        for name in names:
            header = [name] if field == "title" else ["title", name]

            assert fields_by_name(layout_of(header))[name] == field

    @pytest.mark.parametrize(
        "name", ["Task Name", "TASK-NAME", "task_name", "Title", " summary ", "Subject\t", "NAME", "\ntask\n"]
    )
    def test_ignores_case_spaces_and_hyphens(self, name):
        assert layout_of([name]).fields == {"title"}

    def test_is_shown_as_in_the_file_without_spaces_around_it(self):
        assert [column.name for column in layout_of(["Summary", " Due-Date "]).columns] == ["Summary", "Due-Date"]

    def test_columns_keep_the_order_of_the_file(self):
        layout = layout_of(["colour", "status", "shape", "title"])

        assert [(column.index, column.reader) for column in layout.columns] == [(1, "status"), (3, "title")]
        assert layout.width == 4

    def test_of_another_trackers_column_is_unknown_by_itself(self):
        layout = layout_of(["title", "content", "members", "indent"])

        assert layout.fields == {"title"}
        assert layout.ignored == ("content", "members", "indent")


class TestWithoutATitle:
    @pytest.mark.parametrize("header", [["status", "priority"], [], [""], ["card_name"], ["content"], ["A", "todo"]])
    def test_a_header_is_refused_with_a_list_of_the_known_names(self, header):
        with pytest.raises(UnreadableCsvError) as caught:
            layout_of(header)

        assert caught.value.detail == (
            "the first line names no task_name or title column; it must name the columns, such as: assigned_user, "
            "assignee, completed_at, created_at, description, due_at, estimate, external_ref, labels, parent, "
            "priority, recurrence, start_on, started_at, status, task_name, title; for other names, set column_map"
        )


class TestIgnored:
    def test_columns_are_named_as_in_the_file(self):
        assert layout_of(["title", "Colour", " shape of it "]).ignored == ("Colour", "shape of it")

    def test_a_repeated_name_is_listed_once(self):
        assert layout_of(["title", "Comment", "Sprint", "Comment"]).ignored == ("Comment", "Sprint")

    def test_a_column_without_a_name_is_listed(self):
        assert layout_of(["title", "", " "]).ignored == ("(no name)",)

    def test_a_long_name_is_cut(self):
        assert layout_of(["title", "x" * 1000]).ignored == ("x" * MAX_SHOWN_NAME_LENGTH,)

    def test_the_first_names_are_listed_and_the_others_counted(self):
        names = [f"column {n}" for n in range(MAX_NAMED_COLUMNS + 480)]

        assert layout_of(["title", *names]).ignored == (*names[:MAX_NAMED_COLUMNS], "and 480 more")
        assert layout_of(["title", *names[:MAX_NAMED_COLUMNS]]).ignored == (*names[:MAX_NAMED_COLUMNS],)

    @pytest.mark.parametrize("filling", ["_", " ", "\u200b", "-"])
    def test_a_known_name_with_a_long_filling_is_shown_short(self, filling):
        """Each problem in the column's cells repeats the name in the report."""
        (column,) = layout_of(["title" + filling * 100_000]).columns

        assert column.reader == "title"
        assert len(column.name) <= MAX_SHOWN_NAME_LENGTH

    def test_a_name_is_shown_without_unprintable_characters(self):
        assert layout_of(["title", "col\x1bo\u202eu\nr"]).ignored == ("colour",)

    @pytest.mark.parametrize("name", sorted(PASSED_OVER))
    def test_the_other_columns_of_our_own_files_are_not_listed(self, name):
        layout = layout_of(["title", name])

        assert (layout.ignored, layout.fields) == ((), {"title"})

    @pytest.mark.parametrize(
        "name",
        ["colour", "id", "Assignee Id", "Assignee Email", "start_week", "updated", "due_complete", "stauts", "lables"],
    )
    def test_a_name_unlike_any_known_name_is_not_a_typing_error(self, name):
        assert layout_of(["title", name]).ignored == (name,)


class TestTypingError:
    @pytest.mark.parametrize(
        ("typing_error", "intended"),
        [
            ("asignee", "assignee"),
            ("Assigne", "assignee"),
            ("asigned_user", "assigned_user"),
            ("statuss", "status"),
            ("priorty", "priority"),
            ("discription", "description"),
            ("DueDate", "due_date"),
            ("dead line", "deadline"),
            ("labelss", "labels"),
            ("externalref", "external_ref"),
        ],
    )
    def test_near_a_known_name_refuses_the_file(self, typing_error, intended):
        with pytest.raises(UnreadableCsvError) as caught:
            layout_of(["title", typing_error])

        assert caught.value.detail == f"unknown column {typing_error}; did you mean {intended}?"

    @pytest.mark.parametrize(
        "header",
        [["title", "asignee", "assignee"], ["title", "assigned_to", "asignee"], ["title", "titel", "task_nam"]],
    )
    def test_is_ignored_when_another_column_fills_the_field(self, header):
        assert layout_of(header).ignored != ()

    def test_near_another_trackers_name_is_ignored(self):
        assert layout_of(["title", "contents", "card_nam"]).ignored == ("contents", "card_nam")

    def test_near_the_trackers_own_name_refuses_the_file(self):
        with pytest.raises(UnreadableCsvError, match=r"unknown column Memberss; did you mean members\?"):
            layout_of(["Card ID", "Card Name", "Memberss"])


class TestTwice:
    @pytest.mark.parametrize(
        ("header", "named"),
        [
            (["task_name", "title"], "title"),
            (["title", "status", "State"], "status"),
            (["title", "due", "deadline", "status", "status"], "due_at, status"),
            (["Title", "Title", "Title"], "title"),
        ],
    )
    def test_two_columns_for_one_field_refuse_the_file(self, header, named):
        with pytest.raises(UnreadableCsvError) as caught:
            layout_of(header)

        assert caught.value.detail == f"more than one column for {named}"

    def test_labels_may_have_many_columns(self):
        layout = layout_of(["title", "Labels", "status", "Labels", "Tags"])

        assert [column.index for column in layout.columns if column.reader == "labels"] == [1, 3, 4]


class TestJira:
    def test_its_header_is_recognised(self):
        fields = fields_by_name(exported_by(JIRA))

        assert fields == {
            "Summary": "title",
            "Issue key": "external_ref",
            # The name by which rows refer to an issue.
            "Issue id": None,
            "Parent": "parent",
            "Status": "status",
            "Priority": "priority",
            "Assignee": "assignee",
            "Created": "created_at",
            "Resolved": "completed_at",
            "Due date": "due_at",
            "Labels": "labels",
            "Description": "description",
        }

    def test_all_of_its_labels_columns_are_read(self):
        assert [column.name for column in exported_by(JIRA).columns].count("Labels") == 3

    def test_the_other_columns_are_ignored_and_listed_once(self):
        ignored = exported_by(JIRA).ignored

        assert {"Issue Type", "Sprint", "Comment", "Project name", "Assignee Id"} <= set(ignored)
        assert len(set(ignored)) == len(ignored)
        assert "Labels" not in ignored


class TestTrello:
    def test_its_header_is_recognised(self):
        assert fields_by_name(exported_by(TRELLO)) == {
            "Card ID": "external_ref",
            "Card Name": "title",
            "Card Description": "description",
            "Labels": "labels",
            "Members": "assignee",
            "Due Date": "due_at",
            "Start Date": "start_on",
            "List Name": "status",
        }
        assert {"Archived", "Due Complete"}.isdisjoint(exported_by(TRELLO).ignored)

    def test_two_columns_for_the_list_are_refused(self):
        with pytest.raises(UnreadableCsvError, match="more than one column for status"):
            layout_of(["Card ID", "Card Name", "List Name", "List Name"])


class TestTodoist:
    def test_its_header_is_recognised(self):
        assert fields_by_name(exported_by(TODOIST)) == {
            "TYPE": None,
            # Read a second time, for the labels in it.
            "CONTENT": "labels",
            "DESCRIPTION": "description",
            "PRIORITY": "priority",
            "INDENT": "parent",
            "RESPONSIBLE": "assignee",
            "DATE": "due_at",
        }

    def test_its_newer_header_is_recognised(self):
        layout = exported_by(TODOIST + ",DURATION,DURATION_UNIT,DEADLINE,DEADLINE_LANG")

        assert fields_by_name(layout)["DATE"] == "due_at"
        assert {"TIMEZONE", "DEADLINE", "INDENT"}.isdisjoint(layout.ignored)

    def test_its_priorities_count_downwards(self):
        assert exported_by(TODOIST).priorities == {
            "1": TaskPriority.CRITICAL,
            "2": TaskPriority.HIGH,
            "3": TaskPriority.MEDIUM,
            "4": TaskPriority.LOW,
        }

    @pytest.mark.parametrize("header", [JIRA, TRELLO, VIKUNJA, KANBOARD, "title,priority"])
    def test_the_priorities_of_other_files_do_not_count_downwards(self, header):
        assert exported_by(header).priorities == {}

    def test_a_header_without_all_of_its_marks_is_not_todoists(self):
        layout = layout_of(["title", "TYPE", "CONTENT"])

        assert layout.ignored == ("TYPE", "CONTENT")


class TestVikunja:
    def test_its_header_is_recognised(self):
        layout = exported_by(VIKUNJA)

        assert fields_by_name(layout) == {
            "title": "title",
            "description": "description",
            "done": "status",
            "due_date": "due_at",
            "priority": "priority",
            "labels": "labels",
        }
        assert [column.reader for column in layout.columns if column.name == "done"] == ["is_done"]

    def test_done_and_status_are_two_columns_for_one_field(self):
        with pytest.raises(UnreadableCsvError, match="more than one column for status"):
            layout_of(["title", "done", "status"])


class TestKanboard:
    def test_its_header_is_recognised(self):
        assert fields_by_name(exported_by(KANBOARD)) == {
            "Task Id": "external_ref",
            "Title": "title",
            "Status": "status",
            "Due date": "due_at",
            "Assignee Username": "assignee",
            "Creation date": "created_at",
            "Completion date": "completed_at",
            "Start date": "started_at",
            "Priority": "priority",
            "Tags": "labels",
        }


class TestOurOwnFiles:
    def test_no_column_of_an_export_is_ignored(self):
        layout = layout_of(EXPORTED)

        assert layout.ignored == ()
        assert layout.fields == set(FIELD_OF.values())

    def test_no_column_of_a_report_is_ignored(self):
        assert layout_of(["task_name", "status", ERROR_COLUMN]).ignored == ()


class TestNames:
    def test_every_known_name_is_folded(self):
        for name in KNOWN_NAMES | PASSED_OVER:
            assert name == folded_name(name)

    def test_every_reader_exists_and_fills_a_field_or_skips_rows(self):
        readers = CellReaders(ZoneInfo("UTC"), {}, DateFormat.US, uploaded_on=date(2026, 3, 1)).by_name
        named = {
            *EVERYBODYS.values(),
            *(
                reader
                for tracker in TRACKERS.values()
                for reader in (*tracker.reads_as.values(), *tracker.also.values(), *tracker.together)
            ),
            # The column names rows, so that subtasks can refer to them.
            "ref",
        }

        assert named == set(readers)
        assert named - set(FIELD_OF) == {"only_tasks", "ref"}

    def test_no_tracker_is_recognised_by_a_name_that_is_skipped(self):
        for tracker in TRACKERS.values():
            assert not tracker.marks & PASSED_OVER

    @pytest.mark.parametrize("header", [JIRA, TRELLO, TODOIST, VIKUNJA, KANBOARD])
    def test_no_header_belongs_to_two_trackers(self, header):
        folded = {folded_name(name) for name in header.split(",")}

        assert sum(tracker.marks <= folded for tracker in TRACKERS.values()) == 1


class TestColumnMap:
    GERMAN = {"titel": "title", "fällig am": "due_at", "grösse": "labels", "zweck": None}  # noqa: RUF012

    def test_names_the_field_of_each_column(self):
        layout = layout_of(["Titel", "Fällig_am", "Größe", "Zweck", "Status"], self.GERMAN)

        assert fields_by_name(layout) == {
            "Titel": "title",
            "Fällig_am": "due_at",
            "Größe": "labels",
            "Status": "status",
        }
        assert layout.ignored == ("Zweck",)

    def test_comes_before_the_known_names(self):
        layout = layout_of(["Title", "Summary", "Description"], {"title": "description", "description": None})

        assert fields_by_name(layout) == {"Title": "description", "Summary": "title"}

    def test_columns_that_a_tracker_reads_together_are_read_one_by_one(self):
        chosen = {"list name": None, "archived": "status"}

        layout = layout_of(["Card ID", "Card Name", "List Name", "Due Complete", "Archived"], chosen)

        assert fields_by_name(layout) == {"Card ID": "external_ref", "Card Name": "title", "Archived": "status"}
        assert layout.ignored == ("List Name", "Due Complete")

    def test_a_misspelled_name_may_be_ignored_on_purpose(self):
        assert layout_of(["title", "desription"], {"desription": None}).ignored == ("desription",)

    def test_a_column_that_the_file_does_not_have_changes_nothing(self):
        assert layout_of(["title"], {"titel": "title"}) == layout_of(["title"])

    def test_two_columns_for_a_field_are_refused(self):
        with pytest.raises(UnreadableCsvError, match="more than one column for title"):
            layout_of(["title", "Titel"], {"titel": "title"})

    def test_a_header_without_a_title_names_the_map(self):
        with pytest.raises(UnreadableCsvError, match="column_map"):
            layout_of(["Titel"])


class TestAnyHeader:
    @given(header=st.lists(st.text(max_size=15) | st.sampled_from(sorted(KNOWN_NAMES)), max_size=8))
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_is_read_or_refused(self, header):
        with suppress(UnreadableCsvError):
            layout = layout_of(header)
            assert isinstance(layout, Layout)
            assert "title" in layout.fields
            assert all(name.isprintable() for name in layout.ignored)


def exported_by(header):
    return layout_of(header.split(","))


def fields_by_name(layout):
    return {column.name: FIELD_OF.get(column.reader) for column in layout.columns}
