from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.csv_files.cell_parts import MAX_SHOWN_LENGTH, CellError, shown
from app.csv_files.cells import CellReaders, defused, ensure_fits, join_labels, restored
from app.csv_files.columns import TRACKERS
from app.csv_files.words import PRIORITY_ALIASES, STATUS_ALIASES
from app.models.imports.task_import import DateFormat
from app.models.tasks.fields import MAX_LABEL_LENGTH, MAX_LABELS, TaskPriority, TaskStatus
from tests.csv_files.reading_cells import read, refusal
from tests.unhurried import UNHURRIED

FORMULAS = ["=1+1", "+49 89", "-5", "@ada", "\tx", "\rx", "\nx", '=HYPERLINK("http://x")', '=cmd|" /C calc"!A0']
NO_STATUS = "is not a status; say one of todo, in_progress, blocked, done, cancelled"
NO_PRIORITY = "is not a priority; say one of low, medium, high, critical"
LABELS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=MAX_LABEL_LENGTH)
    .map(str.strip)
    .filter(bool),
    max_size=MAX_LABELS,
    unique=True,
)


class TestTitle:
    def test_is_text(self):
        assert read("title", "Paint the shed") == "Paint the shed"

    def test_is_required(self):
        assert refusal("title", "") == "is empty; a task needs a title"

    def test_the_longest_allowed_is_accepted(self):
        assert read("title", "x" * 255) == "x" * 255
        assert refusal("title", "x" * 256) == "has 256 characters; 255 are the most"

    def test_the_length_is_measured_after_trimming(self):
        assert read("title", "'=" + "x" * 254) == "=" + "x" * 254

    def test_a_nul_is_refused(self):
        assert refusal("title", "a\x00b") == "holds a NUL character"


class TestDescription:
    def test_may_be_empty(self):
        assert read("description", "") == ""

    def test_keeps_its_line_breaks(self):
        assert read("description", "One\r\ntwo\n\tthree") == "One\r\ntwo\n\tthree"

    def test_the_longest_allowed_is_accepted(self):
        assert read("description", "x" * 20_000)
        assert refusal("description", "x" * 20_001) == "has 20001 characters; 20000 are the most"


class TestStatus:
    @pytest.mark.parametrize(("word", "status"), STATUS_ALIASES.items())
    def test_every_alias_is_understood_in_any_spelling(self, word, status):
        for writing in (word, word.upper(), word.replace("_", " "), word.replace("_", "-").title()):
            assert read("status", writing) is status

    def test_an_empty_cell_means_todo(self):
        assert read("status", "") is TaskStatus.TODO

    @pytest.mark.parametrize("word", ["maybe", "2", "archived", "=done", "to\u00a0do"])
    def test_an_unknown_word_is_refused_with_a_list_of_the_known_ones(self, word):
        assert refusal("status", word) == f"{word!r} {NO_STATUS}"


class TestDone:
    """A column with the opposite meaning of one called active."""

    @pytest.mark.parametrize("word", ["true", "TRUE", "True", "1", "yes", "Yes"])
    def test_true_means_done(self, word):
        assert read("is_done", word) is TaskStatus.DONE

    @pytest.mark.parametrize("word", ["false", "FALSE", "0", "no", ""])
    def test_false_means_todo(self, word):
        assert read("is_done", word) is TaskStatus.TODO

    @pytest.mark.parametrize("word", ["done", "2", "x"])
    def test_another_word_is_refused(self, word):
        assert refusal("is_done", word) == f"{word!r} is neither true nor false"


class TestPriority:
    @pytest.mark.parametrize(("word", "priority"), PRIORITY_ALIASES.items())
    def test_every_alias_is_understood_in_any_spelling(self, word, priority):
        for writing in (word, word.upper(), word.title()):
            assert read("priority", writing) is priority

    def test_an_empty_cell_means_medium(self):
        assert read("priority", "") is TaskPriority.MEDIUM

    @pytest.mark.parametrize("word", ["asap", "6", "-1", "P1", "!"])
    def test_an_unknown_word_is_refused_with_a_list_of_the_known_ones(self, word):
        assert refusal("priority", word) == f"{word!r} {NO_PRIORITY}"

    @pytest.mark.parametrize(("number", "priority"), [*zip("1234", reversed(TaskPriority), strict=True)])
    def test_todoist_counts_downwards(self, number, priority):
        readers = CellReaders(
            ZoneInfo("UTC"), TRACKERS["todoist"].priorities, DateFormat.US, uploaded_on=date(2026, 3, 1)
        )

        assert readers.by_name["priority"](number) is priority

    def test_todoist_may_also_use_words(self):
        readers = CellReaders(
            ZoneInfo("UTC"), TRACKERS["todoist"].priorities, DateFormat.US, uploaded_on=date(2026, 3, 1)
        )

        assert readers.by_name["priority"]("Urgent") is TaskPriority.CRITICAL


