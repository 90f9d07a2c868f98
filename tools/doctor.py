"""`make doctor`: what is wrong with this machine, the configuration or the gateway, and how to mend it.

`URL=https://...` names another gateway than the local one; OPENAI_API_KEY in the environment is the client
key for it. `LIVE=1` calls each account of `.dev.vars` for real, or with `URL=` that gateway; `LIVE=0` does
not ask. Ends with 1 if there is an error. Shows no secret. Needs nothing installed but Python.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tools import setup_environment
from tools.checks import report
from tools.repository import DEV_VARS
from tools.toolchain import development_tools

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.checks import Check


class Findings:
    """Prints checks by chapter, and counts them by level."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.was_live = True
        """Whether every account that was found was called."""

    def chapter(self, title: str, checks: Iterable[Check]) -> None:
        """Prints the checks as they come."""
        print(f"{title}", flush=True)
        self._counts.update(report(checks))
        print(flush=True)

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return self._counts["error"]

    def verdict(self) -> str:
        """One line: that all is well, or how much is not."""
        warnings = self._counts["warning"]
        if self.errors:
            return f"{self.errors} to mend, marked as error"
        if warnings:
            return f"nothing is broken, but {warnings} to look at, marked as warning"
        if not self.was_live:
            return "all is well, as far as one can see without calling Qwen: LIVE=1 make doctor"
        return "all is well"


def main() -> None:
    """Prints every check; ends with 1 if one is an error."""
    setup_environment.check_python()
    # Only now: an old Python cannot load the Worker's modules.
    from qwen_worker.config.settings import Settings
    from tools.checks import note
    from tools.cli_login import DEFAULT_FILE, UnusableLogin, read_cli_login
    from tools.configuration_check import client_key, dev_vars_checks
    from tools.endpoint_check import endpoint_checks
    from tools.http_client import is_loopback
    from tools.live_check import live_checks, may_call
    from tools.login_expiry import login_check

    now_ms = int(time.time() * 1000)
    findings = Findings()
    findings.chapter("Tools", development_tools())
    found, variables = dev_vars_checks(DEV_VARS, now_ms)
    findings.chapter(".dev.vars", found)

    named_url = os.environ.get("URL")
    settings = Settings.from_env(variables)
    has_accounts = any(account.login or account.api_key for account in settings.accounts)
    live = (has_accounts or bool(named_url)) and may_call(os.environ)
    if not named_url and has_accounts:
        findings.was_live = live
        if live:
            findings.chapter("Accounts", live_checks(settings, now_ms))

    file = DEFAULT_FILE.expanduser()
    if not file.exists():
        cli = note("there is none: the Qwen Code CLI is not logged in on this machine")
    else:
        try:
            cli = login_check("login", read_cli_login(file).token, now_ms)
        except UnusableLogin as problem:
            cli = note(str(problem), "log in with the Qwen Code CLI again, if you want to use its login")
    findings.chapter(str(DEFAULT_FILE), [cli])

    url = named_url or local_url()
    own_key = client_key(variables) if is_loopback(url) else None
    key = own_key or os.environ.get("OPENAI_API_KEY") or None
    is_named = bool(named_url)
    checks = endpoint_checks(url, key, expected=is_named, now_ms=now_ms, live=live and is_named)
    findings.chapter("Gateway", checks)

    print(f"doctor: {findings.verdict()}")
    sys.exit(1 if findings.errors else 0)


def local_url() -> str:
    """Where `make dev` serves with the same PORT and HOST."""
    host = os.environ.get("HOST") or "127.0.0.1"
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{os.environ.get('PORT') or 8787}"  # noqa: S104


if __name__ == "__main__":
    main()
