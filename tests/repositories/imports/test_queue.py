from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from app.models.imports.task_import import (
    DuplicatePolicy,
    ImportBlock,
    ImportDraft,
    ImportMode,
    ImportState,
    TaskImport,
)
from app.repositories.imports.queue import Claim, ImportQueueRepository
from tests.factories import general_project

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
EARLIER = NOON - timedelta(seconds=1)
LATER = NOON + timedelta(seconds=1)
LATEST_END = NOON + timedelta(seconds=15)
TOO_LATE = LATEST_END + timedelta(seconds=1)
HASH = bytes(range(32))


class TestFindWaiting:
    @pytest.mark.parametrize(
        ("values", "is_found"),
        [
            ({}, True),
            ({"state": ImportState.CHECKING}, True),
            ({"state": ImportState.STAGING}, False),
            ({"state": ImportState.STAGING, "claimed_until": EARLIER}, False),
            ({"state": ImportState.FINISHED, "finished_at": NOON}, False),
            ({"state": ImportState.FAILED, "finished_at": NOON}, False),
            ({"claimed_until": EARLIER}, True),
            ({"claimed_until": NOON}, False),
            ({"claimed_until": LATER}, False),
            ({"claimed_until": LATEST_END}, False),
            ({"claimed_until": TOO_LATE}, True),
            ({"claimed_until": NOON + timedelta(hours=2)}, True),
        ],
    )
    def test_finds_staged_unfinished_and_unclaimed_imports(self, repository, new_import, values, is_found):
        task_import = new_import(**values)

        waiting = repository.find_waiting(now=NOON, latest_end=LATEST_END)

        assert (waiting is task_import) is is_found
        assert (
            repository.find_waiting(now=NOON, latest_end=LATEST_END, import_id=task_import.id) is task_import
        ) is is_found

    def test_orders_by_the_number_of_claims_and_then_by_age(self, repository, session, new_import):
        imports = [new_import(claim_number=number) for number in (3, 1, 2, 1)]

        order = []
        while (waiting := repository.find_waiting(now=NOON, latest_end=LATEST_END)) is not None:
            order.append(imports.index(waiting))
            waiting.claimed_until = LATER
            session.flush()

        assert order == [1, 3, 2, 0]

    @pytest.mark.parametrize(
        ("other", "may_begin"),
        [
            ({"claimed_until": LATER}, False),
            ({"claimed_until": LATER, "on_duplicate": DuplicatePolicy.UPDATE}, False),
            ({"claimed_until": EARLIER}, True),
            ({"claimed_until": TOO_LATE}, True),
            ({"claimed_until": None}, True),
            ({"claimed_until": LATER, "state": ImportState.STAGING}, True),
            ({"claimed_until": LATER, "finished_at": NOON}, True),
            ({"claimed_until": EARLIER, "mode": ImportMode.ALL_OR_NOTHING}, False),
            ({"claimed_until": None, "mode": ImportMode.ALL_OR_NOTHING}, False),
            ({"claimed_until": None, "mode": ImportMode.ALL_OR_NOTHING, "state": ImportState.CHECKING}, True),
            ({"mode": ImportMode.ALL_OR_NOTHING, "finished_at": NOON}, True),
        ],
    )
    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_an_import_that_looks_for_duplicates_waits_for_the_running_one(
        self, repository, new_import, other, may_begin, policy
    ):
        new_import(**other)
        task_import = new_import(on_duplicate=policy)

        waiting = repository.find_waiting(now=NOON, latest_end=LATEST_END, import_id=task_import.id)

        assert (waiting is not None) is (may_begin or policy is DuplicatePolicy.CREATE)

    def test_two_all_or_nothing_imports_do_not_wait_for_each_other(self, repository, new_import):
        imports = [new_import(on_duplicate=DuplicatePolicy.SKIP, mode=ImportMode.ALL_OR_NOTHING) for _ in range(2)]

        assert repository.find_waiting(now=NOON, latest_end=LATEST_END) is imports[0]
        assert repository.find_waiting(now=NOON, latest_end=LATEST_END, import_id=imports[1].id) is None


class TestHold:
    def test_only_the_latest_claim_holds(self, repository, new_import):
        task_import = new_import(claim_number=2)

        assert repository.hold(Claim(task_import.id, 2)) is task_import
        assert repository.hold(Claim(task_import.id, 1)) is None

    def test_no_claim_holds_a_finished_import(self, repository, new_import):
        task_import = new_import(claim_number=2, finished_at=NOON)

        assert repository.hold(Claim(task_import.id, 2)) is None

    def test_no_claim_holds_a_missing_import(self, repository):
        assert repository.hold(Claim(999_999, 1)) is None

    def test_reads_the_current_row_again(self, repository, session, new_import):
        task_import = new_import(claim_number=2)
        session.execute(update(TaskImport).values(next_block=7), execution_options={"synchronize_session": False})

        assert repository.hold(Claim(task_import.id, 2)).next_block == 7


