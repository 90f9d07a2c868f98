"""Which handler answers which path, and with which methods."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from qwen_worker.api.chat.handler import chat_completions
from qwen_worker.api.context import Answer, Context
from qwen_worker.api.models import list_models, retrieve_model
from qwen_worker.platform.ports import Response

Handler = Callable[[Context], Awaitable[Answer]]


class Route(NamedTuple):
    """A path's handler. `method` is the one it answers; GET routes answer HEAD too."""

    method: str
    handler: Handler
    needs_key: bool

    @property
    def allow(self) -> str:
        """The value of the Allow header."""
        return "GET, HEAD, OPTIONS" if self.method == "GET" else f"{self.method}, OPTIONS"

    def answers(self, method: str) -> bool:
        """Whether the handler is made for this method."""
        return method == self.method or (method == "HEAD" and self.method == "GET")


async def _welcome(context: Context) -> Response:
    from qwen_worker.api.health import welcome

    return await welcome(context)


async def _health(context: Context) -> Response:
    from qwen_worker.api.health import health

    return await health(context)


_ROUTES = {
    "/": Route("GET", _welcome, needs_key=False),
    "/health": Route("GET", _health, needs_key=False),
    "/chat/completions": Route("POST", chat_completions, needs_key=True),
    "/models": Route("GET", list_models, needs_key=True),
}
_V1_HAS_NO = ("/", "/health")


def find_route(path: str) -> Route | None:
    """The route of a percent-encoded path, with or without `/v1`, a trailing slash or doubled slashes."""
    path = normalise(path)
    route = _ROUTES.get(path)
    if route is not None:
        return route
    if path.startswith("/v1/"):
        path = path[3:]
        if path in _V1_HAS_NO:
            return None
        route = _ROUTES.get(path)
        if route is not None:
            return route
    if path.startswith("/models/"):
        encoded_id = path[8:]

        async def retrieve(context: Context) -> Response:
            return await retrieve_model(context, encoded_id)

        return Route("GET", retrieve, needs_key=True)
    return None


def is_protected(path: str) -> bool:
    """Whether an unknown path lies under `/v1`, where nothing is told without a key."""
    path = normalise(path)
    return path == "/v1" or path.startswith("/v1/")


def normalise(path: str) -> str:
    """`//v1//models/` -> `/v1/models`: base URLs with a trailing slash make such paths."""
    while "//" in path:
        path = path.replace("//", "/")
    return path.rstrip("/") or "/"
