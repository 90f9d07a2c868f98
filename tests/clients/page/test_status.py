"""Status: with and without a key, a degraded gateway, an account in a cooldown."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.clients.page.conftest import ADMIN_KEY, Serve, Visit
from tests.clients.page.visitor import KEY_NAME
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, oauth_variables
from tests.worker.harness.runtime import Worker


def test_without_a_key(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open()

    expect(page.get_by_text("The gateway is running.")).to_be_visible()
    expect(page.locator("#health")).to_contain_text("Chat completions")
    expect(page.locator("#health")).to_contain_text("Anthropic Messages")
    expect(page.locator("#accounts")).to_contain_text("Enter a key to see the accounts.")
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page.get_by_role("link", name="Log in")).to_be_hidden()


def test_a_key_shows_the_accounts(gateway: Worker, visit: Visit) -> None:
    visitor = visit(gateway)
    page = visitor.open()
    visitor.enter_key(CLIENT_KEY)

    expect(page.get_by_role("button", name="Key: alice")).to_be_visible()
    account = page.get_by_role("article", name="Account QWEN_CLI_AUTH")
    expect(account).to_contain_text("Ready")
    expect(account).to_contain_text(re.compile(r"token expires.*, in \d+ h"))
    expect(page.get_by_role("link", name="Log in")).to_be_hidden()


def test_a_wrong_key_is_said_to_be_wrong(gateway: Worker, visit: Visit) -> None:
    visitor = visit(gateway)
    page = visitor.open()
    visitor.enter_key("another-key")

    expect(page.get_by_role("dialog")).to_contain_text("does not accept this key")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#accounts")).to_contain_text("does not accept this key")
    expect(page.get_by_role("article")).to_have_count(0)


@pytest.mark.parametrize("remember", [False, True])
def test_where_the_key_is_kept(gateway: Worker, visit: Visit, *, remember: bool) -> None:
    visitor = visit(gateway)
    page = visitor.open()
    visitor.enter_key(CLIENT_KEY, remember=remember)
    expect(page.get_by_role("button", name="Key: alice")).to_be_visible()

    kept = page.evaluate(f"[sessionStorage.getItem('{KEY_NAME}'), localStorage.getItem('{KEY_NAME}')]")
    assert kept == ([None, CLIENT_KEY] if remember else [CLIENT_KEY, None])
    assert page.evaluate("document.cookie") == ""
    assert not any(CLIENT_KEY in request.url for request in visitor.requests)

    page.reload()
    page.get_by_role("button", name="Key: alice").click()
    page.get_by_role("button", name="Forget it").click()
    expect(page.get_by_role("button", name="Enter a key").first).to_be_visible()
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_the_admin_sees_where_to_log_in(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open(key=ADMIN_KEY)

    expect(page.get_by_role("button", name="Key: admin")).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_an_open_gateway_needs_no_key(serve: Serve, visit: Visit) -> None:
    page = visit(serve(CLIENT_KEYS=None, ADMIN_KEY=None)).open()

    expect(page.get_by_role("button", name="No key needed")).to_be_visible()
    expect(page.get_by_role("article", name="Account QWEN_CLI_AUTH")).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_be_hidden()


def test_a_degraded_gateway_says_why(serve: Serve, visit: Visit) -> None:
    page = visit(serve(UPSTREAM_TIMEOUT_SECONDS="<b>soon</b>")).open()

    expect(page.get_by_text("The gateway is degraded.")).to_be_visible()
    expect(page.locator("#health li").first).to_contain_text("UPSTREAM_TIMEOUT_SECONDS")
    expect(page.get_by_role("status").first).to_have_text("Degraded")


def test_a_cooldown_counts_down_and_the_page_refreshes_itself(
    serve: Serve, visit: Visit, page_simulator: QwenSimulator
) -> None:
    worker = serve(QWEN_CLI_AUTH_2=oauth_variables(page_simulator)["QWEN_CLI_AUTH"])
    page = visit(worker).open(key=CLIENT_KEY)
    account = page.get_by_role("article", name="Account QWEN_CLI_AUTH", exact=True)
    expect(account).to_contain_text("Ready")
    httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
        json={
            "model": "qwen3-coder-plus",
            "messages": [{"role": "user", "content": "hello"}],
            "simulate": "insufficient_quota_daily",
        },
    )

    expect(account).to_contain_text("Cooling down", timeout=15_000)
    expect(account).to_contain_text("its quota is used up; tried again in")
    before = account.inner_text()
    expect(account).not_to_have_text(before, use_inner_text=True)


def test_a_gateway_that_is_gone_is_not_reachable(gateway: Worker, visit: Visit) -> None:
    visitor = visit(gateway)
    page = visitor.open()
    expect(page.get_by_text("The gateway is running.")).to_be_visible()
    page.route("**/health", lambda route: route.abort())
    page.get_by_role("button", name="Check now").click()

    expect(page.get_by_role("status").first).to_have_text("Not reachable")
    complaints = [complaint for complaint in visitor.complaints if "ERR_FAILED" not in complaint]
    assert complaints == []
    visitor.complaints.clear()
