"""Odd files that are read, and what their rows become."""

from dataclasses import dataclass, field

from tests.routes.imports.hostile.rows import MAX_ROWS, lines

MAX_STORED_ERRORS = 10_000
NO_STATUS = "is not a status; say one of todo, in_progress, blocked, done, cancelled"
NO_DATE = "is not a date; write YYYY-MM-DD or M/D/YYYY"
NO_DAY_FIRST_DATE = "is not a date; write YYYY-MM-DD or D.M.YYYY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A file whose good rows become tasks. `message` is the first error; `titles` are those of the new tasks."""

    name: str
    content: bytes
    form: dict[str, str] = field(default_factory=dict)
    created: int
    refused: int = 0
    message: str | None = None
    titles: tuple[str, ...] | None = None
    ignored: tuple[str, ...] = ()


def labels(count: int) -> str:
    return '"' + ",".join(f"label{number}" for number in range(count)) + '"'


READ = [
    Read(
        name="first line of excel with the delimiter",
        content=lines("sep=;", "task_name;status", "Paint, green;todo", "Mow;later"),
        created=1,
        refused=1,
        message="line 4 (row 3 of the sheet), column status: 'later' is not a status; "
        "say one of todo, in_progress, blocked, done, cancelled",
        titles=("Paint, green",),
    ),
    # Files without rows.
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
        name="utf-16 without a mark that is declared",
        content="task_name\nGröße\n".encode("utf-16-le"),
        form={"encoding": "utf-16"},
        created=1,
        titles=("Größe",),
    ),
    Read(
        name="big-endian utf-16 without a mark that is declared",
        content="task_name\nGröße\n".encode("utf-16-be"),
        form={"encoding": "utf-16"},
        created=1,
        titles=("Größe",),
    ),
    Read(name="utf-8 with a mark", content="\ufefftask_name\nGröße\n".encode(), created=1, titles=("Größe",)),
    Read(name="cp1252", content="task_name\nGröße €\n".encode("cp1252"), created=1, titles=("Größe €",)),
    Read(
        name="cp1252 that looks like utf-8 and is declared",
        content="task_name\nÃ¶\n".encode("cp1252"),
        form={"encoding": "cp1252"},
        created=1,
        titles=("Ã¶",),
    ),
    # The first character beyond ASCII is not valid UTF-8, so the file is read as Windows-1252.
    Read(name="lone surrogates", content=b"task_name\nA\xed\xa0\x80\n", created=1, titles=("Aí\xa0€",)),
    Read(name="an overlong slash", content=b"task_name\nA\xc0\xaf\n", created=1, titles=("AÀ¯",)),
    # Nul.
    Read(
        name="nul in a late cell",
        content=lines("task_name,description", *["Paint," + "x" * 200] * 2000, "Bad \x00 one,", "Last,"),
        created=2001,
        refused=1,
        message="line 2002 (row 2002 of the sheet), column task_name: holds a NUL character",
    ),
    Read(
        name="nul in cells of utf-16",
        content="task_name,status\nA\x00,todo\nB,\x00\nC,\n".encode("utf-16"),
        created=1,
        refused=2,
        message="line 2 (row 2 of the sheet), column task_name: holds a NUL character",
    ),
    # Quotes and newlines.
    Read(
        name="quote in the middle of a cell", content=lines("task_name", 'A 3" nail'), created=1, titles=('A 3" nail',)
    ),
    Read(
        name="space before a quote",
        content=lines("task_name,status", ' "One, two",todo', "Three,"),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet): has 3 cells, the header has 2",
    ),
    Read(
        name="deep newlines",
        content=lines("task_name,description,status", 'One,"a' + "\n" * 5000 + 'b",todo', "Two,,maybe"),
        created=1,
        refused=1,
        message=f"line 5003 (row 3 of the sheet), column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="more newlines than a description may contain",
        content=lines("task_name,description", 'One,"a' + "\n" * 20_001 + 'b"', "Two,"),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet), column description: has 20003 characters; 20000 are the most",
    ),
    Read(
        name="carriage returns only",
        content=b"task_name,status\rOne,todo\rTwo,maybe\r",
        created=1,
        refused=1,
        message=f"line 3 (row 3 of the sheet), column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="mixed line ends",
        content=b"task_name,status\r\nOne,todo\nTwo,done\rThree,maybe\n\rFour,",
        created=3,
        refused=1,
        message=f"line 4 (row 4 of the sheet), column status: 'maybe' {NO_STATUS}",
        titles=("One", "Two", "Four"),
    ),
    Read(
        name="line ends that are not line ends",
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
        message="line 2 (row 2 of the sheet): has a cell of 50001 characters; 50000 are the most",
        ignored=("colour",),
    ),
    Read(name="as many columns as allowed", content=lines("task_name" + ",x" * 49), created=0, ignored=("x",)),
    Read(name="as many rows as allowed", content=lines("task_name", *["Paint"] * MAX_ROWS), created=MAX_ROWS),
    Read(
        name="more bad rows than are kept",
        content=lines("task_name,status", "Good,", *["Bad,maybe"] * (MAX_STORED_ERRORS + 50)),
        created=1,
        refused=MAX_STORED_ERRORS + 50,
        message=f"line 3 (row 3 of the sheet), column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="titles of every length",
        content=lines("task_name", "x" * 255, "x" * 256, "😀" * 255),
        created=2,
        refused=1,
        message="line 3 (row 3 of the sheet), column task_name: has 256 characters; 255 are the most",
    ),
    # Headers.
    Read(
        name="header twice",
        content=lines("task_name,status", "One,todo", "task_name,status", "Two,done"),
        created=2,
        refused=1,
        message=f"line 3 (row 3 of the sheet), column status: 'status' {NO_STATUS}",
    ),
    Read(
        name="unknown columns",
        content=lines("task_name,Colour,shape,", "Paint,red,,x"),
        created=1,
        ignored=("Colour", "shape", "(no name)"),
    ),
    Read(
        name="a header with control characters",
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
        message="line 2 (row 2 of the sheet): has 2 cells, the header has 3",
    ),
    Read(
        name="too many cells",
        content=lines("task_name,status", "One,todo,low,high", "Two,todo"),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet): has 4 cells, the header has 2",
    ),
    Read(
        name="trailing delimiter in the rows",
        content=lines("task_name,status", "One,todo,", "Two,todo,"),
        created=0,
        refused=2,
        message="line 2 (row 2 of the sheet): has 3 cells, the header has 2",
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
        message=f"line 6 (row 6 of the sheet), column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="formulas",
        content=lines("task_name,description", "=1+1,@SUM(A1)", '"=cmd|"" /C calc""!A0",+1', "'-5,'quoted"),
        created=3,
        titles=("=1+1", '=cmd|" /C calc"!A0', "-5"),
    ),
    Read(
        name="text that databases and formats interpret",
        content=lines("task_name", r"\N", "'; DROP TABLE tasks; --", "%s %(x)s {0}", r"C:\new\table", "\\.", "NULL"),
        created=6,
        titles=(r"\N", "'; DROP TABLE tasks; --", "%s %(x)s {0}", r"C:\new\table", "\\.", "NULL"),
    ),
    Read(
        name="labels too many",
        content=lines("task_name,labels", f"One,{labels(21)}", f"Two,{labels(20)}"),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet), column labels: holds 21 labels; 20 are the most",
    ),
    Read(
        name="labels too long",
        content=lines("task_name,tags", "One,red;" + "x" * 51, "Two," + "x" * 50),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet), column tags: has 51 characters; 50 are the most",
    ),
    Read(
        name="labels that postgresql interprets",
        content=lines("task_name,labels", 'One,"{a}; ""b""; \\c; NULL; x""y; \'"'),
        created=1,
    ),
    Read(
        name="impossible date",
        content=lines("task_name,due_at", "One,2/30/2026", "Two,2/28/2026"),
        created=1,
        refused=1,
        message=f"line 2 (row 2 of the sheet), column due_at: '2/30/2026' {NO_DATE}",
    ),
    Read(
        name="european date",
        content=lines("task_name,due_at", "One,31.02.2026", "Two,28.02.2026"),
        created=0,
        refused=2,
        message=f"line 2 (row 2 of the sheet), column due_at: '31.02.2026' {NO_DATE}",
    ),
    Read(
        name="impossible date with the day first",
        content=lines("task_name,due_at", "One,31.02.2026", "Two,28.02.2026", "Three,12/31/2026"),
        form={"day_first": "true"},
        created=1,
        refused=2,
        message=f"line 2 (row 2 of the sheet), column due_at: '31.02.2026' {NO_DAY_FIRST_DATE}",
    ),
    Read(
        name="leap days",
        content=lines("task_name,created_at", "One,2/29/2026", "Two,2/29/2028", "Three,2100-02-29", "Four,2000-02-29"),
        created=2,
        refused=2,
        message=f"line 2 (row 2 of the sheet), column created_at: '2/29/2026' {NO_DATE}",
        titles=("Two", "Four"),
    ),
    Read(
        name="the first and the last year",
        content=lines(
            "task_name,created_at", "A,0001-01-01", "B,1/1/0001", "C,9999-12-31", "D,0002-01-01", "E,9998-01-01"
        ),
        created=2,
        refused=3,
        message=f"line 2 (row 2 of the sheet), column created_at: '0001-01-01' {NO_DATE}",
        titles=("D", "E"),
    ),
    Read(
        name="dates of other worlds",
        content=lines("task_name,due_at", "A,yesterday", "B,45000", "C,infinity", "D,now()", "E,٢٠٢٦-٠٣-٠٩", "F,1e400"),
        created=0,
        refused=6,
        message=f"line 2 (row 2 of the sheet), column due_at: 'yesterday' {NO_DATE}",
    ),
    Read(
        name="status unknown",
        content=lines("task_name,status", "One,maybe", "Two,IN PROGRESS"),
        created=1,
        refused=1,
        message=f"line 2 (row 2 of the sheet), column status: 'maybe' {NO_STATUS}",
    ),
    Read(
        name="priority unknown",
        content=lines("task_name,priority", "One,asap", "Two,Urgent"),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet), column priority: "
        "'asap' is not a priority; say one of low, medium, high, critical",
    ),
    Read(
        name="assignee me",
        content=lines("task_name,assigned_user", "One,Me", "Two,none"),
        created=0,
        refused=2,
        message="line 2 (row 2 of the sheet), column assigned_user: "
        "'Me' is nobody's name; leave the cell empty for nobody",
    ),
    Read(
        name="assignee whom nobody knows",
        content=lines("task_name,assignee", "One,Grace", "Two,"),
        form={"create_users": "false"},
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet), column assignee: is nobody in the project",
    ),
    Read(
        name="assignee too long",
        content=lines("task_name,assignee", "One," + "x" * 65, "Two," + "x" * 64),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet), column assignee: has 65 characters; 64 are the most",
    ),
    Read(
        name="right-to-left marks",
        content=lines("task_name,assignee", "\u202egnp.exe,", "Two,\u202eada"),
        created=1,
        refused=1,
        message="line 3 (row 3 of the sheet), column assignee: holds characters that a name cannot have",
        titles=("\u202egnp.exe",),
    ),
    Read(
        name="several problems in a row",
        content=lines("task_name,status,priority,due_at", ",maybe,asap,soon", "Good,,,"),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet), column task_name: is empty; a task needs a title",
    ),
    Read(
        name="no titles",
        content=lines("task_name,status", ",todo", "   ,todo", "\xa0,todo"),
        created=0,
        refused=3,
        message="line 2 (row 2 of the sheet), column task_name: is empty; a task needs a title",
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
        message=f"line 3 (row 3 of the sheet), column status: 'maybe' {NO_STATUS}",
        titles=("Paint, then dry",),
    ),
    Read(name="tabs", content=lines("task_name\tstatus", "Paint, then; dry\tdone"), created=1),
    Read(name="pipes", content=lines("task_name|status", "Paint, then; dry|done"), created=1),
    Read(
        name="a comma in a file of one column",
        content=lines("task_name", "Paint, then dry", "Two"),
        created=1,
        refused=1,
        message="line 2 (row 2 of the sheet): has 2 cells, the header has 1",
    ),
    Read(
        name="semicolons that are declared as text",
        content=lines("task_name,status;priority", "One;two,x"),
        form={"delimiter": ","},
        created=1,
        titles=("One;two",),
        ignored=("status;priority",),
    ),
]
