"""Everybody can use it: axe-core finds nothing, the keyboard is enough, a telephone shows all of it."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.clients.node_clients import NODE_PROJECT
from tests.clients.page.conftest import ADMIN_KEY, Visit
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

AXE = NODE_PROJECT / "node_modules" / "axe-core" / "axe.min.js"
PARTS = ("status", "connect", "try", "usage", "login")
TELEPHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
DARK: dict[str, Any] = {"color_scheme": "dark"}


def violations(page: Page) -> list[str]:
    """What axe-core finds: the rule, and where it is broken."""
    page.evaluate(AXE.read_text())
    results = page.evaluate("axe.run()")
    return [
        f"{found['impact']} {found['id']}: {', '.join(node['html'] for node in found['nodes'])}"
        for found in results["violations"]
    ]


@pytest.mark.parametrize(
    ("key", "look"),
    [("", {}), (CLIENT_KEY, DARK), (ADMIN_KEY, {}), (ADMIN_KEY, DARK), (ADMIN_KEY, TELEPHONE)],
    ids=["no key", "client, dark", "admin", "admin, dark", "admin, telephone"],
)
def test_axe_finds_nothing(gateway: Worker, visit: Visit, key: str, look: dict[str, Any]) -> None:
    visitor = visit(gateway, **look)
    page = visitor.open(key=key or None)
    for part in PARTS[: None if key == ADMIN_KEY else -1]:
        page.goto(f"{gateway.base_url}/#{part}")
        expect(page.get_by_role("heading", level=2)).to_be_visible()
        page.wait_for_load_state("networkidle")

        assert violations(page) == [], part


def test_axe_finds_nothing_in_the_dialog_and_in_an_answer(gateway: Worker, visit: Visit) -> None:
    visitor = visit(gateway)
    page = visitor.open("try", key=CLIENT_KEY)
    expect(page.locator("#model")).to_have_value("qwen3-coder-plus")
    page.get_by_label("Prompt").fill("Why?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-state")).to_have_text("Done.")
    assert violations(page) == []

    page.get_by_role("button", name="Key: alice").click()
    assert violations(page) == []


def test_nothing_is_wider_than_a_telephone(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway, **TELEPHONE).open(key=ADMIN_KEY)
    for part in PARTS:
        page.goto(f"{gateway.base_url}/#{part}")
        expect(page.get_by_role("heading", level=2)).to_be_visible()
        page.wait_for_load_state("networkidle")

        assert page.evaluate("document.documentElement.scrollWidth") <= 360, part


def test_the_keyboard_is_enough_to_ask(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open("status", key=CLIENT_KEY)
    expect(page.get_by_role("button", name="Key: alice")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(4):  # the key, Status, Connect, Try it
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Try it")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#model")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("Why?")
    page.keyboard.press("Control+Enter")

    expect(page.locator("#try-state")).to_have_text("Done.")


def test_the_dialog_gives_the_focus_back(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open()
    button = page.get_by_role("banner").get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.press("Escape")

    expect(button).to_be_focused()
