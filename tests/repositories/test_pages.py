import base64
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Date, DateTime, Double, Text, cast, func, literal, select

from app.errors import InvalidError
from app.http.responses import envelope_of
from app.queries.pages import (
    MAX_BIGINT,
    MAX_TOTAL,
    Page,
    Position,
    Total,
    decode_cursor,
    encode_cursor,
    is_date,
    is_integer,
    is_number,
    is_text,
    is_timestamp,
)
from app.repositories.pages import count_up_to_max, page_of

# An example has no deadline, because its time depends on the machine; it may also see leftovers of earlier examples.
UNHURRIED = hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

any_text = st.text(st.characters(exclude_categories=["Cs"]))
CHECKS = [is_integer, is_number, is_timestamp, is_date, is_text]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=8,
)

# Python reads these as a date, a time or a number, and PostgreSQL may not.
HOSTILE_KEYS = [
    "",
    " ",
    "1_000",
    "１２",  # noqa: RUF001 - Python reads these as digits
    "1e400",
    "1e-400",
    "-0",
    "0x10",
    "nan",
    "inf",
    "infinity",
    "-infinity",
    "+5",
    "9223372036854775807",
    "9223372036854775808",
    "9" * 5000,
    "2026-W47-6",
    "20261121",
    "2026-11-21",
    "0001-01-01",
    "9999-12-31",
    "2026-W47-6T00:00+00:00",
    "2026-11-21 12:00:00+00",
    "2026-11-21x12:00:00+00:00",
    "2026-11-21\x0112:00:00+00:00",
    "2026-11-21T12:00:00+23:59",
    "2026-11-21T12:00:00-15:59:59.999999",
    "2026-11-21T12:00:00.123456789+00:00",
    "2026-11-21T12:00:00,5+00:00",
    "20261121T120000Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "today",
    "now",
    "epoch",
    "' OR 1=1 --",
    "\x00",
]


class TestCursor:
    @given(sort=any_text, key=any_text, row_id=st.integers(-MAX_BIGINT, MAX_BIGINT))
    @UNHURRIED
    def test_an_encoded_cursor_decodes_to_the_same_position(self, sort, key, row_id):
        cursor = encode_cursor(sort, Position(key, row_id))

        assert decode_cursor(cursor, sort, lambda _key: True) == Position(key, row_id)

    @given(sort=any_text, key=any_text, row_id=st.integers(-MAX_BIGINT, MAX_BIGINT))
    @UNHURRIED
    def test_a_cursor_needs_no_escaping_in_a_url(self, sort, key, row_id):
        cursor = encode_cursor(sort, Position(key, row_id))

        assert cursor.isascii()
        assert cursor.replace("-", "").replace("_", "").isalnum()

    def test_a_cursor_of_another_sort_is_refused_with_a_hint(self):
        cursor = encode_cursor("id", Position("7", 7))

        with pytest.raises(InvalidError, match="another sort order"):
            decode_cursor(cursor, "-id", is_integer)

    def test_a_key_of_another_type_is_refused(self):
        cursor = encode_cursor("due_at", Position("seven", 7))

        with pytest.raises(InvalidError, match="not a cursor of this list"):
            decode_cursor(cursor, "due_at", is_timestamp)

    @pytest.mark.parametrize("row_id", [True, None, 1.5, "7", MAX_BIGINT + 1, -MAX_BIGINT - 1, [7], {}])
    def test_an_impossible_id_is_refused(self, row_id):
        with pytest.raises(InvalidError):
            decode_cursor(encoded(["id", "7", row_id]), "id", is_integer)

    @pytest.mark.parametrize("key", [7, None, True, ["7"], {}])
    def test_a_key_that_is_not_text_is_refused(self, key):
        with pytest.raises(InvalidError):
            decode_cursor(encoded(["id", key, 7]), "id", is_text)


class TestGarbageCursor:
    @given(cursor=st.text())
    @example("")
    @example("\ud800")
    @example("====")
    @example("A" * 100_000)
    @UNHURRIED
    def test_any_text_is_invalid(self, cursor):
        with pytest.raises(InvalidError):
            decode_cursor(cursor, "id", is_integer)

    @given(raw=st.binary())
    @UNHURRIED
    def test_any_bytes_are_invalid(self, raw):
        with pytest.raises(InvalidError):
            decode_cursor(base64.urlsafe_b64encode(raw).decode(), "id", is_integer)

    @given(value=json_values, check=st.sampled_from(CHECKS))
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_any_json_is_invalid_or_a_position(self, value, check):
        try:
            position = decode_cursor(encoded(value), "id", check)
        except InvalidError:
            return
        assert isinstance(position, Position)

    @given(key=any_text, row_id=st.integers(-(2**63), 2**64 - 1), check=st.sampled_from(CHECKS))
    @UNHURRIED
    def test_any_key_is_invalid_or_a_position(self, key, row_id, check):
        try:
            position = decode_cursor(encoded(["id", key, row_id]), "id", check)
        except InvalidError:
            return
        assert position == Position(key, row_id)


