"""The least that passing a request on costs in Python, from the same kind of entry as ours."""

from typing import Any

from js import Request, fetch


def on_fetch(*event: Any) -> Any:
    """Passes a chat on, without looking at anything, and returns the promise of the answer."""
    request, env, _ = event
    return fetch(Request.new(f"{env.OPENAI_BASE_URL}/chat/completions", request))
