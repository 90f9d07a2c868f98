"""Whether streams come through as they are written, and keep-alives with them.

The gateway's `GET /health/stream` writes one keep-alive after the other. It asks no account, so it costs
nothing, and shows what stands between the gateway and this machine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.checks import Check, error, ok, warning
from tools.http_client import Unreachable, ask_for_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEP_ALIVE = ": keep-alive\n"

BUFFERED_SHARE = 0.25
"""A stream whose first and last bytes are closer than this share of its planned length was held back."""


def stream_checks(url: str, key: str | None) -> Iterator[Check]:
    """What becomes of a stream on its way from the gateway at `url`."""
    headers = {"accept": "text/event-stream"}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    try:
        answer, pieces = ask_for_stream(f"{url}/health/stream", headers=headers)
    except Unreachable as problem:
        yield error(f"a stream breaks off: {problem}", "look into its log: make logs")
        return
    found = re.match(r": keep-alives for (\d+) ms\n", answer.text)
    if answer.status != 200 or found is None:
        yield error(f"/health/stream answers {answer.status}", "make deploy: the deployed version is older")
        return
    if not answer.text.rstrip().endswith("[DONE]"):
        yield error("a stream ends too early", "something between the Worker and this machine cuts it off")
        return
    planned_ms = int(found[1])
    took_ms = (pieces[-1].seconds - pieces[0].seconds) * 1000
    if took_ms < planned_ms * BUFFERED_SHARE:
        yield warning(
            f"streams are held back: what was written over {planned_ms} ms came at once",
            "a proxy between the Worker and this machine buffers; clients see no keep-alive and may give up",
        )
        return
    seen = answer.text.count(KEEP_ALIVE)
    yield ok(f"streams come as they are written; {seen} keep-alives seen in {took_ms:.0f} ms")
