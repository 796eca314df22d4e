"""Bodies of unknown length. Bodies of a known length are refused before they are read."""

import gc
import io
import json
from dataclasses import replace

import pytest

from app.models.people.user import Role


class TestChunkedBodies:
    def test_a_body_within_the_limit_is_read_completely(self, post_chunked):
        answer = post_chunked("/api/v1/tasks", json.dumps({"title": "Told in chunks"}).encode())

        assert answer.status_code == 201

    def test_a_body_over_the_limit_is_refused_and_not_cut(self, post_chunked):
        answer = post_chunked("/api/v1/tasks", b'{"title": "x", "description": "' + b"d" * 2_000_000 + b'"}')

        assert (answer.status_code, answer.json["code"]) == (413, "too_large")

    # Werkzeug leaves its unfinished temporary file to the garbage collector, which warns about it.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_file_over_the_limit_leaves_no_task(self, post_chunked, client, admin):
        rows = b"task_name\n" + b"A task of a file that has no end\n" * 10_000
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\n' + rows + b"\r\n--b--\r\n"

        answer = post_chunked("/upload-csv", body, content_type="multipart/form-data; boundary=b")

        gc.collect()
        assert (answer.status_code, answer.json) == (413, {"error": "the request body is too large"})
        assert client.acting_as(admin).get("/activetasks").json == []


@pytest.fixture
def settings(base_settings):
    return replace(base_settings, max_upload_bytes=100_000)


@pytest.fixture
def post_chunked(app, client, factories):
    token = client.token_of(factories.User(role=Role.ADMIN))

    def post(path, body, content_type="application/json"):
        """Post as a WSGI server passes on a chunked body: without a length, as a stream that ends."""
        return app.test_client().post(
            path,
            input_stream=io.BytesIO(body),
            headers={"Transfer-Encoding": "chunked", "Authorization": f"Bearer {token}"},
            content_type=content_type,
            environ_overrides={"wsgi.input_terminated": True},
        )

    return post
