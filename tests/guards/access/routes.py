"""The routes of the app as tests of access see them, and a valid request to each."""

import io
import re

from tests.factories import PASSWORD

AUTOMATIC_METHODS = {"HEAD", "OPTIONS"}
# A valid file for each route that takes another one than those of tasks.
FILES = {"/api/v1/imports/comments": b"task,author,body\nGEN-1,ada,One\n"}
PATH_ARGUMENT = re.compile(r"<(\w+:)?(?P<name>\w+)>")
# A user of this name must be in all projects, so that merging and reassigning have an effect.
MEMBER = "member"
# These routes need a valid body to reach the service.
BODIES = {
    ("POST", "/api/v1/tasks"): {"title": "One"},
    ("PUT", "/api/v1/tasks/<task:task_id>"): {"title": "One"},
    ("PATCH", "/api/v1/tasks/<task:task_id>"): {"title": "One"},
    ("PUT", "/api/v1/tasks/<task:task_id>/status"): {"status": "done"},
    ("PATCH", "/api/v1/tasks/<task:task_id>/status"): {"status": "done"},
    ("POST", "/api/v1/tasks/<task:task_id>/comments"): {"body": "One"},
    ("PATCH", "/api/v1/tasks/<task:task_id>/comments/<id:comment_id>"): {"body": "Two"},
    ("POST", "/api/v1/tasks/<task:task_id>/move"): {"status": "done"},
    # An item of its own is refused for a task that the caller may not change, and the answer is still a 200.
    ("POST", "/api/v1/tasks/bulk"): {"items": [{"task": 1, "assign": None}], "atomic": False},
    ("POST", "/api/v1/projects"): {"key": "WEB", "name": "Web"},
    ("PATCH", "/api/v1/projects/<key>"): {"name": "Web"},
    ("POST", "/api/v1/projects/<key>/members"): {"members": [MEMBER]},
    ("POST", "/api/v1/views"): {"name": "Mine"},
    ("PATCH", "/api/v1/views/<id:view_id>"): {"name": "Changed"},
    ("PUT", "/api/v1/views/pins"): {"views": []},
    ("PATCH", "/api/v1/users/<user:user_id>"): {"time_zone": "UTC"},
    ("POST", "/api/v1/users/<user:user_id>/merge"): {"into": MEMBER},
    ("POST", "/api/v1/users/<user:user_id>/reassign"): {"to": MEMBER},
    ("POST", "/api/v1/auth/tokens"): {"name": "Report", "scopes": ["tasks:read"]},
    ("POST", "/api/v1/users/<user:user_id>/tokens"): {"name": "Report", "scopes": ["tasks:read"]},
    ("PUT", "/api/v1/auth/password"): {"current_password": PASSWORD, "new_password": "a brand new password"},
    ("POST", "/task"): {"task_name": "One"},
    ("PUT", "/task/<id:task_id>"): {"task_name": "One"},
}


def operations(app):
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - AUTOMATIC_METHODS):
            yield rule, method


def view_of(app, rule):
    return app.view_functions[rule.endpoint]


def permission_of(app, rule):
    return getattr(view_of(app, rule), "permission", None)


def path_of(rule, named):
    """The path of a rule, with each argument replaced by what `named` returns for its name."""
    return PATH_ARGUMENT.sub(lambda match: str(named(match["name"])), rule.rule)


def nameless(route):
    """OpenAPI knows one path where ours differ only in a parameter's name."""
    return re.sub(r"<[^>]+>|\{\w+\}", "{}", route)


def send(client, method, rule, path, *, body=None):
    """Send a valid request to this route, or one with another body."""
    if getattr(client.app.view_functions[rule.endpoint], "takes_file", False):
        return client.request(
            method, path, data={"file": (io.BytesIO(FILES.get(rule.rule, b"task_name\nOne\n")), "one.csv")}
        )
    if method == "GET":
        return client.get(path)
    return client.request(method, path, json=BODIES.get((method, rule.rule), {}) if body is None else body)
