import pytest

from app.csv_files.encodings import PIECE_BYTES, Encoding
from app.errors import UnreadableCsvError
from tests.csv_files.blocks.reading import cells_of, ensure_read_or_refused, opened


class TestEncoding:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
    def test_is_detected(self, encoding):
        content = "task_name,assigned_user\nGrößer als 5 €,Zoë\n".encode(encoding)
        if encoding in {"utf-16-le", "utf-16-be"}:
            content = "\ufeff".encode(encoding) + content

        assert cells_of(content) == [["Größer als 5 €", "Zoë"]]

    def test_a_byte_order_mark_does_not_belong_to_the_first_name(self):
        assert opened(b'\xef\xbb\xbf"task_name",status\n').header == ["task_name", "status"]

    def test_is_decided_by_the_first_character_beyond_ascii_even_late_in_the_file(self):
        content = "task_name\n" + "Plain\n" * 60_000 + "Größe\n"
        assert len(content) > PIECE_BYTES

        assert cells_of(content.encode())[-1] == cells_of(content.encode("cp1252"))[-1] == ["Größe"]

    @pytest.mark.parametrize("bytes_before_the_split", range(5))
    @pytest.mark.parametrize("character", ["ö", "€", "😀"])
    def test_a_character_may_be_split_between_two_pieces(self, character, bytes_before_the_split):
        head = b"task_name\n" + b"Plain\n" * 40_000
        filler = b"x" * (PIECE_BYTES - len(head) - bytes_before_the_split)

        assert cells_of(head + filler + character.encode())[-1] == [filler.decode() + character]

    @pytest.mark.parametrize("size", [1, 2, 3, 5])
    @pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
    @pytest.mark.parametrize("text", ["Größe", "5 €", "€", "ö", "öx", "x€", "ÄÖÜ"])
    def test_is_detected_in_small_pieces(self, text, encoding, size):
        for end in ("", "\n", "\nPlain\n"):
            content = f"task_name\n{text}{end}".encode(encoding)

            assert cells_of(content, size=size)[0] == [text]

    @pytest.mark.parametrize("size", [1, 2, 3])
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_may_be_split_between_pieces(self, encoding, size):
        assert cells_of("task_name\nGröße\n".encode(encoding), size=size) == [["Größe"]]

    def test_a_declaration_overrides_detection(self):
        content = "task_name\nÃ¶\n".encode("cp1252")

        assert cells_of(content) == [["ö"]]
        assert cells_of(content, encoding=Encoding.CP1252) == [["Ã¶"]]

    @pytest.mark.parametrize("declared", [None, *Encoding])
    def test_ascii_reads_the_same_in_any_declared_encoding(self, declared):
        encoding = "utf-16" if declared is Encoding.UTF_16 else "ascii"

        assert cells_of("task_name\nPaint\n".encode(encoding), encoding=declared) == [["Paint"]]

    @pytest.mark.parametrize(
        ("content", "declared"),
        [
            pytest.param("task_name\nPaint\n".encode("utf-16-le"), Encoding.UTF_16, id="utf-16-le-without-a-mark"),
            pytest.param("task_name\nPaint\n".encode("utf-16-be"), Encoding.UTF_16, id="utf-16-be-without-a-mark"),
            pytest.param(b"task_name\nPaint1\n", Encoding.UTF_16, id="utf-8-declared-as-utf-16"),
            pytest.param("task_name\nPaint\n".encode("utf-16"), Encoding.UTF_8, id="utf-16-declared-as-utf-8"),
            pytest.param("task_name\nGröße\n".encode("cp1252"), Encoding.UTF_8, id="cp1252-declared-as-utf-8"),
            pytest.param(b"\x81\x8d\n", Encoding.CP1252, id="nothing-declared-as-cp1252"),
        ],
    )
    def test_a_wrongly_declared_file_is_read_or_refused(self, content, declared):
        ensure_read_or_refused(content, encoding=declared)

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_utf_16_without_a_mark_is_read_when_it_is_declared(self, encoding):
        content = "task_name,status\nGröße 5 €,todo\n日本語のタイトル,done\n".encode(encoding)

        assert cells_of(content, encoding=Encoding.UTF_16) == [["Größe 5 €", "todo"], ["日本語のタイトル", "done"]]

    def test_utf_16_without_a_mark_has_to_be_declared(self):
        with pytest.raises(
            UnreadableCsvError, match=r"binary data .UTF-16 without a byte order mark needs encoding=utf-16"
        ):
            cells_of("task_name\nPaint\n".encode("utf-16-le"))

    def test_a_file_that_began_as_utf_8_does_not_change_its_encoding_midway(self):
        content = b"task_name\n" + "Größe\n".encode() * 60_000 + b"Gr\xf6\xdfe\n"

        with pytest.raises(UnreadableCsvError) as caught:
            cells_of(content)

        assert "the file is not UTF-8 text from line" in caught.value.detail
        assert caught.value.detail.endswith("; if it is Windows-1252, say encoding=cp1252")

    def test_the_error_names_an_encoding_that_people_know(self):
        content = b"task_name\n" + b"Gr\xf6\xdfe\n" * 60_000 + b"\x81\n"

        with pytest.raises(UnreadableCsvError, match="the file is not UTF-8 or Windows-1252 text from line"):
            cells_of(content)

    @pytest.mark.parametrize("good_rows", [0, 3, 100_000])
    @pytest.mark.parametrize("size", [1000, PIECE_BYTES])
    def test_the_error_names_the_first_line_that_is_not_text(self, good_rows, size):
        content = b"task_name\n" + "Größe\n".encode() * good_rows + b"G\xc3\xb6\xff\n"

        with pytest.raises(UnreadableCsvError, match=f"from line {good_rows + 2} on"):
            cells_of(content, size=size)

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    def test_the_error_names_the_line_in_any_encoding(self, encoding):
        broken = b"\xff" if encoding == "utf-8-sig" else "😀".encode(encoding)[-2:]
        content = "task_name\nOne\nTwo ".encode(encoding) + broken
        declared = None if encoding == "utf-8-sig" else Encoding.UTF_16

        with pytest.raises(UnreadableCsvError, match="text from line 3 on"):
            cells_of(content, encoding=declared)

    @pytest.mark.parametrize("kept", [-1, -2, -3])
    def test_half_a_utf_16_character_at_the_end_is_unreadable(self, kept):
        content = "task_name\nPaint 😀".encode("utf-16")[:kept]

        with pytest.raises(UnreadableCsvError, match="the file is not UTF-16 text from line"):
            cells_of(content)


