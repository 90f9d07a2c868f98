"""Asks a running gateway how it is, and whether what stands in front of it spoils anything."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from tools.chat_check import chat_checks
from tools.checks import Check, Level, error, note, ok, warning
from tools.http_client import Answer, Unreachable, ask, is_in_the_clear, is_loopback
from tools.login_expiry import duration
from tools.stream_check import stream_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

CRON_SECONDS = 15 * 60
"""How often wrangler.toml has the cron trigger fire."""

_CRON_NOTED_SECONDS = 3_600
"""The Worker notes a run of its cron trigger at most so often (`last_cron.py`)."""

_CLOCK_SECONDS = 60.0
"""How far two clocks may differ: a token is refreshed half an hour before its expiry."""

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
        "make login, or QWEN_API_KEY",
    ),
    "rejected": (
        "error",
        "Qwen refuses the login for good",
        "make login, or log in with the CLI again, then make login-secret",
    ),
    "discontinued": (
        "error",
        "Qwen refuses tokens that it has just issued: its OAuth tier is closed",
        "set QWEN_API_KEY and QWEN_BASE_URL",
    ),
}
_COOLDOWN_REMEDY = "docs/accounts.md, Cooldown, says why; the log line is: account in cooldown"
_LOG = "look into its log: make logs"
_AT_CLOUDFLARE = {
    "1101": ("the Worker raised an error before it could answer", "docs/troubleshooting.md, Error 1101"),
    "1102": ("the Worker used more CPU time than the plan allows", "a larger plan, or shorter conversations"),
    "1042": ("a Worker of the same account asked it", "ask it from somewhere else, or by its own domain"),
    "1027": ("the day's free requests are used up", "wait until midnight UTC, or take the paid plan"),
}
"""What Cloudflare answers in the Worker's place: `error code: 1101`."""


def endpoint_checks(
    url: str, key: str | None, *, expected: bool, now_ms: int, live: bool = False
) -> Iterator[Check]:
    """How the gateway at `url` is. Not `expected`: it may well not run, which is then no error.

    `live`: it may be asked for what costs tokens.
    """
    url = url.rstrip("/").removesuffix("/v1")
    if key is not None and is_in_the_clear(url):
        yield error("the address is not https: a client key would be readable on its way", "use https://")
        return
    try:
        health = _ask(f"{url}/health", key)
    except Unreachable as problem:
        if expected:
            yield error(f"{url} does not answer: {problem}", "check the address, and that it is deployed")
        else:
            how = "start it with: make dev   (or name another: URL=https://...)"
            yield note(f"nothing answers at {url}", how)
        return
    version = health.body.get("version") if isinstance(health.body, dict) else None
    if health.status != 200 or not str(version).startswith("qwen-worker-"):
        yield _no_gateway(url, health)
        return
    yield ok(f"{url} answers: {version}")
    yield from _health_checks(health.body)
    yield from _runtime_checks(health, now_ms, is_deployed=not is_loopback(url))
    yield from _models_checks(url, key)
    yield from _cors_checks(url)
    if "runtime" in health.body:
        yield from stream_checks(url, key)
    if live:
        yield from chat_checks(url, key)


