"""The device flow's protocol: what a login sends, and what each answer means.

Facts as the official Qwen Code CLI has them (RFC 8628 with PKCE S256): `POST
{host}/api/v1/oauth2/device/code` gives `{device_code, user_code, verification_uri,
verification_uri_complete, expires_in}` without an `interval`; the token endpoint is then asked every 2 s. It
answers 400 `authorization_pending`, 429 or 400 `slow_down`, 400 `access_denied`, 401 or `expired_token` when
the code is over, and pages of HTML when it is in trouble.
"""

import os
from binascii import b2a_base64
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from qwen_worker.config.login import OAuthToken
from qwen_worker.config.text import is_http_url, printable_text
from qwen_worker.credentials.oauth import (
    CLIENT_ID,
    TOKEN_PATH,
    TOKEN_TIMEOUT_MS,
    form_request,
    issued_token,
    seconds,
)
from qwen_worker.errors import ProxyError, RateLimited, UpstreamBlocked, UpstreamTimeout, UpstreamUnavailable
from qwen_worker.fingerprint import sha256_of
from qwen_worker.json_text import parse_object
from qwen_worker.platform.ports import Fetcher, FetchError, FetchTimeout

DEVICE_CODE_PATH = "/api/v1/oauth2/device/code"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "openid profile email model.completion"

INTERVAL_SECONDS = 2.0
"""How long to wait between two polls where the endpoint does not say."""
LONGEST_INTERVAL_SECONDS = 10.0
SLOWER = 1.5
"""By what a `slow_down` multiplies the interval, as in the CLI."""

LIFETIME_SECONDS = 900.0
"""How long a device code lives where the endpoint does not say."""
LONGEST_LIFETIME_SECONDS = 3_600.0

CLOSED_MESSAGE = (
    "Qwen takes no new logins: it closed its OAuth tier on 2026-04-15. Set QWEN_API_KEY and QWEN_BASE_URL "
    "instead."
)

_CLOSED_WORDS = (
    *("discontinu", "no longer", "has been closed", "was closed", "is closed", "shut down", "sunset"),
    *("terminated", "has ended", "停止", "下线", "关闭", "终止"),
)


class DeviceCode(NamedTuple):
    """What Qwen gives for a login: what the user gets to see, and the code that asks for its token."""

    device_code: str
    verifier: str
    """PKCE's secret, which goes with each poll."""
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    """The same with the user's code in it."""
    expires_ms: int
    interval_seconds: float


class Approved(NamedTuple):
    """The user has approved; the device code is spent."""

    token: OAuthToken


class Undecided(NamedTuple):
    """Ask again later, and with `slower` less often. `fault` says what kept Qwen from answering."""

    slower: bool = False
    fault: str = ""


class Over(NamedTuple):
    """The login will not be approved any more."""

    status: Literal["denied", "expired", "closed"]


class UnknownCode(NamedTuple):
    """Qwen does not know the device code: it is over, or somebody has fetched its token."""


Outcome = Approved | Undecided | Over | UnknownCode


async def request_code(fetcher: Fetcher, oauth_base_url: str, now_ms: int) -> DeviceCode:
    """Asks for a device code. Raises ProxyError: `login_closed`, or what kept Qwen from giving one."""
    verifier = _base64url(os.urandom(32))
    form = {
        "client_id": CLIENT_ID,
        "scope": SCOPE,
        "code_challenge": _base64url(sha256_of(verifier.encode())),
        "code_challenge_method": "S256",
    }
    request = form_request(oauth_base_url + DEVICE_CODE_PATH, form)
    try:
        response = await fetcher.fetch(request, timeout_ms=TOKEN_TIMEOUT_MS)
        body = await response.text()
    except FetchTimeout:
        raise UpstreamTimeout("Qwen did not answer in time.", scope="request") from None
    except FetchError:
        raise UpstreamUnavailable("The connection to Qwen failed.", scope="request") from None
    answer = parse_object(body)
    if answer is None:
        raise _no_answer(response.status)
    if response.status != 200 or answer.get("error"):
        raise _refusal(response.status, answer, response.header("retry-after"))
    code = _device_code(answer, verifier, oauth_base_url, now_ms)
    if code is None:
        raise UpstreamUnavailable(
            "Qwen's answer holds no device code.", code="upstream_error", retryable=False, scope="request"
        )
    return code


