"""The least that a Python Worker costs: it does nothing."""

from typing import Any

from js import Response


async def on_fetch(request: Any, env: Any, ctx: Any) -> Any:
    """Answers any request."""
    return Response.new("ok")
