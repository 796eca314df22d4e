"""Files that are not what one hopes for, and the answer that each must get."""

import gzip
import io
import zipfile
from dataclasses import dataclass, field

MAX_ROWS = 12_000
MAX_KEPT_ERRORS = 10_000
NO_TITLE = (
    "the first line names no task_name or title column; it must name the columns, such as: assigned_user, assignee, "
    "created_at, description, due_at, external_ref, labels, priority, status, task_name, title"
)
BINARY = "the file is not a CSV: it holds binary data"
NO_STATUS = "is not a status; say one of todo, in_progress, blocked, done, cancelled"
NO_DATE = "is not a date; write YYYY-MM-DD or M/D/YYYY"
NO_DAY_FIRST_DATE = "is not a date; write YYYY-MM-DD or D.M.YYYY"
BOUNDARY = "what-no-file-holds"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
ENDLESS = "the row is longer than 1048576 characters; is a quote opened and never closed?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that is refused as a whole. `words` is the detail, or the beginning of it."""

    name: str
    content: bytes
    form: dict[str, str] = field(default_factory=dict)
    status: int = 422
    code: str = "unreadable_csv"
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A file whose good rows become tasks. `message` is the first error; `titles` are those made."""

    name: str
    content: bytes
    form: dict[str, str] = field(default_factory=dict)
    created: int
    refused: int = 0
    message: str | None = None
    titles: tuple[str, ...] | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Misposted:
    """A request that is no proper upload, whatever the file."""

    name: str
    body: bytes
    content_type: str = MULTIPART
    headers: dict[str, str] = field(default_factory=dict)
    status: int
    code: str
    words: str


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as workbook:
        workbook.writestr("xl/workbook.xml", "<workbook/>")
    return archive.getvalue()


def lines(*rows: str) -> bytes:
    return "\n".join([*rows, ""]).encode()


def labels(count: int) -> str:
    return '"' + ",".join(f"label{number}" for number in range(count)) + '"'


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    return DASHES + f'\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


DASHES = f"--{BOUNDARY}".encode()
END = DASHES + b"--\r\n"
FILE = part("file", b"task_name\nPaint\n", "tasks.csv")

REFUSED = [
    # Nothing in it.
    Refused(name="empty", content=b"", words="the file is empty"),
    Refused(name="only a byte order mark", content=b"\xef\xbb\xbf", words="the first line is empty"),
    Refused(name="only a wide byte order mark", content=b"\xff\xfe", words="the first line is empty"),
    Refused(name="only a newline", content=b"\n", words="the file is empty"),
    Refused(name="only blanks", content=b" \r\n\t\r\n", words="the file is empty"),
    Refused(name="first line empty", content=lines("", "task_name", "Paint"), words="the first line is empty"),
    # Something else.
    Refused(name="png", content=b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", words=BINARY),
    Refused(
        name="old excel",
        content=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 500,
        words="the file is an Excel workbook; save it as CSV",
    ),
    Refused(name="gzip", content=gzip.compress(b"task_name\nPaint\n"), words="the file is compressed; unpack it first"),
    Refused(name="xlsx", content=zipped(), words="the file is an Excel workbook or a ZIP archive; save it as CSV"),
    Refused(name="pdf", content=b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", words=NO_TITLE),
    Refused(name="html", content=b"<!DOCTYPE html>\n<html><title>Log in</title></html>\n", words=NO_TITLE),
    Refused(name="json", content=b'[{"task_name": "Paint", "status": "done"}]\n', words=NO_TITLE),
    Refused(name="nothing but nul", content=b"\x00" * 5000, words=BINARY),
    # Encodings.
    Refused(name="utf-16 without a mark", content="task_name\nPaint\n".encode("utf-16-le"), words=BINARY),
    Refused(
        name="utf-16 cut in half",
        content="task_name\nPaint\n".encode("utf-16")[:-1],
        words="the file is not UTF-16 text from line 2 on",
    ),
    Refused(
        name="utf-16 cut in the middle of a pair",
        content="task_name\nPaint 😀".encode("utf-16")[:-2],
        words="the file is not UTF-16 text from line 2 on",
    ),
    Refused(
        name="utf-32", content="task_name\nPaint\n".encode("utf-32"), words="the name of a column holds a NUL character"
    ),
    Refused(
        name="broken utf-8 late",
        content=b"task_name\n" + "Größe\n".encode() * 5000 + b"Gr\xf6\xdfe\n",
        words="the file is not UTF-8 text from line 5002 on",
    ),
    Refused(
        name="broken utf-8 behind the first piece",
        content=b"task_name,description\n" + ("Größe," + "x" * 90 + "\n").encode() * 5000 + b"Gr\xf6\xdfe,\n",
        words="the file is not UTF-8 text from line 5002 on",
    ),
    Refused(
        name="lone surrogates told as utf-8",
        content=b"task_name\nA\xed\xa0\x80\n",
        form={"encoding": "utf-8"},
        words="the file is not UTF-8 text from line 2 on; if it is Windows-1252, say encoding=cp1252",
    ),
    Refused(
        name="lone surrogates behind good utf-8",
        content="task_name\nGröße\n".encode() + b"\xed\xa0\x80\n",
        words="the file is not UTF-8 text from line 3 on",
    ),
    Refused(
        name="no character of cp1252",
        content=b"task_name\nGr\xf6\xdfe \x81\n",
        words="the file is not UTF-8 or Windows-1252 text from line 2 on",
    ),
    Refused(
        name="cp1252 told as utf-8",
        content="task_name\nGröße\n".encode("cp1252"),
        form={"encoding": "utf-8"},
        words="the file is not UTF-8 text from line 2 on",
    ),
    # Nul.
    Refused(name="nul in an early cell", content=b"task_name\nPa\x00int\n", words=BINARY),
    # Quotes.
    Refused(
        name="unclosed quote",
        content=lines("task_name", "One", '"Two', "Three"),
        words="line 3: a quote is opened and never closed",
    ),
    Refused(
        name="unclosed quote behind many rows",
        content=lines("task_name,assigned_user", *["Paint,Grace"] * 9000, '"Open,Grace'),
        words="line 9002: a quote is opened and never closed",
    ),
    Refused(
        name="unclosed quote in the header",
        content=lines('task_name,"status', "Paint,done"),
        words="line 1: a quote is opened and never closed",
    ),
    Refused(
        name="text after a closing quote",
        content=lines("task_name,status", "One,", '"Two"x,todo'),
        words="line 3: a quoted cell goes on after its closing quote",
    ),
    # Sizes.
    Refused(
        name="too many columns",
        content=lines("task_name" + ",x" * 50),
        status=413,
        code="too_large",
        words="the file has 51 columns; 50 are the most",
    ),
    Refused(
        name="too many rows",
        content=lines("task_name", *["Paint"] * (MAX_ROWS + 1)),
        status=413,
        code="too_large",
        words=f"the file has more than {MAX_ROWS} rows; send it in parts",
    ),
    Refused(name="one gigantic line", content=b"task_name\n" + b"x" * 3_000_000, words=f"line 2: {ENDLESS}"),
    Refused(name="one gigantic first line", content=b"x" * 3_000_000, words=f"line 1: {ENDLESS}"),
    Refused(
        name="a gigantic quoted cell of newlines",
        content=b'task_name,description\nOne,\nTwo,"' + b"\n" * 2_000_000 + b'"\n',
        words=f"line 3: {ENDLESS}",
    ),
    Refused(name="newlines without end", content=b"\n" * 3_000_000, words="the file is empty"),
    Refused(
        name="more than an upload may have",
        content=b"task_name\n" + b"Paint\n" * 1_500_000,
        status=413,
        code="too_large",
        words="the request body is too large",
    ),
    # Headers.
    Refused(name="no header", content=lines("Paint,todo", "Dry,done"), words=NO_TITLE),
    Refused(name="no title column", content=lines("status,priority", "todo,high"), words=NO_TITLE),
    Refused(
        name="two columns for one field",
        content=lines("task_name,status,State", "Paint,todo,done"),
        words="more than one column for status",
    ),
    Refused(
        name="the title twice", content=lines("task_name,title", "Paint,Dry"), words="more than one column for title"
    ),
    Refused(
        name="near miss of a column",
        content=lines("task_name,asignee", "Paint,ada"),
        words="unknown column asignee; did you mean assignee?",
    ),
    Refused(
        name="near miss in capitals",
        content=lines("Task Name;DueDate", "Paint;2026-03-09"),
        words="unknown column DueDate; did you mean due_date?",
    ),
    Refused(
        name="another delimiter than is told",
        content=lines("task_name;status", "Paint;done"),
        form={"delimiter": "tab"},
        words=NO_TITLE,
    ),
    # Forms.
    Refused(
        name="a project that is not there",
        content=lines("task_name", "Paint"),
        form={"project": "NOPE"},
        code="invalid",
        words="project: there is no project NOPE",
    ),
    Refused(
        name="an encoding that nobody knows",
        content=lines("task_name", "Paint"),
        form={"encoding": "ebcdic"},
        code="invalid",
        words="encoding: Must be one of: utf-8, utf-16, cp1252.",
    ),
    Refused(
        name="a delimiter of two characters",
        content=lines("task_name", "Paint"),
        form={"delimiter": "::"},
        code="invalid",
        words="delimiter: Must be one of: , ; tab |.",
    ),
    Refused(
        name="an unknown field",
        content=lines("task_name", "Paint"),
        form={"colour": "red"},
        code="invalid",
        words="colour: Unknown field.",
    ),
]

READ = [
    Read(
        name="first line of excel that says the delimiter",
        content=lines("sep=;", "task_name;status", "Paint, green;todo", "Mow;later"),
        created=1,
        refused=1,
        message="line 4, column status: 'later' is not a status; "
        "say one of todo, in_progress, blocked, done, cancelled",
        titles=("Paint, green",),
    ),
    # Nothing to do.
    Read(name="only a header", content=b"task_name,status", created=0),
    Read(name="only a header and blank lines", content=b"task_name,status\r\n\r\n , \r\n\r\n", created=0),
    # Encodings.
    Read(name="utf-16", content="task_name\nGröße\n".encode("utf-16"), created=1, titles=("Größe",)),
    Read(
        name="big-endian utf-16",
        content=b"\xfe\xff" + "task_name\nGröße\n".encode("utf-16-be"),
        created=1,
        titles=("Größe",),
    ),
    Read(
        name="utf-16 without a mark that is told",
        content="task_name\nGröße\n".encode("utf-16-le"),
        form={"encoding": "utf-16"},
        created=1,
        titles=("Größe",),
    ),
    Read(
        name="big-endian utf-16 without a mark that is told",
        content="task_name\nGröße\n".encode("utf-16-be"),
        form={"encoding": "utf-16"},
        created=1,
        titles=("Größe",),
    ),
    Read(name="utf-8 with a mark", content="\ufefftask_name\nGröße\n".encode(), created=1, titles=("Größe",)),
    Read(name="cp1252", content="task_name\nGröße €\n".encode("cp1252"), created=1, titles=("Größe €",)),
    Read(
        name="cp1252 that looks like utf-8 and is told",
        content="task_name\nÃ¶\n".encode("cp1252"),
        form={"encoding": "cp1252"},
        created=1,
        titles=("Ã¶",),
    ),
    # As the first character beyond ASCII is none of UTF-8, the file is taken for Windows-1252.
    Read(name="lone surrogates", content=b"task_name\nA\xed\xa0\x80\n", created=1, titles=("Aí\xa0€",)),
    Read(name="an overlong slash", content=b"task_name\nA\xc0\xaf\n", created=1, titles=("AÀ¯",)),
    # Nul.
    Read(
        name="nul in a late cell",
        content=lines("task_name,description", *["Paint," + "x" * 200] * 2000, "Bad \x00 one,", "Last,"),
        created=2001,
        refused=1,
        message="line 2002, column task_name: holds a NUL character",
    ),
    Read(
        name="nul in cells of utf-16",
        content="task_name,status\nA\x00,todo\nB,\x00\nC,\n".encode("utf-16"),
        created=1,
        refused=2,
        message="line 2, column task_name: holds a NUL character",
    ),
    # Quotes and newlines.
    Read(
        name="quote in the middle of a cell", content=lines("task_name", 'A 3" nail'), created=1, titles=('A 3" nail',)
    ),
    Read(
        name="space in front of a quote",
        content=lines("task_name,status", ' "One, two",todo', "Three,"),
        created=1,
        refused=1,
        message="line 2: has 3 cells, the header has 2",
    ),
    Read(
        name="deep newlines",
        content=lines("task_name,description,status", 'One,"a' + "\n" * 5000 + 'b",todo', "Two,,maybe"),
        created=1,
        refused=1,
        message=f"line 5003, column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="more newlines than a description may have",
        content=lines("task_name,description", 'One,"a' + "\n" * 20_001 + 'b"', "Two,"),
        created=1,
        refused=1,
        message="line 2, column description: has 20003 characters; 20000 are the most",
    ),
    Read(
        name="carriage returns only",
        content=b"task_name,status\rOne,todo\rTwo,maybe\r",
        created=1,
        refused=1,
        message=f"line 3, column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="mixed line ends",
        content=b"task_name,status\r\nOne,todo\nTwo,done\rThree,maybe\n\rFour,",
        created=3,
        refused=1,
        message=f"line 4, column status: 'maybe' {NO_STATUS}",
        titles=("One", "Two", "Four"),
    ),
    Read(
        name="line ends that are none",
        content="task_name\nA\v\f\x1cB\x85\u2028C\n".encode(),
        created=1,
        titles=("A\v\f\x1cB\x85\u2028C",),
    ),
    # Sizes.
    Read(
        name="too long cell",
        content=lines("task_name,colour", "One," + "x" * 50_001, "Two," + "x" * 50_000),
        created=1,
        refused=1,
        message="line 2: has a cell of 50001 characters; 50000 are the most",
        ignored=("colour",),
    ),
    Read(name="as many columns as may be", content=lines("task_name" + ",x" * 49), created=0, ignored=("x",)),
    Read(name="as many rows as may be", content=lines("task_name", *["Paint"] * MAX_ROWS), created=MAX_ROWS),
    Read(
        name="more bad rows than are kept",
        content=lines("task_name,status", "Good,", *["Bad,maybe"] * (MAX_KEPT_ERRORS + 50)),
        created=1,
        refused=MAX_KEPT_ERRORS + 50,
        message=f"line 3, column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="titles of every length",
        content=lines("task_name", "x" * 255, "x" * 256, "😀" * 255),
        created=2,
        refused=1,
        message="line 3, column task_name: has 256 characters; 255 are the most",
    ),
    # Headers.
    Read(
        name="header twice",
        content=lines("task_name,status", "One,todo", "task_name,status", "Two,done"),
        created=2,
        refused=1,
        message=f"line 3, column status: 'status' {NO_STATUS}",
    ),
    Read(
        name="unknown columns",
        content=lines("task_name,Colour,shape,", "Paint,red,,x"),
        created=1,
        ignored=("Colour", "shape", "(no name)"),
    ),
    Read(
        name="a header that a terminal would obey",
        content=lines("task_name,\x1b[31mred", "Paint,x"),
        created=1,
        ignored=("[31mred",),
    ),
    # Cells.
    Read(
        name="too few cells",
        content=lines("task_name,status,priority", "One,todo", "Two,todo,low"),
        created=1,
        refused=1,
        message="line 2: has 2 cells, the header has 3",
    ),
    Read(
        name="too many cells",
        content=lines("task_name,status", "One,todo,low,high", "Two,todo"),
        created=1,
        refused=1,
        message="line 2: has 4 cells, the header has 2",
    ),
    Read(
        name="trailing delimiter in the rows",
        content=lines("task_name,status", "One,todo,", "Two,todo,"),
        created=0,
        refused=2,
        message="line 2: has 3 cells, the header has 2",
    ),
    Read(
        name="trailing delimiter in every line",
        content=lines("task_name,status,", "One,todo,", "Two,todo,"),
        created=2,
        ignored=("(no name)",),
    ),
    Read(
        name="blank lines",
        content=lines("task_name,status", "", "One,todo", " , ", ",,,,", "Two,maybe", "\t", ""),
        created=1,
        refused=1,
        message=f"line 6, column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="formulas",
        content=lines("task_name,description", "=1+1,@SUM(A1)", '"=cmd|"" /C calc""!A0",+1', "'-5,'quoted"),
        created=3,
        titles=("=1+1", '=cmd|" /C calc"!A0', "-5"),
    ),
    Read(
        name="what databases and formats take for something",
        content=lines("task_name", r"\N", "'; DROP TABLE tasks; --", "%s %(x)s {0}", r"C:\new\table", "\\.", "NULL"),
        created=6,
        titles=(r"\N", "'; DROP TABLE tasks; --", "%s %(x)s {0}", r"C:\new\table", "\\.", "NULL"),
    ),
    Read(
        name="labels too many",
        content=lines("task_name,labels", f"One,{labels(21)}", f"Two,{labels(20)}"),
        created=1,
        refused=1,
        message="line 2, column labels: holds 21 labels; 20 are the most",
    ),
    Read(
        name="labels too long",
        content=lines("task_name,tags", "One,red;" + "x" * 51, "Two," + "x" * 50),
        created=1,
        refused=1,
        message="line 2, column tags: has 51 characters; 50 are the most",
    ),
    Read(
        name="labels that postgresql would take for something",
        content=lines("task_name,labels", 'One,"{a}; ""b""; \\c; NULL; x""y; \'"'),
        created=1,
    ),
    Read(
        name="impossible date",
        content=lines("task_name,due_at", "One,2/30/2026", "Two,2/28/2026"),
        created=1,
        refused=1,
        message=f"line 2, column due_at: '2/30/2026' {NO_DATE}",
    ),
    Read(
        name="european date",
        content=lines("task_name,due_at", "One,31.02.2026", "Two,28.02.2026"),
        created=0,
        refused=2,
        message=f"line 2, column due_at: '31.02.2026' {NO_DATE}",
    ),
    Read(
        name="impossible date with the day first",
        content=lines("task_name,due_at", "One,31.02.2026", "Two,28.02.2026", "Three,12/31/2026"),
        form={"day_first": "true"},
        created=1,
        refused=2,
        message=f"line 2, column due_at: '31.02.2026' {NO_DAY_FIRST_DATE}",
    ),
    Read(
        name="leap days",
        content=lines("task_name,created_at", "One,2/29/2026", "Two,2/29/2028", "Three,2100-02-29", "Four,2000-02-29"),
        created=2,
        refused=2,
        message=f"line 2, column created_at: '2/29/2026' {NO_DATE}",
        titles=("Two", "Four"),
    ),
    Read(
        name="the first and the last year",
        content=lines(
            "task_name,created_at", "A,0001-01-01", "B,1/1/0001", "C,9999-12-31", "D,0002-01-01", "E,9998-01-01"
        ),
        created=2,
        refused=3,
        message=f"line 2, column created_at: '0001-01-01' {NO_DATE}",
        titles=("D", "E"),
    ),
    Read(
        name="dates of other worlds",
        content=lines("task_name,due_at", "A,yesterday", "B,45000", "C,infinity", "D,now()", "E,٢٠٢٦-٠٣-٠٩", "F,1e400"),
        created=0,
        refused=6,
        message=f"line 2, column due_at: 'yesterday' {NO_DATE}",
    ),
    Read(
        name="status unknown",
        content=lines("task_name,status", "One,maybe", "Two,IN PROGRESS"),
        created=1,
        refused=1,
        message=f"line 2, column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="priority unknown",
        content=lines("task_name,priority", "One,asap", "Two,Urgent"),
        created=1,
        refused=1,
        message="line 2, column priority: 'asap' is not a priority; say one of low, medium, high, critical",
    ),
    Read(
        name="assignee me",
        content=lines("task_name,assigned_user", "One,Me", "Two,none"),
        created=0,
        refused=2,
        message="line 2, column assigned_user: 'Me' is nobody's name; leave the cell empty for nobody",
    ),
    Read(
        name="assignee whom nobody knows",
        content=lines("task_name,assignee", "One,Grace", "Two,"),
        form={"create_users": "false"},
        created=1,
        refused=1,
        message="line 2, column assignee: is nobody in the project",
    ),
    Read(
        name="assignee too long",
        content=lines("task_name,assignee", "One," + "x" * 65, "Two," + "x" * 64),
        created=1,
        refused=1,
        message="line 2, column assignee: has 65 characters; 64 are the most",
    ),
    Read(
        name="right-to-left marks",
        content=lines("task_name,assignee", "\u202egnp.exe,", "Two,\u202eada"),
        created=1,
        refused=1,
        message="line 3, column assignee: holds characters that a name cannot have",
        titles=("\u202egnp.exe",),
    ),
    Read(
        name="several problems in a row",
        content=lines("task_name,status,priority,due_at", ",maybe,asap,soon", "Good,,,"),
        created=1,
        refused=1,
        message="line 2, column task_name: is empty; a task needs a title",
    ),
    Read(
        name="no titles",
        content=lines("task_name,status", ",todo", "   ,todo", "\xa0,todo"),
        created=0,
        refused=3,
        message="line 2, column task_name: is empty; a task needs a title",
    ),
    Read(name="duplicate rows", content=lines("task_name,status", *["Paint,todo"] * 3), created=3),
    Read(
        name="duplicate rows to be skipped",
        content=lines("task_name,status", *["Paint,todo"] * 3, "Dry,todo"),
        form={"on_duplicate": "skip"},
        created=2,
        titles=("Paint", "Dry"),
    ),
    # Delimiters.
    Read(
        name="semicolons",
        content=lines("task_name;status", "Paint, then dry;done", "Two;maybe"),
        created=1,
        refused=1,
        message=f"line 3, column status: 'maybe' {NO_STATUS}",
        titles=("Paint, then dry",),
    ),
    Read(name="tabs", content=lines("task_name\tstatus", "Paint, then; dry\tdone"), created=1),
    Read(name="pipes", content=lines("task_name|status", "Paint, then; dry|done"), created=1),
    Read(
        name="a comma in a file of one column",
        content=lines("task_name", "Paint, then dry", "Two"),
        created=1,
        refused=1,
        message="line 2: has 2 cells, the header has 1",
    ),
    Read(
        name="semicolons that are told to be text",
        content=lines("task_name,status;priority", "One;two,x"),
        form={"delimiter": ","},
        created=1,
        titles=("One;two",),
        ignored=("status;priority",),
    ),
]

MISPOSTED = [
    Misposted(name="broken off", body=FILE[:-5], status=400, code="bad_request", words="the upload is not whole"),
    Misposted(name="without an end", body=FILE, status=400, code="bad_request", words="the upload is not whole"),
    Misposted(
        name="broken off behind a block",
        body=part("file", b"task_name\n" + b"Paint\n" * 9000, "tasks.csv"),
        status=400,
        code="bad_request",
        words="the upload is not whole",
    ),
    Misposted(
        name="broken off in its head", body=FILE[:40], status=400, code="bad_request", words="the upload is not whole"
    ),
    Misposted(
        name="no boundary",
        body=FILE + END,
        content_type="multipart/form-data",
        status=415,
        code="unsupported_media_type",
        words="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="another boundary",
        body=FILE + END,
        content_type="multipart/form-data; boundary=c",
        status=400,
        code="bad_request",
        words="the upload is not whole",
    ),
    Misposted(
        name="text",
        body=b"task_name\nPaint\n",
        content_type="text/csv",
        status=415,
        code="unsupported_media_type",
        words="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="json",
        body=b"{}",
        content_type="application/json",
        status=415,
        code="unsupported_media_type",
        words="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="a form without files",
        body=b"file=task_name",
        content_type="application/x-www-form-urlencoded",
        status=415,
        code="unsupported_media_type",
        words="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="compressed",
        body=gzip.compress(FILE + END),
        headers={"Content-Encoding": "gzip"},
        status=415,
        code="unsupported_media_type",
        words="send the body as it is: Content-Encoding is not taken",
    ),
    Misposted(name="nothing", body=b"", status=422, code="invalid", words="file: Missing data for required field."),
    Misposted(
        name="no file",
        body=part("dry_run", b"true") + END,
        status=422,
        code="invalid",
        words="file: Missing data for required field.",
    ),
    Misposted(
        name="text where the file should be",
        body=part("file", b"task_name\nPaint\n") + END,
        status=422,
        code="invalid",
        words="file: ",
    ),
    Misposted(
        name="file under another name",
        body=part("csv", b"task_name\nPaint\n", "tasks.csv") + END,
        status=422,
        code="invalid",
        words="file: Missing data for required field.; csv: Unknown field.",
    ),
    Misposted(
        name="a field behind the file",
        body=FILE + part("dry_run", b"true") + END,
        status=422,
        code="invalid",
        words="dry_run: send it before the file, which is read as it comes in",
    ),
    Misposted(
        name="a field behind a long file",
        body=part("file", b"task_name\n" + b"Paint\n" * 9000, "tasks.csv") + part("dry_run", b"true") + END,
        status=422,
        code="invalid",
        words="dry_run: send it before the file, which is read as it comes in",
    ),
    Misposted(name="two files", body=FILE + FILE + END, status=422, code="invalid", words="file: "),
    Misposted(
        name="a field that is no text",
        body=part("project", b"\xff") + FILE + END,
        status=400,
        code="bad_request",
        words="a form field is not UTF-8",
    ),
    Misposted(
        name="a gigantic field",
        body=part("project", b"G" * 20_000) + FILE + END,
        status=413,
        code="too_large",
        words="the request body is too large",
    ),
    Misposted(
        name="fields without end",
        body=part("dry_run", b"true") * 51 + FILE + END,
        status=413,
        code="too_large",
        words="the request body is too large",
    ),
    Misposted(
        name="headers without end",
        body=DASHES + b"\r\nX: " + b"x" * 1_000_000,
        status=413,
        code="too_large",
        words="the request body is too large",
    ),
    Misposted(
        name="a part that says nothing of itself",
        body=DASHES + b"\r\n\r\ntask_name\r\n" + END,
        status=400,
        code="bad_request",
        words="the upload is not whole",
    ),
    Misposted(
        name="an empty key",
        body=FILE + END,
        headers={"Idempotency-Key": ""},
        status=422,
        code="invalid",
        words="Idempotency-Key: ",
    ),
]

# A name with a NUL in it, which no database keeps: whether such a file is read or refused, it is no accident.
NUL_IN_THE_HEADER = [
    ("utf-16", {}, "task_name,a\x00b\nPaint,\n".encode("utf-16")),
    ("told as utf-8", {"encoding": "utf-8"}, b"task_name,a\x00b\nPaint,\n"),
    ("told as cp1252", {"encoding": "cp1252"}, b"task_name,a\x00b\nPaint,\n"),
    ("behind the first piece", {}, b"task_name," + b"a" * 300_000 + b"\x00\nPaint,\n"),
]