def _ask(url: str, key: str | None, method: str = "GET", **headers: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        given["authorization"] = f"Bearer {key}"
    return ask(url, method=method, headers=given)


def _no_gateway(url: str, health: Answer) -> Check:
    for code, (text, remedy) in _AT_CLOUDFLARE.items():
        if f"error code: {code}" in health.text or f"Error {code}" in health.text:
            return error(f"{url}: Cloudflare answers with its error {code}: {text}", remedy)
    return error(
        f"{url}/health is not this gateway's (HTTP {health.status})",
        "give the Worker's address; if it is, look into its log: make logs",
    )


def _health_checks(health: dict[str, Any]) -> Iterator[Check]:
    for reason in health.get("reasons", []):
        yield error(f"it reports: {reason}", "see docs/configuration.md")
    for notice in health.get("notices", []):
        yield note(f"it says: {notice}")
    for account in health.get("accounts", []):
        yield _account_check(account)


def _account_check(account: dict[str, Any]) -> Check:
    label, state, credentials = account["label"], account["state"], account["credentials"]
    if credentials["state"] in _CREDENTIAL_STATES:
        level, text, remedy = _CREDENTIAL_STATES[credentials["state"]]
        return Check(level, f"{label}: {text}", remedy)
    if state == "cooldown":
        reason, left = account["reason"], duration(account["seconds_left"])
        return note(f"{label}: in cooldown for {left} more ({reason})", _COOLDOWN_REMEDY)
    refreshed = credentials.get("last_refresh")
    if refreshed is not None:
        ago = duration(refreshed["seconds_ago"])
        return ok(f"{label}: {state}, last refresh {ago} ago ({refreshed['result']})")
    return ok(f"{label}: {state}")


def _runtime_checks(health: Answer, now_ms: int, *, is_deployed: bool) -> Iterator[Check]:
    """What the gateway says of where it runs, to whoever has a key."""
    usage, runtime = health.body.get("usage"), health.body.get("runtime")
    if isinstance(usage, str):
        yield ok(f"usage: {usage}") if usage == "kept" else note(f"usage: {usage}", "docs/usage.md")
    if not isinstance(runtime, dict):
        return
    if "QWEN_KV" not in str(health.body.get("reasons", "")):
        yield ok("QWEN_KV is bound")
    if is_deployed:
        yield _python_check(str(runtime.get("python")))
        yield _cron_check(runtime.get("last_cron_seconds_ago"))
    yield _clock_check(runtime.get("now_ms"), health.header("date"), now_ms)


def _python_check(python: str) -> Check:
    from tools.worker_config import expected_python, production_config

    date = production_config()["compatibility_date"]
    expected = expected_python(date)
    if python == expected:
        return ok(f"Python {python}, that of compatibility_date {date}")
    return warning(
        f"it runs on Python {python}; compatibility_date {date} of wrangler.toml means {expected}",
        "deploy again: make deploy",
    )


def _cron_check(seconds_ago: Any) -> Check:
    if not isinstance(seconds_ago, int):
        return warning(
            "the cron trigger has not run yet",
            "it runs every 15 minutes after a deployment; after that look under Triggers in the dashboard",
        )
    ago = duration(seconds_ago)
    if seconds_ago > _CRON_NOTED_SECONDS + 2 * CRON_SECONDS:
        how = "look under Triggers in Cloudflare's dashboard; make deploy sets it again"
        return warning(f"the cron trigger ran {ago} ago, and should run every 15 minutes", how)
    return ok(f"the cron trigger runs (noted {ago} ago)")


def _clock_check(gateway_ms: Any, date: str | None, now_ms: int) -> Check:
    """The gateway's clock against this machine's, and against that of whoever answered for it."""
    if not isinstance(gateway_ms, int):
        return note("it does not tell its time")
    off = (gateway_ms - now_ms) / 1000
    if abs(off) < _CLOCK_SECONDS:
        return ok("its clock agrees with this machine's")
    try:
        edge_ms = None if date is None else parsedate_to_datetime(date).timestamp() * 1000
    except ValueError:
        edge_ms = None
    is_ours = edge_ms is not None and abs(gateway_ms - edge_ms) / 1000 < _CLOCK_SECONDS
    whose = "this machine's clock is wrong" if is_ours else "one of the two is wrong"
    text = f"its clock differs from this machine's by {duration(int(abs(off)))}: {whose}"
    return warning(text, "set the clock: the expiry of tokens and keys is judged by it")


def _models_checks(url: str, key: str | None) -> Iterator[Check]:
    try:
        models = _ask(f"{url}/v1/models", key)
    except Unreachable as problem:
        yield error(f"/v1/models does not answer: {problem}", _LOG)
        return
    if models.status == 200 and isinstance(models.body, dict):
        yield ok(f"models listed at /v1/models: {len(models.body.get('data', []))}")
        if key is None:
            yield warning("it serves anyone, without a key", "set CLIENT_KEYS (docs/configuration.md)")
    elif models.status == 401 and key is None:
        yield ok("/v1/models wants a client key")
        how = "to look further: OPENAI_API_KEY=<a client key> make doctor URL=..."
        yield note("looked at without a key", how)
    elif models.status == 401:
        yield error("the gateway refuses the client key", "use one of the keys in its CLIENT_KEYS")
    else:
        yield error(f"/v1/models answers {models.status}", _LOG)


def _cors_checks(url: str) -> Iterator[Check]:
    """Whether a page in a browser may call it: something in front may take the headers away."""
    asked = "authorization,content-type,x-stainless-lang"
    try:
        answer = _ask(
            f"{url}/v1/chat/completions",
            None,
            "OPTIONS",
            origin="https://example.com",
            access_control_request_method="POST",
            access_control_request_headers=asked,
        )
    except Unreachable as problem:
        yield error(f"a browser's preflight gets no answer: {problem}", _LOG)
        return
    allowed = (answer.header("access-control-allow-headers") or "").replace(" ", "")
    if answer.status < 300 and answer.header("access-control-allow-origin") == "*" and allowed == asked:
        yield ok("a page in a browser may call it (CORS)")
    else:
        yield error(
            f"a page in a browser may not call it: its preflight is answered with {answer.status}",
            "something in front of the Worker answers, such as Cloudflare Access or a transform rule",
        )
