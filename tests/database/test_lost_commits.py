# ruff: noqa: PT012 - a block that raises is what these tests are about
import pytest
from sqlalchemy import delete, func, select, text

from app.database.engine import JOB_TIMEOUTS, make_engine, make_session_factory
from app.database.unit_of_work import UnitOfWork
from app.errors import OutcomeUnknownError, UnavailableError
from app.events import TaskChanged
from app.models.projects.project import Project
from tests import servers
from tests.database.proxy import Cut, cutting_proxy


class TestLostCommit:
    def test_whose_change_was_made_counts_as_made(self, proxy, uow, own_session, released, projects):
        proxy.cut(Cut.AFTER_THE_COMMIT)

        with uow.transaction():
            uow.sign(1)
            uow.publish(TaskChanged(1))
            own_session.add(Project(key="OPS", name="Operations"))

        assert projects("OPS") == 1
        assert released == [TaskChanged(1)]

    def test_whose_change_was_not_made_had_no_effect(self, proxy, uow, own_session, released, projects):
        proxy.cut(Cut.BEFORE_THE_COMMIT)

        with pytest.raises(UnavailableError) as caught, uow.transaction():
            uow.sign(1)
            uow.publish(TaskChanged(1))
            own_session.add(Project(key="OPS", name="Operations"))

        assert caught.value.code == "unavailable"
        assert projects("OPS") == 0
        assert released == []

    @pytest.mark.parametrize("cut", Cut)
    def test_is_of_unknown_outcome_while_nobody_can_be_asked(self, proxy, uow, own_session, cut):
        proxy.cut(cut, for_good=True)

        with pytest.raises(OutcomeUnknownError) as caught, uow.transaction():
            uow.sign(1)
            own_session.add(Project(key="OPS", name="Operations"))

        assert caught.value.code == "outcome_unknown"
        assert caught.value.retry_after_seconds > 0

    def test_is_of_unknown_outcome_where_the_transaction_has_no_number(self, proxy, uow, own_session):
        proxy.cut(Cut.AFTER_THE_COMMIT)

        with pytest.raises(OutcomeUnknownError), uow.transaction():
            own_session.add(Project(key="OPS", name="Operations"))

    def test_of_a_transaction_that_only_read_loses_nothing(self, proxy, uow, own_session):
        proxy.cut(Cut.BEFORE_THE_COMMIT)

        with pytest.raises(UnavailableError) as caught, uow.transaction():
            own_session.execute(text("SELECT 1"))

        assert caught.value.code == "unavailable"

    def test_leaves_a_session_that_goes_on(self, proxy, uow, own_session, projects):
        proxy.cut(Cut.AFTER_THE_COMMIT)
        with uow.transaction():
            uow.sign(1)
            own_session.add(Project(key="OPS", name="Operations"))

        with uow.transaction():
            own_session.add(Project(key="DEV", name="Development"))

        assert (projects("OPS"), projects("DEV")) == (1, 1)


@pytest.fixture(scope="module")
def own_database_url(postgres_url):
    with servers.migrated_database(postgres_url) as url:
        yield url


@pytest.fixture
def proxy(own_database_url):
    with cutting_proxy(own_database_url) as proxy:
        yield proxy


@pytest.fixture
def own_session(proxy):
    engine = make_engine(proxy.url, pool_size=1, timeouts=JOB_TIMEOUTS)
    with make_session_factory(engine)() as session:
        yield session
    engine.dispose()


@pytest.fixture
def released():
    return []


@pytest.fixture
def uow(own_session, released):
    return UnitOfWork(own_session, released.append)


@pytest.fixture
def projects(own_database_url):
    """Count, past the proxy, the projects of that key."""
    engine = make_engine(own_database_url, pool_size=1, timeouts=JOB_TIMEOUTS)

    def count(key):
        with engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(Project).where(Project.key == key))

    yield count
    engine.dispose()


@pytest.fixture(autouse=True)
def _tidy(own_database_url):
    yield
    engine = make_engine(own_database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    with engine.begin() as connection:
        connection.execute(delete(Project).where(Project.key != "GEN"))
    engine.dispose()
