import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials import oauth

NOW_MS = 1_800_000_000_000
SPENT = OAuthToken("access-token-1", "refresh-token-1", NOW_MS, "portal.qwen.ai")


def interpret(status: int, body: Any, retry_after: str | None = None) -> oauth.Outcome:
    text = body if isinstance(body, str) else json.dumps(body)
    return oauth.interpret(status, retry_after, text, SPENT, NOW_MS)


def refreshed(body: dict[str, Any]) -> OAuthToken:
    outcome = interpret(200, {"access_token": "access-token-2", **body})
    assert isinstance(outcome, oauth.Refreshed)
    return outcome.token


def test_the_request_is_that_of_the_cli() -> None:
    request = oauth.refresh_request("https://chat.qwen.ai", "refresh token/1+")
    assert (request.method, request.url) == ("POST", "https://chat.qwen.ai/api/v1/oauth2/token")
    assert parse_qs((request.body or b"").decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["refresh token/1+"],
        "client_id": ["f0304373b74a44d2b584a3fb70ca9e56"],
    }
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("QwenCode/")


def test_an_answer_brings_the_next_pair_of_tokens_and_their_host() -> None:
    token = refreshed(
        {
            "refresh_token": "refresh-token-2",
            "token_type": "bearer",
            "resource_url": "other.qwen.ai",
            "expires_in": 21_600,
        }
    )
    assert token == OAuthToken(
        "access-token-2", "refresh-token-2", NOW_MS + 21_600_000, "other.qwen.ai", "bearer", NOW_MS
    )


def test_what_the_answer_does_not_hold_stays() -> None:
    token = refreshed({"expires_in": 21_600})
    assert (token.refresh_token, token.resource_url) == ("refresh-token-1", "portal.qwen.ai")


def test_a_host_that_makes_no_url_is_not_taken_over() -> None:
    assert refreshed({"resource_url": "no host at all"}).resource_url == "portal.qwen.ai"


@pytest.mark.parametrize("expires_in", [None, "soon", 0, -5, True, "nan", [], {}])
def test_a_missing_or_senseless_lifetime_does_not_mean_expired_now(expires_in: Any) -> None:
    token = refreshed({"expires_in": expires_in})
    assert token.is_valid(NOW_MS + 1_800_000)


def test_a_lifetime_may_be_a_numeric_string_and_is_bounded() -> None:
    assert refreshed({"expires_in": "21600"}).expiry_date_ms == NOW_MS + 21_600_000
    assert (refreshed({"expires_in": 1e300}).expiry_date_ms or 0) < NOW_MS + 366 * 86_400_000


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_request", "error_description": "Invalid refresh token or client_id"}),
        (400, {"error": "invalid_grant"}),
        (401, {"error": "invalid_request"}),
        (401, {"message": "unauthorized"}),
        (403, {"error": "invalid_grant"}),
        (200, {"error": "invalid_grant"}),
    ],
)
def test_a_dead_refresh_token(status: int, body: dict[str, str]) -> None:
    assert isinstance(interpret(status, body), oauth.Refused)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": "slow_down"}),
        (429, {"error": "invalid_request"}),
        (400, {"error": "slow_down"}),
        (500, {"error": "invalid_grant"}),
        (503, ""),
        (504, "<html>504 Gateway Time-out</html>"),
        (400, "<html>blocked</html>"),
        (401, ""),
        (403, {"code": "WAF"}),
        (404, {}),
        (302, ""),
        (200, "<html>Are you human?</html>"),
        (200, {}),
        (200, {"access_token": ""}),
        (200, {"access_token": "two\nlines"}),
        (200, {"error": {"code": 500}, "access_token": "access-token-2"}),
        (200, "[]"),
        (200, '{"access_token": "access-tok'),
    ],
)
def test_a_passing_fault(status: int, body: Any) -> None:
    assert isinstance(interpret(status, body), oauth.PassingFault)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), (None, None), ("Wed, 21 Oct", None), ("-3", None)]
)
def test_retry_after_is_told(header: str | None, seconds: float | None) -> None:
    outcome = interpret(429, {"error": "slow_down"}, header)
    assert isinstance(outcome, oauth.PassingFault)
    assert outcome.retry_after_seconds == seconds


def test_reasons_hold_nothing_that_the_endpoint_has_made_up() -> None:
    for status in (400, 500):
        outcome = interpret(status, {"error": "refresh-token-1 is dead"})
        assert isinstance(outcome, oauth.Refused | oauth.PassingFault)
        assert outcome.reason == f"HTTP {status}"
