"""Reads the errors of the hosts for one request. A host's words enter the gateway's errors only here.

`upstream.errors` decides what the words mean. It is loaded with the first error.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qwen_worker.errors import ProxyError

if TYPE_CHECKING:
    from qwen_worker.sse import Event


class ErrorReader:
    """Makes ProxyErrors of answers and events; no secret of the gateway or of the called account is in them.

    `secrets` are the gateway's own; `add_secret` adds that of an account when it is called.
    """

    __slots__ = ("_now_ms", "_secrets")

    def __init__(self, secrets: tuple[str, ...], now_ms: Callable[[], int]) -> None:
        self._secrets = [*secrets]
        self._now_ms = now_ms

    def add_secret(self, secret: str) -> None:
        """From now on `secret` is taken out of what a host says."""
        self._secrets.append(secret)

    def of_response(
        self, status: int, header: Callable[[str], str | None], body: str, *, model: str | None = None
    ) -> ProxyError:
        """The error that an answer means: any status but 2xx, or a 2xx that holds no completion."""
        from qwen_worker.upstream.errors import error_from_response

        return error_from_response(
            status, header, body, now_ms=self._now_ms(), model=model, secrets=self._secrets
        )

    def in_event(self, event: "Event", data: Any) -> ProxyError | None:
        """The error in an event whose data is the JSON value `data`; None if there is none."""
        from qwen_worker.upstream.errors import error_from_event

        return error_from_event(
            data, http_status=_status_in_comment(event.comment), now_ms=self._now_ms(), secrets=self._secrets
        )

    def identifier(self, word: str) -> str | None:
        """A host's request id if it looks like one, otherwise None."""
        from qwen_worker.upstream.redaction import identifier

        return identifier(word, self._secrets)


def _status_in_comment(comment: str) -> int | None:
    """The status in DashScope's comment `:HTTP_STATUS/429`, which precedes an error within a stream."""
    _, mark, digits = comment.partition("HTTP_STATUS/")
    return (
        int(digits[:3])
        if mark and digits[:3].isascii() and digits[:3].isdigit() and len(digits) >= 3
        else None
    )
