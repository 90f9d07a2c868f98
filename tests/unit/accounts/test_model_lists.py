"""The live catalogue: what hosts list, remembered in the isolate and in KV. In virtual time."""

import asyncio
import json
from typing import Any

import pytest

from qwen_worker.accounts.model_lists import LISTS_KEY
from qwen_worker.accounts.pool import AccountPool
from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.state import CredentialState
from qwen_worker.platform.ports import FetchError, FetchTimeout, OutboundRequest
from tests.support.background import TaskBackground
from tests.support.clock import START_MS, VirtualClock, virtual
from tests.support.kv import MemoryKV
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response

KEY = {"QWEN_API_KEY": "key-a"}
LOGIN = {"QWEN_CLI_AUTH": '{"access_token": "t", "refresh_token": "r", "expiry_date": 9999999999999}'}
OTHER = '{"api_key": "key-b", "base_url": "https://other.example/v1"}'
PLAN = '{"api_key": "sk-sp-c", "base_url": "https://coding-intl.dashscope.aliyuncs.com/v1"}'


def listing(*names: str, **more: Any) -> ScriptedResponse:
    return ScriptedResponse(200, {"object": "list", "data": [{"id": name, **more} for name in names]})


class World:
    """An isolate, and hosts whose lists the test sets by the last letter of the key."""

    def __init__(self, variables: dict[str, str], **answers: Any) -> None:
        self.answers = answers
        self.logs = LogRecorder()
        self.clock = VirtualClock()
        self.kv = MemoryKV()
        self.background = TaskBackground()
        self.fetcher = ScriptedFetcher(self._answer)
        self.settings = Settings.from_env(variables)
        assert self.settings.problems == ()
        self.new_isolate()

    def new_isolate(self) -> None:
        """Forgets all but KV."""
        pool = AccountPool(self.settings, CredentialState())
        self._gateway = Gateway(self.settings, pool, self.logs, started_ms=START_MS)

    async def _answer(self, request: OutboundRequest) -> Any:
        assert request.method == "GET"
        assert request.url.endswith("/models")
        answer = self.answers[request.headers["authorization"][-1]]
        if isinstance(answer, float):
            await asyncio.sleep(min(answer, self.fetcher.timeouts[-1] / 1000))
            raise FetchTimeout
        return answer

    async def get(self, path: str = "/v1/models") -> tuple[int, Any]:
        runtime = make_runtime(clock=self.clock, fetcher=self.fetcher, kv=self.kv, background=self.background)
        response = await gateway_response(self._gateway, ScriptedRequest("GET", path), runtime)
        assert isinstance(response.body, str)
        return response.status, json.loads(response.body)

    async def names(self) -> list[str]:
        status, body = await self.get()
        assert status == 200
        await self.background.finished()
        return [model["id"] for model in body["data"]]


@virtual
async def test_the_hosts_of_all_accounts_are_asked_and_their_lists_merged() -> None:
    world = World(
        {"QWEN_API_KEY": f'["key-a", {OTHER}]', "MODEL_ALIASES": "gpt-4o=qwen3-max,gpt-*=qwen3-max"},
        a=listing("qwen3.7-plus", "qwen3-coder-plus", owned_by="system"),
        b=listing("mine", "qwen3.7-plus", owned_by="me", created=7),
    )

    names = await world.names()

    assert names == ["qwen3-coder-plus", "qwen3-coder-flash", "qwen3.7-plus", "mine", "gpt-4o"]
    assert sorted(request.url for request in world.fetcher.requests) == [
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/models",
        "https://other.example/v1/models",
    ]
    assert world.fetcher.timeouts == [2000, 2000]
    _, body = await world.get("/v1/models/mine")
    assert body == {"id": "mine", "object": "model", "created": 7, "owned_by": "me"}


@virtual
async def test_the_second_answer_asks_nobody_nor_does_the_next_isolate() -> None:
    world = World(KEY, a=listing("x"))
    first = await world.names()

    assert await world.names() == first
    world.new_isolate()
    assert await world.names() == first
    assert len(world.fetcher.requests) == 1


@virtual
async def test_an_hour_later_the_list_is_brought_up_to_date_behind_the_answer() -> None:
    world = World(KEY, a=listing("old"))
    await world.names()
    world.answers["a"] = listing("new")
    world.clock.advance(3601)

    assert "old" in await world.names()
    assert "new" in await world.names()
    assert len(world.fetcher.requests) == 2
    assert "new" in world.kv.namespace.values[LISTS_KEY]


