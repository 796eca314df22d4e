"""Reads an XLSX file as a spreadsheet does: the type of each cell, and the format of its number."""

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
# The day from which a spreadsheet counts, for dates after February 1900.
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet has no time zones


@dataclass(frozen=True)
class Sheet:
    """`rows` hold text as str, numbers as float, and dates as date or datetime. A cell without a value is None."""

    name: str
    rows: list[list[Any]]
    frozen_rows: int
    bold_cells: list[str]
    formula_count: int


def read_workbook(content: bytes) -> Sheet:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        book, sheet, styles = (
            ET.fromstring(file.read(f"xl/{name}.xml"))  # noqa: S314 - our own file
            for name in ("workbook", "worksheets/sheet1", "styles")
        )
    pane = sheet.find(f".//{MAIN}pane")
    look = _Look(styles)
    rows = [{_column(cell): look.value(cell) for cell in row.iter(f"{MAIN}c")} for row in sheet.iter(f"{MAIN}row")]
    width = max(max(row, default=0) for row in rows) + 1
    return Sheet(
        name=book.find(f".//{MAIN}sheet").get("name"),
        rows=[[row.get(column) for column in range(width)] for row in rows],
        frozen_rows=int(pane.get("ySplit")) if pane is not None and pane.get("state") == "frozen" else 0,
        bold_cells=[cell.get("r") for cell in sheet.iter(f"{MAIN}c") if look.is_bold(cell)],
        formula_count=len(list(sheet.iter(f"{MAIN}f"))),
    )


class _Look:
    """The formats of cells."""

    def __init__(self, styles: ET.Element) -> None:
        fonts = [font.find(f"{MAIN}b") is not None for font in styles.iter(f"{MAIN}font")]
        codes = {each.get("numFmtId"): each.get("formatCode") for each in styles.iter(f"{MAIN}numFmt")}
        formats = styles.find(f"{MAIN}cellXfs")
        self._formats = [(codes.get(each.get("numFmtId"), ""), fonts[int(each.get("fontId"))]) for each in formats]

    def is_bold(self, cell: ET.Element) -> bool:
        return self._formats[int(cell.get("s", 0))][1]

    def value(self, cell: ET.Element) -> Any:
        if cell.get("t") == "inlineStr":
            return cell.find(f"{MAIN}is/{MAIN}t").text
        number = float(cell.find(f"{MAIN}v").text)
        code = self._formats[int(cell.get("s", 0))][0]
        if "yyyy" not in code:
            return number
        # A day is not kept with more than microseconds.
        moment = EPOCH + timedelta(seconds=round(number * 86400, 3))
        return moment if "hh" in code else moment.date()


def _column(cell: ET.Element) -> int:
    letters = cell.get("r").rstrip("0123456789")
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
