"""The least that passing a request on costs in Python: one await, without looking at anything."""

from typing import Any

from js import Request, fetch


async def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Passes a chat on."""
    return await fetch(Request.new(f"{env.OPENAI_BASE_URL}/chat/completions", request))
