"""How often a request waits for a server. Each round trip costs as much as everything that Flask does."""

import itertools

import pytest

from app.auth.actor import Actor
from app.cache import Space
from app.composition.resources import Resources
from app.composition.services import serving
from app.factory import create_app
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from bench.round_trips import Trips, counting
from bench.workload import PASSWORD, Request, Workload
from tests import servers
from tests.fakes import FakeJobQueue
from tests.settings import make_settings

# The first task of a new database.
TASK = "/api/v1/tasks/1"


class TestRoundTrips:
    def test_of_a_page_from_the_cache(self, trips):
        assert trips(Request("GET", "/api/v1/tasks")) == Trips(postgres=0, redis=1)

    def test_of_a_page_that_is_not_in_the_cache(self, trips):
        numbers = itertools.count()

        assert trips(Request("GET", lambda: f"/api/v1/tasks?q=word{next(numbers)}")) == Trips(postgres=1, redis=1)

    def test_of_one_task(self, trips):
        assert trips(Request("GET", TASK)) == Trips(postgres=1, redis=1)

    def test_of_one_task_by_its_ref(self, trips):
        assert trips(Request("GET", "/api/v1/tasks/gen-1")) == Trips(postgres=1, redis=1)

    def test_of_some_fields_of_one_task(self, trips):
        assert trips(Request("GET", f"{TASK}?fields=title,creator&expand=creator")) == Trips(postgres=1, redis=1)

    def test_of_a_list_of_refs(self, trips):
        numbers = itertools.count()

        # Each page is asked for once, so none comes from the cache.
        assert trips(Request("GET", lambda: f"/api/v1/tasks?ref=gen-1,gen-{next(numbers)}")) == Trips(
            postgres=1, redis=1
        )

    def test_of_the_first_request_of_a_user(self, work, counted, resources):
        show = work.caller(work.app, Request("GET", TASK))

        def show_to_a_stranger():
            resources.cache.forget(Space.ACTORS)
            show()

        # One more for the actor, two to share the actor with other processes, and one for the forgetting itself.
        assert least_trips(counted, show_to_a_stranger) == Trips(postgres=2, redis=4)

    def test_of_one_task_with_an_api_token(self, work, counted, resources):
        with serving(resources) as services:
            admin = Actor(1, "admin", Role.ADMIN, frozenset())
            made = services.api_tokens.create(admin, 1, name="Counted", scopes=[TokenScope.TASKS_READ])
        client, headers = work.app.test_client(), {"Authorization": f"Bearer {made.token}"}

        trips = least_trips(counted, lambda: client.get(TASK, headers=headers))

        assert trips == Trips(postgres=1, redis=1)

    def test_of_a_new_task(self, trips):
        # BEGIN, the signature for the history, the number, the task, COMMIT. Redis also learns that pages are outdated.
        assert trips(Request("POST", "/api/v1/tasks", {"title": "Counted"})) == Trips(postgres=5, redis=2)

    def test_of_a_changed_task(self, trips):
        titles = ({"title": f"Title {number}"} for number in itertools.count())
        change = Request("PATCH", TASK, lambda: next(titles))

        # The task is read and locked before it is changed.
        assert trips(change) == Trips(postgres=5, redis=2)

    def test_of_a_page_of_comments(self, trips, commented):
        assert trips(Request("GET", commented)) == Trips(postgres=1, redis=1)

    def test_of_a_task_without_comments(self, trips, work):
        work.caller(work.app, Request("POST", "/api/v1/tasks", {"title": "Without"}))()

        # An empty page needs another look, for whether there is such a task.
        assert trips(Request("GET", "/api/v1/tasks/gen-2/comments")) == Trips(postgres=2, redis=1)

    def test_of_a_new_comment(self, trips, commented):
        # BEGIN, the signature for the versions, the locked task, the comment, its answer, COMMIT.
        assert trips(Request("POST", commented, {"body": "Counted"})) == Trips(postgres=6, redis=2)

    def test_of_a_new_comment_that_mentions_somebody(self, trips, commented):
        # Two more: who is mentioned, and the mentions.
        assert trips(Request("POST", commented, {"body": "@admin"})) == Trips(postgres=8, redis=2)

    def test_of_following_a_task(self, trips):
        assert trips(Request("PUT", f"{TASK}/followers/me")) == Trips(postgres=3, redis=1)

    def test_of_the_followers_of_a_task(self, trips):
        assert trips(Request("GET", f"{TASK}/followers")) == Trips(postgres=2, redis=1)

    def test_of_a_moved_task(self, trips):
        moves = itertools.cycle([{"status": "done"}, {"status": "todo"}])

        # The column is locked before the task, and its neighbours are read after both.
        assert trips(Request("POST", f"{TASK}/move", lambda: next(moves))) == Trips(postgres=7, redis=2)

    @pytest.mark.parametrize("count", [1, 500])
    def test_of_many_changed_tasks(self, trips, many_tasks, count):
        numbers = itertools.count()

        def change():
            title = f"Title {next(numbers)}"
            return {"items": [{"task": task_id, "patch": {"title": title}} for task_id in many_tasks[:count]]}

        # BEGIN, the signature, all tasks at once, all changes at once, COMMIT.
        assert trips(Request("POST", "/api/v1/tasks/bulk", change)) == Trips(postgres=5, redis=2)

    def test_of_a_board(self, trips):
        numbers = itertools.count()

        assert trips(Request("GET", lambda: f"/api/v1/board?q=word{next(numbers)}")) == Trips(postgres=1, redis=1)

    def test_of_a_log_in(self, trips):
        log_in = Request("POST", "/api/v1/auth/login", {"username": "admin", "password": PASSWORD})

        # The network's attempts, the user, the user's attempts from there, and the session.
        assert trips(log_in) == Trips(postgres=4, redis=1)

    def test_of_a_logged_day_from_the_cache(self, trips):
        assert trips(Request("GET", "/tasks?date=2026-03-09")) == Trips(postgres=0, redis=1)


def least_trips(counted, call):
    """The least of several, because cached entries expire."""
    each = [counted.count(call, warm_up=1, calls=1) for _ in range(5)]
    return Trips(min(trips.postgres for trips in each), min(trips.redis for trips in each))


@pytest.fixture(scope="module")
def many_tasks(resources, work):
    """The ids of 500 tasks, as many as one request may change."""
    admin = Actor(1, "admin", Role.ADMIN, frozenset())
    with serving(resources) as services:
        return [services.tasks.create(admin, {"title": "One of many"}).id for _ in range(500)]


@pytest.fixture
def commented(work):
    """The address of the comments of a task that has one."""
    work.caller(work.app, Request("POST", f"{TASK}/comments", {"body": "One"}))()
    return f"{TASK}/comments"


@pytest.fixture
def trips(work, counted):
    return lambda request: least_trips(counted, work.caller(work.app, request))


@pytest.fixture(scope="module")
def counted(postgres_url, redis_url):
    with servers.migrated_database(postgres_url) as url, counting(make_settings(url, redis_url)) as counted:
        yield counted


@pytest.fixture(scope="module")
def resources(counted):
    resources = Resources(counted.settings, job_queue=FakeJobQueue())
    yield resources
    resources.engine.dispose()


@pytest.fixture(scope="module")
def work(counted, resources):
    work = Workload(create_app(counted.settings, resources=resources), resources)
    work.caller(work.app, Request("POST", "/api/v1/tasks", {"title": "Counted"}))()
    return work
