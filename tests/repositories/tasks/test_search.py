"""Searches in the form of PostgreSQL's full text search."""

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.repositories.tasks.search import as_tsquery

UNHURRIED = hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
searches = st.lists(
    st.sampled_from(["deploy", "or", "-", '"', " ", "'", "\\", ":*", "&", "|", "!", "(", ")", "<->", "a"])
)
DEPLOY = "Deploy the blue-green cluster, don't wait"


class TestForm:
    @pytest.mark.parametrize(
        ("text", "tsquery"),
        [
            ("deplo", "'deplo':*"),
            ("quick fox", "'quick':* & 'fox':*"),
            ("quick -fox", "'quick':* & !'fox'"),
            ('"quick fox" -"red fox"', "'quick fox' & !'red fox'"),
            ("a or b1", "'a' | 'b1':*"),
            ("a b or c d", "'a' & 'b' | 'c' & 'd'"),
            ("a OR or b", "'a' | 'b'"),
            ("or a or", "'a'"),
            ('"or" "a', "'or' & 'a'"),
            ("-or", "!'or'"),
            ("--a - b", "!'a' & 'b'"),
            ("blue-green", "'blue-green':*"),
            ("don't \\", "'don''t':*"),
            ("a\\'", "'a\\\\''':*"),
            ('- "" -"" & | ! () \' :*', ""),
            ("", ""),
            ("-" * 33 + "a", "!'a'"),
        ],
    )
    def test_of_words_phrases_and_operators(self, text, tsquery):
        assert as_tsquery(text) == tsquery


class TestMatches:
    @pytest.mark.parametrize(
        "text",
        [
            "deplo",
            "DEPLOY",
            "clus dep",
            '"deploy"',
            '"deploy the"',
            "blue-gre",
            "gre",
            "don't",
            "don",
            "nothing or deplo",
            "deploy -red",
            # The beginning of an excluded word excludes nothing.
            "deploy -clus",
            '-"green blue"',
            "a or deploy",
        ],
    )
    def test_this(self, matches, text):
        assert matches(DEPLOY, text)

    @pytest.mark.parametrize(
        "text",
        [
            "eploy",
            '"deplo"',
            '"deploy blue"',
            "deploy red",
            "-deploy",
            "deploy -cluster",
            "d",
            "nothing or else",
            "or",
            "&",
            '"',
            "",
        ],
    )
    def test_not_this(self, matches, text):
        assert not matches(DEPLOY, text)


class TestHostileText:
    @given(text=any_text | searches.map("".join) | searches.map(" ".join))
    @example("-" * 33 + "a")
    @example("- " * 5000)
    @example("a " * 5000)
    @example("a or " * 2000)
    @example("-a " * 2000)
    @example('"' * 10_000)
    @example("a" * 10_000)
    @example("'" * 10_000)
    @example("\\" * 9_999 + "a")
    @example("a\\")
    @example("_ '_' \u0301")
    @UNHURRIED
    def test_is_never_an_error(self, matches, text):
        assert matches(DEPLOY, text) in {True, False}


@pytest.fixture
def matches(session):
    def matches(document, text):
        query = func.to_tsquery("simple", as_tsquery(text))
        return session.scalar(select(func.to_tsvector("simple", document).bool_op("@@")(query)))

    return matches
