"""A program that uses a generated client: it logs in, creates, imports with options, lists all pages, handles a 412.

It runs in an environment that has the client and not the project.
"""

import io
import sys

from tracker_client import AuthenticatedClient, Client
from tracker_client.api.auth import log_in
from tracker_client.api.imports import create_import, list_import_errors
from tracker_client.api.tasks import change_task, create_task, list_tasks, show_task
from tracker_client.models import (
    CreateImportForm,
    CreateImportFormDelimiter,
    CreateImportFormMode,
    Login,
    TaskInput,
    TaskPatch,
)
from tracker_client.types import File

TASKS = 7
PAGE = 3


def main(base_url: str, password: str) -> None:
    pair = log_in.sync(client=Client(base_url), body=Login(username="admin", password=password))
    client = AuthenticatedClient(base_url, token=pair.access_token)

    numbers = range(TASKS)
    created = [create_task.sync(client=client, body=TaskInput(title=f"Task {n}", labels=["walk"])) for n in numbers]
    listed = list(every_task(client, label="walk"))
    assert sorted(task.id for task in listed) == sorted(task.id for task in created), listed

    first = create_task.sync_detailed(client=client, body=TaskInput(title="Contested"))
    version = first.headers["ETag"]
    changed = change_task.sync_detailed(
        first.parsed.id, client=client, body=TaskPatch(title="Changed first"), if_match=version
    )
    assert changed.status_code == 200, changed
    refused = change_task.sync_detailed(
        first.parsed.id, client=client, body=TaskPatch(title="Changed too late"), if_match=version
    )
    assert refused.status_code == 412, refused
    assert refused.parsed.code == "precondition_failed", refused
    assert show_task.sync(first.parsed.id, client=client).title == "Changed first"
    known = show_task.sync_detailed(first.parsed.id, client=client, if_none_match=changed.headers["ETag"])
    assert known.status_code == 304, known

    imported = upload(client, dry_run=True)
    assert (imported.is_dry_run, imported.created_count, imported.refused_count) == (True, 1, 1), imported
    assert not list(every_task(client, label="imported"))
    imported = upload(client, dry_run=False)
    assert (imported.is_dry_run, imported.created_count, imported.refused_count) == (False, 1, 1), imported
    assert [task.title for task in every_task(client, label="imported")] == ["From a file"]
    (error,) = list_import_errors.sync(imported.id, client=client).items
    assert (error.line, error.column) == (3, "status"), error
    sys.stdout.write("the walk is done\n")


def every_task(client, **filters):
    cursor = None
    while True:
        page = list_tasks.sync(client=client, limit=PAGE, **({"cursor": cursor} if cursor else {}), **filters)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def upload(client, *, dry_run):
    text = b"title;status;labels\nFrom a file;open;imported\nBad;this week;imported\n"
    form = CreateImportForm(
        file=File(io.BytesIO(text), "tasks.csv", "text/csv"),
        dry_run=dry_run,
        delimiter=CreateImportFormDelimiter(";"),
        mode=CreateImportFormMode.SKIP_BAD,
    )
    answer = create_import.sync_detailed(client=client, body=form, prefer="wait=30")
    assert answer.status_code == 201, answer
    return answer.parsed


if __name__ == "__main__":
    main(*sys.argv[1:])
