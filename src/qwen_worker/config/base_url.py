"""Base URLs as people paste them: without scheme, with an endpoint at their end, with another API's path.

Nothing here is loaded for a URL that ends in `/v1` and is no host of Alibaba Cloud's.
"""

import re
from urllib.parse import urlsplit, urlunsplit

from qwen_worker.config.text import is_http_url

ENDPOINT = "an endpoint at its end"
NO_SCHEME = "no scheme"
OTHER_PATH = "another path than that of the host's OpenAI-compatible API"

_HOST = re.compile(
    r"(?:localhost|\[[0-9a-f:.]+\]|(?:[a-z0-9-]+\.)+[a-z0-9-]+)(?::\d{1,5})?(?:[/?#].*)?",
    re.IGNORECASE | re.ASCII,
)
_OWN_NETWORK = re.compile(r"localhost|\[|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.")
_ENDPOINT = re.compile(
    r"/(?:chat(?:/completions)?|completions|models(?:/[^/]+)?|embeddings|responses"
    r"|messages(?:/count_tokens)?|oauth2/token|oauth2/device/code)/*\Z"
)
_HOSTS = (
    (re.compile(r"portal\.qwen\.ai|coding[a-z-]*\.dashscope\.aliyuncs\.com"), "/v1"),
    (re.compile(r"api-inference\.modelscope\.(?:cn|ai)"), "/v1"),
    (re.compile(r"dashscope[a-z-]*\.aliyuncs\.com|(?:.+\.)?maas\.aliyuncs\.com"), "/compatible-mode/v1"),
)
"""Hosts, and where each has its OpenAI-compatible API."""

_OTHER_PATHS = {
    *("", "/v1", "/api", "/api/v1", "/compatible-mode", "/compatible-mode/v1", "/compatible-mode/v1/v1"),
    *("/apps/anthropic", "/apps/anthropic/v1", "/api/v2/apps/protocols/compatible-mode/v1"),
}
"""The paths that people paste instead: none, a part of it, or that of another API of the same host."""


def mended_base_url(text: str, *, is_api: bool = True) -> tuple[str, list[str]] | None:
    """The base URL that a text stands for, and what was mended; None if that cannot be told.

    `is_api`: it is that of an API, not of the token endpoint.
    """
    mended: list[str] = []
    if "://" not in text and _HOST.fullmatch(text):
        text = f"{'http' if _OWN_NETWORK.match(text) else 'https'}://{text}"
        mended.append(NO_SCHEME)
    text = text.rstrip("?#")
    if not is_http_url(text):
        return None
    url = without_endpoint(text)
    if url != text.rstrip("/"):
        mended.append(ENDPOINT)
    if not is_api:
        return url.removesuffix("/api/v1") if ENDPOINT in mended else url, mended
    parts = urlsplit(url)
    for host, path in _HOSTS:
        if host.fullmatch(parts.hostname or "") and parts.path in _OTHER_PATHS - {path}:
            url = urlunsplit(parts._replace(path=path))
            mended.append(OTHER_PATH)
    return url, mended


def without_endpoint(url: str) -> str:
    """A URL without trailing slash, and without an endpoint's path at its end."""
    url = url.rstrip("/")
    while (shorter := _ENDPOINT.sub("", url)) != url and "://" in shorter:
        url = shorter.rstrip("/")
    return url
