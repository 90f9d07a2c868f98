"""GET /health and GET /."""

from typing import Any

from qwen_worker.accounts.overview import describe_accounts
from qwen_worker.api.context import Context
from qwen_worker.api.health_runtime import describe_runtime
from qwen_worker.api.json_response import json_response
from qwen_worker.auth import identify
from qwen_worker.config.client_keys import ADMIN, ClientKey
from qwen_worker.errors import InvalidApiKey
from qwen_worker.version import __version__


async def health(context: Context) -> None:
    """Open to anyone: status, uptime of this isolate in whole seconds, version.

    With a valid key (or when none is configured) it adds the key's label (all labels for the admin), whether
    usage is kept, where it runs, and what an operator needs about the accounts,
    never a token or a part of one; `credentials` are those of the only account; `notices` tell which
    variables are no longer used and what was mended in others. Broken configuration makes
    the status `degraded`, with the reasons.
    """
    now_ms = context.runtime.clock.now_ms()
    reasons = [str(problem) for problem in context.settings.problems]
    if context.runtime.kv is None:
        reasons.append("QWEN_KV: no such binding, so a refreshed login lives only as long as this isolate")
    body: dict[str, Any] = {
        "status": "degraded" if reasons else "ok",
        "uptime": max(0, now_ms - context.started_ms) // 1000,
        "version": f"qwen-worker-{__version__}",
    }
    if reasons:
        body["reasons"] = reasons
    client = _client(context)
    if client is not None:
        body["client"] = client.label
        if client is ADMIN:
            body["clients"] = [key.label for key in context.settings.client_keys]
        body["usage"] = _usage(context)
        body["runtime"] = await describe_runtime(context.runtime)
        if context.settings.notices:
            body["notices"] = [str(notice) for notice in context.settings.notices]
        body["accounts"] = await describe_accounts(context.pool, context.runtime, context.log)
        if len(body["accounts"]) == 1:
            body["credentials"] = body["accounts"][0]["credentials"]
    context.respond(json_response(body, cache_control="no-store"))


async def welcome(context: Context, endpoints: list[str]) -> None:
    """Tells a person who opens the URL what this is."""
    body = {
        "name": "qwen-worker",
        "version": __version__,
        "description": "OpenAI-compatible gateway to Qwen. Use this URL followed by /v1 as the base URL.",
        "endpoints": endpoints,
        "authentication": "Authorization: Bearer <key>" if context.settings.client_keys else "none",
    }
    context.respond(json_response(body, indent=2))


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
