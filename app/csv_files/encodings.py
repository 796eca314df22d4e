"""The encoding of an uploaded file: found while the file is read, and used again for its report."""

import codecs
from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

from app.errors import UnreadableCsvError

PIECE_BYTES = 256 * 1024
UTF_8 = "utf-8"


class ByteStream(Protocol):
    """Returns up to `size` bytes, and no bytes at its end."""

    def read(self, size: int, /) -> bytes: ...


class Encoding(StrEnum):
    UTF_8 = "utf-8"
    UTF_16 = "utf-16"
    CP1252 = "cp1252"


_BYTE_ORDER_MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}
_MAGIC_NUMBERS = (
    (b"\x1f\x8b", "the file is compressed; unpack it first"),
    (b"PK\x03\x04", "the file is an Excel workbook or a ZIP archive; save it as CSV"),
    (b"PK\x05\x06", "the file is a ZIP archive with nothing in it"),
    (b"\xd0\xcf\x11\xe0", "the file is an Excel workbook; save it as CSV"),
)


def byte_order_mark(codec: str) -> bytes:
    """Empty for a codec that has none."""
    return _BYTE_ORDER_MARKS.get(codec, b"")


class DecodedText:
    """The text of a stream, in pieces.

    `codec` is Python's name of the encoding. It is known when all pieces are read: the first letter beyond ASCII may
    come late. `has_bom` is true if the file begins with a byte order mark, which the text leaves out.
    """

    def __init__(self, stream: ByteStream, encoding: Encoding | None) -> None:
        self._stream = stream
        self._encoding = encoding
        self.codec = UTF_8
        self.has_bom = False

    def pieces(self) -> Iterator[str]:
        """Raises UnreadableCsvError, or UnicodeDecodeError midway if later bytes do not fit the encoding."""
        start = self._read_piece()
        for magic_number, reason in _MAGIC_NUMBERS:
            if start.startswith(magic_number):
                raise UnreadableCsvError(reason)
        if not start.strip():
            raise UnreadableCsvError("the file is empty")
        encoding = self._encoding or _encoding_of(start)
        if encoding is None:
            yield from self._decoded_by_first_letter(start)
            return
        self.codec = _codec_of(encoding, start)
        mark = byte_order_mark(self.codec)
        self.has_bom = bool(mark) and start.startswith(mark)
        yield from self._decoded(start.removeprefix(mark))

    def _decoded(self, piece: bytes) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.codec)()
        is_final = False
        while not is_final:
            is_final = not piece
            try:
                yield decoder.decode(piece, final=is_final)
            except UnicodeDecodeError as error:
                # The text before the error is intact, and shows which line the error is on.
                yield error.object[: error.start].decode(self.codec)
                raise
            piece = self._read_piece()

    def _decoded_by_first_letter(self, piece: bytes) -> Iterator[str]:
        """Decode as UTF-8, or as Windows-1252 if the first character beyond ASCII is not valid UTF-8."""
        while piece and piece.isascii():
            yield piece.decode("ascii")
            piece = self._read_piece()
        start = next((position for position, byte in enumerate(piece) if byte > 127), 0)  # noqa: PLR2004
        try:
            # The longest character of UTF-8 has four bytes. Read on until one is complete.
            while piece and len(piece) - start < 4 and (more := self._read_piece()):  # noqa: PLR2004
                piece += more
            is_end = len(piece) - start < 4  # noqa: PLR2004
            codecs.getincrementaldecoder(UTF_8)().decode(piece[start : start + 4], final=is_end)
        except UnicodeDecodeError as error:
            self.codec = UTF_8 if error.start else Encoding.CP1252.value
        yield from self._decoded(piece)

    def _read_piece(self) -> bytes:
        """Read a full piece, however few bytes come at a time. Only the last piece is shorter."""
        piece = self._stream.read(PIECE_BYTES)
        while 0 < len(piece) < PIECE_BYTES and (more := self._stream.read(PIECE_BYTES - len(piece))):
            piece += more
        return piece


def _codec_of(encoding: Encoding, start: bytes) -> str:
    """Python's name for the encoding, with the byte order."""
    if encoding is not Encoding.UTF_16:
        return encoding.value
    for codec in ("utf-16-le", "utf-16-be"):
        if start.startswith(byte_order_mark(codec)):
            return codec
    # In most text the higher byte of a character is zero.
    return "utf-16-le" if start[1::2].count(0) >= start[0::2].count(0) else "utf-16-be"


def _encoding_of(start: bytes) -> Encoding | None:
    """The encoding that the first bytes show; None if only later bytes can show it."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding.UTF_16
    if b"\x00" in start:
        raise UnreadableCsvError(
            "the file is not a CSV: it holds binary data (UTF-16 without a byte order mark needs encoding=utf-16)"
        )
    return Encoding.UTF_8 if start.startswith(codecs.BOM_UTF8) else None


def wrong_encoding(error: UnicodeDecodeError, line_number: int) -> str:
    encoding = {"utf-8": "UTF-8", "charmap": "UTF-8 or Windows-1252"}.get(error.encoding, "UTF-16")
    hint = "; if it is Windows-1252, say encoding=cp1252" if error.encoding == "utf-8" else ""
    return f"the file is not {encoding} text from line {line_number} on{hint}"
