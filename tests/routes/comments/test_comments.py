import pytest

from app.models.comments.comment import MAX_BODY_LENGTH
from app.models.login.api_token import TokenScope
from app.models.people.user import Role

TASKS = "/api/v1/tasks"


class TestCreate:
    def test_answers_with_the_comment_and_its_address(self, as_ann, path, commented):
        assert commented.status_code == 201
        assert commented.headers["Location"] == f"{path}/{commented.json['id']}"
        assert commented.headers["ETag"] == f'"{commented.json["id"]}.1"'
        assert as_ann.get(commented.headers["Location"]).json == commented.json

    def test_by_the_ref_of_the_task(self, as_ann, task):
        answer = as_ann.post(f"{TASKS}/ops-{task.number}/comments", {"body": "One"})

        assert (answer.status_code, answer.json["task_id"]) == (201, task.id)
        assert as_ann.get(answer.headers["Location"]).status_code == 200

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            ({}, "Missing data for required field."),
            ({"body": ""}, f"Length must be between 1 and {MAX_BODY_LENGTH}."),
            ({"body": " \n\t"}, "Must not be blank."),
            ({"body": "a" * (MAX_BODY_LENGTH + 1)}, f"Length must be between 1 and {MAX_BODY_LENGTH}."),
            ({"body": "a\x00"}, "Must not contain a NUL character."),
            ({"body": 1}, "Not a valid string."),
            ({"body": None}, "Field may not be null."),
        ],
    )
    def test_a_bad_body_is_named(self, as_ann, path, body, detail):
        answer = as_ann.post(path, body)

        assert (answer.status_code, answer.json["errors"]) == (422, [{"pointer": "/body", "detail": detail}])

    @pytest.mark.parametrize("body", ["a" * MAX_BODY_LENGTH, " a ", "\r\n a\r\n", "\u202e@ann", "👩‍👩‍👧", "\ufeffa"])
    def test_a_body_is_kept_exactly(self, as_ann, path, body):
        assert as_ann.post(path, {"body": body}).json["body"] == body

    def test_a_repeated_request_writes_one(self, as_ann, path):
        answers = [as_ann.post(path, {"body": "One"}, headers={"Idempotency-Key": "once"}) for _ in range(2)]

        assert answers[0].data == answers[1].data
        assert len(as_ann.get(path).json["items"]) == 1

    def test_refusals(self, client, member_client, as_user, path):
        body = {"body": "One"}

        assert client.post(path, body).status_code == 401
        assert member_client("vera", Role.VIEWER).post(path, body).status_code == 403
        assert as_user.post(path, body).status_code == 404

    def test_a_token_that_only_reads_may_not(self, client, factories, ops, path):
        user = factories.User()
        factories.ProjectMember(project_id=ops.id, user_id=user.id)
        reading = client.with_api_token_of(user, TokenScope.TASKS_READ)
        writing = client.with_api_token_of(user, TokenScope.TASKS_READ, TokenScope.TASKS_WRITE)

        assert reading.post(path, {"body": "One"}).json["code"] == "insufficient_scope"
        assert writing.post(path, {"body": "One"}).status_code == 201
        assert len(reading.get(path).json["items"]) == 1


class TestList:
    def test_has_a_link_to_the_next_page(self, as_ann, path, commented):
        as_ann.post(path, {"body": "Two"})

        first = as_ann.get(f"{path}?limit=1&sort=-created_at")
        second = as_ann.get(f"{path}?limit=1&sort=-created_at&cursor={first.json['next_cursor']}")

        assert [answer.json["items"][0]["body"] for answer in (first, second)] == ["Two", "One"]
        assert first.headers["Link"].endswith('rel="next"')
        assert second.json["next_cursor"] is None

    @pytest.mark.parametrize(
        "query",
        ["sort=author", "limit=0", "limit=201", "as_of=2999-01-01", "as_of=x", "cursor=x", "deleted=maybe", "page=1",
         "sort=created_at&cursor=WyItY3JlYXRlZF9hdCIsIjIwMjYtMDEtMDEgMDA6MDA6MDArMDAiLDFd"],
    )  # fmt: skip
    def test_a_bad_query_is_refused(self, as_ann, path, query):
        assert as_ann.get(f"{path}?{query}").status_code == 422

    def test_deleted_ones_are_for_managers_and_admins(self, as_ann, as_admin, path, commented):
        as_ann.delete(f"{path}/{commented.json['id']}")

        assert as_ann.get(f"{path}?deleted=true").status_code == 403
        assert len(as_admin.get(f"{path}?deleted=true").json["items"]) == 1


