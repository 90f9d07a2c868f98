"""Logins behave as Qwen's: a refresh token works once, and an access token as long as it lives."""

import asyncio
import base64
import hashlib
from typing import Any

import httpx
import pytest

from tests.simulator import CLIENT_ID, Login, QwenSimulator, SimulatorConfig
from tests.simulator.device_flow import DEVICE_GRANT, OAuthAnswer
from tests.simulator.oauth import OAuthState
from tests.unit.simulator.client import chat, post

TOKEN_PATH = "/api/v1/oauth2/token"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> OAuthState:
    return OAuthState(SimulatorConfig(clock=clock))


def form(refresh_token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": CLIENT_ID}


def is_accepted(state: OAuthState, login: Login) -> bool:
    return state.login_of_access_token(login.access_token) is login


def test_a_refresh_token_works_once(state: OAuthState) -> None:
    login = state.create_login()
    first = login.refresh_token

    renewed = state.token(form(first))
    again = state.token(form(first))

    assert renewed.status == 200
    assert (renewed.body["token_type"], renewed.body["expires_in"]) == ("Bearer", 21_600)
    assert is_accepted(state, login)
    assert again == OAuthAnswer(
        400, {"error": "invalid_request", "error_description": "Invalid refresh token or client_id"}
    )
    assert state.token(form(login.refresh_token)).status == 200
    assert (login.refreshes, login.refused_refreshes) == (2, 1)


def test_a_wrong_client_id_or_grant_spends_nothing(state: OAuthState) -> None:
    login = state.create_login()
    assert state.token({**form(login.refresh_token), "client_id": "someone-else"}).status == 400
    refused = state.token({**form(login.refresh_token), "grant_type": "password"})
    assert refused.body["error"] == "unsupported_grant_type"
    assert state.token(form(login.refresh_token)).status == 200


def test_access_tokens_die_by_time_revocation_and_with_their_login(state: OAuthState, clock: Clock) -> None:
    timed = state.create_login()
    clock.now += 21_601
    revoked, killed, closed, untouched = (state.create_login() for _ in range(4))
    revoked.revoke_access_tokens()
    killed.kill()
    closed.closed_tier = True

    logins = (timed, revoked, killed, closed, untouched)
    assert [is_accepted(state, login) for login in logins] == [False, False, False, False, True]
    refreshed = [state.token(form(login.refresh_token)).status for login in logins]
    assert refreshed == [200, 200, 400, 200, 200]
    assert not is_accepted(state, closed)


VERIFIER = "a-verifier-of-the-device-flow"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
STARTING = {"client_id": CLIENT_ID, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def polling(code: Any, code_verifier: str = VERIFIER) -> dict[str, str]:
    asked = {"client_id": CLIENT_ID, "device_code": code["device_code"], "code_verifier": code_verifier}
    return {**asked, "grant_type": DEVICE_GRANT}


def test_the_device_code_flow_waits_for_the_user_and_checks_pkce(state: OAuthState, clock: Clock) -> None:
    def poll(code: Any, code_verifier: str = VERIFIER) -> OAuthAnswer:
        return state.token(polling(code, code_verifier))

    approved, denied, late, ended = (state.device_flow.start(STARTING).body for _ in range(4))
    assert poll(approved).body["error"] == "authorization_pending"
    state.approve(str(approved["user_code"]))
    assert poll(approved, "another").body["error"] == "invalid_grant"
    assert state.login_of_access_token(str(poll(approved).body["access_token"]))
    assert poll(approved).status == 400
    state.deny(str(denied["user_code"]))
    assert poll(denied).body["error"] == "access_denied"
    state.expire(str(ended["user_code"]))
    assert poll(ended).body["error"] == "expired_token"
    assert poll(late).body["error"] == "authorization_pending"
    clock.now += 901
    assert poll(late).body["error"] == "expired_token"


def test_who_polls_too_fast_is_slowed_down(clock: Clock) -> None:
    state = OAuthState(SimulatorConfig(clock=clock, device_poll_interval_seconds=2))
    code = state.device_flow.start(STARTING).body
    answers = []
    for pause in (2, 1, 2):
        answers.append(state.token(polling(code)).body["error"])
        clock.now += pause
    assert answers == ["authorization_pending", "authorization_pending", "slow_down"]
    assert state.device_flow.code(str(code["user_code"])).polls == 3


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_a_user_decides_on_the_page_that_the_link_leads_to(
    simulator: QwenSimulator, decision: str
) -> None:
    async with httpx.AsyncClient(base_url=simulator.url) as client:
        started = await client.post("/api/v1/oauth2/device/code", data=STARTING)
        page = await client.get(started.json()["verification_uri_complete"])
        decided = await client.post("/authorize", data={"user_code": "none", "decision": decision})
        assert (page.status_code, decided.status_code) == (200, 404)
        assert started.json()["user_code"] in page.text
        asked = {"user_code": started.json()["user_code"], "decision": decision}
        assert (await client.post("/authorize", data=asked)).status_code == 200
        polled = await client.post(TOKEN_PATH, data=polling(started.json()))
    assert ("access_token" in polled.json()) == (decision == "approve")


async def test_a_tier_that_is_closed_refuses_device_codes_or_the_tokens_of_approved_logins(
    simulator: QwenSimulator,
) -> None:
    simulator.faults.add("oauth_tier_closed", endpoint="device_code")
    async with httpx.AsyncClient(base_url=simulator.url) as client:
        refused = await client.post("/api/v1/oauth2/device/code", data=STARTING)
        code = (await client.post("/api/v1/oauth2/device/code", data=STARTING)).json()
        simulator.oauth.closed_tier = True
        simulator.oauth.approve(code["user_code"])
        simulator.faults.add("oauth_slow_down", endpoint="token", credential=code["user_code"])
        slowed, token = [await client.post(TOKEN_PATH, data=polling(code)) for _ in range(2)]
    assert (refused.status_code, slowed.json()["error"]) == (403, "slow_down")
    assert (await chat(simulator, token=token.json()["access_token"])).status == 401


async def test_a_lost_answer_has_spent_the_token(simulator: QwenSimulator) -> None:
    token = simulator.create_login().refresh_token
    simulator.faults.add("oauth_answer_lost", endpoint="token")
    with pytest.raises(httpx.TransportError):
        await post(simulator, TOKEN_PATH, data=form(token))
    assert (await post(simulator, TOKEN_PATH, data=form(token))).status == 400


async def test_a_held_refresh_is_neither_done_nor_answered_before_the_block_ends(
    simulator: QwenSimulator,
) -> None:
    held, other = simulator.create_login(), simulator.create_login()
    with held.refresh_held():
        asked = asyncio.create_task(post(simulator, TOKEN_PATH, data=form(held.refresh_token)))
        await asyncio.to_thread(simulator.recorder.wait_for, "")
        assert (await post(simulator, TOKEN_PATH, data=form(other.refresh_token))).status == 200
        assert (held.refreshes, asked.done()) == (0, False)
    assert ((await asked).status, held.refreshes) == (200, 1)


async def test_queued_faults_hit_the_next_calls_of_their_login_only(simulator: QwenSimulator) -> None:
    first, second = simulator.create_login("first"), simulator.create_login("second")
    simulator.faults.add("oauth_429", endpoint="token", times=2, credential="first")
    simulator.faults.add("oauth_missing_expires_in", endpoint="token", credential="second")
    answer = await post(simulator, TOKEN_PATH, data=form(second.refresh_token))
    assert (answer.status, b"expires_in" in answer.body) == (200, False)
    statuses = [(await post(simulator, TOKEN_PATH, data=form(first.refresh_token))).status for _ in range(3)]
    assert statuses == [429, 429, 200]


async def test_a_closed_tier_refuses_the_call(simulator: QwenSimulator) -> None:
    login = simulator.create_login()
    login.closed_tier = True
    assert (await chat(simulator, token=login.access_token)).status == 401


async def test_a_caller_without_user_agent_meets_the_firewall(simulator: QwenSimulator) -> None:
    answer = await post(simulator, TOKEN_PATH, data=form("any"), headers={"User-Agent": ""})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