KINDS = {
    "integer": (is_integer, BigInteger),
    "number": (is_number, Double),
    "timestamp": (is_timestamp, DateTime(timezone=True)),
    "date": (is_date, Date),
    "text": (is_text, Text),
}


class TestValidKeys:
    """PostgreSQL casts every accepted key; a key that it cannot read would be our error."""

    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: ascii(key)[:40])
    @pytest.mark.parametrize("kind", KINDS)
    def test_postgresql_reads_every_hostile_key_that_we_accept(self, session, kind, key):
        is_valid, column_type = KINDS[kind]

        if is_valid(key):
            read_by_postgresql(session, key, column_type)

    @pytest.mark.parametrize("kind", KINDS)
    @given(key=any_text | st.text("0123456789-+:.,TZWe_ /", max_size=30))
    @UNHURRIED
    def test_postgresql_reads_any_key_that_we_accept(self, session, kind, key):
        is_valid, column_type = KINDS[kind]

        if is_valid(key):
            read_by_postgresql(session, key, column_type)

    @given(position=st.floats(allow_nan=False, allow_infinity=False))
    @example(1e150)
    @example(0.00012345678901234567)
    @example(5e-324)
    @example(-0.0)
    @UNHURRIED
    def test_we_accept_every_number_as_postgresql_prints_it(self, session, position):
        assert is_number(session.scalar(select(cast(cast(literal(repr(position), Text), Double), Text))))

    @given(moment=st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
    @UNHURRIED
    def test_we_accept_every_moment_as_postgresql_prints_it(self, session, moment):
        assert is_timestamp(session.scalar(select(cast(literal(moment, DateTime(timezone=True)), Text))))

    @pytest.mark.parametrize(
        ("is_valid", "key"),
        [
            (is_integer, "42"),
            (is_number, "1.5"),
            (is_number, "-2e-05"),
            (is_timestamp, "2026-11-21 12:00:00.123456+00"),
            (is_timestamp, "2026-11-21 12:00:00+00"),
            (is_timestamp, "infinity"),
            (is_date, "2026-11-21"),
            (is_text, "any words, ünïcode too"),
        ],
    )
    def test_we_accept_keys_as_postgresql_prints_them(self, is_valid, key):
        assert is_valid(key)


class TestPageOf:
    def test_one_row_too_many_means_a_next_page(self):
        page = page_of(
            [('{"id":1}', "1", 1), ('{"id":2}', "2", 2), ('{"id":3}', "3", 3)],
            limit=2,
            sort="id",
            total=Total(3, False),
        )

        body = orjson.loads(envelope_of(page))
        assert body == {
            "items": [{"id": 1}, {"id": 2}],
            "next_cursor": page.next_cursor,
            "total": 3,
            "total_is_capped": False,
        }
        assert decode_cursor(page.next_cursor, "id", is_integer) == Position("2", 2)

    def test_the_last_page_has_no_next_cursor(self):
        page = page_of([('{"id":1}', "1", 1)], limit=1, sort="id", total=None)

        assert orjson.loads(envelope_of(page)) == {"items": [{"id": 1}], "next_cursor": None}

    def test_an_empty_list_is_a_page(self):
        assert orjson.loads(envelope_of(page_of([], limit=1, sort="id", total=Total(0, False)))) == {
            "items": [],
            "next_cursor": None,
            "total": 0,
            "total_is_capped": False,
        }

    def test_a_capped_total_is_marked(self):
        body = orjson.loads(envelope_of(page_of([], limit=1, sort="id", total=Total(MAX_TOTAL, True))))

        assert (body["total"], body["total_is_capped"]) == (10_000, True)

    @pytest.mark.parametrize("total", [None, Total(3, False), Total(MAX_TOTAL, True)])
    @pytest.mark.parametrize("next_cursor", [None, "WyJpZCJd"])
    def test_a_stored_page_reads_back_the_same(self, next_cursor, total):
        page = Page(b'["two\nlines"]', next_cursor, total)

        assert Page.from_bytes(page.to_bytes()) == page


class TestCountUpToMax:
    @pytest.mark.parametrize(
        ("rows", "total"),
        [
            (0, Total(0, is_capped=False)),
            (MAX_TOTAL, Total(MAX_TOTAL, is_capped=False)),
            (MAX_TOTAL + 1, Total(MAX_TOTAL, is_capped=True)),
            (10**15, Total(MAX_TOTAL, is_capped=True)),
        ],
    )
    def test_reads_one_row_more_than_the_maximum(self, session, rows, total):
        # A count of all of these rows would never end.
        numbers = select(func.generate_series(1, rows))

        assert count_up_to_max(session, numbers) == total


def encoded(value):
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


def read_by_postgresql(session, key, column_type):
    with session.begin_nested():
        session.execute(select(cast(cast(literal(key, Text), column_type), Text))).one()