async def poll(
    fetcher: Fetcher, oauth_base_url: str, device_code: str, verifier: str, now_ms: int
) -> Outcome:
    """Asks once for the token of a login. Never raises for anything the endpoint or network does."""
    form = {
        "grant_type": DEVICE_GRANT,
        "client_id": CLIENT_ID,
        "device_code": device_code,
        "code_verifier": verifier,
    }
    try:
        response = await fetcher.fetch(
            form_request(oauth_base_url + TOKEN_PATH, form), timeout_ms=TOKEN_TIMEOUT_MS
        )
        body = await response.text()
    except FetchTimeout:
        return Undecided(fault="time-out")
    except FetchError:
        return Undecided(fault="connection failed")
    return interpret_poll(response.status, body, now_ms)


def interpret_poll(status: int, body: str, now_ms: int) -> Outcome:
    """What the token endpoint's answer to a poll means. `now_ms` is the time of the request."""
    answer = parse_object(body, allows_nan=True)  # whatever else is in it, a token must not be lost
    if answer is None:
        return Over("expired") if status == 401 else Undecided(fault=f"HTTP {status} without a JSON object")
    error = answer.get("error")
    if status == 200 and not error:
        access_token = printable_text(answer.get("access_token"))
        if access_token is None:
            return Undecided(fault="HTTP 200 without an access token")
        return Approved(issued_token(answer, access_token, OAuthToken(""), now_ms))
    if error == "authorization_pending":
        return Undecided()
    if error == "slow_down" or status == 429:
        return Undecided(slower=True)
    if _says_closed(answer):
        return Over("closed")
    if error == "access_denied":
        return Over("denied")
    if error == "expired_token" or status == 401:
        return Over("expired")
    if status == 200 or status >= 500:
        return Undecided(fault=f"HTTP {status}")
    return UnknownCode()


def _device_code(
    answer: dict[str, Any], verifier: str, oauth_base_url: str, now_ms: int
) -> DeviceCode | None:
    device_code, user_code = map(printable_text, (answer.get("device_code"), answer.get("user_code")))
    uri = _link(answer.get("verification_uri"), oauth_base_url)
    complete = _link(answer.get("verification_uri_complete"), oauth_base_url) or uri
    if device_code is None or user_code is None or complete is None:
        return None
    lifetime = min(seconds(answer.get("expires_in")) or LIFETIME_SECONDS, LONGEST_LIFETIME_SECONDS)
    interval = min(max(seconds(answer.get("interval")) or INTERVAL_SECONDS, 1.0), LONGEST_INTERVAL_SECONDS)
    return DeviceCode(
        device_code,
        verifier,
        user_code,
        uri or complete,
        complete,
        now_ms + int(lifetime * 1000),
        interval,
    )


def _link(value: Any, oauth_base_url: str) -> str | None:
    """A link that a person may be sent to: https, or http where the endpoint itself is asked by http."""
    url = printable_text(value)
    if url is None or not is_http_url(url.partition("?")[0]):
        return None
    scheme = urlsplit(url).scheme
    return url if scheme == "https" or scheme == urlsplit(oauth_base_url).scheme else None


def _no_answer(status: int) -> ProxyError:
    """The error for an answer that is no JSON."""
    if status == 404:
        return UpstreamUnavailable(
            "Qwen has no device login at QWEN_OAUTH_BASE_URL.",
            code="upstream_error",
            upstream_status=status,
            retryable=False,
            scope="request",
        )
    return UpstreamBlocked(
        "Something in front of Qwen answered in its place (a firewall, a captcha, a page of HTML).",
        upstream_status=status,
        scope="request",
    )


def _refusal(status: int, answer: dict[str, Any], retry_after: str | None) -> ProxyError:
    """The error for an answer that refuses a device code."""
    if _says_closed(answer):
        return UpstreamUnavailable(
            CLOSED_MESSAGE, code="login_closed", upstream_status=status, retryable=False, scope="request"
        )
    if status == 429 or answer.get("error") == "slow_down":
        return RateLimited(
            "Qwen limits the rate of logins. Try again in a while.",
            retry_after_seconds=seconds(retry_after) or 30,
            upstream_status=status,
            scope="request",
        )
    if status >= 500:
        return UpstreamUnavailable("Qwen failed to begin a login.", upstream_status=status, scope="request")
    return UpstreamUnavailable(
        f"Qwen refuses to begin a login (HTTP {status}).",
        code="upstream_error",
        upstream_status=status,
        retryable=False,
        scope="request",
    )


def _says_closed(answer: dict[str, Any]) -> bool:
    """Whether Qwen says that it takes no more logins. RFC 6749 calls a client that may not use this kind of
    login an `unauthorized_client`; how Qwen words it nobody has published.
    """
    words = str(answer)[:4_000].lower()
    return answer.get("error") == "unauthorized_client" or any(word in words for word in _CLOSED_WORDS)


def _base64url(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 7636)."""
    return b2a_base64(data, newline=False).decode().translate({43: "-", 47: "_", 61: None})
