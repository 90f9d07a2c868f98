"""GET /health and GET /."""

from typing import Any

from qwen_worker.accounts.cooldowns import LASTING
from qwen_worker.accounts.overview import describe_accounts
from qwen_worker.api.context import Context
from qwen_worker.api.health_runtime import describe_runtime
from qwen_worker.api.json_response import json_response
from qwen_worker.auth import identify
from qwen_worker.config.account import KV_ACCOUNT
from qwen_worker.config.client_keys import ADMIN, ClientKey
from qwen_worker.credentials.failure import HOW_TO_BEGIN
from qwen_worker.errors import InvalidApiKey
from qwen_worker.upstream.hosts import has_embeddings
from qwen_worker.version import __version__


async def health(context: Context, apis: dict[str, str]) -> None:
    """Open to anyone: status, uptime of this isolate in whole seconds, version, the paths of the APIs that
    are served; `apis` are those that there are, path by name. Broken configuration, or no account that can
    be used, makes the status `degraded`, with the reasons.

    With a valid key (or when none is configured) it adds the key's label (for the admin all labels, and
    whether logins can be made here), whether usage is kept, where it runs, and what an operator needs about
    the accounts, never a token or a part of one; `credentials` are those of the only account; `notices` tell
    which variables are no longer used and what was mended in others.
    """
    now_ms = context.runtime.clock.now_ms()
    reasons = [str(problem) for problem in context.settings.problems]
    if context.runtime.kv is None:
        reasons.append("QWEN_KV: no such binding, so a refreshed login lives only as long as this isolate")
    accounts = await describe_accounts(context.pool, context.runtime, context.log)
    reasons += _trouble_of(accounts)
    body: dict[str, Any] = {
        "status": "degraded" if reasons else "ok",
        "uptime": max(0, now_ms - context.started_ms) // 1000,
        "version": f"qwen-worker-{__version__}",
        "apis": _served(apis, context),
    }
    if reasons:
        body["reasons"] = reasons
    client = _client(context)
    if client is not None:
        body["client"] = client.label
        if client is ADMIN:
            body["clients"] = [key.label for key in context.settings.client_keys]
            body["logins"] = context.runtime.kv is not None
        body["usage"] = _usage(context)
        body["runtime"] = await describe_runtime(context.runtime)
        if context.settings.notices:
            body["notices"] = [str(notice) for notice in context.settings.notices]
        body["accounts"] = accounts
        if len(accounts) == 1:
            body["credentials"] = accounts[0]["credentials"]
    context.respond(json_response(body, cache_control="no-store"))


async def welcome(context: Context, endpoints: list[str]) -> None:
    """Tells a person who opens the URL what this is."""
    body = {
        "name": "qwen-worker",
        "version": __version__,
        "description": "OpenAI-compatible gateway to Qwen. The base URL for OpenAI clients ends in /v1.",
        "endpoints": endpoints,
        "authentication": "Authorization: Bearer <key>" if context.settings.client_keys else "none",
    }
    context.respond(json_response(body, indent=2))


def _trouble_of(accounts: list[dict[str, Any]]) -> list[str]:
    """Why no request can be answered, if none of the accounts can be used for a while."""
    if any(_may_answer(account) for account in accounts):
        return []
    states = [account["reason"] or account["state"] for account in accounts]
    if states == ["missing"] and accounts[0]["label"] == KV_ACCOUNT.label:
        return [f"accounts: none yet; {HOW_TO_BEGIN}"]
    return [f"accounts: none can be used now ({', '.join(states)})"]


def _may_answer(account: dict[str, Any]) -> bool:
    """Whether an account is ready, or will be in a moment."""
    if account["state"] == "cooldown":
        return account["reason"] not in LASTING
    return account["state"] in ("ready", "refresh_pending")


def _served(apis: dict[str, str], context: Context) -> list[str]:
    """The paths of the APIs that some account's host has."""
    accounts = [(account.settings.kind, account.base_url) for account in context.pool.accounts]
    has = any(has_embeddings(kind, base_url) for kind, base_url in accounts)
    return [path for name, path in apis.items() if has or name != "embeddings"]


def _client(context: Context) -> ClientKey | None:
    """Whose request it is; None for whoever has no valid key."""
    settings = context.settings
    if settings.fatal_problem is not None:
        return None
    try:
        return identify(
            context.request,
            settings.client_keys,
            settings.admin_key,
            now_ms=context.runtime.clock.now_ms,
        )
    except InvalidApiKey:
        return None


def _usage(context: Context) -> str:
    """Whether usage is kept."""
    if context.runtime.database is None:
        return "not kept: no binding USAGE_DB"
    failed_ms = None if context.ledger is None else context.ledger.failed_ms
    return "kept" if failed_ms is None else "kept, but the last writing failed"
