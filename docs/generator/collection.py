"""The Postman collection, made of the examples and the contract."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from docs.generator.contract import Contract
from docs.generator.examples import NOBODY, About, Answer, Example, Folder, all_examples, content_type, shown_body
from docs.generator.headers import shown_value
from docs.generator.scripts import request_script, schema_variable, test_script
from docs.generator.templates import filled

HERE = Path(__file__).resolve().parent
FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
NAMESPACE = uuid5(NAMESPACE_URL, "https://tasktrackerpro.example/postman")
BASE = "{{base_url}}"
CSV_HINT = "a CSV file with a header line"


def collection(about: About, folders: tuple[Folder, ...], contract: Contract) -> str:
    document = {
        "info": {
            "_postman_id": _id(about.name),
            "name": about.name,
            "description": about.description,
            "schema": FORMAT,
        },
        "auth": _auth("admin_token"),
        "event": [_event(listen, _read(f"{listen}.js")) for listen in ("prerequest", "test")],
        "variable": _variables(about, folders, contract),
        "item": [_folder(folder, about, contract) for folder in folders],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _read(name: str) -> list[str]:
    return (HERE / name).read_text("utf-8").splitlines()


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE, name))


def _event(listen: str, lines: list[str]) -> dict[str, Any]:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": lines}}


def _auth(token: str) -> dict[str, Any]:
    return {"type": "bearer", "bearer": [{"key": "token", "value": f"{{{{{token}}}}}", "type": "string"}]}


def _variables(about: About, folders: tuple[Folder, ...], contract: Contract) -> list[dict[str, Any]]:
    values = {**about.constants, **dict.fromkeys(about.variables, "")}
    for name, schema in _schemas(folders, contract):
        values[schema_variable(name)] = json.dumps(schema, separators=(",", ":"))
    return [{"key": name, "value": value} for name, value in values.items()]


def _schemas(folders: tuple[Folder, ...], contract: Contract) -> list[tuple[str, Mapping[str, Any]]]:
    """Each that a test names, once, in the order of the names."""
    named = {}
    for example in all_examples(folders):
        for answer in example.answers:
            if answer.is_json:
                schema = contract.answer_schema(example.method, example.path, answer.status, content_type(answer))
                if schema is not None:
                    named[schema.name] = schema.schema
    return sorted(named.items())


def _folder(folder: Folder, about: About, contract: Contract) -> dict[str, Any]:
    items = [_item(example, about, contract) for example in folder.examples]
    return {"name": folder.name, "description": folder.description, "item": items}


def _item(example: Example, about: About, contract: Contract) -> dict[str, Any]:
    scripts = {"prerequest": request_script(example), "test": test_script(example, contract)}
    request = _request(example)
    answers = [*example.answers, *example.shown_only]
    return {
        "name": example.name,
        "id": _id(example.name),
        "event": [_event(listen, lines) for listen, lines in scripts.items() if lines],
        "request": {**request, "description": example.description, **_own_auth(example)},
        "response": [_response(answer, request, about) for answer in answers],
    }


def _own_auth(example: Example) -> dict[str, Any]:
    """The collection's own, the admin's, where the request names none."""
    if example.sender == NOBODY:
        return {"auth": {"type": "noauth"}}
    token = example.token or f"{example.sender}_token"
    return {} if token == "admin_token" else {"auth": _auth(token)}  # noqa: S105 - the name of a variable


def _request(example: Example) -> dict[str, Any]:
    headers = dict(example.headers)
    if example.json is not None:
        headers = {"Content-Type": "application/json", **headers}
    request: dict[str, Any] = {
        "method": example.method,
        "header": [{"key": name, "value": value} for name, value in headers.items()],
        "url": _url(example),
    }
    body = _body(example)
    return request if body is None else {**request, "body": body}


def _url(example: Example) -> dict[str, Any]:
    url: dict[str, Any] = {
        "raw": BASE + example.target,
        "host": [BASE],
        "path": example.path.removeprefix("/").split("/"),
    }
    query = [{"key": name, "value": value} if value else {"key": name, "value": None} for name, value in example.query]
    return {**url, "query": query} if query else url


def _body(example: Example) -> dict[str, Any] | None:
    if example.form:
        return {"mode": "formdata", "formdata": [_form_field(field) for field in example.form]}
    if example.json is not None:
        raw, language = json.dumps(example.json, ensure_ascii=False, indent=2), "json"
    elif example.text is not None:
        raw, language = example.text, "text"
        if example.headers.get("Content-Type") == "application/json":
            language = "json"
    else:
        return None
    return {"mode": "raw", "raw": raw, "options": {"raw": {"language": language}}}


def _form_field(field: Mapping[str, str]) -> dict[str, str]:
    if "file" in field:
        return {"key": field["name"], "type": "file", "src": field["file"], "description": CSV_HINT}
    return {"key": field["name"], "value": field["value"], "type": "text"}


def _response(answer: Answer, request: Mapping[str, Any], about: About) -> dict[str, Any]:
    return {
        "name": answer.name,
        "originalRequest": request,
        "status": answer.name.partition(" ")[2].partition(",")[0],
        "code": answer.status,
        "_postman_previewlanguage": "json" if answer.is_json else "text",
        "header": [{"key": name, "value": value} for name, value in _shown_headers(answer, about)],
        "cookie": [],
        "body": body_text(answer, about),
    }


def _shown_headers(answer: Answer, about: About) -> Iterator[tuple[str, str]]:
    if answer.has_body:
        yield "Content-Type", shown_value(content_type(answer))
    for name, value in answer.headers.items():
        if name != "Content-Type" or answer.is_binary:
            yield name, filled(shown_value(value), about.shown)


def body_text(answer: Answer, about: About) -> str:
    body = shown_body(answer, about)
    if body is None:
        return ""
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=2)
