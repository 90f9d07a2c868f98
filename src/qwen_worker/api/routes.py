"""Which handler answers which path and method; the one list of endpoints."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import NamedTuple

from qwen_worker.api.chat.handler import chat_completions
from qwen_worker.api.context import Context
from qwen_worker.api.models import list_models, retrieve_model
from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.errors import ProxyError

Handler = Callable[[Context], Awaitable[None]]

ErrorBody = Callable[[ProxyError, str], str]
"""Makes the body of a response from an error and the request's id."""


async def _welcome(context: Context) -> None:
    from qwen_worker.api.health import welcome

    await welcome(context, endpoint_names(has_admin=context.settings.admin_key is not None))


async def _health(context: Context) -> None:
    from qwen_worker.api.health import health

    await health(context, {endpoint.api: endpoint.path for endpoint in ENDPOINTS if endpoint.api})


async def _health_stream(context: Context) -> None:
    from qwen_worker.api.health_stream import stream

    await stream(context)


async def _usage(context: Context) -> None:
    from qwen_worker.api.usage import usage

    await usage(context)


async def _list_logins(context: Context) -> None:
    from qwen_worker.api.logins import list_logins

    await list_logins(context)


async def _create_login(context: Context) -> None:
    from qwen_worker.api.logins import create_login

    await create_login(context)


async def _retrieve_login(context: Context) -> None:
    from qwen_worker.api.logins import retrieve_login

    await retrieve_login(context)


async def _rename_login(context: Context) -> None:
    from qwen_worker.api.logins import rename_login

    await rename_login(context)


async def _delete_login(context: Context) -> None:
    from qwen_worker.api.logins import delete_login

    await delete_login(context)


async def _create_completion(context: Context) -> None:
    from qwen_worker.api.completions.handler import create_completion

    await create_completion(context)


async def _create_embeddings(context: Context) -> None:
    from qwen_worker.api.embeddings.handler import create_embeddings

    await create_embeddings(context)


async def _chat_completions(context: Context) -> None:
    await chat_completions(context, _chat_of_responses)


def _chat_of_responses(raw: bytes) -> bytes:
    from qwen_worker.api.responses.posted_to_chat import chat_of_responses

    return chat_of_responses(raw)


async def _create_response(context: Context) -> None:
    from qwen_worker.api.responses.handler import create_response

    await create_response(context)


async def _no_websocket(context: Context) -> None:
    from qwen_worker.api.responses.handler import refuse_websocket

    await refuse_websocket(context)


async def _stored_response(context: Context) -> None:
    from qwen_worker.api.responses.handler import stored_response

    await stored_response(context)


async def _create_message(context: Context) -> None:
    from qwen_worker.api.messages.handler import create_message

    await create_message(context)


async def _count_tokens(context: Context) -> None:
    from qwen_worker.api.messages.count_handler import count_tokens

    await count_tokens(context)


def _anthropic_error_body(error: ProxyError, request_id: str) -> str:
    from qwen_worker.api.messages.errors import error_body

    return error_body(error, request_id)


class Endpoint(NamedTuple):
    """A method on a path. Paths under `/v1` are answered without it too."""

    method: str
    path: str
    """May end in a name in braces, for whatever follows."""
    handler: Handler
    needs_key: bool = True
    error_body: ErrorBody = openai_error_body
    request_id_header: str | None = None
    """Where the API's clients look for the request's id, beside `x-request-id`."""
    is_listed: bool = True
    """Whether the list of what this gateway has names it."""
    api: str | None = None
    """What usage calls it; None: it uses no model, and is neither counted nor limited."""


ENDPOINTS = (
    Endpoint("POST", "/v1/chat/completions", _chat_completions, api="chat"),
    Endpoint("POST", "/v1/responses", _create_response, api="responses"),
    Endpoint("GET", "/v1/responses", _no_websocket, is_listed=False),
    Endpoint("GET", "/v1/responses/{id}", _stored_response, is_listed=False),
    Endpoint("POST", "/v1/responses/{id}", _stored_response, is_listed=False),
    Endpoint("DELETE", "/v1/responses/{id}", _stored_response, is_listed=False),
    Endpoint(
        "POST", "/v1/messages", _create_message, True, _anthropic_error_body, "request-id", api="messages"
    ),
    Endpoint("POST", "/v1/messages/count_tokens", _count_tokens, True, _anthropic_error_body, "request-id"),
    Endpoint("POST", "/v1/completions", _create_completion, api="completions"),
    Endpoint("POST", "/v1/embeddings", _create_embeddings, api="embeddings"),
    Endpoint("GET", "/v1/models", list_models),
    Endpoint("GET", "/v1/models/{id}", retrieve_model),
    Endpoint("GET", "/v1/usage", _usage),
    Endpoint("GET", "/health", _health, needs_key=False),
    Endpoint("GET", "/health/stream", _health_stream),
    Endpoint("GET", "/v1", _welcome, needs_key=False),
    Endpoint("GET", "/", _welcome, needs_key=False, is_listed=False),
)

