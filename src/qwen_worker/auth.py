"""Client API keys: who calls us."""

from collections.abc import Callable, Mapping

from qwen_worker.config.client_keys import ADMIN, ANYONE, ClientKey
from qwen_worker.errors import InvalidApiKey
from qwen_worker.models import followed
from qwen_worker.platform.ports import InboundRequest

try:
    # `hmac` takes it from here too where there is no OpenSSL, and would load `hashlib`, 13 ms at each start.
    from _operator import _compare_digest as compare_digest
except ImportError:
    from hmac import compare_digest  # type: ignore[no-redef]


def identify(
    request: InboundRequest,
    keys: tuple[ClientKey, ...],
    admin_key: str | None = None,
    *,
    now_ms: Callable[[], int],
) -> ClientKey:
    """The key that a request carries, which may be ADMIN. Raises InvalidApiKey.

    Accepts `Authorization: Bearer <key>` (scheme in any case), `x-api-key: <key>` (Anthropic-style tools) and
    `api-key: <key>` (Azure-style tools). With no client keys configured everyone else is ANYONE.
    """
    if not keys and admin_key is None:
        return ANYONE
    authorization = request.header("authorization")
    found = None if authorization is None else _known(_bearer_token(authorization), keys, admin_key)
    other = None
    if found is None:
        other = request.header("x-api-key") or request.header("api-key")
        found = None if other is None else _known(other.strip(), keys, admin_key)
    if found is None:
        if not keys:
            return ANYONE
        raise InvalidApiKey(_explanation(authorization, other))
    if found.expires_ms is not None and found.expires_ms <= now_ms():
        raise InvalidApiKey("This API key has expired. Ask this gateway's operator for another one.")
    return found


def may_use(client: ClientKey, model: str, aliases: Mapping[str, str]) -> bool:
    """Whether a client may use a model, by the name that it has for it or by the one that it stands for."""
    return client.may_use(model, followed(model, aliases))


def _bearer_token(authorization: str) -> str:
    """The token of a Bearer header, or "" if it is none."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _known(candidate: str, keys: tuple[ClientKey, ...], admin_key: str | None) -> ClientKey | None:
    """Compares with every key in constant time, so that timing tells nothing about any of them."""
    given = candidate.encode("utf-8", "surrogatepass")
    found = None
    for key in keys:
        if compare_digest(given, key.key.encode("utf-8", "surrogatepass")):
            found = key
    if admin_key is not None and compare_digest(given, admin_key.encode("utf-8", "surrogatepass")):
        found = ADMIN
    return found


def _explanation(authorization: str | None, other: str | None) -> str:
    if authorization is None and other is None:
        return (
            "You didn't provide an API key. Send the gateway's key in an Authorization header "
            "(Authorization: Bearer YOUR_KEY)."
        )
    if other is None and authorization is not None and not _bearer_token(authorization):
        return "The Authorization header is malformed. It must read: Authorization: Bearer YOUR_KEY."
    return "Incorrect API key provided. Use a key that this gateway's operator has set in CLIENT_KEYS."
