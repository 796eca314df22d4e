import errno
import gc
import tracemalloc
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app.workbooks import MAX_ROWS, SheetIsFullError, workbook_pieces
from tests.memory_disks import fill, mounted_memory
from tests.workbook_files import read_workbook

MARKUP = [
    "<r>plain</r>",
    "<r><t>rich</t></r>",
    "<r>never closed & not escaped</r>",
    '<r><t>x</t></r></is></c><c r="Z2"><f>1+1</f><v>2</v></c><c t="inlineStr"><is><r><t>y</t></r>',
]


class TestCells:
    def test_the_header_is_bold_and_stays_in_view(self):
        sheet = written([["One", 1]], header=["title", "id"])

        assert sheet.rows[0] == ["title", "id"]
        assert sheet.bold_cells == ["A1", "B1"]
        assert sheet.frozen_rows == 1
        assert sheet.name == "2026-03-09"

    def test_numbers_are_numbers_and_none_is_empty(self):
        assert row_of([1, 2.5, None, 0]) == [1, 2.5, None, 0]

    def test_days_are_dates(self):
        assert row_of([date(2026, 3, 9), date(1900, 3, 1), date(9998, 12, 30)]) == [
            date(2026, 3, 9),
            date(1900, 3, 1),
            date(9998, 12, 30),
        ]

    @pytest.mark.parametrize(
        ("zone", "shown"),
        [
            ("UTC", datetime(2026, 3, 9, 23, 30)),  # noqa: DTZ001
            ("Europe/Berlin", datetime(2026, 3, 10, 0, 30)),  # noqa: DTZ001
            ("America/New_York", datetime(2026, 3, 9, 19, 30)),  # noqa: DTZ001
        ],
    )
    def test_times_are_those_of_the_time_zone(self, zone, shown):
        assert row_of([datetime(2026, 3, 9, 23, 30, tzinfo=UTC)], zone=zone) == [shown]

    def test_dates_that_excel_would_show_wrongly_are_text(self):
        assert row_of([date(1900, 2, 28), datetime(1850, 1, 2, 3, 4, tzinfo=UTC)]) == [
            "1900-02-28",
            "1850-01-02T03:04:00+00:00",
        ]

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "{=1}", "42", "1e5", "TRUE", "3/4", "http://x.example"])
    def test_text_stays_text_whatever_it_looks_like(self, text):
        sheet = written([[text]], header=["title"])

        assert sheet.rows[1] == [text]
        assert sheet.formula_count == 0

    @pytest.mark.parametrize("text", MARKUP)
    def test_markup_is_text(self, text):
        sheet = written([[text, "beside it"]])

        assert sheet.rows[1] == [text, "beside it"]
        assert sheet.formula_count == 0

    @pytest.mark.parametrize("text", ["Größe 😀", "a\nb", " spaces ", "&<>\"'", "\u2028\ufeff\x7f\x85"])
    def test_unusual_text_stays_as_it_is(self, text):
        assert row_of([text]) == [text]

    @pytest.mark.parametrize(("text", "escaped"), [("\x01", "_x0001_"), ("_x0041_", "_x005F_x0041_")])
    def test_what_xml_cannot_hold_is_escaped_as_excel_does(self, text, escaped):
        assert row_of([text]) == [escaped]


class TestFile:
    def test_counts_its_rows(self):
        *_others, last = pieces_of([["One"], ["Two"]])

        assert last.row_count == 2

    def test_without_rows_it_is_a_header(self):
        assert written([], header=["title"]).rows == [["title"]]

    def test_more_rows_than_a_sheet_holds_are_refused(self, monkeypatch):
        monkeypatch.setattr("app.workbooks.MAX_ROWS", 2)

        assert len(written([["One"], ["Two"]]).rows) == 3
        with pytest.raises(SheetIsFullError, match="at most 2;"):
            written([["One"], ["Two"], ["Three"]])

    def test_more_text_than_a_sheet_holds_is_refused(self, monkeypatch):
        monkeypatch.setattr("zipfile.ZIP64_LIMIT", 1_000)

        with pytest.raises(SheetIsFullError):
            written([["x" * 2_000]])

    def test_a_sheet_and_its_header_have_as_many_rows_as_excel_allows(self):
        assert MAX_ROWS + 1 == 2**20

    def test_memory_does_not_grow_with_the_rows(self):
        assert peak_bytes(rows=6_000) < peak_bytes(rows=1_000) + 200_000

    def test_leaves_no_file_behind(self, directory):
        written([["One"]])

        assert list(directory.iterdir()) == []

    def test_leaves_no_file_behind_when_its_rows_fail(self, directory):
        def rows():
            yield ["One"]
            raise ConnectionError

        with pytest.raises(ConnectionError):
            pieces_of(rows())

        assert list(directory.iterdir()) == []

    def test_leaves_no_file_behind_when_nobody_reads_on(self, directory):
        pieces = workbook_pieces(["title"], [["One"]], sheet_name="One", time_zone=ZoneInfo("UTC"))
        next(pieces)

        pieces.close()

        assert list(directory.iterdir()) == []

    def test_a_full_disk_is_an_error_of_the_system(self, directory):
        rows = (["x" * 255] for _ in range(10_000))

        with mounted_memory(directory, mebibytes=1):
            assert errno_of(rows) == errno.ENOSPC

    # The abandoned archive tries once more to write its end.
    @pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <function ZipFile.__del__:pytest.PytestUnraisableExceptionWarning"
    )
    def test_a_disk_that_is_full_at_the_end_is_an_error_of_the_system(self, directory):
        def rows():
            yield ["One"]
            fill(directory)

        with mounted_memory(directory, mebibytes=1):
            assert errno_of(rows()) == errno.ENOSPC
            gc.collect()


def pieces_of(rows, *, header=("one", "two"), zone="UTC"):
    return list(workbook_pieces(header, rows, sheet_name="2026-03-09", time_zone=ZoneInfo(zone)))


def errno_of(rows):
    try:
        pieces_of(rows)
    except OSError as error:
        return error.errno


def written(rows, **options):
    return read_workbook(b"".join(piece.content for piece in pieces_of(rows, **options)))


def row_of(values, **options):
    """Write a row and read it back. The sheet is as wide as the row."""
    (row,) = written([values], header=["column"] * len(values), **options).rows[1:]
    return row


def peak_bytes(*, rows):
    """The most memory that writing so many rows takes."""
    tracemalloc.start()
    for _ in workbook_pieces(
        ["id", "title"],
        ([number, f"Task {number}" * 20] for number in range(rows)),
        sheet_name="One",
        time_zone=ZoneInfo("UTC"),
    ):
        pass
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """The directory of temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path