@virtual
async def test_what_another_isolate_has_learned_is_taken_over() -> None:
    world = World(KEY, a=listing("old"))
    await world.names()
    world.clock.advance(3601)
    url = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    record = {url: {"told_ms": world.clock.now_ms() - 1000, "models": [{"id": "newer"}]}}
    world.kv.namespace.values[LISTS_KEY] = json.dumps(record)

    await world.names()

    assert "newer" in await world.names()
    assert len(world.fetcher.requests) == 1


BROKEN = [
    FetchError("x"),
    30.0,
    ScriptedResponse(500, "oops"),
    ScriptedResponse(401, {"error": {"message": "no"}}),
    ScriptedResponse(200, "<html>"),
    ScriptedResponse(200, {"data": []}),
    ScriptedResponse(200, {"data": "x"}),
    ScriptedResponse(200, {"data": [1, {"id": 2}, {"id": ""}, {}]}),
    ScriptedResponse(200, {"data": [{"id": "key-a"}]}),
]


@virtual
@pytest.mark.parametrize("broken", BROKEN)
async def test_a_host_that_does_not_tell_has_the_models_it_is_known_for(broken: Any) -> None:
    world = World(KEY, a=broken)
    began_ms = world.clock.now_ms()

    names = await world.names()

    assert world.clock.now_ms() - began_ms <= 2500
    assert {"qwen3-coder-plus", "qwen3-coder-flash", "qwen3.8-max", "text-embedding-v4"} <= set(names)
    assert "coder-model" not in names
    assert LISTS_KEY not in world.kv.namespace.values
    assert "key-a" not in world.logs.text


@virtual
async def test_a_silent_host_is_waited_for_once_and_asked_again_a_minute_later() -> None:
    world = World(KEY, a=30.0)
    await world.names()
    began_ms = world.clock.now_ms()
    await world.names()
    assert world.clock.now_ms() == began_ms
    assert len(world.fetcher.requests) == 1

    world.answers["a"] = listing("back")
    world.clock.advance(61)
    assert "back" not in await world.names()
    assert "back" in await world.names()


@virtual
async def test_a_list_stays_when_the_host_does_not_tell_any_more() -> None:
    world = World(KEY, a=listing("mine"))
    await world.names()
    world.answers["a"] = FetchError("x")
    world.clock.advance(4000)
    await world.names()

    assert "mine" in await world.names()


@virtual
async def test_several_keys_of_one_host_ask_it_once() -> None:
    world = World({"QWEN_API_KEY": '["key-a", "key-b"]'}, a=listing("mine"))

    assert "mine" in await world.names()
    assert len(world.fetcher.requests) == 1


@virtual
async def test_the_portals_names_are_listed_with_a_login_only_and_nobody_is_asked() -> None:
    world = World({**LOGIN, "QWEN_API_KEY": PLAN})

    names = await world.names()

    assert {"coder-model", "vision-model", "glm-5", "qwen3-coder-next"} <= set(names)
    assert world.fetcher.requests == []


@virtual
async def test_configured_lists_win() -> None:
    world = World({**KEY, "QWEN_MODELS": "mine", "DEFAULT_MODEL": "best"})
    assert await world.names() == ["mine", "best"]

    limited = '{"api_key": "key-a", "models": ["qwen3-max"]}'
    world = World({"QWEN_API_KEY": limited, "DEFAULT_MODEL": "qwen3-max"})
    assert await world.names() == ["qwen3-max"]
    assert world.fetcher.requests == []


@virtual
async def test_a_damaged_record_in_kv_is_no_harm() -> None:
    for damaged in ("x", "[]", '{"https://dashscope-intl.aliyuncs.com/compatible-mode/v1": {"told_ms": 1}}'):
        world = World(KEY, a=listing("mine"))
        world.kv.namespace.values[LISTS_KEY] = damaged
        assert "mine" in await world.names()


@virtual
async def test_an_unknown_model_is_a_404() -> None:
    world = World(KEY, a=listing("mine"))
    status, body = await world.get("/v1/models/other")
    assert (status, body["error"]["code"]) == (404, "model_not_found")
