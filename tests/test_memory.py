"""The memory that a flood of large requests leaves behind in a real api."""

from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from tests.api_process import running_api_on_new_database

FLOOD_REQUESTS = 1_000
CLIENTS = 10
ORDINARY_REQUESTS = 300
# Before bodies were bounded, 60 such requests left 650 MB behind.
MAX_GROWTH_DURING_MEGABYTES = 200
MAX_GROWTH_AFTER_MEGABYTES = 60
MAX_ANSWER_BYTES = 20_000

BODIES = {
    "unknown fields": orjson.dumps({f"k{number:05}": 1 for number in range(94_000)}),
    "labels": orjson.dumps({"title": "x", "labels": [1] * 499_000}),
    "text": orjson.dumps({"title": "x" * 1_000_000}),
    "broken": b"[" * 1_000_000,
}


@pytest.mark.deep
@pytest.mark.parametrize("name", BODIES)
def test_memory_returns_after_a_flood(base_settings, postgres_url, tmp_path, name):
    with running_api_on_new_database(base_settings, postgres_url, tmp_path) as api, ThreadPoolExecutor(CLIENTS) as pool:
        ask_ordinarily(api)
        before = during = api.resident_megabytes()
        for answer in pool.map(
            lambda body: api.request("POST", "/api/v1/tasks", body), [BODIES[name]] * FLOOD_REQUESTS
        ):
            # A busy machine refuses some of them.
            assert 400 <= answer.status < 500 or answer.status == 503
            assert len(answer.body) < MAX_ANSWER_BYTES
            during = max(during, api.resident_megabytes())
        ask_ordinarily(api)
        after = api.resident_megabytes()

    figures = f"{before:.0f} MB before, {during:.0f} MB during, {after:.0f} MB after"
    assert during - before < MAX_GROWTH_DURING_MEGABYTES, figures
    assert after - before < MAX_GROWTH_AFTER_MEGABYTES, figures


def ask_ordinarily(api):
    assert {api.request("GET", "/api/v1/tasks").status for _ in range(ORDINARY_REQUESTS)} == {200}
