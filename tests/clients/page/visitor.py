"""A person in front of the page: a real Chromium that notes whatever it has to complain about."""

from types import TracebackType
from typing import Any, Self

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Playwright, Request, expect

from tests.clients.chromium import ARGUMENTS, CHROMIUM

_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  console.error(`CSP: ${violatedDirective} ${blockedURI}`));
"""
KEY_NAME = "qwen-worker-key"

expect.set_options(timeout=10_000)


class Visitor:
    """A browser window of its own at `url`, until the `with` block ends.

    Then it fails if the browser has complained (of a script, the Content-Security-Policy or a resource), or
    has asked another origin than the gateway's. What a test provokes is named in `expected_statuses`: the
    browser complains of every answer that is an error.
    """

    def __init__(self, playwright: Playwright, url: str, **options: Any) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.expected_statuses: set[int] = set()
        self.requests: list[Request] = []
        self._browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        self.context: BrowserContext = self._browser.new_context(
            permissions=["clipboard-read", "clipboard-write"], **options
        )
        self.context.add_init_script(_REPORT_VIOLATIONS)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))

    def open(self, part: str = "status", *, key: str | None = None) -> Page:
        """The page at one of its parts, with a key as if it had been entered in this tab before."""
        if key is not None:
            self.page.add_init_script(f"sessionStorage.setItem({KEY_NAME!r}, {key!r})")
        self.page.goto(f"{self.url}/#{part}")
        return self.page

    def enter_key(self, key: str, *, remember: bool = False) -> None:
        """Enters a key as a person does."""
        self.page.get_by_role("banner").get_by_role("button").click()
        self.page.get_by_label("Key", exact=True).fill(key)
        self.page.get_by_label("Remember it").set_checked(remember)
        self.page.get_by_role("button", name="Use this key").click()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.close()
        if error is None:
            foreign = [request.url for request in self.requests if not self._is_ours(request)]
            assert not self.complaints, f"the browser complains: {self.complaints}"
            assert not foreign, f"the page asks others: {foreign}"

    def _is_ours(self, request: Request) -> bool:
        return request.url.startswith((f"{self.url}/", f"blob:{self.url}/"))

    def _hear(self, message: ConsoleMessage) -> None:
        if any(f"status of {status} " in message.text for status in self.expected_statuses):
            return
        self.complaints.append(f"{message.type}: {message.text}")
