"""The device flow's protocol: what is sent, and what each answer of a poll means."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.credentials.device_flow import (
    Approved,
    Over,
    Undecided,
    UnknownCode,
    interpret_poll,
    poll,
    request_code,
)
from tests.support.ports import ScriptedFetcher, ScriptedResponse

NOW_MS = 1_800_000_000_000
CODE = {
    "device_code": "device-1",
    "user_code": "ABCD",
    "verification_uri": "https://chat.qwen.ai/authorize",
    "verification_uri_complete": "https://chat.qwen.ai/authorize?user_code=ABCD&client=qwen-code",
}


def form_of(fetcher: ScriptedFetcher) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs((fetcher.requests[-1].body or b"").decode()).items()}


async def test_the_code_is_asked_for_as_the_cli_does() -> None:
    fetcher = ScriptedFetcher(lambda _: ScriptedResponse(200, {**CODE, "expires_in": 600}))
    code = await request_code(fetcher, "https://chat.qwen.ai", NOW_MS)
    [request] = fetcher.requests
    assert (request.method, request.url) == ("POST", "https://chat.qwen.ai/api/v1/oauth2/device/code")
    assert request.headers["user-agent"].startswith("QwenCode/")
    form = form_of(fetcher)
    digest = hashlib.sha256(code.verifier.encode()).digest()
    assert form == {
        "client_id": "f0304373b74a44d2b584a3fb70ca9e56",
        "scope": "openid profile email model.completion",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    assert len(code.verifier) == 43
    assert (code.expires_ms, code.interval_seconds) == (NOW_MS + 600_000, 2.0)
    again = await request_code(fetcher, "https://chat.qwen.ai", NOW_MS)
    assert again.verifier != code.verifier


@pytest.mark.parametrize(
    ("fields", "lifetime_seconds", "interval_seconds"),
    [
        ({}, 900, 2),
        ({"expires_in": "300", "interval": 5}, 300, 5),
        ({"expires_in": -1, "interval": -1}, 900, 2),
        ({"expires_in": 1e9, "interval": 1e9}, 3_600, 10),
        ({"expires_in": None, "interval": 0.01}, 900, 1),
    ],
)
async def test_times_are_kept_within_reason(
    fields: dict[str, Any], lifetime_seconds: int, interval_seconds: float
) -> None:
    fetcher = ScriptedFetcher(lambda _: ScriptedResponse(200, {**CODE, **fields}))
    code = await request_code(fetcher, "https://chat.qwen.ai", NOW_MS)
    assert code.expires_ms == NOW_MS + lifetime_seconds * 1000
    assert code.interval_seconds == interval_seconds


async def test_a_link_without_the_code_will_do() -> None:
    answer = {name: value for name, value in CODE.items() if name != "verification_uri_complete"}
    code = await request_code(ScriptedFetcher(lambda _: ScriptedResponse(200, answer)), "https://q", NOW_MS)
    assert code.verification_uri_complete == code.verification_uri == CODE["verification_uri"]


async def test_a_poll_sends_the_verifier() -> None:
    fetcher = ScriptedFetcher(lambda _: ScriptedResponse(400, {"error": "authorization_pending"}))
    assert await poll(fetcher, "https://q", "device-1", "verifier-1", NOW_MS) == Undecided()
    assert fetcher.requests[0].url == "https://q/api/v1/oauth2/token"
    assert form_of(fetcher) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": "f0304373b74a44d2b584a3fb70ca9e56",
        "device_code": "device-1",
        "code_verifier": "verifier-1",
    }


def error(code: Any, description: str = "") -> str:
    return json.dumps({"error": code, "error_description": description})


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, error("authorization_pending"), Undecided()),
        (200, error("authorization_pending"), Undecided()),
        (400, error("slow_down"), Undecided(slower=True)),
        (429, error("rate_limited"), Undecided(slower=True)),
        (400, error("access_denied"), Over("denied")),
        (400, error("expired_token"), Over("expired")),
        (401, error("invalid_request"), Over("expired")),
        (401, "<html>", Over("expired")),
        (403, error("unauthorized_client"), Over("closed")),
        (400, error("access_denied", "The free tier has been discontinued"), Over("closed")),
        (400, error("x", "该服务已下线"), Over("closed")),
        (400, error("invalid_grant"), UnknownCode()),
        (400, error("invalid_request", "Invalid device_code"), UnknownCode()),
        (400, error({"code": 5}), UnknownCode()),
        (502, "<html>", Undecided(fault="HTTP 502 without a JSON object")),
        (500, error("server_error"), Undecided(fault="HTTP 500")),
        (200, error("server_error"), Undecided(fault="HTTP 200")),
        (200, "", Undecided(fault="HTTP 200 without a JSON object")),
        (200, "{}", Undecided(fault="HTTP 200 without an access token")),
        (200, '{"access_token": 5}', Undecided(fault="HTTP 200 without an access token")),
    ],
)
def test_what_an_answer_means(status: int, body: str, outcome: Any) -> None:
    assert interpret_poll(status, body, NOW_MS) == outcome


@given(
    access=st.text("abc-._~", min_size=1),
    refresh=st.none() | st.text("abc-._~", min_size=1),
    expires_in=st.none() | st.integers() | st.text(max_size=5),
    more=st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=5), max_size=3),
)
def test_a_token_is_never_lost_whatever_is_around_it(
    access: str, refresh: str | None, expires_in: Any, more: dict[str, Any]
) -> None:
    answer = {**more, "access_token": access, "refresh_token": refresh, "expires_in": expires_in}
    answer.pop("error", None)
    outcome = interpret_poll(200, json.dumps(answer), NOW_MS)
    assert isinstance(outcome, Approved)
    assert (outcome.token.access_token, outcome.token.refresh_token) == (access, refresh)
    assert outcome.token.is_valid(NOW_MS) or (outcome.token.expiry_date_ms or 0) > NOW_MS
    assert outcome.token.refreshed_at_ms == NOW_MS
