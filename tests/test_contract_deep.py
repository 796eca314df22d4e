"""Promise 8 with more examples, against a real api: 200 for each operation, and sequences of operations."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api_process import PASSWORD, running_api_on_new_database

EXAMPLES = 200
# Python 3.11 sometimes fails with "AST constructor recursion depth" if Hypothesis parses code in several threads.
WORKERS = 1
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
]
# These operations end the session, or change the account, that later examples need.
ENDS_THE_SESSION = ["/api/v1/auth/logout", "/api/v1/auth/password"]
CHANGES_THE_ADMIN = ["PATCH /api/v1/users/{user_id}", "DELETE /api/v1/users/{user_id}"]
# This route rightly answers 503 without a worker and a beat.
NOT_READY = ["/readyz"]


@pytest.mark.deep
@pytest.mark.parametrize("role", ["admin", "user"])
def test_every_operation_answers_as_documented_with_many_examples(base_settings, postgres_url, tmp_path, role):
    with running_api_on_new_database(base_settings, postgres_url, tmp_path, ACCESS_TOKEN_MINUTES="1440") as api:
        excluded = [("path", path) for path in ENDS_THE_SESSION + NOT_READY]
        if role == "admin":
            excluded += [("name", name) for name in CHANGES_THE_ADMIN]
        else:
            account = {"username": "somebody", "email": "somebody@example.org", "password": PASSWORD}
            assert api.request("POST", "/api/v1/auth/register", json.dumps(account).encode()).status == 201
            api.log_in("somebody")
        run = schemathesis(f"http://127.0.0.1:{api.port}", api.headers["Authorization"], excluded, tmp_path)

        assert run.returncode == 0, run.stdout[-20_000:]
        assert api.process.poll() is None
        assert api.request("GET", "/api/v1/auth/me").status == 200


def schemathesis(url: str, authorization: str, excluded: list[tuple[str, str]], directory: Path):
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/api/v1/openapi.json"),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--no-color", "--workers", str(WORKERS)),
        *("--checks", ",".join(CHECKS)),
        *("--header", f"Authorization: {authorization}"),
        *(word for kind, value in excluded for word in (f"--exclude-{kind}", value)),
        *("--generation-database", "none", "--request-timeout", "60", "--suppress-health-check", "all"),
        *("--warnings", "off"),
    ]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
