"""The log describes a statement that PostgreSQL refused, and contains none of its values."""

import io
import json
import logging

import psycopg2
import pytest
import structlog
from celery import Celery
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from app.database.engine import JOB_TIMEOUTS, make_engine
from app.log_lines import init_logging

# A value that a user wrote; no log line may contain it.
WRITTEN = "zebra"
MANY_LINES = f"a first line\n{WRITTEN} in the second\nCONTEXT of the third: {WRITTEN}\n\n{WRITTEN} after an empty one"
TABLES = """
CREATE TEMP TABLE letters (
    id bigint CONSTRAINT pk_letters PRIMARY KEY,
    words text CONSTRAINT uq_letters_words UNIQUE,
    CONSTRAINT ck_letters_words_short CHECK (length(words) < 200)
)
"""


class TestRefusedStatement:
    def test_a_duplicate_row_is_described_only_by_its_constraint(self, log, database):
        add = text("INSERT INTO letters VALUES (:id, :words)")
        database.execute(add, {"id": 1, "words": WRITTEN})

        line = log.of(lambda: database.execute(add, {"id": 2, "words": WRITTEN}), IntegrityError)

        assert "psycopg2.errors.UniqueViolation" in line["exception"]
        assert "uq_letters_words" in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_a_row_that_breaks_a_check_is_described_only_by_the_check(self, log, database):
        add = text("INSERT INTO letters VALUES (:id, :words)")

        line = log.of(lambda: database.execute(add, {"id": 1, "words": WRITTEN * 50}), IntegrityError)

        assert "psycopg2.errors.CheckViolation" in line["exception"]
        assert "ck_letters_words_short" in line["exception"]
        ensure_nothing_is_quoted(line)

    @pytest.mark.parametrize("words", [MANY_LINES, MANY_LINES.replace("\n", "\r\n")], ids=["unix", "dos"])
    def test_a_value_of_many_lines_is_left_out_completely(self, log, database, words):
        add = text("INSERT INTO letters VALUES (:id, :words)")
        database.execute(add, {"id": 1, "words": words})

        line = log.of(lambda: database.execute(add, {"id": 2, "words": words}), IntegrityError)

        assert "uq_letters_words" in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_a_row_of_many_lines_that_breaks_a_check_is_left_out_completely(self, log, database):
        add = text("INSERT INTO letters VALUES (:id, :words)")

        line = log.of(lambda: database.execute(add, {"id": 1, "words": f"a\n{WRITTEN}\n" * 50}), IntegrityError)

        assert "ck_letters_words_short" in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_a_statement_with_a_syntax_error_is_not_quoted(self, log, database):
        line = log.of(lambda: database.execute(text("SELECT :words FRM letters"), {"words": WRITTEN}), ProgrammingError)

        assert "psycopg2.errors.SyntaxError" in line["exception"]
        assert 'syntax error at or near "letters"' in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_a_statement_of_many_lines_with_a_syntax_error_is_not_quoted(self, log, database):
        statement = text("SELECT 1,\n    :words AS words,\n    :other AS other FRM letters")

        line = log.of(lambda: database.execute(statement, {"words": "a\nb", "other": WRITTEN}), ProgrammingError)

        assert "psycopg2.errors.SyntaxError" in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_a_missing_column_is_named_without_the_hint(self, log, database):
        line = log.of(lambda: database.execute(text("SELECT word FROM letters")), ProgrammingError)

        assert 'column "word" does not exist' in line["exception"]
        assert "HINT" not in line["exception"]
        assert "letters.words" not in line["exception"]

    def test_a_copied_row_is_described_only_by_its_problem(self, log, cursor):
        rows = io.StringIO(f"1,{WRITTEN},{WRITTEN}\n")

        line = log.of(
            lambda: cursor.copy_expert("COPY letters FROM STDIN (FORMAT csv)", rows), psycopg2.errors.BadCopyFileFormat
        )

        assert "psycopg2.errors.BadCopyFileFormat: extra data after last expected column" in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_a_copied_row_of_many_lines_is_left_out_completely(self, log, cursor):
        rows = io.StringIO(f'1,"a\n{WRITTEN}\n"\n2,"a\n{WRITTEN}\n"\n')

        line = log.of(
            lambda: cursor.copy_expert("COPY letters FROM STDIN (FORMAT csv)", rows), psycopg2.errors.UniqueViolation
        )

        assert "uq_letters_words" in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_a_copied_value_of_the_wrong_type_is_not_quoted(self, log, cursor):
        rows = io.StringIO(f"{WRITTEN},words\n")

        line = log.of(
            lambda: cursor.copy_expert("COPY letters FROM STDIN (FORMAT csv)", rows),
            psycopg2.errors.InvalidTextRepresentation,
        )

        assert "psycopg2.errors.InvalidTextRepresentation" in line["exception"]
        ensure_nothing_is_quoted(line)


