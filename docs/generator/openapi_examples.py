"""The examples that the OpenAPI document shows: for each operation that has JSON, a request and its answer."""

from http import HTTPStatus
from typing import Any

import orjson

from app.http.description import EXAMPLES
from docs.generator.contract import Contract
from docs.generator.examples import About, Answer, Folder, all_examples
from docs.generator.templates import filled

FILE = EXAMPLES


def text(about: About, folders: tuple[Folder, ...], contract: Contract) -> str:
    """JSON: for each operation the body of a request, and the body of an answer by status."""
    shown: dict[str, dict[str, Any]] = {}
    for example in all_examples(folders):
        operation = contract.operation(example.method, example.path)
        if operation is None:
            continue
        answers = {str(answer.status): answer.body for answer in example.answers if _is_shown(answer)}
        known = shown.setdefault(operation.name, {"answers": {}})
        if answers and example.json is not None:
            known.setdefault("request", filled(example.json, about.shown))
        known["answers"] = {**filled(answers, about.shown), **known["answers"]}
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def _is_shown(answer: Answer) -> bool:
    """An answer that succeeds with JSON. A shortened body does not fit its schema."""
    return answer.status < HTTPStatus.BAD_REQUEST and answer.is_json and not answer.is_shortened
