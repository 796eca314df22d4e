from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.clock import written_deadline
from app.csv_files.cell_parts import MAX_SHOWN_LENGTH, CellError, shown
from app.csv_files.cells import CellReaders, defused, ensure_fits, join_labels, restored
from app.csv_files.columns import TRACKERS
from app.csv_files.words import PRIORITY_ALIASES, STATUS_ALIASES
from app.models.imports.task_import import DateFormat
from app.models.tasks.fields import MAX_LABEL_LENGTH, MAX_LABELS, TaskPriority, TaskStatus
from tests.unhurried import UNHURRIED

FORMULAS = ["=1+1", "+49 89", "-5", "@ada", "\tx", "\rx", "\nx", '=HYPERLINK("http://x")', '=cmd|" /C calc"!A0']
FIRST_MOMENT, LAST_MOMENT = (datetime.fromisoformat(text) for text in ("0002-01-01", "9998-12-31T23:59:59.999999"))
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Pacific/Kiritimati", "America/St_Johns"]
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


class TestMoment:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("3/9/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("12/31/2026", datetime(2026, 12, 31, tzinfo=UTC)),
            ("03/09/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("2/29/2028", datetime(2028, 2, 29, tzinfo=UTC)),
            ("3/9/2026 9:05", datetime(2026, 3, 9, 9, 5, tzinfo=UTC)),
            ("3/9/2026 17:05:30", datetime(2026, 3, 9, 17, 5, 30, tzinfo=UTC)),
            ("3/9/2026 5:05 PM", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09", datetime(2026, 3, 9, tzinfo=UTC)),
            ("2026-03-09 17:05", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00Z", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00.000Z", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00-05:00", datetime(2026, 3, 9, 22, 5, tzinfo=UTC)),
            ("05/Mar/26 2:15 PM", datetime(2026, 3, 5, 14, 15, tzinfo=UTC)),
            ("05/Mar/26", datetime(2026, 3, 5, tzinfo=UTC)),
        ],
    )
    def test_is_read_in_the_formats_of_people_and_trackers(self, text, expected):
        assert read("created_at", text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("9.3.2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("9/3/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("31.12.2026 17:05", datetime(2026, 12, 31, 17, 5, tzinfo=UTC)),
            ("29.02.2028", datetime(2028, 2, 29, tzinfo=UTC)),
            ("2026-03-09", datetime(2026, 3, 9, tzinfo=UTC)),
            ("05/Mar/26 2:15 PM", datetime(2026, 3, 5, 14, 15, tzinfo=UTC)),
        ],
    )
    def test_the_day_may_come_first(self, text, expected):
        assert read("created_at", text, date_format=DateFormat.DAY_FIRST) == expected

    def test_an_empty_cell_means_no_date(self):
        assert read("due_at", "") is None

    def test_a_date_without_a_time_means_midnight_in_the_workspaces_zone(self):
        assert read("created_at", "7/1/2026", zone="Europe/Berlin") == datetime(2026, 6, 30, 22, tzinfo=UTC)

    def test_its_own_offset_counts(self):
        assert read("due_at", "2026-07-01T00:00:00Z", zone="Europe/Berlin") == datetime(2026, 7, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "text",
        [
            "2/30/2026",
            "2/29/2026",
            "13/1/2026",
            "0/1/2026",
            "1/0/2026",
            "31/12/2026",
            "31.02.2026",
            "9.3.2026",
            "3/9/26",
            "3/9",
            "3/9/02026",
            "2026-02-30",
            "2026-13-01",
            "yesterday",
            "45000",
            "3/9/2026 25:00",
            "3/9/2026 5 pm",
            "3/9/2026 17:05+05:00",
            "-3/9/2026",
            "٣/٩/٢٠٢٦",
            "9" * 6000 + "/1/2026",
            "0001-01-01",
            "1/1/0001",
            "9999-12-31",
            "12/31/9999",
            "0001-01-01T00:00+14:00",
            "9999-12-31T23:59-14:00",
        ],
        ids=lambda text: ascii(text)[:30],
    )
    def test_a_date_that_does_not_exist_or_cannot_be_stored_is_refused(self, text):
        advice = "set date_format=day_first, or write" if text in {"13/1/2026", "31/12/2026", "9.3.2026"} else "write"
        expected = f"{text[:200]!r} is not a date; {advice} YYYY-MM-DD or M/D/YYYY"

        assert refusal("due_at", text) == refusal("created_at", text) == expected

    @pytest.mark.parametrize("text", ["31.02.2026", "29.2.2026", "1.13.2026", "9.3.26"])
    def test_a_date_that_does_not_exist_is_refused_with_the_day_first(self, text):
        reason = refusal("due_at", text, date_format=DateFormat.DAY_FIRST)

        assert reason == f"{text!r} is not a date; write YYYY-MM-DD or D.M.YYYY"

    @pytest.mark.parametrize(
        ("text", "date_format", "advice"),
        [
            ("9.3.2026", DateFormat.US, "set date_format=day_first, or write YYYY-MM-DD or M/D/YYYY"),
            ("12/31/2026", DateFormat.DAY_FIRST, "set date_format=us, or write YYYY-MM-DD or D.M.YYYY"),
            ("2026.03.09", DateFormat.DAY_FIRST, "set date_format=year_first, or write YYYY-MM-DD or D.M.YYYY"),
            ("3/9/2026", DateFormat.ISO, "set date_format=us or day_first, or write YYYY-MM-DD"),
            ("March 9, 2026", DateFormat.US, "set date_format=month_name, or write YYYY-MM-DD or M/D/YYYY"),
            ("9.3.2026", DateFormat.JIRA, "set date_format=day_first, or write YYYY-MM-DD or D/Mon/YY"),
        ],
    )
    def test_a_refusal_says_which_option_would_read_the_date(self, text, date_format, advice):
        expected = f"{text!r} is not a date; {advice}"

        assert refusal("due_at", text, date_format=date_format) == expected
        assert refusal("created_at", text, date_format=date_format) == expected

    @given(day=st.dates(date(2, 1, 1), date(9998, 12, 31)), date_format=st.sampled_from(DateFormat))
    @UNHURRIED
    def test_every_day_is_read_in_each_format(self, day, date_format):
        year, month = f"{day.year:04}", MONTHS[day.month - 1]
        written = {
            DateFormat.US: f"{day.month}/{day.day}/{year}",
            DateFormat.DAY_FIRST: f"{day.day}.{day.month:02}.{year}",
            DateFormat.YEAR_FIRST: f"{year}/{day.month:02}/{day.day}",
            DateFormat.ISO: day.isoformat(),
            DateFormat.JIRA: f"{day.day:02}/{month[:3]}/{year}",
            DateFormat.MONTH_NAME: f"{month} {day.day}, {year}",
        }
        expected = datetime(day.year, day.month, day.day, tzinfo=UTC)

        assert read("created_at", day.isoformat(), date_format=date_format) == expected
        assert read("created_at", written[date_format], date_format=date_format) == expected

    @given(moment=st.datetimes(FIRST_MOMENT, LAST_MOMENT, timezones=st.just(UTC)))
    @UNHURRIED
    def test_every_moment_reads_back_as_we_wrote_it(self, moment):
        assert read("due_at", moment.isoformat(), zone="Europe/Berlin") == moment


class TestDeadline:
    """The test of moments has the formats."""

    @pytest.mark.parametrize(
        ("text", "zone", "expected"),
        [
            ("2026-03-09", "UTC", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
            ("3/9/2026", "UTC", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
            ("9/Mar/26", "UTC", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
            ("7/1/2026", "Europe/Berlin", datetime(2026, 7, 1, 21, 59, 59, tzinfo=UTC)),
            # The day has 23 hours, then 25.
            ("2026-03-29", "Europe/Berlin", datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC)),
            ("2026-10-25", "Europe/Berlin", datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)),
            # The next day begins at one o'clock: its midnight is skipped.
            ("2018-11-03", "America/Sao_Paulo", datetime(2018, 11, 4, 2, 59, 59, tzinfo=UTC)),
            # The last hour of the day is repeated.
            ("2018-02-17", "America/Sao_Paulo", datetime(2018, 2, 18, 2, 59, 59, tzinfo=UTC)),
        ],
    )
    def test_a_date_without_a_time_means_the_end_of_the_day_in_the_workspaces_zone(self, text, zone, expected):
        assert read("due_at", text, zone=zone) == expected

    @pytest.mark.parametrize("text", ["2026-03-09 00:00", "2026-03-09T00:00:00", "3/9/2026 0:00", "3/9/2026 12:00 AM"])
    def test_midnight_that_is_written_is_midnight(self, text):
        assert read("due_at", text) == datetime(2026, 3, 9, tzinfo=UTC)

    @given(day=st.dates(date(2, 1, 1), date(9998, 12, 31)), zone=st.sampled_from(ZONES))
    @UNHURRIED
    def test_the_end_of_any_day_in_any_zone_is_written_as_that_day(self, day, zone):
        deadline = read("due_at", day.isoformat(), zone=zone)

        written = written_deadline(deadline, ZoneInfo(zone))
        assert read("due_at", written.isoformat(), zone=zone) == deadline
        assert not isinstance(written, datetime)


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


def read(reader, cell, *, zone="UTC", date_format=DateFormat.US):
    return CellReaders(ZoneInfo(zone), {}, date_format, uploaded_on=date(2026, 3, 1)).by_name[reader](cell)


def refusal(reader, cell, *, date_format=DateFormat.US):
    with pytest.raises(CellError) as caught:
        read(reader, cell, date_format=date_format)
    return str(caught.value)


def ensure_read_or_refused(reader, cell):
    with suppress(CellError):
        value = reader(cell)
        assert "\x00" not in str(value)
        if isinstance(value, datetime):
            assert value.tzinfo is UTC
            assert value + timedelta(0) == value
