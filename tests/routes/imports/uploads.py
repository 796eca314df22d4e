"""Upload CSV files and count what they left."""

import io

IMPORTS = "/api/v1/imports"
FIELDS = {
    *(
        "id",
        "kind",
        "filename",
        "project",
        "creator",
        "is_dry_run",
        "mode",
        "on_duplicate",
        "create_users",
        "ignored_columns",
    ),
    *("state", "read_count", "created_count", "updated_count", "skipped_count", "refused_count", "error_count"),
    *("failure", "created_at", "finished_at"),
}
# An import by itself has these, too.
DETAILS = FIELDS | {"date_format", "column_map", "status_map", "priority_map", "people_map", "problem_groups"}
CSV = b"task_name,status\nOne,todo\nTwo,maybe\nThree,done\n"


def upload(client, content, *, headers=None, filename="tasks.csv", **form):
    return client.request("POST", IMPORTS, data={**form, "file": (io.BytesIO(content), filename)}, headers=headers)
