import csv
import io
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.csv_files.blocks import (
    BLOCK_CHARACTERS,
    BLOCK_ROWS,
    MAX_ROW_CHARACTERS,
    PIECE_BYTES,
    CsvFile,
    Encoding,
    is_blank,
)
from app.errors import TooLargeError, UnreadableCsvError
from app.settings import CsvLimits

# How long an example takes is the machine's affair.
UNHURRIED = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LIMITS = CsvLimits(rows=100_000, columns=50, cell_characters=50_000)
UNBLANK = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


class TestEncoding:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
    def test_is_found_out(self, encoding):
        content = "task_name,assigned_user\nGrößer als 5 €,Zoë\n".encode(encoding)
        if encoding in {"utf-16-le", "utf-16-be"}:
            content = "\ufeff".encode(encoding) + content

        assert cells_of(content) == [["Größer als 5 €", "Zoë"]]

    def test_a_byte_order_mark_is_no_part_of_the_first_name(self):
        assert opened(b'\xef\xbb\xbf"task_name",status\n').header == ["task_name", "status"]

    def test_is_told_by_the_first_character_beyond_ascii_however_late_that_comes(self):
        content = "task_name\n" + "Plain\n" * 60_000 + "Größe\n"
        assert len(content) > PIECE_BYTES

        assert cells_of(content.encode())[-1] == cells_of(content.encode("cp1252"))[-1] == ["Größe"]

    @pytest.mark.parametrize("before_the_border", range(5))
    @pytest.mark.parametrize("character", ["ö", "€", "😀"])
    def test_a_character_over_the_border_of_two_pieces_is_seen_whole(self, character, before_the_border):
        head = b"task_name\n" + b"Plain\n" * 40_000
        filler = b"x" * (PIECE_BYTES - len(head) - before_the_border)

        assert cells_of(head + filler + character.encode())[-1] == [filler.decode() + character]

    @pytest.mark.parametrize("size", [1, 2, 3, 5])
    @pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
    @pytest.mark.parametrize("text", ["Größe", "5 €", "€", "ö", "öx", "x€", "ÄÖÜ"])
    def test_is_found_out_in_pieces_of_few_bytes(self, text, encoding, size):
        for end in ("", "\n", "\nPlain\n"):
            content = f"task_name\n{text}{end}".encode(encoding)

            assert cells_of(content, size=size)[0] == [text]

    @pytest.mark.parametrize("size", [1, 2, 3])
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_in_pieces_is_one_still(self, encoding, size):
        assert cells_of("task_name\nGröße\n".encode(encoding), size=size) == [["Größe"]]

    def test_what_is_told_counts(self):
        content = "task_name\nÃ¶\n".encode("cp1252")

        assert cells_of(content) == [["ö"]]
        assert cells_of(content, encoding=Encoding.CP1252) == [["Ã¶"]]

    @pytest.mark.parametrize("told", [None, *Encoding])
    def test_ascii_reads_the_same_whatever_is_told_of_one_byte_encodings(self, told):
        encoding = "utf-16" if told is Encoding.UTF_16 else "ascii"

        assert cells_of("task_name\nPaint\n".encode(encoding), encoding=told) == [["Paint"]]

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            pytest.param("task_name\nPaint\n".encode("utf-16-le"), Encoding.UTF_16, id="utf-16-le-without-a-mark"),
            pytest.param("task_name\nPaint\n".encode("utf-16-be"), Encoding.UTF_16, id="utf-16-be-without-a-mark"),
            pytest.param(b"task_name\nPaint1\n", Encoding.UTF_16, id="utf-8-told-as-utf-16"),
            pytest.param("task_name\nPaint\n".encode("utf-16"), Encoding.UTF_8, id="utf-16-told-as-utf-8"),
            pytest.param("task_name\nGröße\n".encode("cp1252"), Encoding.UTF_8, id="cp1252-told-as-utf-8"),
            pytest.param(b"\x81\x8d\n", Encoding.CP1252, id="nothing-told-as-cp1252"),
        ],
    )
    def test_what_is_told_wrongly_is_read_or_refused(self, content, told):
        ensure_read_or_refused(content, encoding=told)

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_of_utf_16_may_be_told_without_a_mark(self, encoding):
        content = "task_name,status\nGröße 5 €,todo\n日本語のタイトル,done\n".encode(encoding)

        assert cells_of(content, encoding=Encoding.UTF_16) == [["Größe 5 €", "todo"], ["日本語のタイトル", "done"]]

    def test_without_a_mark_utf_16_has_to_be_told(self):
        with pytest.raises(
            UnreadableCsvError, match=r"binary data .UTF-16 without a byte order mark needs encoding=utf-16"
        ):
            cells_of("task_name\nPaint\n".encode("utf-16-le"))

    def test_a_file_that_began_as_utf_8_is_not_taken_for_something_else_midway(self):
        content = b"task_name\n" + "Größe\n".encode() * 60_000 + b"Gr\xf6\xdfe\n"

        with pytest.raises(UnreadableCsvError) as caught:
            cells_of(content)

        assert "the file is not UTF-8 text from line" in caught.value.detail
        assert caught.value.detail.endswith("; if it is Windows-1252, say encoding=cp1252")

    def test_what_is_no_text_is_named_with_an_encoding_that_people_know(self):
        content = b"task_name\n" + b"Gr\xf6\xdfe\n" * 60_000 + b"\x81\n"

        with pytest.raises(UnreadableCsvError, match="the file is not UTF-8 or Windows-1252 text from line"):
            cells_of(content)

    @pytest.mark.parametrize("good_rows", [0, 3, 100_000])
    @pytest.mark.parametrize("size", [1000, PIECE_BYTES])
    def test_the_line_that_is_no_text_is_told(self, good_rows, size):
        content = b"task_name\n" + "Größe\n".encode() * good_rows + b"G\xc3\xb6\xff\n"

        with pytest.raises(UnreadableCsvError, match=f"from line {good_rows + 2} on"):
            cells_of(content, size=size)

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    def test_the_line_that_is_no_text_is_told_in_any_encoding(self, encoding):
        broken = b"\xff" if encoding == "utf-8-sig" else "😀".encode(encoding)[-2:]
        content = "task_name\nOne\nTwo ".encode(encoding) + broken
        told = None if encoding == "utf-8-sig" else Encoding.UTF_16

        with pytest.raises(UnreadableCsvError, match="text from line 3 on"):
            cells_of(content, encoding=told)

    @pytest.mark.parametrize("kept", [-1, -2, -3])
    def test_half_a_wide_character_at_the_end_is_unreadable(self, kept):
        content = "task_name\nPaint 😀".encode("utf-16")[:kept]

        with pytest.raises(UnreadableCsvError, match="the file is not UTF-16 text from line"):
            cells_of(content)


