"""Files that are refused completely."""

import gzip
import io
import zipfile
from dataclasses import dataclass, field

from tests.routes.imports.hostile.rows import MAX_ROWS, lines

NO_TITLE = (
    "the first line names no task_name or title column; it must name the columns, such as: assigned_user, assignee, "
    "completed_at, created_at, description, due_at, estimate, external_ref, labels, parent, priority, recurrence, "
    "start_on, started_at, status, task_name, title; for other names, set column_map"
)
BINARY = "the file is not a CSV: it holds binary data"
ENDLESS = "the row is longer than 1048576 characters; is a quote opened and never closed?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that is refused completely. `detail` is that of the answer, or its beginning."""

    name: str
    content: bytes
    form: dict[str, str] = field(default_factory=dict)
    status: int = 422
    code: str = "unreadable_csv"
    detail: str


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as workbook:
        workbook.writestr("xl/workbook.xml", "<workbook/>")
    return archive.getvalue()


REFUSED = [
    # Empty files.
    Refused(name="empty", content=b"", detail="the file is empty"),
    Refused(name="only a byte order mark", content=b"\xef\xbb\xbf", detail="the first line is empty"),
    Refused(name="only a wide byte order mark", content=b"\xff\xfe", detail="the first line is empty"),
    Refused(name="only a newline", content=b"\n", detail="the file is empty"),
    Refused(name="only blanks", content=b" \r\n\t\r\n", detail="the file is empty"),
    Refused(name="first line empty", content=lines("", "task_name", "Paint"), detail="the first line is empty"),
    # Files of other formats.
    Refused(name="png", content=b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", detail=BINARY),
    Refused(
        name="old excel",
        content=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 500,
        detail="the file is an Excel workbook; save it as CSV",
    ),
    Refused(
        name="gzip", content=gzip.compress(b"task_name\nPaint\n"), detail="the file is compressed; unpack it first"
    ),
    Refused(name="xlsx", content=zipped(), detail="the file is an Excel workbook or a ZIP archive; save it as CSV"),
    Refused(name="pdf", content=b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", detail=NO_TITLE),
    Refused(name="html", content=b"<!DOCTYPE html>\n<html><title>Log in</title></html>\n", detail=NO_TITLE),
    Refused(name="json", content=b'[{"task_name": "Paint", "status": "done"}]\n', detail=NO_TITLE),
    Refused(name="nothing but nul", content=b"\x00" * 5000, detail=BINARY),
    # Encodings.
    Refused(name="utf-16 without a mark", content="task_name\nPaint\n".encode("utf-16-le"), detail=BINARY),
    Refused(
        name="utf-16 cut in half",
        content="task_name\nPaint\n".encode("utf-16")[:-1],
        detail="the file is not UTF-16 text from line 2 on",
    ),
    Refused(
        name="utf-16 cut in the middle of a pair",
        content="task_name\nPaint 😀".encode("utf-16")[:-2],
        detail="the file is not UTF-16 text from line 2 on",
    ),
    Refused(
        name="utf-32",
        content="task_name\nPaint\n".encode("utf-32"),
        detail="the name of a column holds a NUL character",
    ),
    Refused(
        name="broken utf-8 late",
        content=b"task_name\n" + "Größe\n".encode() * 5000 + b"Gr\xf6\xdfe\n",
        detail="the file is not UTF-8 text from line 5002 on",
    ),
    Refused(
        name="broken utf-8 after the first piece",
        content=b"task_name,description\n" + ("Größe," + "x" * 90 + "\n").encode() * 5000 + b"Gr\xf6\xdfe,\n",
        detail="the file is not UTF-8 text from line 5002 on",
    ),
    Refused(
        name="lone surrogates declared as utf-8",
        content=b"task_name\nA\xed\xa0\x80\n",
        form={"encoding": "utf-8"},
        detail="the file is not UTF-8 text from line 2 on; if it is Windows-1252, say encoding=cp1252",
    ),
    Refused(
        name="lone surrogates after good utf-8",
        content="task_name\nGröße\n".encode() + b"\xed\xa0\x80\n",
        detail="the file is not UTF-8 text from line 3 on",
    ),
    Refused(
        name="no character of cp1252",
        content=b"task_name\nGr\xf6\xdfe \x81\n",
        detail="the file is not UTF-8 or Windows-1252 text from line 2 on",
    ),
    Refused(
        name="cp1252 declared as utf-8",
        content="task_name\nGröße\n".encode("cp1252"),
        form={"encoding": "utf-8"},
        detail="the file is not UTF-8 text from line 2 on",
    ),
    # Nul.
    Refused(name="nul in an early cell", content=b"task_name\nPa\x00int\n", detail=BINARY),
    # Quotes.
    Refused(
        name="unclosed quote",
        content=lines("task_name", "One", '"Two', "Three"),
        detail="line 3: a quote is opened and never closed",
    ),
    Refused(
        name="unclosed quote after many rows",
        content=lines("task_name,assigned_user", *["Paint,Grace"] * 9000, '"Open,Grace'),
        detail="line 9002: a quote is opened and never closed",
    ),
    Refused(
        name="unclosed quote in the header",
        content=lines('task_name,"status', "Paint,done"),
        detail="line 1: a quote is opened and never closed",
    ),
    Refused(
        name="text after a closing quote",
        content=lines("task_name,status", "One,", '"Two"x,todo'),
        detail="line 3: a quoted cell goes on after its closing quote",
    ),
    # Sizes.
    Refused(
        name="too many columns",
        content=lines("task_name" + ",x" * 50),
        status=413,
        code="too_large",
        detail="the file has 51 columns; 50 are the most",
    ),
    Refused(
        name="too many rows",
        content=lines("task_name", *["Paint"] * (MAX_ROWS + 1)),
        status=413,
        code="too_large",
        detail=f"the file has more than {MAX_ROWS} rows; send it in parts",
    ),
    Refused(name="one gigantic line", content=b"task_name\n" + b"x" * 3_000_000, detail=f"line 2: {ENDLESS}"),
    Refused(name="one gigantic first line", content=b"x" * 3_000_000, detail=f"line 1: {ENDLESS}"),
    Refused(
        name="a gigantic quoted cell of newlines",
        content=b'task_name,description\nOne,\nTwo,"' + b"\n" * 2_000_000 + b'"\n',
        detail=f"line 3: {ENDLESS}",
    ),
    Refused(name="newlines without end", content=b"\n" * 3_000_000, detail="the file is empty"),
    Refused(
        name="more than an upload may contain",
        content=b"task_name\n" + b"Paint\n" * 1_500_000,
        status=413,
        code="too_large",
        detail="the request body is too large",
    ),
    # Headers.
    Refused(name="no header", content=lines("Paint,todo", "Dry,done"), detail=NO_TITLE),
    Refused(name="no title column", content=lines("status,priority", "todo,high"), detail=NO_TITLE),
    Refused(
        name="two columns for one field",
        content=lines("task_name,status,State", "Paint,todo,done"),
        detail="more than one column for status",
    ),
    Refused(
        name="the title twice", content=lines("task_name,title", "Paint,Dry"), detail="more than one column for title"
    ),
    Refused(
        name="near miss of a column",
        content=lines("task_name,asignee", "Paint,ada"),
        detail="unknown column asignee; did you mean assignee?",
    ),
    Refused(
        name="near miss in capitals",
        content=lines("Task Name;DueDate", "Paint;2026-03-09"),
        detail="unknown column DueDate; did you mean due_date?",
    ),
    Refused(
        name="another delimiter than is declared",
        content=lines("task_name;status", "Paint;done"),
        form={"delimiter": "tab"},
        detail=NO_TITLE,
    ),
    # Forms.
    Refused(
        name="an unknown project",
        content=lines("task_name", "Paint"),
        form={"project": "NOPE"},
        code="invalid",
        detail="project: there is no project NOPE",
    ),
    Refused(
        name="an unknown encoding",
        content=lines("task_name", "Paint"),
        form={"encoding": "ebcdic"},
        code="invalid",
        detail="encoding: Must be one of: utf-8, utf-16, cp1252.",
    ),
    Refused(
        name="a delimiter of two characters",
        content=lines("task_name", "Paint"),
        form={"delimiter": "::"},
        code="invalid",
        detail="delimiter: Must be one of: , ; tab |.",
    ),
    Refused(
        name="an unknown field",
        content=lines("task_name", "Paint"),
        form={"colour": "red"},
        code="invalid",
        detail="colour: Unknown field.",
    ),
]

# PostgreSQL cannot store a NUL, so a column name with one must give a planned answer and never a 500.
NUL_IN_THE_HEADER = [
    ("utf-16", {}, "task_name,a\x00b\nPaint,\n".encode("utf-16")),
    ("told as utf-8", {"encoding": "utf-8"}, b"task_name,a\x00b\nPaint,\n"),
    ("told as cp1252", {"encoding": "cp1252"}, b"task_name,a\x00b\nPaint,\n"),
    ("behind the first piece", {}, b"task_name," + b"a" * 300_000 + b"\x00\nPaint,\n"),
]