class TestLineEnds:
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("size", [1, 7, PIECE_BYTES])
    def test_of_every_system_are_read(self, newline, size):
        content = newline.join(["task_name,status", "One,todo", "Two,done"])

        assert cells_of(content.encode(), size=size) == [["One", "todo"], ["Two", "done"]]

    def test_may_be_mixed(self):
        assert cells_of(b"task_name\r\nOne\nTwo\rThree\r\nFour") == [["One"], ["Two"], ["Three"], ["Four"]]

    def test_in_a_quoted_cell_are_unchanged(self):
        assert cells_of(b'task_name\n"One\r\ntwo\rthree\nfour"\n') == [["One\r\ntwo\rthree\nfour"]]

    @pytest.mark.parametrize("character", ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
    def test_other_characters_that_python_splits_at_are_text(self, character):
        assert cells_of(f"task_name\nOne{character}two\n".encode()) == [[f"One{character}two"]]


class TestDelimiter:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_is_detected_from_the_header(self, delimiter):
        file = opened(delimiter.join(["task_name", "status", "labels"]).encode())

        assert file.delimiter == delimiter
        assert file.header == ["task_name", "status", "labels"]

    def test_a_declaration_overrides_detection(self):
        file = opened(b"title|labels;status,priority\n", delimiter="|")

        assert file.header == ["title", "labels;status,priority"]

    def test_the_other_delimiters_are_text(self):
        assert cells_of(b"task_name;status\nPaint, then dry | wait;done\n") == [["Paint, then dry | wait", "done"]]

    def test_a_quoted_delimiter_is_text(self):
        assert cells_of(b'task_name,status\n"Paint, ""then"" dry",done\n') == [['Paint, "then" dry', "done"]]

    def test_is_not_decided_by_unknown_columns(self):
        assert opened(b"task_name;a,b,c,d,e,f;status\n").delimiter == ";"

    def test_is_decided_by_the_column_names_of_any_tracker(self):
        assert opened(b"TYPE;CONTENT;INDENT\n").delimiter == ";"
