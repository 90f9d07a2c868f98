"""One chat through a running gateway: what its clients will see, and which account answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tools.checks import Check, error, ok
from tools.http_client import Unreachable, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT_SECONDS = 120.0
_REMEDIES = "docs/troubleshooting.md, By error, says what the code means; the log is: make logs"


def chat_checks(url: str, key: str | None) -> Iterator[Check]:
    """Asks the gateway at `url` for a completion of a few tokens with its default model."""
    chat = {"messages": [{"role": "user", "content": "Say ok."}], "max_tokens": 8}
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    try:
        answer = ask(
            f"{url}/v1/chat/completions",
            method="POST",
            headers=headers,
            body=json.dumps(chat).encode(),
            timeout_seconds=_TIMEOUT_SECONDS,
        )
    except Unreachable as problem:
        yield error(f"a chat gets no answer: {problem}", _REMEDIES)
        return
    body: dict[str, Any] = answer.body if isinstance(answer.body, dict) else {}
    if answer.status == 200 and body.get("choices"):
        account = answer.header("x-qwen-account") or "its account"
        yield ok(f"it answers a chat, through {account}, with {body.get('model')}")
        return
    problem_told = body.get("error")
    told = problem_told if isinstance(problem_told, dict) else {}
    yield error(f"a chat fails with {answer.status} {told.get('code')}: {told.get('message')}", _REMEDIES)
