import csv
import io
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.csv_files.blocks import BLOCK_CHARACTERS, BLOCK_ROWS, CsvFile, is_blank
from app.csv_files.encodings import PIECE_BYTES, Encoding
from app.errors import TooLargeError, UnreadableCsvError
from tests.csv_files.blocks.reading import cells_of, ensure_read_or_refused, opened
from tests.settings import CSV_LIMITS
from tests.unhurried import UNHURRIED

UNBLANK = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


class TestBlocks:
    def test_a_few_rows_make_one_block(self):
        (block,) = opened(b"task_name,status\nOne,todo\nTwo,done\n").blocks()

        assert (block.first_row, block.first_line, block.row_count) == (1, 2, 2)
        assert block.text == "One,todo\nTwo,done\n"

    @pytest.mark.parametrize("content", [b"task_name,status", b"task_name,status\n", b"task_name,status\r\n\r\n\n"])
    def test_a_header_alone_makes_no_block(self, content):
        assert list(opened(content).blocks()) == []

    def test_many_rows_make_blocks_without_gaps_or_duplicates(self):
        rows = [f"Task {n}\n" for n in range(2 * BLOCK_ROWS + 5)]

        blocks = list(opened(("task_name\n" + "".join(rows)).encode()).blocks())

        assert [block.row_count for block in blocks] == [BLOCK_ROWS, BLOCK_ROWS, 5]
        assert [block.first_row for block in blocks] == [1, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 1]
        assert [block.first_line for block in blocks] == [2, BLOCK_ROWS + 2, 2 * BLOCK_ROWS + 2]
        assert "".join(block.text for block in blocks) == "".join(rows)

    @pytest.mark.parametrize("count", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
    def test_no_block_is_empty(self, count):
        blocks = list(opened(b"task_name\n" + b"x\n" * count).blocks())

        assert sum(block.row_count for block in blocks) == count
        assert all(block.row_count for block in blocks)

    def test_long_rows_make_shorter_blocks(self):
        rows = 30
        row = "x" * (BLOCK_CHARACTERS // 10) + "\n"

        blocks = list(opened(("task_name\n" + row * rows).encode()).blocks())

        assert sum(block.row_count for block in blocks) == rows
        assert len(blocks) == 3
        assert all(len(block.text) < BLOCK_CHARACTERS + len(row) for block in blocks)

    def test_a_row_of_several_lines_is_not_cut(self):
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

    def test_blank_lines_alone_make_no_block(self):
        assert list(opened(b"task_name,status\n" + b" , \n" * 300_000).blocks()) == []

    def test_blank_lines_at_the_start_do_not_shift_the_line_numbers(self):
        content = b"task_name,status\n" + b",\n" * (BLOCK_CHARACTERS // 2 + 10) + b"One,\n"

        (block,) = opened(content).blocks()

        (first,) = [number for number, line in enumerate(block.text.splitlines()) if line == "One,"]
        assert block.first_row == 1
        assert block.first_line + first == BLOCK_CHARACTERS // 2 + 12

    def test_a_header_of_two_lines_counts_as_two(self):
        (block,) = opened(b'task_name," status\n"\nPaint,maybe\n').blocks()

        assert block.first_line == 3

    def test_blocks_before_an_unreadable_row_are_returned(self):
        blocks = opened(b"task_name\n" + b"One\n" * BLOCK_ROWS + b'"Two').blocks()

        assert next(blocks).row_count == BLOCK_ROWS
        with pytest.raises(UnreadableCsvError):
            next(blocks)


class TestBlankLines:
    @pytest.mark.parametrize("line", [b"\r", b"\n", b"\r\n", b",\n", b" \n"])
    def test_are_skipped_up_to_the_limit(self, monkeypatch, line):
        monkeypatch.setattr("app.csv_files.blocks.MAX_BLANK_ROWS", 100)

        assert cells_of(b"task_name,status\n" + line * 50 + b"One,todo\n" + line * 50) == [["One", "todo"]]

    @pytest.mark.parametrize("line", [b"\r", b"\n", b"\r\n", b",\n", b" \n"])
    def test_are_refused_over_the_limit_before_the_end_of_the_file(self, monkeypatch, line):
        monkeypatch.setattr("app.csv_files.blocks.MAX_BLANK_ROWS", 1000)
        stream = CountingStream(b"task_name,status\n", line * (PIECE_BYTES // len(line)))
        file = CsvFile(stream, CSV_LIMITS)

        with pytest.raises(TooLargeError, match="the file has more than 1000 blank lines"):
            list(file.blocks())

        assert stream.lines <= 3 * PIECE_BYTES


class CountingStream:
    """A header, and then the same piece for ever."""

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
    def test_a_row_of_empty_cells_is_blank(self, cells):
        assert is_blank(cells)

    @pytest.mark.parametrize("cells", [["0"], ["", "x"], ["\x00"]])
    def test_a_row_with_content_is_not_blank(self, cells):
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
    def test_are_read_or_refused(self, content, size):
        ensure_read_or_refused(content, size=size)

    @given(content=st.binary(max_size=400), encoding=st.sampled_from([None, *Encoding]))
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_after_a_header_are_read_or_refused_in_any_encoding(self, content, encoding):
        codec = "utf-16" if encoding is Encoding.UTF_16 else "ascii"

        ensure_read_or_refused("task_name,due_at,labels\n".encode(codec) + content, encoding=encoding)

    @given(content=st.binary(max_size=100), encoding=st.sampled_from([*Encoding]))
    @example(b"task_name\nPaint\n", Encoding.UTF_16)
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_are_read_or_refused_in_any_encoding(self, content, encoding):
        ensure_read_or_refused(content, encoding=encoding)

    @given(
        rows=st.lists(st.lists(UNBLANK, min_size=3, max_size=3).filter(lambda cells: not is_blank(cells)), max_size=8),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        delimiter=st.sampled_from(",;\t|"),
        newline=st.sampled_from(["\n", "\r\n", "\r"]),
        size=st.sampled_from([4, 5, 7, 50, PIECE_BYTES]),
    )
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_written_csv_reads_back_the_same_in_pieces_of_any_size(self, rows, encoding, delimiter, newline, size):
        text = written([["task_name", "status", "labels"], *rows], delimiter=delimiter, newline=newline)
        content = text.encode(encoding)
        if b"\x00" in content and encoding != "utf-16":
            ensure_read_or_refused(content, size=size)
            return

        assert cells_of(content, size=size) == rows


def written(rows, *, delimiter, newline):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()