class TestLabels:
    @pytest.mark.parametrize(
        ("cell", "labels"),
        [
            ("", []),
            (" , ;; ,", []),
            ("red", ["red"]),
            ("red, green;blue", ["red", "green", "blue"]),
            ("red; green ;red", ["red", "green"]),
            ("two text, more", ["two text", "more"]),
            ('"a, b", c', ["a, b", "c"]),
            ('"a; b"; "c"', ["a; b", "c"]),
            ('"say ""hi""", c', ['say "hi"', "c"]),
            ('5" nail, x', ['5" nail', "x"]),
            ('"open, x', ['"open', "x"]),
            ('"a"b, c', ['"a"b', "c"]),
            ('"", c', ["c"]),
            ("'=sum, b", ["=sum", "b"]),
            ("red,\ngreen", ["red", "green"]),
        ],
    )
    def test_are_separated_by_commas_and_semicolons_outside_quotes(self, cell, labels):
        assert read("labels", cell) == labels

    def test_a_task_may_have_twenty(self):
        assert len(read("labels", ",".join(f"label{n}" for n in range(20)))) == 20
        assert refusal("labels", ",".join(f"label{n}" for n in range(21))) == "holds 21 labels; 20 are the most"

    def test_a_repeated_label_counts_once(self):
        assert read("labels", ",".join(["red"] * 1000)) == ["red"]

    def test_the_longest_allowed_is_accepted(self):
        assert read("labels", "x" * 50) == ["x" * 50]
        assert refusal("labels", "red," + "x" * 51) == "has 51 characters; 50 are the most"

    def test_a_nul_is_refused(self):
        assert refusal("labels", "red, a\x00b") == "holds a NUL character"

    @given(labels=LABELS)
    @example(labels=['"'])
    @example(labels=['""', "a"])
    @example(labels=["=a", "=b"])
    @example(labels=["'=a, b", "'"])
    @example(labels=[',";"', '";'])
    @example(labels=['a"b', '"a" b'])
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_read_back_as_we_wrote_them(self, labels):
        cell = defused(join_labels(labels))

        assert read("labels", cell.strip()) == labels

    @given(cell=st.text(st.sampled_from("\",; \n'=a"), max_size=40))
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_read_from_any_cell_read_back_the_same(self, cell):
        labels = read("labels", cell.strip())

        assert read("labels", defused(join_labels(labels)).strip()) == labels


class TestAssignee:
    @pytest.mark.parametrize(
        ("cell", "name"),
        [("ada", "ada"), ("Ada Lovelace", "Ada Lovelace"), ("Zoë", "Zoë"), ("'@ada", "@ada"), ("", None)],
    )
    def test_is_a_name_or_nobody(self, cell, name):
        assert read("assignee", cell) == name

    @pytest.mark.parametrize("name", ["me", "Me", "none", "NONE"])
    def test_a_word_that_names_nobody_is_refused(self, name):
        assert refusal("assignee", name) == f"{name!r} is nobody's name; leave the cell empty for nobody"

    def test_the_longest_allowed_is_accepted(self):
        assert read("assignee", "x" * 64) == "x" * 64
        assert refusal("assignee", "x" * 65) == "has 65 characters; 64 are the most"
        assert read("assignee", "x" * 249 + "@y.zz") == "x" * 249 + "@y.zz"
        assert refusal("assignee", "x" * 250 + "@y.zz") == "has 255 characters; 254 are the most"

    @pytest.mark.parametrize("name", ["ada\nlovelace", "a\tb", "a\x00b", "\u202eada", "ada\u200f", "a\x1bb"])
    def test_unprintable_characters_are_refused(self, name):
        assert refusal("assignee", name) == "holds characters that a name cannot have"


class TestMember:
    """A card of Trello may have several members."""

    def test_a_single_member_is_the_assignee(self):
        assert (read("one_member", "ada"), read("one_member", "")) == ("ada", None)

    def test_several_are_refused(self):
        assert refusal("one_member", "ada, bob") == "'ada, bob' are several people; a task has one assignee"

    def test_the_rules_for_an_assignee_apply(self):
        assert refusal("one_member", "me") == "'me' is nobody's name; leave the cell empty for nobody"