class TestChange:
    def test_a_client_with_this_version_gets_no_body(self, as_ann, path, commented):
        answer = as_ann.get(f"{path}/{commented.json['id']}", headers={"If-None-Match": commented.headers["ETag"]})

        assert (answer.status_code, answer.data) == (304, b"")

    def test_an_edit_of_the_version_that_was_read_is_made_once(self, as_ann, path, commented):
        one, tag = f"{path}/{commented.json['id']}", {"If-Match": commented.headers["ETag"]}

        first = as_ann.patch(one, {"body": "Two"}, headers=tag)
        second = as_ann.patch(one, {"body": "Three"}, headers=tag)

        assert (first.status_code, second.status_code, second.json["code"]) == (200, 412, "precondition_failed")
        assert as_ann.delete(one, headers=tag).status_code == 412
        assert as_ann.delete(one, headers={"If-Match": first.headers["ETag"]}).status_code == 204
        assert as_ann.get(one).status_code == 404

    def test_versions(self, as_ann, path, commented):
        one = f"{path}/{commented.json['id']}"
        as_ann.patch(one, {"body": "Two"})

        answer = as_ann.get(f"{one}/versions?limit=1")

        assert answer.json["items"][0] | {"at": None, "request_id": None} == {
            "version": 2,
            "at": None,
            "until": None,
            "event": "edited",
            "actor": "ann",
            "request_id": None,
            "body": "Two",
            "body_html": "<p>Two</p>\n",
            "mentions": [],
        }
        assert answer.headers["Link"].endswith('rel="next"')

    def test_somebody_else_is_refused(self, as_ann, as_admin, as_user, member_client, path, commented):
        one, as_bob = f"{path}/{commented.json['id']}", member_client("bob")

        assert [each.patch(one, {"body": "Two"}).status_code for each in (as_bob, as_admin, as_user)] == [403, 403, 404]
        assert [each.delete(one).status_code for each in (as_bob, as_user, as_admin)] == [403, 404, 204]

    def test_an_unknown_comment_is_not_found(self, as_ann, path):
        for one in (f"{path}/999999999", f"{path}/99999999999999999999999"):
            assert as_ann.get(one).status_code == 404
            assert as_ann.patch(one, {"body": "Two"}).status_code == 404
            assert as_ann.delete(one).status_code == 404
            assert as_ann.get(f"{one}/versions").status_code == 404


class TestTasks:
    def test_a_comment_changes_the_answer_and_its_tag_but_not_the_task(self, as_ann, task, path):
        one = f"{TASKS}/{task.id}"
        before = as_ann.get(one)

        as_ann.post(path, {"body": "One"})
        after = as_ann.get(one, headers={"If-None-Match": before.headers["ETag"]})

        assert (after.status_code, after.json["comment_count"], after.json["version"]) == (200, 1, 1)
        assert as_ann.get(one, headers={"If-None-Match": after.headers["ETag"]}).status_code == 304
        changed = as_ann.patch(one, {"title": "New"}, headers={"If-Match": before.headers["ETag"]})
        assert (changed.status_code, changed.json["comment_count"]) == (200, 1)
        assert as_ann.patch(one, {"title": "Newer"}, headers={"If-Match": after.headers["ETag"]}).status_code == 412

    def test_a_tag_with_a_count_stands_for_the_version_too(self, as_ann, task, path):
        one = f"{TASKS}/{task.id}"
        as_ann.post(path, {"body": "One"})
        tag = as_ann.get(one).headers["ETag"]
        as_ann.post(path, {"body": "Two"})

        assert as_ann.patch(one, {"title": "New"}, headers={"If-Match": tag}).status_code == 200

    @pytest.mark.parametrize("tag", ['""', '"', ",", "W/", "x", '"1"', '"1.1.1.1', '"."'])
    def test_an_odd_tag_holds_for_no_version(self, as_ann, task, tag):
        answer = as_ann.patch(f"{TASKS}/{task.id}", {"title": "New"}, headers={"If-Match": tag})

        assert answer.status_code == 412

    def test_lists_show_the_count_at_once(self, as_ann, path):
        def counted():
            return as_ann.get(f"{TASKS}?fields=comment_count&project=OPS").json["items"]

        assert counted() == counted() == [{"comment_count": 0}]
        comment = as_ann.post(path, {"body": "One"}).json
        assert counted() == [{"comment_count": 1}]
        as_ann.delete(f"{path}/{comment['id']}")
        assert counted() == [{"comment_count": 0}]

    def test_nobody_sets_it(self, as_ann, task):
        assert as_ann.patch(f"{TASKS}/{task.id}", {"comment_count": 5}).status_code == 422

    def test_files_and_history_do_not_have_it(self, as_ann, task, path):
        as_ann.post(path, {"body": "One"})

        assert "comment" not in as_ann.get(f"{TASKS}/export").text
        assert len(as_ann.get(f"{TASKS}/{task.id}/history").json["items"]) == 1


class TestExport:
    def test_is_a_file(self, as_ann, commented):
        answer = as_ann.get("/api/v1/comments/export?project=ops,gen")

        assert answer.headers["Content-Disposition"] == 'attachment; filename="comments.csv"'
        assert answer.headers["X-Row-Count"] == "1"
        assert answer.text.splitlines()[1].endswith(",One")

    def test_refusals(self, client, as_ann, as_user, commented):
        assert client.get("/api/v1/comments/export").status_code == 401
        assert as_user.get("/api/v1/comments/export").headers["X-Row-Count"] == "0"
        for query in ("project=?", "task=1", "deleted=true"):
            assert as_ann.get(f"/api/v1/comments/export?{query}").status_code == 422
