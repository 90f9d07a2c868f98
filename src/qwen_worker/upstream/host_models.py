"""Which models a host has: what it lists itself, and what is known of hosts that list none.

State of November 2026 (apis-on-the-wire, section 7).
"""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from qwen_worker.config.account import Kind
from qwen_worker.credentials.credential import Credential
from qwen_worker.json_text import parse_object
from qwen_worker.platform.ports import FetchError, OutboundRequest, Runtime
from qwen_worker.upstream.headers import upstream_headers
from qwen_worker.upstream.hosts import host_family, is_plan_host

PATIENCE_MS = 2_000
"""How long a host may take to list its models."""

FRESH_MS = 3_600_000
"""How long a list is good for."""

RETRY_MS = 60_000
"""A host that did not answer is asked again so much later."""

_LONGEST_LIST = 1_000_000
_MOST_MODELS = 2_000
_LONGEST_NAME = 256

_PORTAL = ("coder-model", "vision-model")
_CODING_PLAN = (
    "qwen3.7-plus",
    "qwen3.6-plus",
    "qwen3.5-plus",
    "qwen3-coder-plus",
    "qwen3-coder-next",
    "qwen3-max-2026-01-23",
    "glm-5",
    "glm-4.7",
    "kimi-k2.5",
    "MiniMax-M2.5",
)
_TOKEN_PLAN = (
    "qwen3.8-max",
    "qwen3.7-max",
    "qwen3.7-plus",
    "qwen3.6-flash",
    "glm-5.2",
    "deepseek-v4-pro",
    "deepseek-v4-flash-0731",
)
_DASHSCOPE = (
    "qwen3.8-max",
    "qwen3.8-flash",
    "qwen3.7-max",
    "qwen3.7-plus",
    "qwen3.6-plus",
    "qwen3.6-flash",
    "qwen3.5-plus",
    "qwen3.5-flash",
    "qwen3-coder-plus",
    "qwen3-coder-flash",
    "qwen3-coder-next",
    "qwen3-max",
    "qwen3-vl-plus",
    "text-embedding-v4",
)
_MODELSCOPE = ("Qwen/Qwen3-Coder-480B-A35B-Instruct",)


class HostList(NamedTuple):
    """What one host lists, and when it was told and asked last, in milliseconds since the Unix epoch."""

    models: list[dict[str, Any]] | None
    """As the host told them; None if it never has."""
    told_ms: int
    asked_ms: int

    def is_due(self, now_ms: int) -> bool:
        """Whether the host should be asked again."""
        return now_ms - self.told_ms >= FRESH_MS and now_ms - self.asked_ms >= RETRY_MS


HostLists = dict[str, HostList]
"""By base URL."""


class NoList(Exception):
    """A host has not listed its models. The message says why, in words of ours."""


def built_in_models(kind: Kind, base_url: str) -> tuple[str, ...]:
    """The models that a host is known to have, for when it does not tell."""
    if kind == "oauth" or host_family(base_url) == "portal":
        return _PORTAL
    if is_plan_host(base_url):
        return _CODING_PLAN if _is_coding_plan(base_url) else _TOKEN_PLAN
    if host_family(base_url) == "dashscope":
        return _DASHSCOPE
    return _MODELSCOPE if urlsplit(base_url).hostname == "api-inference.modelscope.cn" else ()


def lists_models(kind: Kind, base_url: str) -> bool:
    """Whether a host can be asked: neither the portal nor a Coding Plan can."""
    return kind == "api_key" and host_family(base_url) != "portal" and not _is_coding_plan(base_url)


async def ask_for_models(credential: Credential, runtime: Runtime, request_id: str) -> list[dict[str, Any]]:
    """The models as a host lists them, each an object with an `id`. Raises NoList, also if the host takes
    longer than PATIENCE_MS.
    """
    headers = upstream_headers(credential, request_id=request_id)
    request = OutboundRequest("GET", f"{credential.base_url}/models", headers)
    try:
        answer = await runtime.fetcher.fetch(request, timeout_ms=PATIENCE_MS)
        text = await answer.text(_LONGEST_LIST)
        answer.end_timeout()
    except FetchError as error:
        raise NoList(type(error).__name__) from None
    if answer.status != 200:
        raise NoList(f"HTTP {answer.status}")
    body = parse_object(text) or {}
    data = body.get("data")
    found = [entry for entry in data if is_model(entry)] if isinstance(data, list) else []
    if not found or credential.secret in text:
        raise NoList("no list of models")
    return found[:_MOST_MODELS]


def is_model(entry: Any) -> bool:
    """Whether this is a model of a list: an object with a usable `id`."""
    name = entry.get("id") if isinstance(entry, dict) else None
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _is_coding_plan(base_url: str) -> bool:
    return is_plan_host(base_url) and not (urlsplit(base_url).hostname or "").startswith("token-plan.")