class TestNumberedPerson:
    """Todoist writes a person as "Ada (123)"."""

    @pytest.mark.parametrize(
        ("cell", "name"),
        [("Ada (123)", "Ada"), ("Ada Lovelace(7)", "Ada Lovelace"), ("Ada", "Ada"), ("Ada (x)", "Ada (x)"), ("", None)],
    )
    def test_the_number_does_not_belong_to_the_name(self, cell, name):
        assert read("numbered_person", cell) == name

    def test_a_number_alone_names_nobody(self):
        assert read("numbered_person", "(123)") is None


class TestExternalRef:
    def test_is_text_or_nothing(self):
        assert (read("external_ref", "OPS-42"), read("external_ref", "")) == ("OPS-42", None)

    def test_the_longest_allowed_is_accepted(self):
        assert read("external_ref", "x" * 255)
        assert refusal("external_ref", "x" * 256) == "has 256 characters; 255 are the most"

    def test_a_formula_is_text(self):
        assert read("external_ref", "'-5") == "-5"


class TestOnlyTasks:
    """Todoist's files hold sections and notes between the tasks."""

    @pytest.mark.parametrize("cell", ["task", "TASK", ""])
    def test_a_task_is_accepted(self, cell):
        assert read("only_tasks", cell) is True

    @pytest.mark.parametrize("cell", ["section", "Note", "meta"])
    def test_a_row_that_is_no_task_is_skipped(self, cell):
        assert read("only_tasks", cell) is False

    def test_an_unknown_type_is_refused(self):
        assert refusal("only_tasks", "tsk") == "'tsk' is neither task, section, note nor meta"


class TestDefused:
    @pytest.mark.parametrize("text", FORMULAS)
    def test_a_formula_is_marked_as_text(self, text):
        assert defused(text) == "'" + text

    @pytest.mark.parametrize("text", ["", "Paint", "'quoted", "'", "''", "5-3", " =1+1", "a=b", "1"])
    def test_other_text_is_unchanged(self, text):
        assert defused(text) == restored(text) == text

    @pytest.mark.parametrize("text", ["'=1+1", "''=1", "'-5", "'''@x"])
    def test_text_that_looks_marked_is_marked_again(self, text):
        assert defused(text) == "'" + text

    @given(text=st.text(st.sampled_from("'=+-@\t\r\na\" "), max_size=6) | st.text())
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_restoring_gives_back_the_same_text(self, text):
        assert restored(defused(text)) == text

    @given(text=st.text(st.sampled_from("'=+-@\t\r\na\" "), max_size=6) | st.text())
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_does_not_begin_like_a_formula(self, text):
        assert defused(text)[:1] not in set("=+-@\t\r\n")

    @pytest.mark.parametrize("formula", FORMULAS)
    def test_a_title_reads_the_same_with_and_without_the_mark(self, formula):
        text = formula.strip()

        assert read("title", text) == text
        assert read("title", defused(text)) == text


class TestShown:
    def test_quotes_the_cell_without_unprintable_characters(self):
        assert shown("a\x00b\n") == r"'a\x00b\n'"

    def test_cuts_a_long_cell(self):
        assert len(shown("x" * 1000)) == MAX_SHOWN_LENGTH + 2


class TestEnsureFits:
    def test_counts_characters_and_not_bytes(self):
        ensure_fits("ö" * 5, 5)

        with pytest.raises(CellError, match="has 6 characters; 5 are the most"):
            ensure_fits("😀" * 6, 5)


class TestAnyCell:
    @given(cell=st.text(max_size=60) | st.from_regex(r"\d{1,4}[/.-](\d{1,4}|[A-Za-z]{3})[/.-]\d{1,4}.{0,12}"))
    @example("0000-00-00")
    @example("0001-01-01T00:00:00+23:59")
    @example("2026-W10-1")
    @example("00/Jan/00")
    @example("1/1/2026 0:00 AM")
    @example("1/1/2026 24:00")
    @example("1/1/2026 99:99:99 PM")
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_is_read_or_refused_by_every_reader(self, cell):
        for date_format in DateFormat:
            readers = CellReaders(ZoneInfo("Europe/Berlin"), {}, date_format, uploaded_on=date(2026, 3, 1))
            for reader in readers.by_name.values():
                ensure_read_or_refused(reader, cell.strip())


def ensure_read_or_refused(reader, cell):
    with suppress(CellError):
        value = reader(cell)
        assert "\x00" not in str(value)
        if isinstance(value, datetime):
            assert value.tzinfo is UTC
            assert value + timedelta(0) == value
