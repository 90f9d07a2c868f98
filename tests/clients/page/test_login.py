"""Log in: Qwen's device flow through the page, with a person who approves, denies, waits or gives up."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.clients.page.conftest import ADMIN_KEY, Serve, Visit
from tests.clients.page.visitor import Visitor
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker


@pytest.fixture(scope="module")
def worker(serve: Serve) -> Worker:
    """A Worker whose logins are those that these tests make, beside one of the environment."""
    return serve()


@pytest.fixture
def visitor(worker: Worker, visit: Visit) -> Visitor:
    """The admin, at Log in."""
    visitor: Visitor = visit(worker)
    visitor.open("login", key=ADMIN_KEY)
    return visitor


def begin(page: Page, label: str) -> str:
    """Begins a login; returns the code that the page shows."""
    page.get_by_label("Label", exact=True).fill(label)
    page.get_by_role("button", name="Log in to Qwen").click()
    expect(page.locator("#login-wait")).to_have_text(re.compile(r"The code is good for \d+:\d\d more"))
    return page.locator("#pending .code").inner_text()


def decide(context: BrowserContext, page: Page, decision: str) -> None:
    """Follows the link, in a tab of its own, and presses a button on Qwen's page."""
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open Qwen's page").click()
    opened.value.get_by_role("button", name=decision).click()


def login(page: Page, label: str) -> Locator:
    return page.get_by_role("article", name=f"Login {label}")


def test_an_approved_login_becomes_an_account(visitor: Visitor) -> None:
    page = visitor.page
    code = begin(page, "approved")
    assert code
    decide(visitor.context, page, "Approve")

    expect(page.get_by_role("alert")).to_contain_text("Logged in.", timeout=20_000)
    expect(login(page, "approved")).to_contain_text("active")
    page.get_by_role("link", name="Status").click()
    expect(page.get_by_role("article", name="Account approved")).to_contain_text("Ready")


def test_renames_and_removes_a_login(visitor: Visitor) -> None:
    page = visitor.page
    begin(page, "before")
    decide(visitor.context, page, "Approve")
    expect(login(page, "before")).to_contain_text("active", timeout=20_000)
    page.get_by_label("New label of before").fill("after")
    login(page, "before").get_by_role("button", name="Rename").click()
    expect(login(page, "after")).to_be_visible()
    expect(login(page, "before")).to_have_count(0)

    login(page, "after").get_by_role("button", name="Remove").click()
    expect(login(page, "after")).to_be_visible()
    login(page, "after").get_by_role("button", name="Remove after for good").click()
    expect(login(page, "after")).to_have_count(0)
    page.get_by_role("link", name="Status").click()
    expect(page.get_by_role("article", name="Account QWEN_CLI_AUTH")).to_be_visible()
    expect(page.get_by_role("article", name="Account after")).to_have_count(0)


def test_a_denied_login(visitor: Visitor) -> None:
    page = visitor.page
    begin(page, "denied")
    decide(visitor.context, page, "Deny")

    expect(page.get_by_role("alert")).to_contain_text("denied", timeout=20_000)
    expect(page.get_by_role("button", name="Log in to Qwen")).to_be_enabled()


def test_a_login_that_expires(visitor: Visitor, page_simulator: QwenSimulator) -> None:
    page = visitor.page
    page_simulator.oauth.expire(begin(page, "late"))

    expect(page.get_by_role("alert")).to_contain_text("expired", timeout=20_000)
    expect(page.get_by_role("button", name="Log in to Qwen")).to_be_enabled()


def test_a_login_that_is_given_up(visitor: Visitor) -> None:
    page = visitor.page
    begin(page, "given-up")
    page.get_by_role("button", name="Cancel").click()

    expect(page.locator("#login-state")).to_have_text("Cancelled.")
    expect(page.locator("#pending")).to_be_empty()
    expect(login(page, "given-up")).to_have_count(0)


def test_a_tier_that_is_closed(visitor: Visitor, page_simulator: QwenSimulator) -> None:
    page_simulator.faults.add("oauth_tier_closed", endpoint="device_code")
    visitor.expected_statuses = {403, 502, 503}
    page = visitor.page
    page.get_by_role("button", name="Log in to Qwen").click()

    expect(page.get_by_role("alert")).to_contain_text("Qwen takes no new logins")
    expect(page.get_by_role("button", name="Log in to Qwen")).to_be_enabled()


@pytest.fixture
def closed_tier(page_simulator: QwenSimulator) -> Iterator[None]:
    """Qwen gives tokens that its API refuses."""
    page_simulator.oauth.closed_tier = True
    yield
    page_simulator.oauth.closed_tier = False


@pytest.mark.usefixtures("closed_tier")
def test_a_tier_that_is_closed_after_the_approval(visitor: Visitor) -> None:
    page = visitor.page
    begin(page, "closed")
    decide(visitor.context, page, "Approve")

    expect(page.get_by_role("alert")).to_contain_text("Qwen takes no new logins", timeout=20_000)


def test_only_the_admin_sees_it(worker: Worker, visit: Visit) -> None:
    visitor = visit(worker)
    page = visitor.open("login", key=CLIENT_KEY)

    expect(page.get_by_role("heading", name="Status", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_be_hidden()
    assert not any("/v1/logins" in request.url for request in visitor.requests)