class TestLineEnds:
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("size", [1, 7, PIECE_BYTES])
    def test_are_those_of_any_machine(self, newline, size):
        content = newline.join(["task_name,status", "One,todo", "Two,done"])

        assert cells_of(content.encode(), size=size) == [["One", "todo"], ["Two", "done"]]

    def test_may_be_mixed(self):
        assert cells_of(b"task_name\r\nOne\nTwo\rThree\r\nFour") == [["One"], ["Two"], ["Three"], ["Four"]]

    def test_in_a_quoted_cell_are_kept_as_they_are(self):
        assert cells_of(b'task_name\n"One\r\ntwo\rthree\nfour"\n') == [["One\r\ntwo\rthree\nfour"]]

    @pytest.mark.parametrize("character", ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
    def test_other_characters_that_python_would_split_at_are_none(self, character):
        assert cells_of(f"task_name\nOne{character}two\n".encode()) == [[f"One{character}two"]]


class TestDelimiter:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_is_found_out_from_the_header(self, delimiter):
        file = opened(delimiter.join(["task_name", "status", "labels"]).encode())

        assert file.delimiter == delimiter
        assert file.header == ["task_name", "status", "labels"]

    def test_what_is_told_counts(self):
        file = opened(b"title|labels;status,priority\n", delimiter="|")

        assert file.header == ["title", "labels;status,priority"]

    def test_the_others_are_text_then(self):
        assert cells_of(b"task_name;status\nPaint, then dry | wait;done\n") == [["Paint, then dry | wait", "done"]]

    def test_quoted_it_is_text(self):
        assert cells_of(b'task_name,status\n"Paint, ""then"" dry",done\n') == [['Paint, "then" dry', "done"]]

    def test_unknown_columns_do_not_decide(self):
        assert opened(b"task_name;a,b,c,d,e,f;status\n").delimiter == ";"

    def test_names_of_any_tracker_decide(self):
        assert opened(b"TYPE;CONTENT;INDENT\n").delimiter == ";"


class TestBlocks:
    def test_of_few_rows_are_one(self):
        (block,) = opened(b"task_name,status\nOne,todo\nTwo,done\n").blocks()

        assert (block.first_row, block.first_line, block.row_count) == (1, 2, 2)
        assert block.text == "One,todo\nTwo,done\n"

    @pytest.mark.parametrize("content", [b"task_name,status", b"task_name,status\n", b"task_name,status\r\n\r\n\n"])
    def test_of_a_header_alone_are_none(self, content):
        assert list(opened(content).blocks()) == []

    def test_of_many_rows_follow_each_other_without_a_gap_or_a_double(self):
        rows = [f"Task {n}\n" for n in range(2 * BLOCK_ROWS + 5)]

        blocks = list(opened(("task_name\n" + "".join(rows)).encode()).blocks())

        assert [block.row_count for block in blocks] == [BLOCK_ROWS, BLOCK_ROWS, 5]
        assert [block.first_row for block in blocks] == [1, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 1]
        assert [block.first_line for block in blocks] == [2, BLOCK_ROWS + 2, 2 * BLOCK_ROWS + 2]
        assert "".join(block.text for block in blocks) == "".join(rows)

    @pytest.mark.parametrize("count", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
    def test_full_to_the_last_row_are_followed_by_no_empty_one(self, count):
        blocks = list(opened(b"task_name\n" + b"x\n" * count).blocks())

        assert sum(block.row_count for block in blocks) == count
        assert all(block.row_count for block in blocks)

    def test_end_earlier_where_rows_are_long(self):
        rows = 30
        row = "x" * (BLOCK_CHARACTERS // 10) + "\n"

        blocks = list(opened(("task_name\n" + row * rows).encode()).blocks())

        assert sum(block.row_count for block in blocks) == rows
        assert len(blocks) == 3
        assert all(len(block.text) < BLOCK_CHARACTERS + len(row) for block in blocks)

    def test_cut_no_row_however_many_lines_it_has(self):
        row = '"One\nover\r\nthree",todo\n'

        blocks = list(opened(("task_name,status\n" + row * (BLOCK_ROWS + 3)).encode()).blocks())

        assert [block.row_count for block in blocks] == [BLOCK_ROWS, 3]
        assert blocks[1].first_line == 2 + 3 * BLOCK_ROWS
        assert blocks[1].text == row * 3

    def test_blank_lines_count_as_lines_and_not_as_rows(self):
        content = "task_name,status\n" + "\nOne,todo\n , \n" * (BLOCK_ROWS + 2)

        blocks = list(opened(content.encode()).blocks())

        assert [block.row_count for block in blocks] == [BLOCK_ROWS, 2]
        assert (blocks[1].first_row, blocks[1].first_line) == (BLOCK_ROWS + 1, 3 * BLOCK_ROWS + 1)
        assert all(first.first_line < second.first_line for first, second in pairwise(blocks))

    def test_of_nothing_but_blank_lines_are_none(self):
        assert list(opened(b"task_name,status\n" + b" , \n" * 300_000).blocks()) == []

    def test_blank_lines_in_front_of_a_long_file_do_not_shift_the_lines(self):
        content = b"task_name,status\n" + b",\n" * (BLOCK_CHARACTERS // 2 + 10) + b"One,\n"

        (block,) = opened(content).blocks()

        (first,) = [number for number, line in enumerate(block.text.splitlines()) if line == "One,"]
        assert block.first_row == 1
        assert block.first_line + first == BLOCK_CHARACTERS // 2 + 12

    def test_a_header_over_two_lines_counts(self):
        (block,) = opened(b'task_name," status\n"\nPaint,maybe\n').blocks()

        assert block.first_line == 3

    def test_those_before_what_is_unreadable_are_given(self):
        blocks = opened(b"task_name\n" + b"One\n" * BLOCK_ROWS + b'"Two').blocks()

        assert next(blocks).row_count == BLOCK_ROWS
        with pytest.raises(UnreadableCsvError):
            next(blocks)


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
        ("content", "words"),
        [
            (b"\x1f\x8b\x08\x00\x00", "the file is compressed; unpack it first"),
            (b"PK\x03\x04\x14\x00\x00\x00", "the file is an Excel workbook or a ZIP archive; save it as CSV"),
        ],
    )
    @pytest.mark.parametrize("told", [None, *Encoding])
    def test_a_packed_file_is_called_what_it_is_whatever_is_told_of_it(self, content, words, told):
        with pytest.raises(UnreadableCsvError, match=words):
            opened(content, encoding=told)

    @pytest.mark.parametrize("content", [b"\x00" * 10, b"task_name\nA\x00b\n"])
    @pytest.mark.parametrize("told", [*Encoding])
    def test_binary_data_is_read_or_refused_whatever_is_told_of_it(self, content, told):
        ensure_read_or_refused(content, encoding=told)

    def test_a_quote_that_is_never_closed_is_told_where_its_row_begins(self):
        with pytest.raises(UnreadableCsvError, match="line 3: a quote is opened and never closed"):
            cells_of(b'task_name\nOne\n"Two\nThree\nFour\n')

    def test_a_quote_that_is_never_closed_in_the_header(self):
        with pytest.raises(UnreadableCsvError, match="line 1: a quote is opened and never closed"):
            cells_of(b'task_name,"status\nOne\nTwo\n')

    def test_a_cell_that_goes_on_after_its_closing_quote(self):
        with pytest.raises(UnreadableCsvError, match="line 3: a quoted cell goes on after its closing quote"):
            cells_of(b'task_name,status\nOne,todo\n"Two"x,todo\n')

    def test_a_quote_in_the_middle_of_a_cell_is_text(self):
        assert cells_of(b'task_name\nA 3" nail\n') == [['A 3" nail']]

    def test_lines_are_counted_over_the_cut_between_blocks(self):
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

    def test_too_many_rows_are_found_out_before_the_rest_of_the_file_is_read(self):
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
        ids=["header", "behind a name", "quoted header", "cell", "quoted cell", "second row"],
    )
    @pytest.mark.parametrize("filler", [b"x", b"x\n"], ids=["one line", "lines"])
    def test_a_row_without_end(self, start, line, filler):
        if filler != b"x" and b'"' not in start:
            filler = b"x"

        with pytest.raises(UnreadableCsvError, match=f"line {line}: the row is longer than {MAX_ROW_CHARACTERS} char"):
            cells_of(start + filler * (MAX_ROW_CHARACTERS + 10))

    def test_of_a_row_without_end_no_more_is_read_than_has_to_be(self):
        stream = InPieces(b'task_name\n"' + b"x" * 8 * MAX_ROW_CHARACTERS, PIECE_BYTES)

        with pytest.raises(UnreadableCsvError):
            list(CsvFile(stream, LIMITS).blocks())

        assert stream.position <= MAX_ROW_CHARACTERS + 2 * PIECE_BYTES

    def test_rows_are_measured_one_by_one(self):
        row = b"x" * (MAX_ROW_CHARACTERS - 10) + b"\n"

        assert len(cells_of(b"task_name\n" + row * 3)) == 3


class TestBlankLines:
    @pytest.mark.parametrize("line", [b"\r", b"\n", b"\r\n", b",\n", b" \n"])
    def test_so_many_are_passed_over(self, monkeypatch, line):
        monkeypatch.setattr("app.csv_files.blocks.MAX_BLANK_ROWS", 100)

        assert cells_of(b"task_name,status\n" + line * 50 + b"One,todo\n" + line * 50) == [["One", "todo"]]

    @pytest.mark.parametrize("line", [b"\r", b"\n", b"\r\n", b",\n", b" \n"])
    def test_more_than_a_spreadsheet_has_are_not_read_to_their_end(self, monkeypatch, line):
        monkeypatch.setattr("app.csv_files.blocks.MAX_BLANK_ROWS", 1000)
        stream = CountingStream(b"task_name,status\n", line * (PIECE_BYTES // len(line)))
        file = CsvFile(stream, LIMITS)

        with pytest.raises(TooLargeError, match="the file has more than 1000 blank lines"):
            list(file.blocks())

        assert stream.lines <= 3 * PIECE_BYTES


class CountingStream:
    """A header and then the same piece for ever."""

    def __init__(self, header: bytes, piece: bytes) -> None:
        self._pieces = [header]
        self._piece = piece
        self.lines = 0

    def read(self, size: int) -> bytes:
        piece = self._pieces.pop() if self._pieces else self._piece[:size]
        self.lines += max(piece.count(b"\r"), piece.count(b"\n"))
        return piece


class TestIsBlank:
    @pytest.mark.parametrize("cells", [[], [""], ["", " "], ["\t", "\xa0", "\n"]])
    def test_is_a_row_of_empty_cells(self, cells):
        assert is_blank(cells)

    @pytest.mark.parametrize("cells", [["0"], ["", "x"], ["\x00"]])
    def test_is_no_row_that_says_something(self, cells):
        assert not is_blank(cells)


class TestAnyBytes:
    @given(content=st.binary(max_size=400), size=st.sampled_from([1, 2, 3, 7, PIECE_BYTES]))
    @example(b"\xff\xfe\x00\xd8", 2)
    @example(b"\xff\xfe\x0a", 1)
    @example(b"\xfe\xff", 1)
    @example(b'"', 1)
    @example(b"\r", 1)
    @example(b"\x1c\n\x85", 1)
    @example(b" \xef", 1)
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_give_rows_or_the_reason(self, content, size):
        ensure_read_or_refused(content, size=size)

    @given(content=st.binary(max_size=400), told=st.sampled_from([None, *Encoding]))
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_behind_a_header_give_rows_or_the_reason_whatever_is_told(self, content, told):
        codec = "utf-16" if told is Encoding.UTF_16 else "ascii"

        ensure_read_or_refused("task_name,due_at,labels\n".encode(codec) + content, encoding=told)

    @given(content=st.binary(max_size=100), told=st.sampled_from([*Encoding]))
    @example(b"task_name\nPaint\n", Encoding.UTF_16)
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_give_rows_or_the_reason_whatever_is_told(self, content, told):
        ensure_read_or_refused(content, encoding=told)

    @given(
        rows=st.lists(st.lists(UNBLANK, min_size=3, max_size=3).filter(lambda cells: not is_blank(cells)), max_size=8),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        delimiter=st.sampled_from(",;\t|"),
        newline=st.sampled_from(["\n", "\r\n", "\r"]),
        size=st.sampled_from([4, 5, 7, 50, PIECE_BYTES]),
    )
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_that_a_csv_writer_wrote_read_back_the_same_in_pieces_of_any_size(
        self, rows, encoding, delimiter, newline, size
    ):
        text = written([["task_name", "status", "labels"], *rows], delimiter=delimiter, newline=newline)
        content = text.encode(encoding)
        if b"\x00" in content and encoding != "utf-16":
            ensure_read_or_refused(content, size=size)
            return

        assert cells_of(content, size=size) == rows


class InPieces:
    """What comes over a slow network."""

    def __init__(self, content, size):
        self._content = content
        self._size = size
        self.position = 0

    def read(self, size):
        piece = self._content[self.position : self.position + min(size, self._size)]
        self.position += len(piece)
        return piece


def opened(content, *, limits=LIMITS, size=PIECE_BYTES, encoding=None, delimiter=None):
    return CsvFile(InPieces(content, size), limits, encoding=encoding, delimiter=delimiter)


def cells_of(content, **how):
    """Each row's cells, those of all blocks in turn."""
    file = opened(content, **how)
    return [
        cells
        for block in file.blocks()
        for cells in csv.reader(io.StringIO(block.text, newline=""), delimiter=file.delimiter, strict=True)
        if not is_blank(cells)
    ]


def ensure_read_or_refused(content, **how):
    try:
        rows = cells_of(content, **how)
    except (UnreadableCsvError, TooLargeError):
        return
    assert all(isinstance(cell, str) for cells in rows for cell in cells)


def written(rows, *, delimiter, newline):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def limits(*, rows):
    return CsvLimits(rows=rows, columns=50, cell_characters=50_000)
