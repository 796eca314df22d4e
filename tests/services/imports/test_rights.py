"""The owner of an import needs the right to import during the upload and at every step of the work."""

import io

import pytest

from app.auth.tokens import TokenInvalidError
from app.errors import ForbiddenError, SessionEndedError
from app.models.imports.task_import import DuplicatePolicy, ImportBlock, ImportDraft, ImportMode, TaskImport
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.services.imports.imports import ImportOptions
from tests.services.imports.uploading import InterruptedStream
from tests.stored import count

LOSSES = ("deactivated", "demoted", "removed")
REASONS = {
    "deactivated": "mia may no longer import: the account is not active",
    "demoted": "mia may no longer import: the role is user",
    "removed": "mia may no longer import: not a member of the project",
}


class TestUploadUnderWay:
    @pytest.mark.parametrize(
        ("loss", "error"),
        [
            ("deactivated", SessionEndedError),
            ("logged out", SessionEndedError),
            ("demoted", ForbiddenError),
            ("removed", ForbiddenError),
        ],
    )
    @pytest.mark.parametrize(
        ("before", "after"),
        [(b"task_name\nOne\n", b""), (b"task_name\nOne\nTwo\nThree\nFour\n", b"Five\n")],
        ids=["before its end", "between two blocks"],
    )
    def test_is_refused_and_leaves_nothing_after_the_loss_of_the_right(
        self, services, session, manager, remove_right, monkeypatch, loss, error, before, after
    ):
        monkeypatch.setattr("app.csv_files.encodings.PIECE_BYTES", len(before))
        stream = InterruptedStream(before, lambda: remove_right(loss), after)

        with pytest.raises(error):
            services.imports.import_csv(
                manager, stream, filename="tasks.csv", options=ImportOptions(project="OPS"), idempotency_key="once"
            )

        assert count(session, Task) == count(session, TaskImport) == count(session, ImportBlock) == 0

    @pytest.mark.parametrize("end", ["revoked", "expired"])
    def test_is_refused_when_its_api_token_ends(self, services, session, factories, manager_user, boss, clock, end):
        token = factories.ApiToken(owner_id=manager_user.id)
        owner = services.actors.get_owner(token.digest)
        ends = {
            "revoked": lambda: services.api_tokens.revoke(boss, manager_user.id, token.id),
            "expired": lambda: clock.advance(days=2),
        }
        stream = InterruptedStream(b"task_name\nOne\n", ends[end])

        with pytest.raises(TokenInvalidError):
            services.imports.import_csv(
                owner, stream, filename="tasks.csv", options=ImportOptions(project="OPS"), idempotency_key="once"
            )

        assert count(session, Task) == count(session, TaskImport) == count(session, ImportBlock) == 0

    def test_goes_on_when_another_session_of_the_user_ends(self, services, session, manager, admin, acting_as):
        other_session = acting_as(session.get_one(type(admin), manager.user_id))
        stream = InterruptedStream(b"task_name\nOne\n", lambda: services.login.log_out(other_session))

        outcome = services.imports.import_csv(
            manager, stream, filename="tasks.csv", options=ImportOptions(project="OPS")
        )

        assert outcome.created_count == 1


class TestAcceptedImport:
    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("mode", ImportMode)
    @pytest.mark.parametrize("is_dry_run", [False, True])
    def test_fails_with_the_reason_before_its_first_row(
        self, services, session, stage, show_import, remove_right, loss, mode, is_dry_run
    ):
        import_id = stage("task_name", "One", mode=mode, is_dry_run=is_dry_run)
        remove_right(loss)

        services.import_runs.run_waiting()

        report = show_import(import_id)
        assert (report["state"], report["failure"], report["created_count"]) == ("failed", REASONS[loss], 0)
        assert report["finished_at"] is not None
        assert count(session, Task) == count(session, ImportBlock) == count(session, ImportDraft) == 0

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_makes_no_further_task_and_keeps_earlier_ones(
        self, services, session, stage, show_import, remove_right, clock, loss, policy
    ):
        import_id = stage("task_name", *map(str, range(10)), on_duplicate=policy)
        services.import_runs.work_on(services.import_runs.claim(import_id), until=clock())
        remove_right(loss)

        services.import_runs.run_waiting()

        report = show_import(import_id)
        assert (report["state"], report["failure"], report["created_count"]) == ("failed", REASONS[loss], 3)
        assert count(session, Task) == 3

    @pytest.mark.parametrize("loss", LOSSES)
    def test_makes_no_further_task_after_a_loss_during_a_claim(
        self, services, session, stage, show_import, remove_right, clock, loss
    ):
        """The owner had the right when the claim was made; each step asks again."""
        import_id = stage("task_name", *map(str, range(10)))
        claim = services.import_runs.claim(import_id)
        remove_right(loss)

        services.import_runs.work_on(claim, until=clock())

        assert (show_import(import_id)["state"], show_import(import_id)["failure"]) == ("failed", REASONS[loss])
        assert count(session, Task) == 0

    @pytest.mark.parametrize("loss", LOSSES)
    def test_is_not_loaded_after_its_check(self, services, session, stage, show_import, remove_right, clock, loss):
        import_id = stage("task_name", *map(str, range(5)), mode=ImportMode.ALL_OR_NOTHING)
        while show_import(import_id)["state"] == "checking":
            services.import_runs.work_on(services.import_runs.claim(import_id), until=clock())
        remove_right(loss)

        services.import_runs.run_waiting()

        assert (show_import(import_id)["state"], show_import(import_id)["failure"]) == ("failed", REASONS[loss])
        assert count(session, Task) == 0

    def test_goes_on_after_its_owner_logged_out(self, services, stage, show_import, remove_right):
        import_id = stage("task_name", "One")
        remove_right("logged out")

        services.import_runs.run_waiting()

        assert (show_import(import_id)["state"], show_import(import_id)["created_count"]) == ("finished", 1)

    def test_of_an_admin_needs_no_membership(self, services, stage, show_import, admin, acting_as):
        import_id = stage("task_name", "One", actor=acting_as(admin))

        services.import_runs.run_waiting()

        assert show_import(import_id)["created_count"] == 1


@pytest.fixture
def manager_user(factories):
    user = factories.User(username="mia", role=Role.MANAGER)
    factories.ProjectMember(project_id=factories.Project(key="OPS").id, user_id=user.id)
    return user


@pytest.fixture
def manager(manager_user, acting_as):
    return acting_as(manager_user)


@pytest.fixture
def remove_right(services, manager, admin, acting_as):
    """Take the manager's right to import away through the real services."""
    boss = acting_as(admin)
    removals = {
        "deactivated": lambda: services.people.deactivate(boss, manager.user_id),
        "demoted": lambda: services.people.change(boss, manager.user_id, {"role": Role.USER}),
        "removed": lambda: services.projects.remove_member(boss, "OPS", username="mia"),
        "logged out": lambda: services.login.log_out(manager),
    }
    return lambda loss: removals[loss]()


@pytest.fixture
def stage(services, manager, monkeypatch):
    """Send a file without waiting for its import; its blocks have three rows."""
    monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 3)

    def send(*lines, actor=manager, **options):
        stream = io.BytesIO("\n".join([*lines, ""]).encode())
        outcome = services.imports.import_csv(
            actor, stream, filename="tasks.csv", options=ImportOptions(project="OPS", **options), wait_seconds=0
        )
        return outcome.import_id

    return send
