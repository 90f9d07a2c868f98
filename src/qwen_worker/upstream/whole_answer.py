"""Whole answers: read, checked and only then passed on.

What is no answer of the API (a web page, half a body, an error with status 200) is a fault of the account
that gave it, and the request may go to another one.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from qwen_worker.dialect import Completion
from qwen_worker.errors import UpstreamUnavailable
from qwen_worker.json_text import JsonTextError
from qwen_worker.platform.ports import BodyReader, InboundResponse
from qwen_worker.upstream.call import Prepared

if TYPE_CHECKING:
    from qwen_worker.upstream.error_reader import ErrorReader

CHECKED_BYTES = 10_000_000
"""A longer answer is passed on natively without a look into it."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class WholeAnswer(NamedTuple):
    """An answer that may be passed on."""

    data: bytes
    """The very bytes that came."""
    rest: BodyReader | None
    """The unread part of an answer that is too long to be checked."""
    value: Any
    """Its JSON; None if it was not looked at."""
    completion: Completion


async def read_whole_answer(
    answer: InboundResponse, prepared: Prepared, errors: "ErrorReader"
) -> WholeAnswer:
    """Reads and checks a 2xx answer. Raises ProxyError, FetchError, FetchTimeout."""
    data, rest = await answer.whole(CHECKED_BYTES)
    if rest is not None:
        return WholeAnswer(data, rest, None, Completion())
    text = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        value = prepared.read(text)
    except JsonTextError:
        if text.lstrip()[:1] in (b"{", b"["):
            raise UpstreamUnavailable("Qwen's answer was cut off, or is not JSON.") from None
        value = None
    completion = prepared.dialect.completion_of(value)
    if completion is None:
        raise errors.of_response(answer.status, answer.header, text.decode("utf-8", "replace"))
    return WholeAnswer(data, None, value, completion)
