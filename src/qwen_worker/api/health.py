"""GET /health and GET /."""

from typing import Any

from qwen_worker.accounts.overview import describe_accounts
from qwen_worker.api.context import Context
from qwen_worker.api.json_response import json_response
from qwen_worker.auth import check_client_key
from qwen_worker.errors import InvalidApiKey
from qwen_worker.version import __version__


async def health(context: Context) -> None:
    """Open to anyone: status, uptime of this isolate in whole seconds, version.

    With a valid client key (or when none is configured) it adds what an operator needs about the accounts,
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
    if _is_operator(context):
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


def _is_operator(context: Context) -> bool:
    if context.settings.fatal_problem is not None:
        return False
    try:
        check_client_key(context.request, context.settings.client_keys)
    except InvalidApiKey:
        return False
    return True
