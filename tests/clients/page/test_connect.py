"""Connect: the snippets of docs/clients.md with this gateway's own URL."""

import re

from playwright.sync_api import expect

from tests.clients.page.conftest import ADMIN_KEY, Visit
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker
from tools.repository import ROOT

DOCUMENT = (ROOT / "docs" / "clients.md").read_text()
TOOLS = [
    "curl",
    "OpenAI for Python",
    "OpenAI for Node.js",
    "Vercel AI SDK",
    "LangChain",
    "Claude Code",
    "Codex",
    "Qwen Code",
    "Open WebUI",
    "Cline",
    "Roo Code",
    "Continue",
    "Cursor",
]


def test_every_tool_gets_the_documented_snippets_with_this_url(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open("connect")
    documented = DOCUMENT.replace("\n$ ", "\n").replace("http://127.0.0.1:8787", gateway.base_url)
    for tool in TOOLS:
        page.get_by_role("button", name=tool, exact=True).click()
        snippets = page.locator("#snippets pre").all_inner_texts()

        assert snippets
        assert any(gateway.base_url in snippet for snippet in snippets)
        assert all(snippet in documented for snippet in snippets)


def test_copies_a_snippet_and_the_base_url(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open("connect")
    page.get_by_role("button", name="Codex", exact=True).click()
    page.get_by_role("button", name="Copy the snippet for Codex").first.click()

    expect(page.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"^\[model_providers\.qwen\]$", copied, re.MULTILINE)
    assert f'base_url = "{gateway.base_url}/v1"' in copied

    page.get_by_role("button", name="Copy the base URL of OpenAI's API").click()
    assert page.evaluate("navigator.clipboard.readText()") == f"{gateway.base_url}/v1"


def test_the_key_is_shown_only_on_demand(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open("connect", key=CLIENT_KEY)
    snippets = page.locator("#snippets")
    expect(snippets).to_contain_text("your-key")
    expect(snippets).not_to_contain_text(CLIENT_KEY)
    page.get_by_label("Show my key in the snippets").check()

    expect(snippets).to_contain_text(f"Bearer {CLIENT_KEY}")


def test_the_admin_key_is_for_no_client(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open("connect", key=ADMIN_KEY)

    expect(page.get_by_role("button", name="Key: admin")).to_be_visible()
    expect(page.get_by_label("Show my key in the snippets")).to_be_disabled()
