"""Which account a request goes to, and where it goes next, from the client's request to Qwen's answer."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from qwen_worker.accounts.cooldown_record import COOLDOWNS_KEY
from qwen_worker.platform.ports import FetchError, FetchTimeout, OutboundRequest, StreamBroken
from tests.support.chunks import DONE, FINISH, events, text
from tests.support.clock import VirtualClock, virtual
from tests.support.ports import ScriptedResponse
from tests.support.several_accounts import LABELS, THREE, World, error_of, fault, ok
from tests.support.streams import MemoryPipe, StreamResponse


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (fault("insufficient_quota_daily"), "quota"),
        (fault("arrearage"), "quota"),
        (fault("rate_limit_exceeded"), "rate_limit"),
        (fault("rate_limit_retry_after"), "rate_limit"),
        (fault("invalid_api_key"), "credentials"),
        (fault("forbidden"), "credentials"),
        (fault("captcha_200"), "blocked"),
        (fault("html_403"), "blocked"),
        (fault("internal_error"), "unavailable"),
        (fault("bad_gateway"), "unavailable"),
        (FetchError(), "unavailable"),
        (ScriptedResponse(404, "no such path"), "refused"),
    ],
)
async def test_an_account_that_cannot_answer_gets_a_cooldown_and_the_next_one_answers(
    failure: Any, reason: str
) -> None:
    world = World(a=failure)
    response = await world.chat()
    assert response.status == 200
    assert world.asked == ["a", "b"]
    assert response.headers["x-qwen-account"] == LABELS["b"]
    assert world.clock.slept_seconds == []
    [first, *others] = await world.health()
    assert (first["label"], first["state"], first["reason"]) == (LABELS["a"], "cooldown", reason)
    assert first["seconds_left"] >= 0
    assert [account["state"] for account in others] == ["ready", "ready"]
    [line] = world.logs.events("account in cooldown")
    assert (line["account"], line["reason"]) == (LABELS["a"], reason)


async def test_an_account_in_cooldown_is_left_alone_until_its_time_is_over() -> None:
    world = World(a=[fault("insufficient_quota_daily"), ok()])
    await world.chat()
    for _ in range(4):
        await world.chat()
        assert "a" not in world.asked
    world.clock.advance(901)
    assert {await world.account_for(f"new {i}") for i in range(3)} == {"a", "b", "c"}
    assert {account["state"] for account in await world.health()} == {"ready"}


@pytest.mark.parametrize(
    "mistake", ["bad_request", "context_length", "data_inspection_failed", "tool_choice_with_thinking"]
)
async def test_a_clients_mistake_touches_one_account_only(mistake: str) -> None:
    world = World(a=fault(mistake), b=fault(mistake), c=fault(mistake))
    response = await world.chat()
    assert response.status == 400
    assert len(world.asked) == 1
    assert {account["state"] for account in await world.health()} == {"ready"}


async def test_a_request_that_is_wrong_in_itself_reaches_nobody() -> None:
    world = World()
    assert (await world.chat(temperature=9)).status == 400
    assert world.asked == []


async def test_if_all_quotas_are_used_up_the_client_is_told_not_to_repeat() -> None:
    quota = fault("insufficient_quota_daily")
    world = World(a=quota, b=quota, c=quota)
    for asked in (["a", "b", "c"], [], []):
        response = await world.chat()
        assert (response.status, error_of(response)["code"]) == (429, "insufficient_quota")
        assert response.headers["x-should-retry"] == "false"
        assert world.asked == asked


async def test_the_account_that_is_due_first_decides_the_answer() -> None:
    world = World(
        a=fault("insufficient_quota_daily"), b=fault("rate_limit_exceeded"), c=fault("invalid_api_key")
    )
    for passed, retry_after in ((0, "10"), (4, "6")):
        world.clock.advance(passed)
        response = await world.chat()
        assert (response.status, error_of(response)["code"]) == (429, "rate_limit_exceeded")
        assert response.headers["retry-after"] == retry_after
        assert "x-should-retry" not in response.headers


async def test_only_dead_credentials_are_a_503() -> None:
    dead = fault("invalid_api_key")
    world = World(a=dead, b=dead, c=dead)
    for _ in range(2):
        response = await world.chat()
        assert (response.status, error_of(response)["code"]) == (503, "credentials_rejected")
        assert response.headers["x-should-retry"] == "false"


async def test_trouble_that_all_accounts_have_is_waited_out_within_bounds() -> None:
    trouble = fault("bad_gateway")
    world = World(a=[trouble, ok()], b=[trouble, ok()], c=[trouble, ok()])
    response = await world.chat()
    assert response.status == 200
    assert world.asked[:3] == ["a", "b", "c"]
    assert len(world.asked) == 4
    assert 0.5 <= sum(world.clock.slept_seconds) < 2
    world = World(a=trouble, b=trouble, c=trouble)
    response = await world.chat()
    assert (response.status, error_of(response)["code"]) == (502, "upstream_unavailable")
    assert len(world.asked) == 9
    assert sum(world.clock.slept_seconds) < 10


async def test_a_timeout_leaves_no_time_for_another_account() -> None:
    world = World()

    async def never(_: OutboundRequest) -> Any:
        world.clock.advance(600)
        world.asked.append("?")
        raise FetchTimeout

    world.fetcher._answer = never
    response = await world.chat()
    assert (response.status, error_of(response)["code"]) == (504, "upstream_timeout")
    assert world.asked == ["?"]


async def test_however_many_accounts_fail_a_request_stays_within_the_free_plans_subrequests() -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    keys = json.dumps([f"key-{name}" for name in names])
    quota = fault("insufficient_quota_daily")
    many: dict[str, Any] = {**dict.fromkeys(names, quota)}
    world = World({"QWEN_API_KEY": keys, "QWEN_API_KEY_2": keys.replace("key-", "key+")}, **many)
    assert (await world.chat()).status == 429
    assert 30 < len(world.asked) + len(world.kv.reads) + len(world.kv.writes) < 50


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b'data: {"error":{"code":"rate_limit_exceeded","message":"slow down"}}\n\n', "rate_limit"),
        (
            b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"insufficient_quota","message":"Gone."}\n\n',
            "quota",
        ),
        (b"", "blocked"),
        (b"<html>captcha</html>", "blocked"),
        (StreamBroken(), "unavailable"),
    ],
    ids=["error object", "error event", "empty", "captcha", "broken"],
)
def test_an_error_at_the_beginning_of_a_stream_moves_the_request_too(
    start: bytes | Exception, reason: str
) -> None:
    first = StreamResponse(start)

    @virtual
    async def run() -> None:
        world = World(clock=VirtualClock(), a=first, b=StreamResponse(text("Hello") + FINISH + DONE))
        response = await world.chat(stream=True)
        assert response.status == 200
        assert world.asked == ["a", "b"]
        assert response.headers["x-qwen-account"] == LABELS["b"]
        assert isinstance(response.body, MemoryPipe)
        assert events(await response.body.content())[0]["choices"][0]["delta"]["content"] == "Hello"
        assert (await world.health())[0]["reason"] == reason
        assert world.logs.events("stream ended")[0]["account"] == LABELS["b"]

    run()
    assert first.body.is_cancelled


@virtual
async def test_after_the_first_byte_there_is_no_failover() -> None:
    world = World(clock=VirtualClock(), a=StreamResponse(text("Hello"), StreamBroken()))
    response = await world.chat(stream=True)
    assert isinstance(response.body, MemoryPipe)
    assert events(await response.body.content())[-2]["error"]["code"] == "stream_failed"
    assert world.asked == ["a"]


@virtual
async def test_a_client_that_is_kept_waiting_with_comments_gets_the_next_accounts_answer() -> None:
    quota = b'data: {"error":{"code":"insufficient_quota","message":"Free allocated quota exceeded."}}\n\n'
    world = World(
        clock=VirtualClock(), a=StreamResponse(25.0, quota), b=StreamResponse(text("Hello") + FINISH + DONE)
    )
    response = await world.chat(stream=True)
    assert isinstance(response.body, MemoryPipe)
    content = await response.body.content()
    assert content.startswith(b": keep-alive")
    assert events(content)[0]["choices"][0]["delta"]["content"] == "Hello"


async def test_a_hundred_requests_at_once_are_spread_fairly() -> None:
    world = World()
    asked: list[str] = []

    async def answer(request: OutboundRequest) -> Any:
        asked.append(request.headers["authorization"][-1])
        await asyncio.sleep(0.001)
        return ok()

    world.fetcher._answer = answer
    responses = await asyncio.gather(
        *(world.chat(f"question {i}") for i in range(50)), *(world.chat() for _ in range(50))
    )
    assert {response.status for response in responses} == {200}
    assert sorted(Counter(asked).values()) == [33, 33, 34]


async def test_a_conversation_stays_on_its_account() -> None:
    world = World()
    first = [await world.account_for(f"question {i}") for i in range(9)]
    again = [await world.account_for(f"question {i}") for i in range(9)]
    assert again == first
    assert Counter(first) == {"a": 3, "b": 3, "c": 3}


async def test_models_go_to_accounts_that_serve_them() -> None:
    keys = [
        {"api_key": "key-a", "models": ["qwen3-max"]},
        {"api_key": "key-b", "models": ["qwen3-coder-plus", "alias"]},
        {"api_key": "key-c", "priority": 50},
    ]
    world = World({"QWEN_API_KEY": json.dumps(keys), "OPENAI_MODEL": "qwen3-coder-plus, alias=qwen3-vl-plus"})
    for model, account in (("qwen3-max", "a"), ("qwen3-coder-plus", "b"), ("alias", "b"), ("glm-5", "c")):
        assert (await world.chat(model=model)).status == 200
        assert world.asked == [account]
    await world.chat()
    assert world.asked == ["b"]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_model_that_no_account_serves_is_not_found(count: int) -> None:
    keys = [{"api_key": f"key-{name}", "models": ["qwen3-max"]} for name in "ab"[:count]]
    world = World({"QWEN_API_KEY": json.dumps(keys)})
    response = await world.chat(model="gpt-4o")
    assert (response.status, error_of(response)["code"]) == (404, "model_not_found")
    assert world.asked == []


async def test_a_model_that_an_account_does_not_have_is_asked_of_the_next_and_remembered() -> None:
    world = World(a=[fault("model_not_found"), ok()])
    assert (await world.chat("one", model="qwen3-max")).status == 200
    assert world.asked == ["a", "b"]
    for i in range(4):
        await world.chat(f"max {i}", model="qwen3-max")
        assert "a" not in world.asked
    assert "a" in {await world.account_for(f"other {i}") for i in range(3)}
    [first, *_] = await world.health()
    assert first["state"] == "ready"
    assert first["models_in_cooldown"]["qwen3-max"]["reason"] == "model_missing"


async def test_an_unknown_model_is_a_404_at_last() -> None:
    missing = fault("model_not_found")
    world = World(a=missing, b=missing, c=missing)
    for _ in range(2):
        response = await world.chat(model="gpt-99")
        assert (response.status, error_of(response)["code"]) == (404, "model_not_found")
        assert sorted(world.asked) == ["a", "b", "c"], "the request may be the reason: nobody is left alone"


async def test_a_new_isolate_knows_of_a_quota_that_is_used_up() -> None:
    world = World(a=fault("insufficient_quota_daily"))
    await world.chat()
    assert [key for key, _ in world.kv.writes] == [COOLDOWNS_KEY]
    assert "key-a" not in world.kv.values[COOLDOWNS_KEY]
    world.new_isolate()
    await world.chat()
    assert world.asked == ["b"]
    world.new_isolate()
    assert (await world.health())[0]["reason"] == "quota"


LOGIN = json.dumps(
    {"access_token": "old-z", "refresh_token": "r", "expiry_date": 1, "label": "login", "priority": 1}
)
RENEWED = {"access_token": "new-z", "refresh_token": "r2", "expires_in": 3600, "token_type": "Bearer"}


@virtual
async def test_nobody_waits_long_for_a_login_while_another_account_is_ready() -> None:
    world = World({"QWEN_CLI_AUTH": LOGIN, "QWEN_API_KEY": "key-a"}, clock=VirtualClock())

    began = world.clock.now_ms()
    asked_after_ms: list[int] = []

    async def slow_endpoint(request: OutboundRequest) -> Any:
        if "authorization" in request.headers:
            asked_after_ms.append(world.clock.now_ms() - began)
            return world._answer(request)
        await asyncio.sleep(9)
        return ScriptedResponse(200, RENEWED)

    world.fetcher._answer = slow_endpoint
    assert await world.account_for("hello") == "a"
    assert 3_000 < asked_after_ms[0] < 6_000
    await asyncio.sleep(30)
    assert await world.account_for("another conversation") == "z"


async def test_a_dead_login_gives_way_to_the_key_and_is_in_cooldown() -> None:
    world = World({"QWEN_CLI_AUTH": LOGIN, "QWEN_API_KEY": "key-a"})
    refused = 0

    def endpoint(request: OutboundRequest) -> Any:
        nonlocal refused
        if "authorization" in request.headers:
            return world._answer(request)
        refused += 1
        return ScriptedResponse(400, {"error": "invalid_request"})

    world.fetcher._answer = endpoint
    for _ in range(3):
        assert await world.account_for("hello") == "a"
    assert refused == 1
    [login, key] = await world.health()
    assert (login["label"], login["state"], login["reason"]) == ("login", "cooldown", "credentials")
    assert key["state"] == "ready"


async def test_the_header_names_the_account_also_where_there_is_only_one() -> None:
    world = World({"QWEN_API_KEY": "key-a"})
    assert (await world.chat()).headers["x-qwen-account"] == LABELS["a"]


async def test_log_lines_carry_the_label() -> None:
    world = World({**THREE, "LOG_LEVEL": "debug"}, a=fault("bad_request"))
    await world.chat()
    for event in ("upstream request", "upstream response", "request failed"):
        assert [line["account"] for line in world.logs.events(event)] == [LABELS["a"]]


async def test_one_account_is_never_in_cooldown_and_costs_no_kv() -> None:
    world = World({"QWEN_API_KEY": "key-a"}, a=fault("insufficient_quota_daily"))
    for _ in range(3):
        response = await world.chat()
        assert (response.status, error_of(response)["code"]) == (429, "insufficient_quota")
        assert world.asked == ["a"]
    assert world.kv.reads == []
    assert world.kv.writes == []
    assert (await world.health())[0]["state"] == "ready"
