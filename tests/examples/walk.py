"""Sends the documents' examples to the app, one after the other, as Postman does."""

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app.composition.resources import Resources
from app.composition.services import serving
from app.models.health.sighting import BackgroundProcess
from docs.generator.examples import NOBODY, About, Answer, Example
from docs.generator.templates import filled, value_at
from tests.fakes import FixedClock
from tests.servers import ROOT

# No two requests have the same time, and the tokens do not expire on the way.
TICK = timedelta(milliseconds=10)
PASSWORD = "a-password-of-the-walk"
BOUNDARY = "boundary-of-the-walk"


class Walk:
    """Variables begin with the values that the documents show."""

    def __init__(self, app: Flask, resources: Resources, clock: FixedClock, about: About) -> None:
        self._app = app
        self._resources = resources
        self._clock = clock
        self.variables: dict[str, Any] = {
            **about.shown,
            "admin_password": PASSWORD,
            "password": PASSWORD,
            "user_password": PASSWORD,
            "classic_password": PASSWORD,
        }

    def begin(self) -> None:
        """Create what every tracker has: an admin, and a worker and a beat that were seen lately."""
        with serving(self._resources) as services:
            services.people.create_first_admin(
                username=self.variables["admin_username"], email="admin@example.org", password=PASSWORD
            )
            for process in BackgroundProcess:
                services.health.see(process)

    def answers(self, example: Example) -> Iterator[TestResponse]:
        """Send the example once, or once for each value of `for_each`."""
        if not example.for_each:
            yield self._answer(example)
        for name, names in example.for_each.items():
            for value in self.variables[names]:
                self.variables[name] = value
                yield self._answer(example)

    def _answer(self, example: Example) -> TestResponse:
        if example.wait_for is not None:
            self._run_jobs()
        for name, value in example.before.items():
            self.variables[name] = str(uuid.uuid4()) if value == "{{$guid}}" else filled(value, self.variables)
        response = self.send(example, self._app)
        self._clock.now += TICK
        return response

    def send(self, example: Example, app: Flask) -> TestResponse:
        """Send the example to an app without keeping anything."""
        headers = filled(dict(example.headers), self.variables)
        if example.sender != NOBODY:
            headers["Authorization"] = f"Bearer {self.variables[example.token or f'{example.sender}_token']}"
        arguments: dict[str, Any] = {}
        if example.json is not None:
            arguments["json"] = filled(example.json, self.variables)
        elif example.text is not None:
            arguments["data"] = filled(example.text, self.variables).encode()
        elif example.form:
            headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
            arguments["data"] = self._multipart(example)
        target = filled(example.target, self.variables)
        return app.test_client().open(target, method=example.method, headers=headers, **arguments)

    def keep(self, example: Example, answer: Answer, response: TestResponse) -> None:
        """Store what later requests need."""
        for name, source in answer.keep.items():
            self.variables[name] = self._kept(response, source)
        for name, value in example.set.items():
            self.variables[name] = filled(value, self.variables)
        if example.keep_tokens is not None:
            tokens = response.get_json()
            who = example.keep_tokens
            self.variables[f"{who}_token"] = tokens.get("access_token") or tokens["token"]
            self.variables[f"{who}_refresh_token"] = tokens.get("refresh_token")

    def _kept(self, response: TestResponse, source: Any) -> Any:
        if isinstance(source, dict):
            return re.search(source["match"], self._kept(response, source["from"]))[1]
        if source.startswith("headers."):
            return response.headers[source.removeprefix("headers.")]
        return value_at(response.get_json(), source)

    def _run_jobs(self) -> None:
        """Do the jobs that a worker would have done by now."""
        with serving(self._resources) as services:
            services.import_runs.run_waiting()
            services.daily_log.log_due_days()

    def _multipart(self, example: Example) -> bytes:
        """The fields in the order of the example, because the app reads the file while it arrives."""
        parts = []
        for each in example.form:
            disposition = f'Content-Disposition: form-data; name="{each["name"]}"'
            if "file" in each:
                disposition += f'; filename="{each["file"]}"\r\nContent-Type: text/csv'
                content = (ROOT / "postman" / each["file"]).read_bytes()
            else:
                content = filled(each["value"], self.variables).encode()
            parts.append(f"--{BOUNDARY}\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n")
        return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
