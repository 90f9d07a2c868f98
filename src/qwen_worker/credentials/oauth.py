"""The token endpoint's protocol: what a refresh sends, and what each answer means.

Facts as the official Qwen Code CLI has them: `POST {host}/api/v1/oauth2/token`, a form-encoded body, a JSON
answer `{access_token, token_type, refresh_token?, resource_url?, expires_in?}`. Each answer brings a new
refresh token; the one that was sent no longer works. The endpoint answers a dead one with 400 or 401 and an
OAuth error; 429, 5xx and pages of HTML (from a firewall, with any status) are faults that pass.
"""

import math
from typing import Any, NamedTuple
from urllib.parse import urlencode

from qwen_worker.config.login import OAuthToken, usable_resource_url
from qwen_worker.config.text import printable_text
from qwen_worker.json_text import parse_object
from qwen_worker.platform.ports import Fetcher, FetchError, FetchTimeout, OutboundRequest
from qwen_worker.qwen_code import USER_AGENT

CLIENT_ID = "f0304373b74a44d2b584a3fb70ca9e56"
"""The CLI's public client id."""

TOKEN_PATH = "/api/v1/oauth2/token"  # noqa: S105

TOKEN_TIMEOUT_MS = 20_000
"""Long on purpose: if the gateway gives up while an answer is on its way, the new token in it is lost."""

ASSUMED_LIFETIME_SECONDS = 3600
"""For an answer without `expires_in`. Tokens live 6 h; a value that is too short only makes the refresh
early.
"""

MAX_LIFETIME_SECONDS = 365 * 86_400

_PASSING_ERRORS = frozenset({"slow_down", "temporarily_unavailable", "server_error", "internal_error"})
_REFUSING_STATUSES = (400, 401)


class Refreshed(NamedTuple):
    """A new access token, and the refresh token that replaces the spent one."""

    token: OAuthToken


class Refused(NamedTuple):
    """The refresh token is dead: spent by someone else, revoked or expired. `reason` holds no secret."""

    reason: str


class PassingFault(NamedTuple):
    """The endpoint could not answer now. `reason` holds no secret."""

    reason: str
    retry_after_seconds: float | None = None


Outcome = Refreshed | Refused | PassingFault


async def refresh(fetcher: Fetcher, oauth_base_url: str, token: OAuthToken, now_ms: int) -> Outcome:
    """Sends one refresh and says what came of it. Never raises for anything the endpoint or network does."""
    request = refresh_request(oauth_base_url, token.refresh_token or "")
    try:
        response = await fetcher.fetch(request, timeout_ms=TOKEN_TIMEOUT_MS)
        body = await response.text()
    except FetchTimeout:
        return PassingFault("time-out")
    except FetchError:
        return PassingFault("connection failed")
    return interpret(response.status, response.header("retry-after"), body, token, now_ms)


def refresh_request(oauth_base_url: str, refresh_token: str) -> OutboundRequest:
    """The request that trades `refresh_token` for a new pair of tokens."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": CLIENT_ID}
    return form_request(oauth_base_url + TOKEN_PATH, form)


def form_request(url: str, form: dict[str, str]) -> OutboundRequest:
    """A request to an OAuth endpoint."""
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "accept": "application/json",
        # Without an explicit one the firewall before the endpoint may answer with a captcha.
        "user-agent": USER_AGENT,
    }
    return OutboundRequest("POST", url, headers, urlencode(form).encode())


def interpret(status: int, retry_after: str | None, body: str, spent: OAuthToken, now_ms: int) -> Outcome:
    """What the endpoint's answer means for the login whose refresh token was sent.

    `retry_after` is the header's value; only its form in seconds is understood. `now_ms` is the time of the
    request, so the new expiry is rather too early than too late.
    """
    answer = parse_object(body, allows_nan=True)  # whatever else is in it, a token must not be lost
    if answer is None:
        return PassingFault(f"HTTP {status} without a JSON object", seconds(retry_after))
    error = answer.get("error")
    error = error if isinstance(error, str) else None
    if status == 200 and not answer.get("error"):
        access_token = printable_text(answer.get("access_token"))
        if access_token is None:
            return PassingFault("HTTP 200 without an access token")
        return Refreshed(issued_token(answer, access_token, spent, now_ms))
    reason = f"HTTP {status} {error}" if error in _NAMEABLE_ERRORS else f"HTTP {status}"
    if error in _PASSING_ERRORS or (error not in _DEAD_ERRORS and status not in _REFUSING_STATUSES):
        return PassingFault(reason, seconds(retry_after))
    if status == 429 or status >= 500:
        return PassingFault(reason, seconds(retry_after))
    return Refused(reason)


_DEAD_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_grant",
        "invalid_token",
        "invalid_client",
        "unauthorized_client",
        "expired_token",
    }
)
_NAMEABLE_ERRORS = _DEAD_ERRORS | _PASSING_ERRORS


def issued_token(answer: dict[str, Any], access_token: str, spent: OAuthToken, now_ms: int) -> OAuthToken:
    """The login that an answer holds: members that the answer lacks stay as they were in `spent`."""
    resource_url = printable_text(answer.get("resource_url"))
    return OAuthToken(
        access_token=access_token,
        refresh_token=printable_text(answer.get("refresh_token")) or spent.refresh_token,
        expiry_date_ms=now_ms + int(_lifetime_seconds(answer.get("expires_in")) * 1000),
        resource_url=resource_url if usable_resource_url(resource_url) else spent.resource_url,
        token_type=printable_text(answer.get("token_type")) or spent.token_type,
        refreshed_at_ms=now_ms,
    )


def _lifetime_seconds(expires_in: Any) -> float:
    lifetime = seconds(expires_in)
    return min(lifetime, MAX_LIFETIME_SECONDS) if lifetime else ASSUMED_LIFETIME_SECONDS


def seconds(value: Any) -> float | None:
    """A number of seconds as an endpoint gives it, also as a text; None for anything else."""
    number = _number(value)
    return None if number is None or number < 0 else number


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
