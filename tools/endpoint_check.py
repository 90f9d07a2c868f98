"""Asks a running gateway how it is: `/health`, and with a key `/v1/models`."""

import http.client
import ipaddress
import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tools.checks import Check, Level, error, note, ok, warning
from tools.login_expiry import duration

TIMEOUT_SECONDS = 20.0

_CREDENTIAL_STATES: dict[str, tuple[Level, str, str]] = {
    "refresh_pending": (
        "warning",
        "a token is due and not refreshed yet",
        "ask again in a minute; then look for 'refresh failed temporarily' in the log",
    ),
    "missing": ("error", "no credential for Qwen", "set QWEN_CLI_AUTH or QWEN_API_KEY"),
    "expired": (
        "error",
        "the login has expired and holds no refresh token",
        "make login-secret, or QWEN_API_KEY",
    ),
    "rejected": (
        "error",
        "Qwen refuses the login for good",
        "log in with the CLI again, then make login-secret",
    ),
    "discontinued": (
        "error",
        "Qwen refuses tokens that it has just issued: its OAuth tier is closed",
        "set QWEN_API_KEY and QWEN_BASE_URL",
    ),
}
_COOLDOWN_REMEDY = "docs/accounts.md, Cooldown, says why; the log line is: account in cooldown"


class Answer(NamedTuple):
    """A status and the JSON body, None if it is none."""

    status: int
    body: Any


class Unreachable(Exception):
    """No HTTP answer. The message says why."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the key must not follow it to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Never goes on."""


def endpoint_checks(url: str, key: str | None, *, expected: bool) -> list[Check]:
    """How the gateway at `url` is. Not `expected`: it may well not run, which is then no error."""
    url = url.rstrip("/").removesuffix("/v1")
    if key is not None and urlsplit(url).scheme != "https" and not is_loopback(url):
        return [error("the address is not https: a client key would be readable on its way", "use https://")]
    try:
        health = ask(f"{url}/health", key)
    except Unreachable as problem:
        if expected:
            return [error(f"{url} does not answer: {problem}", "check the address, and that it is deployed")]
        return [
            note(f"nothing answers at {url}", "start it with: make dev   (or name another: URL=https://...)")
        ]
    version = health.body.get("version") if isinstance(health.body, dict) else None
    if health.status != 200 or not str(version).startswith("qwen-worker-"):
        return [
            error(
                f"{url}/health is not this gateway's (HTTP {health.status})",
                "give the Worker's address; if it is, look into its log: npx wrangler tail",
            )
        ]
    return [ok(f"{url} answers: {version}"), *_health_checks(health.body), *_models_checks(url, key)]


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ask(url: str, key: str | None) -> Answer:
    """The answer to a GET. Raises Unreachable."""
    handlers: list[Any] = [_NoRedirect]
    if is_loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))
    headers = {"accept": "application/json", "user-agent": "qwen-worker-doctor"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_SECONDS) as response:
            return Answer(response.status, _parsed(response.read()))
    except urllib.error.HTTPError as problem:
        with problem:
            return Answer(problem.code, _parsed(problem.read()))
    except urllib.error.URLError as problem:
        raise Unreachable(str(problem.reason)) from None
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise Unreachable(type(problem).__name__) from None


def _health_checks(health: dict[str, Any]) -> list[Check]:
    checks = [
        error(f"it reports: {reason}", "see docs/configuration.md") for reason in health.get("reasons", [])
    ]
    checks += [note(f"it says: {notice}") for notice in health.get("notices", [])]
    for account in health.get("accounts", []):
        label, state, credential = account["label"], account["state"], account["credentials"]["state"]
        if credential in _CREDENTIAL_STATES:
            level, text, remedy = _CREDENTIAL_STATES[credential]
            checks.append(Check(level, f"{label}: {text}", remedy))
        elif state == "cooldown":
            reason, seconds = account["reason"], account["seconds_left"]
            checks.append(
                note(f"{label}: in cooldown for {duration(seconds)} more ({reason})", _COOLDOWN_REMEDY)
            )
        else:
            checks.append(ok(f"{label}: {state}"))
    return checks


def _models_checks(url: str, key: str | None) -> list[Check]:
    try:
        models = ask(f"{url}/v1/models", key)
    except Unreachable as problem:
        return [error(f"/v1/models does not answer: {problem}", "look into the log: npx wrangler tail")]
    if models.status == 200 and isinstance(models.body, dict):
        listed = ok(f"models listed at /v1/models: {len(models.body.get('data', []))}")
        if key is not None:
            return [listed]
        return [listed, warning("it serves anyone, without a key", "set CLIENT_KEYS (docs/configuration.md)")]
    if models.status == 401 and key is None:
        how = "to look further: OPENAI_API_KEY=<a client key> make doctor URL=..."
        return [ok("/v1/models wants a client key"), note("looked at without a key", how)]
    if models.status == 401:
        return [error("the gateway refuses the client key", "use one of the keys in its CLIENT_KEYS")]
    return [error(f"/v1/models answers {models.status}", "look into the log: npx wrangler tail")]


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