class TestChain:
    def test_each_error_of_a_chain_is_logged_without_its_values(self, log, database):
        add = text("INSERT INTO letters VALUES (:id, :words)")
        database.execute(add, {"id": 1, "words": WRITTEN})

        def fail_twice():
            try:
                database.execute(add, {"id": 2, "words": WRITTEN})
            except IntegrityError as error:
                raise LookupError("the letter cannot be kept") from error

        line = log.of(fail_twice, LookupError)

        expected = ("psycopg2.errors.UniqueViolation", "sqlalchemy.exc.IntegrityError", "the letter cannot be kept")
        assert [words for words in expected if words not in line["exception"]] == []
        assert line["exception"].count("uq_letters_words") == 2
        ensure_nothing_is_quoted(line)

    def test_each_error_of_a_group_is_logged_without_its_values(self, log, database):
        add = text("INSERT INTO letters VALUES (:id, :words)")
        database.execute(add, {"id": 1, "words": WRITTEN})

        def fail_together():
            try:
                database.execute(add, {"id": 2, "words": WRITTEN})
            except IntegrityError as error:
                raise ExceptionGroup("letters", [error]) from None

        line = log.of(fail_together, ExceptionGroup)

        assert "uq_letters_words" in line["exception"]
        ensure_nothing_is_quoted(line)

    def test_the_traceback_is_kept(self, log):
        def take_it_apart():
            raise LookupError("no letter")

        line = log.of(take_it_apart, LookupError)

        assert line["exception"].startswith("Traceback (most recent call last):\n")
        assert "in take_it_apart" in line["exception"]
        assert line["exception"].endswith("LookupError: no letter")


class TestJob:
    def test_a_failed_job_is_logged_without_its_row(self, log, database):
        celery_app = Celery("letters", set_as_current=False)
        add = text("INSERT INTO letters VALUES (:id, :words)")
        database.execute(add, {"id": 1, "words": WRITTEN})

        @celery_app.task(name="letters.keep", shared=False)
        def keep():
            database.execute(add, {"id": 2, "words": WRITTEN})

        keep.apply()

        (line,) = log.lines()
        assert (line["logger"], line["level"]) == ("celery.app.trace", "error")
        assert "letters.keep" in line["event"]
        assert "uq_letters_words" in line["exception"]
        ensure_nothing_is_quoted(line)


class TestFields:
    def test_extra_fields_are_in_the_line(self, log):
        logging.getLogger("letters").info("kept", extra={"path": "/letters", "status": 200, "user_id": None})

        (line,) = log.lines()
        assert line.pop("timestamp")
        assert line == {
            "event": "kept",
            "level": "info",
            "logger": "letters",
            "path": "/letters",
            "status": 200,
            "user_id": None,
        }

    def test_a_value_that_json_does_not_know_becomes_text(self, log):
        logging.getLogger("letters").info("kept", extra={"path": ValueError("no path")})

        (line,) = log.lines()
        assert line["path"] == "no path"

    def test_a_value_that_orjson_refuses_is_logged(self, log):
        logging.getLogger("letters").info("kept", extra={"path": "/\udc80"})

        assert [line["path"] for line in log.lines()] == ["/\udc80"]

    def test_extra_fields_of_a_library_are_left_out(self, log):
        logging.getLogger("letters").info("kept", extra={"data": {"args": [WRITTEN]}})

        (line,) = log.lines()
        assert WRITTEN not in json.dumps(line)

    def test_the_current_request_is_named(self, log):
        structlog.contextvars.bind_contextvars(request_id="request-7")

        logging.getLogger("letters").warning("kept")

        assert [line["request_id"] for line in log.lines()] == ["request-7"]

    def test_an_explicit_request_goes_before_the_current_one(self, log):
        structlog.contextvars.bind_contextvars(request_id="request-7")

        logging.getLogger("letters").warning("kept", extra={"request_id": "request-8"})
        logging.getLogger("letters").warning("kept")

        assert [line["request_id"] for line in log.lines()] == ["request-8", "request-7"]

    def test_a_message_of_many_lines_is_one_line(self, log):
        logging.getLogger("letters").warning("kept\nDETAIL: {}", extra={"path": "a\nb"})

        assert len(log.lines()) == 1


def ensure_nothing_is_quoted(line):
    logged_text = json.dumps(line)
    assert WRITTEN not in logged_text
    for heading in ("DETAIL:", "CONTEXT:", "LINE 1:", "HINT:"):
        assert heading not in logged_text


class Log:
    def __init__(self, output):
        self._output = output

    def lines(self):
        return [json.loads(line) for line in self._output.getvalue().splitlines()]

    def of(self, fail, kind):
        """Log an error as the handler of unexpected errors does, and return its line."""
        with pytest.raises(kind) as caught:
            fail()
        logging.getLogger("letters").error("unforeseen error", exc_info=caught.value)
        (line,) = self.lines()
        assert (line["event"], line["level"]) == ("unforeseen error", "error")
        return line


@pytest.fixture
def log():
    loggers = [logging.getLogger(name) for name in (None, "alembic", "celery")]
    root, levels = loggers[0], [logger.level for logger in loggers]
    handlers = root.handlers
    output = io.StringIO()
    structlog.contextvars.clear_contextvars()
    init_logging("INFO", write_line=lambda line: output.write(f"{line}\n"))
    yield Log(output)
    structlog.contextvars.clear_contextvars()
    root.handlers = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def database(database_url):
    """A connection as the product makes it, with a table that is removed afterwards."""
    engine = make_engine(database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(TABLES))
        yield connection
        connection.invalidate()
    engine.dispose()


@pytest.fixture
def cursor(database):
    """A cursor of the driver itself, for COPY."""
    with database.connection.driver_connection.cursor() as cursor:
        yield cursor
