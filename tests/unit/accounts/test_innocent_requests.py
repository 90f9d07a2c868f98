"""One request that fails everywhere must not get the others refused: most likely it is itself the reason."""

import json
from typing import Any

import pytest

from qwen_worker.platform.ports import FetchError, OutboundRequest
from tests.support.clock import VirtualClock, virtual
from tests.support.ports import ScriptedResponse
from tests.support.several_accounts import World, error_of, fault, ok

QUOTED = "Please explain Arrearage, AllocationQuota.FreeTierOnly and insufficient_quota; quota, throttling."


def answer(status: int, **error: Any) -> ScriptedResponse:
    return ScriptedResponse(status, {"error": error})


@pytest.mark.parametrize(
    "failure",
    [
        fault("captcha_200"),
        fault("html_403"),
        fault("invalid_api_key"),
        fault("forbidden"),
        fault("internal_error"),
        fault("empty_200"),
        fault("not_json_200"),
        ScriptedResponse(404, "no such path"),
        ScriptedResponse(405, {"error": "Coding Plan is currently only available for Coding Agents"}),
        FetchError(),
        # What an error is, is told by words alone, and they may be the client's own.
        answer(200, message=f"Rejected: {QUOTED}"),
        answer(403, message=f"Rejected: {QUOTED}"),
        ScriptedResponse(200, {"message": f"Rejected: {QUOTED}"}),
    ],
    ids=lambda failure: (
        f"{failure.status} {failure.data[:30]!r}" if isinstance(failure, ScriptedResponse) else ""
    ),
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_alike_on_all_accounts_harms_nobody_else(failure: Any, stream: bool) -> None:
    world = World(a=failure, b=failure, c=failure)

    assert (await world.chat("an evil prompt", stream=stream)).status >= 400
    assert {"a", "b", "c"} == set(world.asked)
    world.answers.clear()

    for number in range(3):
        world.clock.slept_seconds.clear()
        assert (await world.chat(f"innocent {number}")).status == 200
        assert len(world.asked) == 1
        assert world.clock.slept_seconds == []
    assert {account["state"] for account in await world.health()} == {"ready"}


async def test_failures_of_different_kinds_do_not_either() -> None:
    """A prompt may be a captcha to one host, forbidden at the next, and an error in the third."""
    world = World(a=fault("captcha_200"), b=fault("forbidden"), c=fault("internal_error"))

    assert (await world.chat("an evil prompt")).status >= 400
    world.answers.clear()

    assert (await world.chat("innocent")).status == 200
    assert len(world.asked) == 1
    assert {account["state"] for account in await world.health()} == {"ready"}


async def test_nor_does_the_account_that_is_left() -> None:
    """Another account is in a cooldown of its own, so the request fails on all that are left."""
    world = World(a=fault("insufficient_quota_daily"), b=fault("captcha_200"), c=fault("captcha_200"))

    assert (await world.chat("an evil prompt")).status >= 400
    world.answers["b"] = world.answers["c"] = [ok()]

    assert (await world.chat("innocent")).status == 200
    assert [account["state"] for account in await world.health()] == ["cooldown", "ready", "ready"]


@pytest.mark.parametrize("where", ["message", "param", "detail"])
@pytest.mark.parametrize("status", [400, 422])
async def test_a_prompt_that_is_quoted_is_no_error_of_the_account(where: str, status: int) -> None:
    error = {"code": "invalid_parameter_error", "message": "No.", where: f"Invalid content: {QUOTED}"}
    world = World(a=answer(status, **error), b=ok(), c=ok())

    response = await world.chat(QUOTED)

    assert (response.status, error_of(response)["code"]) == (400, "invalid_parameter_error")
    assert world.asked == ["a"]
    assert {account["state"] for account in await world.health()} == {"ready"}


async def test_what_another_account_answers_was_about_the_account() -> None:
    world = World(a=fault("captcha_200"))

    assert (await world.chat()).status == 200
    assert world.asked == ["a", "b"]

    assert [account["state"] for account in await world.health()] == ["cooldown", "ready", "ready"]


async def test_an_account_that_answers_in_the_end_is_not_blamed() -> None:
    world = World(a=[fault("bad_gateway"), ok()], b=fault("bad_gateway"), c=fault("bad_gateway"))

    assert (await world.chat()).status == 200
    assert world.asked[-1] == "a"

    blamed = {line["account"] for line in world.logs.events("account in cooldown")}
    assert blamed == {"QWEN_API_KEY.2", "QWEN_API_KEY.3"}


async def test_a_plan_that_refuses_one_client_serves_the_next() -> None:
    """A Coding Plan judges by the User-Agent: a script that it refuses says nothing about a coding tool."""
    refusal = ScriptedResponse(405, {"error": "Coding Plan is currently only available for Coding Agents"})
    world = World(a=[refusal, ok()])

    assert (await world.chat("from a script")).status == 200
    assert world.asked == ["a", "b"]
    assert {account["state"] for account in await world.health()} == {"ready"}
    assert await world.account_for("one") == "c"
    assert await world.account_for("two") == "a"


LOGINS = json.dumps(
    [
        {
            "access_token": f"token-{name}",
            "refresh_token": f"refresh-{name}",
            "expiry_date": 1_900_000_000_000,
        }
        for name in "xyz"
    ]
)


@virtual
async def test_a_401_on_all_logins_does_not_get_the_next_request_refused() -> None:
    world = World({"QWEN_CLI_AUTH": LOGINS}, clock=VirtualClock())
    is_evil = True

    def answered(request: OutboundRequest) -> Any:
        if "authorization" not in request.headers:
            name = (request.body or b"").decode().split("refresh-")[1][0]
            renewed = {"access_token": f"renewed-{name}", "refresh_token": f"refresh-{name}2"}
            return ScriptedResponse(200, {**renewed, "expires_in": 3600, "token_type": "Bearer"})
        world.asked.append(request.headers["authorization"])
        return fault("invalid_api_key") if is_evil else ok()

    world.fetcher._answer = answered
    assert (await world.chat("an evil prompt")).status == 503
    assert len(world.asked) == 6
    is_evil = False

    for number in range(3):
        assert (await world.chat(f"innocent {number}")).status == 200
        assert len(world.asked) == 1


async def ask(world: World) -> int:
    return (await world.chat("hello")).status


@pytest.mark.parametrize("is_new_isolate", [False, True])
async def test_a_mended_base_url_ends_the_cooldowns_that_the_wrong_one_caused(is_new_isolate: bool) -> None:
    """Of one account in memory and in KV: the host that refused its key is not asked any more."""
    key = {"api_key": "key-a", "priority": 1}
    other = {"api_key": "key-b", "priority": 2, "base_url": "https://fine.example/v1"}
    variables = {"QWEN_API_KEY": json.dumps([key, other]), "QWEN_BASE_URL": "https://wrong.example/v1"}
    world = World(variables, a=[fault("invalid_api_key"), ok()])
    assert await ask(world) == 200
    assert world.asked == ["a", "b"]
    assert await ask(world) == 200
    assert world.asked == ["b"]
    assert "qwen_account_cooldowns" in world.kv.values

    world.configure({**variables, "QWEN_BASE_URL": "https://right.example/v1"}, forget=is_new_isolate)

    assert await ask(world) == 200
    assert world.asked == ["a"]
    assert [account["state"] for account in await world.health()] == ["ready", "ready"]

    world.configure(variables, forget=is_new_isolate)
    assert await ask(world) == 200
    assert world.asked == ["b"], "the account at the wrong URL is still known to be refused there"


async def test_one_accounts_own_base_url_counts_too() -> None:
    wrong, right = (
        {"api_key": "key-a", "priority": 1, "base_url": f"https://{host}.example/v1"} for host in "wr"
    )
    world = World({"QWEN_API_KEY": json.dumps([wrong, "key-b"])}, a=[fault("forbidden"), ok()])
    await ask(world)

    world.configure({"QWEN_API_KEY": json.dumps([right, "key-b"])})

    assert await ask(world) == 200
    assert world.asked == ["a"]


async def test_long_cooldowns_found_within_a_minute_of_a_write_are_written_after_it() -> None:
    quota = fault("insufficient_quota_daily")
    world = World(a=quota)
    await ask(world)
    assert len(world.kv.writes) == 1

    world.answers = {"b": [quota]}
    world.clock.advance(10)
    for number in range(3):
        await world.chat(f"conversation {number}")
    assert len(world.kv.writes) == 1, "too soon"

    world.clock.advance(60)
    await world.chat("a request that fails nowhere")
    assert len(world.kv.writes) == 2

    world.answers.clear()
    world.new_isolate()
    await ask(world)
    assert world.asked == ["c"]


async def test_they_are_written_by_the_cron_trigger_if_no_request_comes() -> None:
    quota = fault("insufficient_quota_daily")
    world = World(a=quota)
    await ask(world)
    world.answers = {"b": [quota]}
    for number in range(3):
        await world.chat(f"conversation {number}")
    world.clock.advance(61)

    await world.scheduled()

    world.answers.clear()
    world.new_isolate()
    await ask(world)
    assert world.asked == ["c"]
