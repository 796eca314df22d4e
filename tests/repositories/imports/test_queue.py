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
        ("values", "waits"),
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
    def test_waits_what_is_staged_and_not_finished_and_nobodys(self, repository, new_import, values, waits):
        task_import = new_import(**values)

        found = repository.find_waiting(now=NOON, latest_end=LATEST_END)

        assert (found is task_import) is waits
        assert (
            repository.find_waiting(now=NOON, latest_end=LATEST_END, import_id=task_import.id) is task_import
        ) is waits

    def test_what_was_claimed_least_often_comes_first_and_then_the_oldest(self, repository, session, new_import):
        imports = [new_import(claim_number=number) for number in (3, 1, 2, 1)]

        order = []
        while (found := repository.find_waiting(now=NOON, latest_end=LATEST_END)) is not None:
            order.append(imports.index(found))
            found.claimed_until = LATER
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
    def test_who_looks_for_duplicates_waits_for_who_is_at_work(self, repository, new_import, other, may_begin, policy):
        new_import(**other)
        task_import = new_import(on_duplicate=policy)

        found = repository.find_waiting(now=NOON, latest_end=LATEST_END, import_id=task_import.id)

        assert (found is not None) is (may_begin or policy is DuplicatePolicy.CREATE)

    def test_two_that_load_whole_do_not_wait_for_each_other(self, repository, new_import):
        imports = [new_import(on_duplicate=DuplicatePolicy.SKIP, mode=ImportMode.ALL_OR_NOTHING) for _ in range(2)]

        assert repository.find_waiting(now=NOON, latest_end=LATEST_END) is imports[0]
        assert repository.find_waiting(now=NOON, latest_end=LATEST_END, import_id=imports[1].id) is None


class TestHold:
    def test_the_claim_that_was_given_last_holds(self, repository, new_import):
        task_import = new_import(claim_number=2)

        assert repository.hold(Claim(task_import.id, 2)) is task_import
        assert repository.hold(Claim(task_import.id, 1)) is None

    def test_nothing_holds_what_is_finished(self, repository, new_import):
        task_import = new_import(claim_number=2, finished_at=NOON)

        assert repository.hold(Claim(task_import.id, 2)) is None

    def test_nothing_holds_what_is_not_there(self, repository):
        assert repository.hold(Claim(999_999, 1)) is None

    def test_it_is_read_afresh(self, repository, session, new_import):
        task_import = new_import(claim_number=2)
        session.execute(update(TaskImport).values(next_block=7), execution_options={"synchronize_session": False})

        assert repository.hold(Claim(task_import.id, 2)).next_block == 7


class TestBlocks:
    @pytest.mark.parametrize("body", [b"", b"One,\x00\xff\n", "€🔑\u2028".encode(), b"x" * 3_000_000])
    def test_comes_out_as_it_went_in(self, repository, new_import, body):
        import_id = new_import().id
        repository.add_block(ImportBlock(import_id=import_id, number=3, first_row=9, first_line=12, body=body))

        block = repository.get_block(import_id, 3)

        assert (block.number, block.first_row, block.first_line, block.body) == (3, 9, 12, body)

    def test_what_is_dropped_is_one_imports(self, repository, session, new_import):
        ids = [new_import().id for _ in range(2)]
        for import_id in ids:
            repository.add_block(ImportBlock(import_id=import_id, number=0, first_row=1, first_line=2, body=b""))

        repository.drop_staged(ids[0])

        assert session.scalars(select(ImportBlock.import_id)).all() == [ids[1]]

    def test_what_is_discarded_takes_all_of_its_own_along(self, repository, session, new_import):
        import_id = new_import(state=ImportState.STAGING).id
        repository.add_block(ImportBlock(import_id=import_id, number=0, first_row=1, first_line=2, body=b""))

        repository.discard(import_id)

        for model in (TaskImport, ImportBlock, ImportDraft):
            assert session.scalar(select(func.count()).select_from(model)) == 0

    def test_what_was_accepted_is_not_discarded(self, repository, session, new_import):
        """As when the answer to the last commit of an upload was lost."""
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
    def test_is_the_same_by_the_same_person_not_finished_before_this_one_began(
        self, repository, new_import, values, is_twin
    ):
        first = new_import(**{"content_hash": HASH, **values})
        task_import = new_import(state=ImportState.STAGING)

        repository.lock_twins(HASH)
        found = repository.find_twin(task_import, HASH, since=NOON)

        assert found == (first.id if is_twin else None)

    def test_somebody_elses_is_none(self, repository, new_import, factories):
        new_import(content_hash=HASH, creator_id=factories.User().id)

        assert repository.find_twin(new_import(), HASH, since=NOON) is None

    def test_of_several_it_is_the_first(self, repository, new_import):
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
    def test_are_uploads_whose_lease_is_over(self, repository, session, new_import, values, is_left):
        new_import(**values)

        repository.discard_broken_uploads(now=NOON, latest_end=LATEST_END)

        assert session.scalar(select(func.count()).select_from(TaskImport)) == (1 if is_left else 0)


@pytest.fixture
def repository(session):
    return ImportQueueRepository(session)


@pytest.fixture
def new_import(session, factories):
    """Staged and waiting, of one creator, unless told otherwise."""
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
