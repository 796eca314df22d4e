"""Every example of the documents is true: the app gives the answers that they show."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from app.composition.resources import Resources
from app.database.engine import make_session_factory
from app.factory import create_app
from app.settings import RateLimit, RateLimits
from docs.generator.contract import Contract
from docs.generator.examples import Answer, Example, all_examples, content_type, read_about, read_folders
from docs.generator.headers import pattern_of
from docs.generator.scripts import checks_of
from docs.generator.templates import filled
from tests.examples.comparison import differences, meets, value_in
from tests.examples.walk import Walk

ABOUT = read_about()
FOLDERS = read_folders()
EXAMPLES = tuple(all_examples(FOLDERS))


class TestExamples:
    def test_the_app_answers_as_they_show(self, walk, checking):
        wrong = []

        for example in EXAMPLES:
            answer = example.answers[0]
            for response in walk.answers(example):
                wrong += [f"{example.name}: {each}" for each in checking.problems(example, answer, response, walk)]
                if response.status_code == answer.status:
                    walk.keep(example, answer, response)

        if wrong:
            pytest.fail("\n".join(wrong), pytrace=False)

    def test_their_other_answers_are_those_of_a_closed_tracker(self, walk, checking, closed_app):
        with_others = [example for example in EXAMPLES if len(example.answers) > 1]

        for example in with_others:
            (other,) = example.answers[1:]
            response = walk.send(example, closed_app)

            assert list(checking.problems(example, other, response, walk)) == []
        assert with_others

    def test_answers_that_are_only_shown_have_the_shape_of_the_contract(self, checking):
        shown = [(example, answer) for example in EXAMPLES for answer in example.shown_only]

        for example, answer in shown:
            assert list(checking.shape_problems(example, answer, answer.body)) == [], example.name
        assert shown

    def test_no_two_have_the_same_name(self):
        names = [example.name for example in EXAMPLES]

        assert len(names) == len(set(names))


class Checking:
    """Compares a response with an answer of an example, in every respect that the documents show."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def problems(self, example: Example, answer: Answer, response: Any, walk: Walk) -> Iterator[str]:
        if response.status_code != answer.status:
            yield f"the status is {response.status_code}, not {answer.status}: {response.text[:300]}"
            return
        yield from self._header_problems(answer, response, walk)
        if not answer.has_body:
            if bool(response.data) is not answer.is_binary:
                yield "there is a body" if response.data else "there is no body"
            return
        body = response.get_json() if answer.is_json else response.text
        yield from self.shape_problems(example, answer, body)
        yield from differences(filled(answer.body, walk.variables), body, is_shortened=answer.is_shortened)
        for name, checks in answer.expect.items():
            for path, expected in checks_of(checks, answer.body):
                if expected == {"absent": True}:
                    if path in body:
                        yield f"{name}: {path} is there"
                elif not meets(value_in(path, body, response.headers), filled(expected, walk.variables)):
                    yield f"{name}: {path} is {value_in(path, body, response.headers)!r}, not {expected!r}"

    def _header_problems(self, answer: Answer, response: Any, walk: Walk) -> Iterator[str]:
        expected = {**({"Content-Type": content_type(answer)} if answer.has_body else {}), **answer.headers}
        for name, shown in expected.items():
            pattern, real = pattern_of(name, shown), response.headers.get(name, "")
            is_met = real == filled(shown, walk.variables) if pattern is None else re.search(pattern, real)
            if not is_met:
                yield f"the header {name} is {real!r}, not {shown!r}"

    def shape_problems(self, example: Example, answer: Answer, body: Any) -> Iterator[str]:
        if answer.is_json:
            named = self._contract.answer_schema(example.method, example.path, answer.status, content_type(answer))
            if named is not None:
                validator = jsonschema_rs.validator_for(named.schema, validate_formats=True)
                yield from (f"{each.instance_path}: {each.message}" for each in validator.iter_errors(body))


@pytest.fixture
def settings(base_settings):
    """The limits are the default ones, since headers show them. A walk logs in more often than one person."""
    limits = RateLimits(
        enabled=True,
        default=RateLimit(600, 60),
        login=RateLimit(100, 60),
        tasks=RateLimit(60, 60),
        upload=RateLimit(10, 3600),
    )
    return replace(base_settings, rate_limits=limits)


@pytest.fixture
def walk(app, resources, clock):
    walk = Walk(app, resources, clock, ABOUT)
    walk.begin()
    return walk


@pytest.fixture
def checking(client):
    return Checking(Contract(client.get("/api/v1/openapi.json").text))


@pytest.fixture
def closed_app(settings, connection, job_queue, clock):
    """Nobody can register, and the metrics need a token."""
    closed = replace(settings, self_registration_enabled=False, metrics_token="the token of a Prometheus")
    resources = Resources(closed, job_queue=job_queue, clock=clock)
    resources.new_session = make_session_factory(connection)
    yield create_app(closed, resources=resources)
    resources.engine.dispose()
