"""Usage: figures, chart, table and CSV, of everybody for the admin, of its own for a client."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.clients.page.conftest import ADMIN_KEY, UNUSED_KEY, Serve, Visit
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker

BOBS_KEY = "test-key-of-bob"
PRICES = '{"qwen3-coder-plus": {"input": 1.0, "cached": 0.1, "output": 5.0}}'


def ask(worker: Worker, key: str, model: str) -> None:
    response = httpx.post(
        f"{worker.openai_base_url}/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        json={"model": model, "messages": [{"role": "user", "content": "Say hello."}]},
    )
    assert response.is_success


@pytest.fixture(scope="module")
def used(serve: Serve) -> Worker:
    """A Worker that alice and bob have used."""
    worker = serve(CLIENT_KEYS=f"alice={CLIENT_KEY},bob={BOBS_KEY}", PRICES=PRICES)
    ask(worker, CLIENT_KEY, "qwen3-coder-plus")
    ask(worker, CLIENT_KEY, "qwen3-coder-flash")
    ask(worker, BOBS_KEY, "qwen3-coder-plus")
    return worker


def test_the_admin_sees_everybody(used: Worker, visit: Visit) -> None:
    page = visit(used).open("usage", key=ADMIN_KEY)

    expect(page.locator("#usage-lead")).to_have_text("What was used, by everybody.")
    expect(page.locator("#totals")).to_contain_text("requests3")
    expect(page.locator("#totals")).to_contain_text("cost")
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#legend")).to_contain_text("qwen3-coder-flash")
    page.locator("[name=by]").select_option("key")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("alice")
    expect(rows.nth(2)).to_contain_text("bob")
    expect(page.locator("#usage-notes")).to_contain_text("Without a price: qwen3-coder-flash.")


def test_a_client_sees_its_own(used: Worker, visit: Visit) -> None:
    page = visit(used).open("usage", key=BOBS_KEY)

    expect(page.locator("#usage-lead")).to_contain_text("with your key")
    expect(page.locator("#totals")).to_contain_text("requests1")
    page.locator("[name=by]").select_option("key")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("table")).not_to_contain_text("alice")


def coloured_pixels(page: Page) -> int:
    """How much of the chart has the colour of the first bars."""
    pixels: int = page.evaluate(
        """() => {
          const { width, height } = document.querySelector("#chart canvas");
          const context = document.querySelector("#chart canvas").getContext("2d");
          const colour = getComputedStyle(document.documentElement).getPropertyValue("--series-1").trim();
          const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
          const { data } = context.getImageData(0, 0, width, height);
          let pixels = 0;
          for (let at = 0; at < data.length; at += 4) {
            pixels += data[at] === red && data[at + 1] === green && data[at + 2] === blue;
          }
          return pixels;
        }"""
    )
    return pixels


@pytest.mark.parametrize("days", ["1", "7", "30"])
def test_every_period_and_measure_is_drawn(used: Worker, visit: Visit, days: str) -> None:
    page = visit(used, timezone_id="Asia/Kolkata").open("usage", key=ADMIN_KEY)
    page.locator("[name=period]").select_option(days)
    zone = "hours in Asia/Calcutta" if days == "1" else "days in UTC"
    for measure in ("tokens", "requests", "errors", "cost"):
        page.locator("[name=measure]").select_option(measure)

        expect(page.locator("#chart-title")).to_have_text(f"{measure.capitalize()} by model, {zone}")
        assert (coloured_pixels(page) > 100) is (measure != "errors")


def test_downloads_csv(used: Worker, visit: Visit, tmp_path: Path) -> None:
    page = visit(used).open("usage", key=ADMIN_KEY)
    expect(page.locator("#totals")).to_contain_text("requests")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "usage.csv")
    lines = (tmp_path / "usage.csv").read_text().splitlines()

    assert download.value.suggested_filename.startswith("usage-")
    assert lines[0].startswith("day,model,requests")
    assert len(lines) == 3


def test_nothing_was_used_yet(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open("usage", key=UNUSED_KEY)

    expect(page.locator("#usage-state")).to_contain_text("Nothing was used in this time.")
    expect(page.locator("#chart")).to_be_hidden()


def test_without_a_key_nothing_is_asked(gateway: Worker, visit: Visit) -> None:
    visitor = visit(gateway)
    page = visitor.open("usage")

    expect(page.locator("#usage-error")).to_contain_text("Enter a key to see what was used.")
    visitor.enter_key("another-key")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#usage-error")).to_contain_text("does not accept this key")
    assert not any("/v1/usage" in request.url for request in visitor.requests)


def test_a_gateway_without_a_database_says_so(gateway: Worker, visit: Visit) -> None:
    visitor = visit(gateway)
    visitor.expected_statuses = {404}
    error = {"error": {"message": "Usage is not kept.", "code": "usage_not_kept"}}
    visitor.page.route("**/v1/usage?*", lambda route: route.fulfill(status=404, json=error))
    page = visitor.open("usage", key=CLIENT_KEY)

    expect(page.locator("#usage-error")).to_contain_text("keeps no usage")