ADMIN_ENDPOINTS = (
    Endpoint("GET", "/v1/logins", _list_logins),
    Endpoint("POST", "/v1/logins", _create_login),
    Endpoint("GET", "/v1/logins/{id}", _retrieve_login),
    Endpoint("POST", "/v1/logins/{id}", _rename_login),
    Endpoint("DELETE", "/v1/logins/{id}", _delete_login),
)
"""What there is only where ADMIN_KEY is set."""


class Route(NamedTuple):
    """What a path leads to: its endpoints by method, and what stands for the name in braces."""

    endpoints: dict[str, Endpoint]
    argument: str = ""

    @property
    def allow(self) -> str:
        """The value of the Allow header."""
        methods = [*self.endpoints]
        if "GET" in methods:
            methods.insert(methods.index("GET") + 1, "HEAD")
        return ", ".join((*methods, "OPTIONS"))

    @property
    def needs_key(self) -> bool:
        """Whether a client needs a key even to learn that a method is wrong."""
        return any(endpoint.needs_key for endpoint in self.endpoints.values())

    @property
    def error_body(self) -> ErrorBody:
        """How the API of this path words an error."""
        return next(iter(self.endpoints.values())).error_body

    @property
    def request_id_header(self) -> str | None:
        """Where else the API of this path tells the request's id."""
        return next(iter(self.endpoints.values())).request_id_header

    def endpoint(self, method: str) -> Endpoint | None:
        """The endpoint for a method; GET endpoints answer HEAD too."""
        return self.endpoints.get("GET" if method == "HEAD" and "HEAD" not in self.endpoints else method)


_ByPath = dict[str, dict[str, Endpoint]]
"""Endpoints by path and method."""


def _by_path(endpoints: tuple[Endpoint, ...]) -> tuple[_ByPath, _ByPath]:
    """The endpoints by path without `/v1`, and those with a name in braces by what precedes it."""
    exact: _ByPath = {}
    prefixes: _ByPath = {}
    for endpoint in endpoints:
        path, brace, _ = endpoint.path.removeprefix("/v1").partition("{")
        (prefixes if brace else exact).setdefault(path or "/v1", {})[endpoint.method] = endpoint
    return exact, prefixes


_EXACT, _PREFIXES = _by_path(ENDPOINTS)
_ADMIN_EXACT, _ADMIN_PREFIXES = _by_path(ADMIN_ENDPOINTS)
_V1_HAS_NO = ("/", "/health", "/health/stream", "/v1")


@lru_cache(maxsize=128)
def find_route(path: str, has_admin: bool = False) -> Route | None:
    """The route of a percent-encoded path, with or without `/v1`, a trailing slash or doubled slashes.

    `has_admin`: whether the paths count that only the admin has.
    """
    path = normalise(path)
    endpoints = _EXACT.get(path)
    if endpoints is not None:
        return Route(endpoints)
    if path.startswith("/v1/"):
        path = path[3:]
        endpoints = None if path in _V1_HAS_NO else _EXACT.get(path)
        if endpoints is not None:
            return Route(endpoints)
    for prefix, endpoints in _PREFIXES.items():
        if path.startswith(prefix):
            return Route(endpoints, path[len(prefix) :])
    return _admin_route(path) if has_admin else None


def _admin_route(path: str) -> Route | None:
    endpoints = _ADMIN_EXACT.get(path)
    if endpoints is not None:
        return Route(endpoints)
    for prefix, endpoints in _ADMIN_PREFIXES.items():
        if path.startswith(prefix):
            return Route(endpoints, path[len(prefix) :])
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


def endpoint_names(*, has_admin: bool) -> list[str]:
    """The endpoints as a person reads them: `POST /v1/chat/completions`."""
    endpoints = (*ENDPOINTS, *ADMIN_ENDPOINTS) if has_admin else ENDPOINTS
    return [f"{endpoint.method} {endpoint.path}" for endpoint in endpoints if endpoint.is_listed]
