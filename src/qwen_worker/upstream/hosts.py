"""Which family of hosts an API base URL belongs to; what a request and its headers may hold depends on it."""

from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from qwen_worker.config.account import Kind
from qwen_worker.credentials.credential import Credential

DEFAULT_API_KEY_BASE_URL = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
"""Where an API key calls if no base URL is configured."""

HostFamily = Literal["portal", "dashscope", "other"]


@lru_cache(maxsize=64)
def host_family(base_url: str) -> HostFamily:
    """`portal`: the OAuth logins' portal.qwen.ai; `dashscope`: Alibaba Cloud's API, its plans and workspaces.

    `*.dashscope*.aliyuncs.com`, `dashscope*.aliyuncs.com` and `*.maas.aliyuncs.com` are what the official CLI
    takes for DashScope. Everything else, a loopback address included, is `other`.
    """
    host = urlsplit(base_url).hostname or ""
    if host == "portal.qwen.ai":
        return "portal"
    service = host.removesuffix(".aliyuncs.com").rpartition(".")[2]
    if host.endswith(".aliyuncs.com") and (service == "maas" or service.startswith("dashscope")):
        return "dashscope"
    return "other"


@lru_cache(maxsize=64)
def is_plan_host(base_url: str) -> bool:
    """Whether a host serves a plan for coding tools (Coding Plan, Token Plan), and accepts clients by their
    User-Agent.
    """
    host = urlsplit(base_url).hostname or ""
    return host.endswith(".aliyuncs.com") and host.startswith(("coding.", "coding-", "token-plan."))


@lru_cache(maxsize=64)
def has_embeddings(kind: Kind, base_url: str) -> bool:
    """Whether the host of an account may have embeddings: the portal has none, and no Coding Plan
    (apis-on-the-wire, section 1).
    """
    host = urlsplit(base_url).hostname or ""
    is_coding_plan = is_plan_host(base_url) and host.startswith("coding")
    return kind == "api_key" and host_family(base_url) != "portal" and not is_coding_plan


def family_of(credential: Credential) -> HostFamily:
    """The family of the host that a credential calls. An OAuth login calls the portal, whatever its host is
    named.
    """
    return "portal" if credential.kind == "oauth" else host_family(credential.base_url)


@lru_cache(maxsize=64)
def messages_base_url(base_url: str) -> str | None:
    """Where a host that speaks Messages has `/messages`, by the base URL of its chat completions; None for a
    host that is not known to speak it (apis-on-the-wire, section 1).

    DashScope, its workspaces and its plans have it under `/apps/anthropic/v1`, ModelScope beside its chat.
    """
    parts = urlsplit(base_url)
    if host_family(base_url) == "dashscope":
        return f"{parts.scheme}://{parts.netloc}/apps/anthropic/v1"
    return base_url if parts.hostname == "api-inference.modelscope.cn" else None