class TestBlocks:
    @pytest.mark.parametrize("body", [b"", b"One,\x00\xff\n", "€🔑\u2028".encode(), b"x" * 3_000_000])
    def test_a_block_reads_back_unchanged(self, repository, new_import, body):
        import_id = new_import().id
        repository.add_block(ImportBlock(import_id=import_id, number=3, first_row=9, first_line=12, body=body))

        block = repository.get_block(import_id, 3)

        assert (block.number, block.first_row, block.first_line, block.body) == (3, 9, 12, body)

    def test_only_the_blocks_of_one_import_are_dropped(self, repository, session, new_import):
        ids = [new_import().id for _ in range(2)]
        for import_id in ids:
            repository.add_block(ImportBlock(import_id=import_id, number=0, first_row=1, first_line=2, body=b""))

        repository.drop_staged(ids[0])

        assert session.scalars(select(ImportBlock.import_id)).all() == [ids[1]]

    def test_a_discarded_import_loses_all_of_its_rows(self, repository, session, new_import):
        import_id = new_import(state=ImportState.STAGING).id
        repository.add_block(ImportBlock(import_id=import_id, number=0, first_row=1, first_line=2, body=b""))

        repository.discard(import_id)

        for model in (TaskImport, ImportBlock, ImportDraft):
            assert session.scalar(select(func.count()).select_from(model)) == 0

    def test_an_accepted_import_is_not_discarded(self, repository, session, new_import):
        """This is the case when the answer to the last commit of an upload was lost."""
        repository.discard(new_import().id)

        assert session.scalar(select(func.count()).select_from(TaskImport)) == 1


class TestFindTwin:
    @pytest.mark.parametrize(
        ("values", "is_twin"),
        [
            ({}, True),
            ({"claimed_until": LATER}, True),
            ({"finished_at": NOON, "state": ImportState.FINISHED}, True),
            ({"finished_at": LATER, "state": ImportState.FINISHED}, True),
            ({"finished_at": EARLIER, "state": ImportState.FINISHED}, False),
            ({"finished_at": LATER, "state": ImportState.FAILED}, False),
            ({"content_hash": bytes(32)}, False),
            ({"content_hash": None, "state": ImportState.STAGING}, False),
        ],
    )
    def test_has_the_same_content_and_person_and_ended_after_this_one_began(
        self, repository, new_import, values, is_twin
    ):
        first = new_import(**{"content_hash": HASH, **values})
        task_import = new_import(state=ImportState.STAGING)

        repository.lock_twins(HASH)
        twin = repository.find_twin(task_import, HASH, since=NOON)

        assert twin == (first.id if is_twin else None)

    def test_an_import_of_another_user_is_not_a_twin(self, repository, new_import, factories):
        new_import(content_hash=HASH, creator_id=factories.User().id)

        assert repository.find_twin(new_import(), HASH, since=NOON) is None

    def test_the_first_of_several_twins_is_returned(self, repository, new_import):
        first, *_others = (new_import(content_hash=HASH) for _ in range(3))

        assert repository.find_twin(new_import(), HASH, since=NOON) == first.id

    @pytest.mark.parametrize("content_hash", [bytes(32), b"\xff" * 32, b"\x80" + bytes(31)])
    def test_every_hash_can_be_locked(self, repository, content_hash):
        repository.lock_twins(content_hash)


class TestDiscardBrokenUploads:
    @pytest.mark.parametrize(
        ("values", "is_left"),
        [
            ({"state": ImportState.STAGING, "claimed_until": EARLIER}, False),
            ({"state": ImportState.STAGING, "claimed_until": NOON}, True),
            ({"state": ImportState.STAGING, "claimed_until": LATEST_END}, True),
            ({"state": ImportState.STAGING, "claimed_until": TOO_LATE}, False),
            ({"state": ImportState.LOADING, "claimed_until": EARLIER}, True),
            ({"state": ImportState.CHECKING, "claimed_until": EARLIER}, True),
            ({"state": ImportState.FINISHED, "finished_at": EARLIER}, True),
        ],
    )
    def test_discards_uploads_whose_lease_is_over(self, repository, session, new_import, values, is_left):
        new_import(**values)

        repository.discard_broken_uploads(now=NOON, latest_end=LATEST_END)

        assert session.scalar(select(func.count()).select_from(TaskImport)) == (1 if is_left else 0)


@pytest.fixture
def repository(session):
    return ImportQueueRepository(session)


@pytest.fixture
def new_import(session, factories):
    """Make an import that is staged and waiting; `values` may override that."""
    creator_id = factories.User().id

    def make(**values):
        task_import = TaskImport(
            **{
                "creator_id": creator_id,
                "project_id": general_project(session).id,
                "filename": "tasks.csv",
                "state": ImportState.LOADING,
                **values,
            }
        )
        session.add(task_import)
        session.flush()
        return task_import

    return make
