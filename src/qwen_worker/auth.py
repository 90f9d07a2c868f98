"""Client API keys: who may call us."""

from qwen_worker.errors import InvalidApiKey
from qwen_worker.platform.ports import InboundRequest

try:
    # `hmac` takes it from here too where there is no OpenSSL, and would load `hashlib`, 13 ms at each start.
    from _operator import _compare_digest as compare_digest
except ImportError:
    from hmac import compare_digest  # type: ignore[no-redef]


def check_client_key(request: InboundRequest, keys: tuple[str, ...]) -> None:
    """Lets a request pass if it carries one of `keys`; raises InvalidApiKey otherwise.

    Accepts `Authorization: Bearer <key>` (scheme in any case), `x-api-key: <key>` (Anthropic-style tools) and
    `api-key: <key>` (Azure-style tools). With no keys configured everyone passes.
    """
    if not keys:
        return
    authorization = request.header("authorization")
    if authorization is not None and _is_known(_bearer_token(authorization), keys):
        return
    other = request.header("x-api-key") or request.header("api-key")
    if other is not None and _is_known(other.strip(), keys):
        return
    raise InvalidApiKey(_explanation(authorization, other))


def _bearer_token(authorization: str) -> str:
    """The token of a Bearer header, or "" if it is none."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _is_known(candidate: str, keys: tuple[str, ...]) -> bool:
    """Compares with every key in constant time, so that timing tells nothing about any of them."""
    given = candidate.encode("utf-8", "surrogatepass")
    known = False
    for key in keys:
        known |= compare_digest(given, key.encode("utf-8", "surrogatepass"))
    return known


def _explanation(authorization: str | None, other: str | None) -> str:
    if authorization is None and other is None:
        return (
            "You didn't provide an API key. Send the gateway's key in an Authorization header "
            "(Authorization: Bearer YOUR_KEY)."
        )
    if other is None and authorization is not None and not _bearer_token(authorization):
        return "The Authorization header is malformed. It must read: Authorization: Bearer YOUR_KEY."
    return "Incorrect API key provided. Use a key that this gateway's operator has set in CLIENT_KEYS."
