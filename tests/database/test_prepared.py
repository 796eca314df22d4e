"""Statements that a connection plans once."""

import pytest
from sqlalchemy import BigInteger, Text, create_engine, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.database.engine import JOB_TIMEOUTS, PLANNED, let_plan_once, make_engine, make_session_factory
from app.database.prepared import MAX_PLANNED, PlannedOnce, parameter
from app.database.unit_of_work import UnitOfWork
from app.errors import UnavailableError

STATEMENT = PlannedOnce(
    select(
        parameter("number", BigInteger).label("number"),
        func.concat(literal_column("'50 %'"), parameter("word", Text)).label("words"),
    )
)
PLANS = text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'planned_%'")


class TestPlannedOnce:
    def test_has_the_values_of_each_execution(self, session):
        rows = [STATEMENT.rows(session, {"number": number, "word": "'; %s $1"})[0] for number in (1, 2**40)]

        assert rows == [(1, "50 %'; %s $1"), (2**40, "50 %'; %s $1")]

    def test_is_planned_once_a_connection(self, session):
        statement = PlannedOnce(select(parameter("a_number_of_this_test", BigInteger)))
        plans_before = session.scalar(PLANS)
        for number in range(3):
            statement.rows(session, {"a_number_of_this_test": number})

        assert session.scalar(PLANS) == plans_before + 1

    def test_has_one_plan_for_all_values_after_a_few_executions(self, session):
        statement = PlannedOnce(select(parameter("another_number_of_this_test", BigInteger)))
        for number in range(10):
            statement.rows(session, {"another_number_of_this_test": number})

        plans = text("SELECT generic_plans FROM pg_prepared_statements WHERE name = :name")
        assert session.scalar(plans, {"name": statement._name}) > 0

    def test_a_connection_keeps_a_bounded_number_of_plans(self, one_connection):
        with Session(one_connection) as session:
            for number in range(MAX_PLANNED + 20):
                statement = PlannedOnce(select(parameter(f"p{number}", BigInteger).label(f"p{number}")))
                assert statement.rows(session, {f"p{number}": number}) == [(number,)]

            assert session.scalar(PLANS) == MAX_PLANNED

    def test_a_missing_value_is_an_error(self, session):
        with pytest.raises(KeyError):
            STATEMENT.rows(session, {"number": 1})

    def test_is_not_planned_ahead_on_a_connection_that_lost_its_options_as_behind_pgbouncer(self, database_url):
        engine = create_engine(database_url)
        let_plan_once(engine)

        with Session(engine) as session:
            assert STATEMENT.rows(session, {"number": 1, "word": "x"}) == [(1, "50 %x")]
            assert session.scalar(PLANS) == 0
        engine.dispose()

    def test_a_plan_stays_after_a_rollback(self, one_connection):
        with Session(one_connection) as session:
            STATEMENT.rows(session, {"number": 1, "word": ""})
            session.rollback()

            assert STATEMENT.rows(session, {"number": 2, "word": ""}) == [(2, "50 %")]

    @pytest.mark.parametrize(
        "change",
        ["DEALLOCATE ALL", "ALTER TABLE changing ALTER word TYPE varchar(20)", None],
        ids=["lost plan", "other type of a column", "unknown plan"],
    )
    def test_a_connection_with_a_useless_plan_is_replaced(self, one_connection, changing, change):
        with Session(one_connection) as session:
            changing.rows(session, {"word": "x"})
            if change is None:
                session.connection().info[PLANNED].clear()
            else:
                session.execute(text(change))
            session.commit()

            with pytest.raises(DBAPIError) as caught:
                changing.rows(session, {"word": "x"})
            session.rollback()

            assert caught.value.connection_invalidated
            assert changing.rows(session, {"word": "x"}) == []

    def test_a_caller_with_a_useless_plan_is_told_to_try_again(self, one_connection):
        session = make_session_factory(one_connection)()
        uow = UnitOfWork(session, lambda _event: None)
        with uow.single_statements():
            STATEMENT.rows(session, {"number": 1, "word": ""})
            session.execute(text("DEALLOCATE ALL"))

        with pytest.raises(UnavailableError), uow.single_statements():
            STATEMENT.rows(session, {"number": 1, "word": ""})


@pytest.fixture
def one_connection(database_url):
    engine = make_engine(database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    yield engine
    engine.dispose()


@pytest.fixture
def changing(one_connection):
    """A statement on a table that nothing else uses."""
    with one_connection.begin() as connection:
        connection.execute(text("CREATE TABLE changing (word text)"))
    word = literal_column("word", Text)
    yield PlannedOnce(select(word).select_from(text("changing")).where(word == parameter("word", Text)))
    with one_connection.begin() as connection:
        connection.execute(text("DROP TABLE changing"))
