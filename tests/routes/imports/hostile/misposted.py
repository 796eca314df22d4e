"""Requests that send a file in a wrong way."""

import gzip
from dataclasses import dataclass, field

BOUNDARY = "what-no-file-holds"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Misposted:
    """A request that is not a proper upload, whatever the file."""

    name: str
    body: bytes
    content_type: str = MULTIPART
    headers: dict[str, str] = field(default_factory=dict)
    status: int
    code: str
    detail: str


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    return DASHES + f'\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


DASHES = f"--{BOUNDARY}".encode()
END = DASHES + b"--\r\n"
FILE = part("file", b"task_name\nPaint\n", "tasks.csv")

MISPOSTED = [
    Misposted(name="cut off", body=FILE[:-5], status=400, code="bad_request", detail="the upload is incomplete"),
    Misposted(name="without an end", body=FILE, status=400, code="bad_request", detail="the upload is incomplete"),
    Misposted(
        name="cut off after a block",
        body=part("file", b"task_name\n" + b"Paint\n" * 9000, "tasks.csv"),
        status=400,
        code="bad_request",
        detail="the upload is incomplete",
    ),
    Misposted(
        name="cut off in its head", body=FILE[:40], status=400, code="bad_request", detail="the upload is incomplete"
    ),
    Misposted(
        name="no boundary",
        body=FILE + END,
        content_type="multipart/form-data",
        status=415,
        code="unsupported_media_type",
        detail="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="another boundary",
        body=FILE + END,
        content_type="multipart/form-data; boundary=c",
        status=400,
        code="bad_request",
        detail="the upload is incomplete",
    ),
    Misposted(
        name="text",
        body=b"task_name\nPaint\n",
        content_type="text/csv",
        status=415,
        code="unsupported_media_type",
        detail="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="json",
        body=b"{}",
        content_type="application/json",
        status=415,
        code="unsupported_media_type",
        detail="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="a form without files",
        body=b"file=task_name",
        content_type="application/x-www-form-urlencoded",
        status=415,
        code="unsupported_media_type",
        detail="send the file as the form field `file`, as multipart/form-data",
    ),
    Misposted(
        name="compressed",
        body=gzip.compress(FILE + END),
        headers={"Content-Encoding": "gzip"},
        status=415,
        code="unsupported_media_type",
        detail="send the body without Content-Encoding",
    ),
    Misposted(name="nothing", body=b"", status=422, code="invalid", detail="file: Missing data for required field."),
    Misposted(
        name="no file",
        body=part("dry_run", b"true") + END,
        status=422,
        code="invalid",
        detail="file: Missing data for required field.",
    ),
    Misposted(
        name="text where the file should be",
        body=part("file", b"task_name\nPaint\n") + END,
        status=422,
        code="invalid",
        detail="file: ",
    ),
    Misposted(
        name="file under another name",
        body=part("csv", b"task_name\nPaint\n", "tasks.csv") + END,
        status=422,
        code="invalid",
        detail="file: Missing data for required field.; csv: Unknown field.",
    ),
    Misposted(
        name="a field after the file",
        body=FILE + part("dry_run", b"true") + END,
        status=422,
        code="invalid",
        detail="dry_run: send it before the file, which is read as it arrives",
    ),
    Misposted(
        name="a field after a long file",
        body=part("file", b"task_name\n" + b"Paint\n" * 9000, "tasks.csv") + part("dry_run", b"true") + END,
        status=422,
        code="invalid",
        detail="dry_run: send it before the file, which is read as it arrives",
    ),
    Misposted(name="two files", body=FILE + FILE + END, status=422, code="invalid", detail="file: "),
    Misposted(
        name="a field that is not text",
        body=part("project", b"\xff") + FILE + END,
        status=400,
        code="bad_request",
        detail="a form field is not UTF-8",
    ),
    Misposted(
        name="a gigantic field",
        body=part("project", b"G" * 20_000) + FILE + END,
        status=413,
        code="too_large",
        detail="the request body is too large",
    ),
    Misposted(
        name="fields without end",
        body=part("dry_run", b"true") * 51 + FILE + END,
        status=413,
        code="too_large",
        detail="the request body is too large",
    ),
    Misposted(
        name="headers without end",
        body=DASHES + b"\r\nX: " + b"x" * 1_000_000,
        status=413,
        code="too_large",
        detail="the request body is too large",
    ),
    Misposted(
        name="a part without headers",
        body=DASHES + b"\r\n\r\ntask_name\r\n" + END,
        status=400,
        code="bad_request",
        detail="the upload is incomplete",
    ),
    Misposted(
        name="an empty key",
        body=FILE + END,
        headers={"Idempotency-Key": ""},
        status=422,
        code="invalid",
        detail="Idempotency-Key: ",
    ),
]
