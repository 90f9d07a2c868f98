"""The response to one request, whoever makes it: a handler, or an error."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qwen_worker.api.anthropic_clients import speaks_anthropic
from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.api.passed_headers import RATE_LIMIT_HEADERS, UPSTREAM_REQUEST_ID
from qwen_worker.api.routes import Route
from qwen_worker.config.client_keys import ClientKey
from qwen_worker.errors import ProxyError
from qwen_worker.platform.ports import InboundRequest, Respond, Response

if TYPE_CHECKING:
    from qwen_worker.usage.meter import Meter

CORS_HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": ", ".join(
        (
            "x-request-id",
            "request-id",
            "retry-after",
            "x-should-retry",
            "x-qwen-account",
            UPSTREAM_REQUEST_ID,
            *RATE_LIMIT_HEADERS,
        )
    ),
}
PREFLIGHT_HEADERS = {
    "access-control-allow-methods": "GET, HEAD, POST, DELETE, OPTIONS",
    "access-control-max-age": "86400",
    "vary": "access-control-request-headers",
}
DEFAULT_ALLOWED_HEADERS = "authorization, content-type, x-api-key, api-key, x-request-id"


class Reply:
    """The response to one request, which is given once."""

    __slots__ = (
        "_begun",
        "_request",
        "_respond",
        "_route",
        "client",
        "client_headers",
        "meter",
        "request_id",
    )

    def __init__(
        self, request: InboundRequest, request_id: str, respond: Respond, route: Route | None
    ) -> None:
        self._request = request
        self.request_id = request_id
        self._respond = respond
        self._route = route
        self._begun = False
        self.client: ClientKey | None = None
        """Whose request it is; None: not known yet."""
        self.client_headers: Callable[[], dict[str, str]] | None = None
        """What every answer to this client tells of its limits."""
        self.meter: Meter | None = None

    def respond(self, response: Response) -> None:
        """Begins the response, with the headers that every response has."""
        self._begun = True
        response.headers.update(CORS_HEADERS)
        response.headers["x-request-id"] = self.request_id
        if self.client_headers is not None:
            response.headers.update(self.client_headers())
        if self._route is not None and self._route.request_id_header is not None:
            response.headers[self._route.request_id_header] = self.request_id
        self._respond(response._replace(body=None) if self._request.method == "HEAD" else response)

    async def fail(self, error: ProxyError) -> None:
        """Responds with an error, in the words of the API that was called."""
        if self._begun:
            return
        if self.meter is not None:
            self.meter.failed(error)
        # The next request on this connection would fail if the body were left unread (workers-runtime).
        await self._request.discard_body()
        headers = {"content-type": "application/json", "cache-control": "no-store", **error.headers()}
        error_body = openai_error_body if self._route is None else self._route.error_body
        if speaks_anthropic(self._request):
            from qwen_worker.api.messages.errors import error_body
        body = error_body(error, self.request_id)
        self.respond(Response(error.status, headers, body))


def preflight(request: InboundRequest, route: Route | None) -> Response:
    """Echoes the requested header names: `*` would not cover Authorization, and the SDKs send many."""
    asked = request.header("access-control-request-headers")
    return Response(
        204,
        {
            **PREFLIGHT_HEADERS,
            "access-control-allow-headers": asked or DEFAULT_ALLOWED_HEADERS,
            "allow": route.allow if route else "OPTIONS",
        },
    )
