"""`make login`: logs in at Qwen by the device flow, in the terminal and a browser anywhere.

The login goes into `.dev.vars`, or with `SECRET=QWEN_CLI_AUTH` (or a numbered one) to the deployed Worker. It
is tried before it is kept: since April 2026 Qwen may give logins that its API refuses.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from tools import setup_environment
from tools.checks import report
from tools.repository import DEV_VARS, LOCAL

if TYPE_CHECKING:
    from pathlib import Path

    from qwen_worker.config.login import OAuthToken
    from qwen_worker.config.settings import Settings
    from qwen_worker.credentials.device_flow import DeviceCode


def main() -> None:
    """Logs in and keeps the login, or ends with 1 after saying why not, 130 after Ctrl-C."""
    setup_environment.check_python()
    # Only now: an old Python cannot load the Worker's modules.
    from tools.put_login import make_ready, secret_name

    secret = os.environ.get("SECRET")
    if secret:
        secret_name()
        make_ready("login")
    settings = local_settings()
    try:
        token = asyncio.run(logged_in(settings.oauth_base_url))
        try_out(token, settings)
    except KeyboardInterrupt:
        print("\nlogin: given up, nothing was written", flush=True)
        sys.exit(130)
    text = json.dumps(members_of(token), separators=(",", ":"))
    if secret:
        put(secret, text)
    else:
        keep(DEV_VARS, text)


def local_settings() -> Settings:
    """The settings of `.dev.vars`, if there is one; QWEN_OAUTH_BASE_URL of the environment counts more."""
    from qwen_worker.config.settings import Settings
    from tools.dev_vars import read_dev_vars

    try:
        values = read_dev_vars(DEV_VARS)
    except (OSError, UnicodeError) as problem:
        fail(f"{DEV_VARS.name} cannot be read ({type(problem).__name__}); make doctor says more")
    host = os.environ.get("QWEN_OAUTH_BASE_URL")
    return Settings.from_env({**values, "QWEN_OAUTH_BASE_URL": host} if host else values)


async def logged_in(oauth_base_url: str) -> OAuthToken:
    """The login that a person approves in a browser. Ends the program with a message if it fails."""
    from qwen_worker.credentials.device_flow import request_code
    from qwen_worker.errors import ProxyError
    from tools.urllib_fetcher import urllib_fetcher

    try:
        code = await request_code(urllib_fetcher(), oauth_base_url, now_ms())
    except ProxyError as problem:
        fail(str(problem))
    minutes = max(1, round((code.expires_ms - now_ms()) / 60_000))
    say(f"open this page in a browser, on any machine, within {minutes} min, and approve:\n")
    print(f"    {code.verification_uri_complete}\n\n    the code that it shows: {code.user_code}\n")
    say("waiting (Ctrl-C gives up)")
    return await _approved(code, oauth_base_url)


async def _approved(code: DeviceCode, oauth_base_url: str) -> OAuthToken:
    """Polls until the person has decided, less often if Qwen wants that."""
    from qwen_worker.credentials import device_flow
    from tools.urllib_fetcher import urllib_fetcher

    interval_seconds, fault = code.interval_seconds, ""
    while now_ms() < code.expires_ms:
        await asyncio.sleep(interval_seconds)
        outcome = await device_flow.poll(
            urllib_fetcher(), oauth_base_url, code.device_code, code.verifier, now_ms()
        )
        if isinstance(outcome, device_flow.Approved):
            return outcome.token
        if isinstance(outcome, device_flow.Over):
            fail(_OVER[outcome.status])
        if isinstance(outcome, device_flow.UnknownCode):
            fail("Qwen does not know this login any more. Begin again: make login")
        if outcome.slower:
            interval_seconds = min(
                interval_seconds * device_flow.SLOWER, device_flow.LONGEST_INTERVAL_SECONDS
            )
            say(f"Qwen wants to be asked less often: every {interval_seconds:.1f} s")
        if outcome.fault and outcome.fault != fault:
            say(f"Qwen does not answer well at the moment ({outcome.fault}); still waiting")
        fault = outcome.fault
    return fail(_OVER["expired"])


_OVER = {
    "denied": "the login was denied in the browser; nothing was written",
    "expired": "the code has expired before it was approved. Begin again: make login",
    "closed": "Qwen takes no new logins: it closed its OAuth tier on 2026-04-15. "
    "Use QWEN_API_KEY and QWEN_BASE_URL (docs/accounts.md, Get credentials)",
}


def try_out(token: OAuthToken, settings: Settings) -> None:
    """Asks Qwen's API with the new login; ends the program if it refuses it."""
    from qwen_worker.config.account import AccountSettings
    from tools.live_check import live_checks

    account = AccountSettings("oauth", "the new login", "new", 1, login=token)
    say("approved; asking Qwen's API whether it takes it")
    checks = live_checks(settings._replace(accounts=(account,)), now_ms(), with_apis=False)
    if "error" in report(checks):
        fail("nothing was written")


def members_of(token: OAuthToken) -> dict[str, str | int]:
    """A login as QWEN_CLI_AUTH takes it."""
    members = {
        "access_token": token.access_token,
        "refresh_token": token.refresh_token,
        "token_type": token.token_type,
        "resource_url": token.resource_url,
        "expiry_date": token.expiry_date_ms,
    }
    return {name: value for name, value in members.items() if value is not None}


def keep(file: Path, text: str) -> None:
    """Writes the login into a `.dev.vars` file, in place of the one login that QWEN_CLI_AUTH holds."""
    from tools.dev_vars import login_variable, read_dev_vars, write_value

    name = login_variable(read_dev_vars(file))
    try:
        write_value(file, name, text)
    except OSError as problem:
        fail(f"{file.name} cannot be written: {problem.strerror}. {set_aside(text, name)}")
    say(f"{name} is set in {file.name}. make dev serves with it, and renews it from now on")


def put(name: str, text: str) -> None:
    """Makes the login a secret of the deployed Worker."""
    from tools.wrangler import put_secret

    if put_secret(name, text):
        fail(f"wrangler has not set {name}. {set_aside(text, name)}")
    say(f"{name} is set. The deployed gateway renews this login from now on")


def set_aside(text: str, name: str) -> str:
    """Keeps a login in a file of its own, for its owner only, and says how to use it."""
    LOCAL.mkdir(exist_ok=True)
    file = LOCAL / "login.json"
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
    kept = file.relative_to(LOCAL.parent).as_posix()
    return f"The login is in {kept}: make login-secret FILE={kept} SECRET={name}"


def now_ms() -> int:
    """The time in milliseconds since the Unix epoch."""
    return int(time.time() * 1000)


def say(message: str) -> None:
    """Prints a line of our own."""
    print(f"login: {message}", flush=True)


def fail(message: str) -> NoReturn:
    """Ends with a message."""
    sys.exit(f"login: {message}")


if __name__ == "__main__":
    main()
