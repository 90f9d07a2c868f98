"""Try it: an answer as it comes, thinking, figures, a stop, errors as SDKs see them."""

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.clients.page.conftest import ADMIN_KEY, Visit
from tests.clients.questions import ATTEMPTS, DELTAS, TEXT
from tests.simulator.recording import disconnected
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY
from tests.worker.harness.runtime import Worker


class Question:
    """A page at Try it, whose next question Qwen answers as the test says."""

    def __init__(self, page: Page, simulator: QwenSimulator, **fault: Any) -> None:
        self.page = page
        self.key = f"page-{uuid.uuid4().hex}"
        simulator.faults.plan(self.key, fault)
        page.set_extra_http_headers({"x-request-id": self.key})
        self.send = page.get_by_role("button", name="Send")
        self.state = page.locator("#try-state")
        self.text = page.locator("#text")

    def ask(self) -> None:
        """Asks as soon as the models are there."""
        expect(self.page.locator("#model")).to_have_value("qwen3-coder-plus")
        self.page.get_by_label("Prompt").fill("Why do rivers meander?")
        self.send.click()

    def figure(self, name: str) -> str:
        """The figure with this name."""
        return self.page.locator("#figures div", has=self.page.get_by_text(name, exact=True)).inner_text()


def test_streams_an_answer(gateway: Worker, visit: Visit, page_simulator: QwenSimulator) -> None:
    page = visit(gateway).open("try", key=CLIENT_KEY)
    question = Question(page, page_simulator, text=DELTAS, chunk_delay_ms=150)
    question.ask()

    expect(question.state).to_have_text("Answering …")
    expect(question.text).to_have_text(re.compile("^Hello"))
    assert question.text.inner_text() != TEXT, "the answer came as a whole"
    expect(question.state).to_have_text("Done.")
    assert question.text.inner_text() == TEXT
    assert re.search(r"\d+ ms|\d s", question.figure("first token"))
    assert float(question.figure("tokens a second").split()[-1]) > 0
    assert int(question.figure("output tokens").split()[-1]) > 0
    assert question.figure("account").endswith("QWEN_CLI_AUTH")
    expect(page.locator("#model").locator("option", has_text="embedding")).to_have_count(0)


def test_folds_the_thinking_away(gateway: Worker, visit: Visit, page_simulator: QwenSimulator) -> None:
    page = visit(gateway).open("try", key=CLIENT_KEY)
    question = Question(page, page_simulator, reasoning=["Rivers", " are <lazy>."], text=["Because."])
    question.ask()

    expect(question.state).to_have_text("Done.")
    assert question.text.inner_text() == "Because."
    thoughts = page.locator("#thoughts")
    expect(thoughts).to_be_hidden()
    page.get_by_text("Thinking", exact=True).click()
    expect(thoughts).to_have_text("Rivers are <lazy>.")


def test_an_answer_is_text_and_never_markup(
    gateway: Worker, visit: Visit, page_simulator: QwenSimulator
) -> None:
    page = visit(gateway).open("try", key=CLIENT_KEY)
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    question = Question(page, page_simulator, text=[markup])
    question.ask()

    expect(question.text).to_have_text(markup)
    assert page.locator("#text *").count() == 0


def test_stop_hangs_up(gateway: Worker, visit: Visit, page_simulator: QwenSimulator) -> None:
    page = visit(gateway).open("try", key=CLIENT_KEY)
    question = Question(page, page_simulator, endless=True, chunk_delay_ms=20)
    question.ask()
    expect(question.text).not_to_be_empty()
    page.get_by_role("button", name="Stop").click()

    expect(question.state).to_have_text("Stopped.")
    page_simulator.recorder.wait_for(question.key, disconnected, timeout_seconds=10)
    expect(question.send).to_be_enabled()
    expect(page.locator("#try-error")).to_be_empty()


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("context_length", 400, ["BadRequestError (400)", "context_length_exceeded"]),
        ("rate_limit_retry_after", 429, ["RateLimitError (429)", "rate_limit_exceeded", "try again in"]),
        ("html_502", 502, ["InternalServerError (502)", "upstream_unavailable"]),
    ],
)
def test_an_error_is_shown_as_sdks_see_it(
    gateway: Worker,
    visit: Visit,
    page_simulator: QwenSimulator,
    fault: str,
    status: int,
    told: list[str],
) -> None:
    visitor = visit(gateway)
    visitor.expected_statuses = {status}
    page = visitor.open("try", key=CLIENT_KEY)
    question = Question(page, page_simulator, name=fault)
    question.ask()

    alert = page.get_by_role("alert")
    for text in (*told, question.key):
        expect(alert).to_contain_text(text)
    assert len(page_simulator.find(question.key)) <= ATTEMPTS
    expect(question.send).to_be_enabled()


def test_a_stream_that_breaks_off_is_an_error(
    gateway: Worker, visit: Visit, page_simulator: QwenSimulator
) -> None:
    page = visit(gateway).open("try", key=CLIENT_KEY)
    question = Question(page, page_simulator, name="death_mid_stream", text=DELTAS)
    question.ask()

    expect(page.get_by_role("alert")).to_contain_text("stream_failed")
    expect(page.get_by_role("alert")).to_contain_text("APIError")
    expect(question.text).to_have_text(re.compile("^Hello"))


def test_no_key_a_wrong_key_and_the_admin_key_cannot_ask(gateway: Worker, visit: Visit) -> None:
    visitor = visit(gateway)
    page = visitor.open("try")
    send = page.get_by_role("button", name="Send")
    hint = page.locator("#try-hint")
    expect(hint).to_contain_text("Enter a key to ask a model.")
    expect(send).to_be_disabled()
    visitor.enter_key("another-key")
    page.get_by_role("button", name="Cancel").click()
    expect(hint).to_contain_text("does not accept this key")
    expect(send).to_be_disabled()
    visitor.enter_key(ADMIN_KEY)
    expect(hint).to_contain_text("The admin key uses no model.")
    expect(send).to_be_disabled()
    visitor.enter_key(CLIENT_KEY)
    expect(hint).to_be_empty()
    expect(send).to_be_enabled()


def test_events_are_found_however_they_are_cut(gateway: Worker, visit: Visit) -> None:
    page = visit(gateway).open("try")
    script = """async (text) => {
      const { EventParser } = await import("/page/sse.js");
      const found = [];
      for (let cut = 0; cut <= text.length; cut++) {
        const parser = new EventParser();
        found.push([...parser.feed(text.slice(0, cut)), ...parser.feed(text.slice(cut))]);
      }
      return found;
    }"""
    for end in ("\n", "\r\n"):
        text = end.join(
            [
                ": ping",
                "",
                'data: {"a": 1}',
                "",
                "event: x",
                "data:one",
                "data: two",
                "",
                "data: [DONE]",
                "",
                "",
            ]
        )
        found = page.evaluate(script, text)

        assert all(events == ['{"a": 1}', "one\ntwo", "[DONE]"] for events in found)
