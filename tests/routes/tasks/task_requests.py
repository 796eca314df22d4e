"""The URL and fields of tasks, and how to follow pages of them."""

TASKS = "/api/v1/tasks"
FIELDS = {
    *("id", "ref", "project", "title", "description", "status", "priority", "labels", "creator", "assignee"),
    *("due_at", "external_ref", "position", "created_at", "updated_at", "started_at", "completed_at", "deleted_at"),
    *("version", "start_on", "estimate", "recurrence", "parent", "subtask_count", "subtasks_done", "progress"),
    "comment_count",
}
UNKNOWN_ID = 999_999_999
MAX_BIGINT = 2**63 - 1


def ids_of(response):
    assert response.status_code == 200
    return [task["id"] for task in response.json["items"]]
