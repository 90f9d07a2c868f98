from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

import pytest

from tests.simulator import CLIENT_ID, NAMED_FAULTS, QwenSimulator, SimulatorConfig
from tests.unit.simulator.http_client import Answer, chat, exchange, post_form

TOKEN_PATH = "/api/v1/oauth2/token"
DEVICE_PATH = "/api/v1/oauth2/device/code"
PORTAL_HEADERS = {
    "User-Agent": "QwenCode/1.0.0 (linux; x64)",
    "X-DashScope-UserAgent": "QwenCode/1.0.0 (linux; x64)",
    "X-DashScope-CacheControl": "enable",
    "X-DashScope-AuthType": "qwen-oauth",
}
PORTAL_MESSAGES = [
    {"role": "system", "content": [{"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}]},
    {"role": "user", "content": "hello"},
]


async def refresh(simulator: QwenSimulator, refresh_token: str, client_id: str = CLIENT_ID) -> Answer:
    return await post_form(
        simulator, TOKEN_PATH, grant_type="refresh_token", refresh_token=refresh_token, client_id=client_id
    )


async def portal_chat(simulator: QwenSimulator, token: str) -> Answer:
    return await chat(simulator, token=token, headers=PORTAL_HEADERS, messages=PORTAL_MESSAGES)


class VirtualClock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_refresh_rotates_the_refresh_token_and_gives_a_working_access_token(
    simulator: QwenSimulator,
) -> None:
    login = simulator.create_login()
    answer = await refresh(simulator, login.refresh_token)
    assert answer.status == 200
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 21_600
    assert tokens["resource_url"] == simulator.api_url
    assert (await portal_chat(simulator, tokens["access_token"])).status == 200
    assert (await refresh(simulator, tokens["refresh_token"])).status == 200


async def test_of_concurrent_refreshes_with_one_token_exactly_one_succeeds(simulator: QwenSimulator) -> None:
    login = simulator.create_login()
    token = login.refresh_token
    answers = await asyncio.gather(*(refresh(simulator, token) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400]
    refused = next(answer for answer in answers if answer.status == 400)
    assert refused.json() == {
        "error": "invalid_request",
        "error_description": "Invalid refresh token or client_id",
    }
    assert (login.refreshes, login.refused_refreshes) == (1, 4)


async def test_a_spent_token_can_be_refused_as_401_invalid_grant() -> None:
    async with QwenSimulator(SimulatorConfig(dead_token_style="invalid_grant_401")) as simulator:
        login = simulator.create_login()
        spent = login.refresh_token
        await refresh(simulator, spent)
        answer = await refresh(simulator, spent)
    assert (answer.status, answer.json()["error"]) == (401, "invalid_grant")


async def test_a_wrong_client_id_spends_nothing(simulator: QwenSimulator) -> None:
    login = simulator.create_login()
    assert (await refresh(simulator, login.refresh_token, client_id="someone-else")).status == 400
    assert (await refresh(simulator, login.refresh_token)).status == 200


async def test_an_unknown_grant_type_is_refused(simulator: QwenSimulator) -> None:
    answer = await post_form(simulator, TOKEN_PATH, grant_type="password", client_id=CLIENT_ID)
    assert (answer.status, answer.json()["error"]) == (400, "unsupported_grant_type")


async def test_access_tokens_die_by_time_by_revocation_and_with_their_login() -> None:
    clock = VirtualClock()
    async with QwenSimulator(SimulatorConfig(clock=clock)) as simulator:
        timed, revoked, killed, untouched = (simulator.create_login() for _ in range(4))
        clock.now += 21_601
        assert (await portal_chat(simulator, timed.access_token)).status == 401
        for login in (revoked, killed, untouched):
            await refresh(simulator, login.refresh_token)
        revoked.revoke_access_tokens()
        killed.kill()
        statuses = [
            (await portal_chat(simulator, x.access_token)).status for x in (revoked, killed, untouched)
        ]
        assert statuses == [401, 401, 200]
        assert (await refresh(simulator, killed.refresh_token)).status == 400
        assert (await refresh(simulator, revoked.refresh_token)).status == 200


async def test_the_closed_tier_refreshes_and_then_refuses_the_api_call() -> None:
    async with QwenSimulator(SimulatorConfig(closed_tier=True)) as simulator:
        login = simulator.create_login()
        answer = await refresh(simulator, login.refresh_token)
        refused = await portal_chat(simulator, answer.json()["access_token"])
    assert answer.status == 200
    assert refused.status == 401
    assert refused.json()["error"]["message"] == "invalid access token or token expired"
    assert refused.json()["error"]["code"] == "invalid_api_key"


async def test_a_lost_answer_has_spent_the_token(simulator: QwenSimulator) -> None:
    login = simulator.create_login()
    token = login.refresh_token
    simulator.faults.add("oauth_answer_lost", endpoint="token")
    with pytest.raises(ConnectionError):
        await refresh(simulator, token)
    assert (await refresh(simulator, token)).status == 400


async def test_queued_faults_hit_the_next_calls_of_their_login_only(simulator: QwenSimulator) -> None:
    first, second = simulator.create_login("first"), simulator.create_login("second")
    simulator.faults.add("oauth_429", endpoint="token", times=2, credential="first")
    assert (await refresh(simulator, second.refresh_token)).status == 200
    statuses = [(await refresh(simulator, first.refresh_token)).status for _ in range(3)]
    assert statuses == [429, 429, 200]


@pytest.mark.parametrize("name", [name for name in NAMED_FAULTS if name.startswith("oauth_missing_")])
async def test_an_answer_can_lack_a_field(simulator: QwenSimulator, name: str) -> None:
    login = simulator.create_login()
    simulator.faults.add(name, endpoint="token")
    answer = await refresh(simulator, login.refresh_token)
    missing = {
        "access_token",
        "token_type",
        "refresh_token",
        "resource_url",
        "expires_in",
    } - answer.json().keys()
    assert missing == {name.removeprefix("oauth_missing_")}


async def test_the_device_code_flow_waits_for_the_user_and_checks_pkce(simulator: QwenSimulator) -> None:
    verifier = "a-verifier-of-the-device-flow"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    started = await post_form(
        simulator,
        DEVICE_PATH,
        client_id=CLIENT_ID,
        scope="openid profile email model.completion",
        code_challenge=challenge,
        code_challenge_method="S256",
    )
    code: dict[str, Any] = started.json()
    assert code.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
    }

    async def poll(code_verifier: str) -> Answer:
        return await post_form(
            simulator,
            TOKEN_PATH,
            grant_type="urn:ietf:params:oauth:grant-type:device_code",
            client_id=CLIENT_ID,
            device_code=code["device_code"],
            code_verifier=code_verifier,
        )

    assert (await poll(verifier)).json()["error"] == "authorization_pending"
    simulator.oauth.approve(code["user_code"])
    assert (await poll("another")).json()["error"] == "invalid_grant"
    tokens = (await poll(verifier)).json()
    assert (await portal_chat(simulator, tokens["access_token"])).status == 200
    assert (await poll(verifier)).status == 400


async def test_a_caller_without_user_agent_meets_the_firewall(simulator: QwenSimulator) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await exchange(simulator, TOKEN_PATH, b"grant_type=refresh_token", form)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
