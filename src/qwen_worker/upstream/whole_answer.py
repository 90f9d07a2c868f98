"""Whole answers: read, checked and only then passed on.

What is no answer of the API (a web page, half a body, an error with status 200) is a fault of the account
that gave it, and the request may go to another one.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from qwen_worker.dialect import Completion, Dialect
from qwen_worker.errors import UpstreamUnavailable
from qwen_worker.json_text import JsonTextError, parse
from qwen_worker.platform.ports import InboundResponse, WholeBody

if TYPE_CHECKING:
    from qwen_worker.upstream.error_reader import ErrorReader

CHECKED_BYTES = 10_000_000
"""A longer answer is passed on natively without a look into it."""


class WholeAnswer(NamedTuple):
    """An answer that may be passed on."""

    body: WholeBody
    """The very bytes that came."""
    value: Any
    """Its JSON; None if it is too long to be looked at."""
    completion: Completion


async def read_whole_answer(answer: InboundResponse, dialect: Dialect, errors: "ErrorReader") -> WholeAnswer:
    """Reads and checks a 2xx answer. Raises ProxyError, FetchError, FetchTimeout."""
    body = await answer.whole(CHECKED_BYTES)
    if body.rest is not None:
        return WholeAnswer(body, None, Completion())
    try:
        value = parse(body.data)
    except JsonTextError:
        if body.data.lstrip()[:1] in (b"{", b"["):
            raise UpstreamUnavailable("Qwen's answer was cut off, or is not JSON.") from None
        value = None
    completion = dialect.completion_of(value)
    if completion is None:
        raise errors.of_response(answer.status, answer.header, body.data[:65_536].decode("utf-8", "replace"))
    return WholeAnswer(body, value, completion)
