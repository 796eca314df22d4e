import pytest

from app.csv_files.blocks import BLOCK_ROWS, MAX_ROW_CHARACTERS, CsvFile
from app.csv_files.encodings import PIECE_BYTES, Encoding
from app.errors import TooLargeError, UnreadableCsvError
from tests.csv_files.blocks.reading import InPieces, cells_of, ensure_read_or_refused, limits, opened
from tests.settings import CSV_LIMITS


class TestUnreadable:
    @pytest.mark.parametrize("content", [b"", b"  \n \n", b"\n\n\n", b"\r"])
    def test_an_empty_file(self, content):
        with pytest.raises(UnreadableCsvError, match="the file is empty"):
            opened(content)

    @pytest.mark.parametrize(
        "content", [b"\ntask_name\nPaint\n", b"  \r\ntask_name\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xef\xbb\xbf\r\n"]
    )
    def test_an_empty_first_line(self, content):
        with pytest.raises(UnreadableCsvError, match="the first line is empty; it must name the columns"):
            opened(content)

    @pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"\x00", b"task_name\nA\x00b\n"])
    def test_a_binary_file(self, content):
        with pytest.raises(UnreadableCsvError, match="the file is not a CSV: it holds binary data"):
            opened(content)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"\x1f\x8b\x08\x00\x00", "the file is compressed; unpack it first"),
            (b"PK\x03\x04\x14\x00\x00\x00", "the file is an Excel workbook or a ZIP archive; save it as CSV"),
        ],
    )
    @pytest.mark.parametrize("declared", [None, *Encoding])
    def test_a_compressed_file_is_named_as_one_in_any_declared_encoding(self, content, reason, declared):
        with pytest.raises(UnreadableCsvError, match=reason):
            opened(content, encoding=declared)

    @pytest.mark.parametrize("content", [b"\x00" * 10, b"task_name\nA\x00b\n"])
    @pytest.mark.parametrize("declared", [*Encoding])
    def test_binary_data_is_read_or_refused_in_any_declared_encoding(self, content, declared):
        ensure_read_or_refused(content, encoding=declared)

    def test_an_unclosed_quote_is_reported_at_the_start_of_its_row(self):
        with pytest.raises(UnreadableCsvError, match="line 3: a quote is opened and never closed"):
            cells_of(b'task_name\nOne\n"Two\nThree\nFour\n')

    def test_an_unclosed_quote_in_the_header(self):
        with pytest.raises(UnreadableCsvError, match="line 1: a quote is opened and never closed"):
            cells_of(b'task_name,"status\nOne\nTwo\n')

    def test_a_cell_that_continues_after_its_closing_quote(self):
        with pytest.raises(UnreadableCsvError, match="line 3: a quoted cell goes on after its closing quote"):
            cells_of(b'task_name,status\nOne,todo\n"Two"x,todo\n')

    def test_a_quote_in_the_middle_of_a_cell_is_text(self):
        assert cells_of(b'task_name\nA 3" nail\n') == [['A 3" nail']]

    def test_line_numbers_continue_across_blocks(self):
        with pytest.raises(UnreadableCsvError, match=f"line {BLOCK_ROWS + 3}: a quoted cell goes on"):
            cells_of(b"task_name\n" + b"x\n" * (BLOCK_ROWS + 1) + b'"a"b\n')


class TestLimits:
    def test_as_many_columns_as_are_allowed(self):
        assert len(opened(b"task_name" + b",x" * 49).header) == 50

    def test_one_column_too_many(self):
        with pytest.raises(TooLargeError, match="the file has 51 columns; 50 are the most"):
            opened(b"task_name" + b",x" * 50)

    def test_as_many_rows_as_are_allowed(self):
        assert len(cells_of(b"task_name\n" + b"x\n\n" * 100, limits=limits(rows=100))) == 100

    def test_one_row_too_many(self):
        with pytest.raises(TooLargeError, match="the file has more than 100 rows; send it in parts"):
            cells_of(b"task_name\n" + b"x\n" * 101, limits=limits(rows=100))

    def test_too_many_rows_are_refused_before_the_rest_of_the_file_is_read(self):
        stream = InPieces(b"task_name\n" + b"x\n" * 1_000_000, PIECE_BYTES)

        with pytest.raises(TooLargeError):
            list(CsvFile(stream, limits(rows=BLOCK_ROWS)).blocks())

        assert stream.position < 3 * PIECE_BYTES

    @pytest.mark.parametrize(
        ("start", "line"),
        [
            (b"", 1),
            (b"task_name,", 1),
            (b'"', 1),
            (b"task_name,description\nOne,", 2),
            (b'task_name,description\nOne,"', 2),
            (b'task_name,description\nOne,\nTwo,"\n\n', 3),
        ],
        ids=["header", "after a name", "quoted header", "cell", "quoted cell", "second row"],
    )
    @pytest.mark.parametrize("filler", [b"x", b"x\n"], ids=["one line", "lines"])
    def test_an_endless_row(self, start, line, filler):
        if filler != b"x" and b'"' not in start:
            filler = b"x"

        with pytest.raises(UnreadableCsvError, match=f"line {line}: the row is longer than {MAX_ROW_CHARACTERS} char"):
            cells_of(start + filler * (MAX_ROW_CHARACTERS + 10))

    def test_no_more_than_necessary_is_read_of_an_endless_row(self):
        stream = InPieces(b'task_name\n"' + b"x" * 8 * MAX_ROW_CHARACTERS, PIECE_BYTES)

        with pytest.raises(UnreadableCsvError):
            list(CsvFile(stream, CSV_LIMITS).blocks())

        assert stream.position <= MAX_ROW_CHARACTERS + 2 * PIECE_BYTES

    def test_the_length_of_each_row_is_measured_separately(self):
        row = b"x" * (MAX_ROW_CHARACTERS - 10) + b"\n"

        assert len(cells_of(b"task_name\n" + row * 3)) == 3
