"""Fixtures for all rooms: people of each role, the running site, and a browser on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page
from pytest_django import DjangoDbBlocker
from xdist.remote import Producer

from breakers.models import ControlDocument
from breakers.runtime import CircuitState, default
from resilience_site.core import keys
from resilience_site.core.choices import Role
from tests import browser as browsers
from tests import engines, livesite
from tests.chaos import running_planner
from tests.demo.graph import Graph, running_graph
from tests.demo.planner import PlannerProcess
from tests.livesite import LiveSite, fresh_site, web_process
from tests.scheduling import OneSiteAtATime
from tests.steady import be_steady, flush

be_steady()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneSiteAtATime | None:
    """Files are spread over the processes, whole sites are not (see `scheduling`)."""
    return OneSiteAtATime(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def django_db_keepdb(request: pytest.FixtureRequest) -> bool:
    """A database on an engine of the run's own ends with the engine: a thread that still has a
    connection need not be waited for."""
    return "DATABASE_URL" in engines.OWN or bool(request.config.getvalue("reuse_db"))


@pytest.fixture(scope="module", autouse=True)
def tables_begin_empty(django_db_blocker: DjangoDbBlocker) -> None:
    """Forget what programs of earlier modules have told while they ended."""
    if str(connection.settings_dict["NAME"]).startswith(TEST_DATABASE_PREFIX):
        with django_db_blocker.unblock():
            livesite.settle()
            flush()


@pytest.fixture(autouse=True)
def breakers_closed() -> Iterator[None]:
    """What one test breaks does not keep calls from the next one's store."""
    yield
    for breaker in default().breakers:
        if breaker.state in (CircuitState.OPEN, CircuitState.HALF_OPEN):
            breaker.reset()


@pytest.fixture
def kept_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What was found out of a key is known for the whole test, however long a machine stands still:
    after some seconds it would be looked up again, which is a query."""
    monkeypatch.setattr(keys._cache, "_seconds", 3600.0)
    yield
    keys.cache_clear()


@pytest.fixture
def as_role(db: None) -> Callable[[Role], Client]:
    """A client signed in as a new user of a role, named like it."""

    def sign_in(role: Role) -> Client:
        user = get_user_model().objects.create_user(f"a-{role}")
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def viewer(as_role: Callable[[Role], Client]) -> Client:
    return as_role(Role.VIEWER)


@pytest.fixture
def operator(as_role: Callable[[Role], Client]) -> Client:
    return as_role(Role.OPERATOR)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Graph]:
    """The Graph of the protected planner."""
    with running_graph() as graph:
        yield graph


@pytest.fixture(scope="session")
def protected_planner(simulator: Graph, django_db_setup: None) -> Iterator[PlannerProcess]:
    """A planner with all its protection, whose parts tests break."""
    with running_planner(simulator, protected=True) as planner:
        yield planner


@pytest.fixture
def faulty_graph(simulator: Graph) -> Iterator[Graph]:
    """The same Graph, well before and after each test."""
    simulator.http.delete("/_faults").raise_for_status()
    yield simulator
    simulator.http.delete("/_faults").raise_for_status()


@pytest.fixture(scope="session")
def site_url(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[str]:
    """One web process on the test database, for the whole session."""
    with django_db_blocker.unblock(), web_process() as url:  # type: ignore[attr-defined]
        yield url


@pytest.fixture
def site(site_url: str, transactional_db: None) -> Iterator[LiveSite]:
    """The running site, empty but for its roles, the user admin and two keys."""
    yield fresh_site(site_url)
    # Who polls has a document.
    if ControlDocument.objects.exists():
        livesite.polled.add(site_url)


# One browser a module: Playwright's loop runs in the main thread as long as the browser does, and
# async tests of other modules need that thread. A module has browser tests or async ones.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; the ORM may be used beside it."""
    with pytest.MonkeyPatch.context() as patch, browsers.launched() as running:
        # Playwright's loop lies below each test, which itself is not async.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield running


@pytest.fixture
def context(browser: Browser, site: LiveSite) -> Iterator[BrowserContext]:
    """A browser profile of its own, nobody signed in (see `LiveSite.sign_in`)."""
    opened = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(browsers.ACTION_MILLISECONDS)
    yield opened
    opened.close()


@pytest.fixture
def complaints(site: LiveSite) -> Iterator[browsers.Complaints]:
    """What pages of this test complained about; anything not allowed fails the test."""
    found = browsers.Complaints(site.url)
    yield found
    assert found.rest() == []


@pytest.fixture
def page(context: BrowserContext, complaints: browsers.Complaints) -> Page:
    """A page that must not report errors, break the content policy or leave the origin."""
    opened = context.new_page()
    complaints.watch(opened)
    return opened
