"""What goes on to the client of the headers of Qwen's answer, for whole answers and streams alike."""

import json
from typing import Any

import pytest

from qwen_worker.api.passed_headers import RATE_LIMIT_HEADERS
from tests.support.chunks import DONE, FINISH, text
from tests.support.clock import virtual
from tests.support.one_account import MESSAGES, OneAccount
from tests.support.ports import ScriptedResponse
from tests.support.streams import StreamResponse

COMPLETION = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
LIMITS = {name: f"{number}" for number, name in enumerate(RATE_LIMIT_HEADERS)}


def answer(headers: dict[str, str], *, stream: bool) -> Any:
    if stream:
        return StreamResponse(
            text("hi") + FINISH + DONE, headers={"content-type": "text/event-stream", **headers}
        )
    return ScriptedResponse(200, json.dumps(COMPLETION), {"content-type": "application/json", **headers})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["x-request-id", "x-dashscope-request-id", "request_id"])
@virtual
async def test_the_request_id_and_the_rate_limits_are_passed_on(name: str, stream: bool) -> None:
    headers = {name: "0b1c2d3e-qwen-7", **LIMITS, "server": "istio", "set-cookie": "a=b"}

    told = await OneAccount(answer(headers, stream=stream)).post({"messages": MESSAGES, "stream": stream})

    assert told.headers["x-upstream-request-id"] == "0b1c2d3e-qwen-7"
    assert {header: told.headers[header] for header in RATE_LIMIT_HEADERS} == LIMITS
    assert told.headers["x-request-id"] != "0b1c2d3e-qwen-7"
    exposed = told.headers["access-control-expose-headers"].split(", ")
    assert {"x-upstream-request-id", "retry-after", *RATE_LIMIT_HEADERS} <= set(exposed)
    assert not {"server", "set-cookie"} & set(told.headers)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "value",
    ["<script>x</script>", "an id with spaces", "x" * 200, "", " ", "\x1b[31m", "id\nset-cookie: a=b", "ä"],
)
@virtual
async def test_what_does_not_look_like_an_id_is_not(value: str, stream: bool) -> None:
    headers = {"x-request-id": value, **dict.fromkeys(RATE_LIMIT_HEADERS, value)}

    told = await OneAccount(answer(headers, stream=stream)).post({"messages": MESSAGES, "stream": stream})

    assert told.status == 200
    assert not {"x-upstream-request-id", *RATE_LIMIT_HEADERS} & set(told.headers)


@virtual
async def test_the_next_best_id_is_taken_if_the_first_is_none() -> None:
    headers = {"x-request-id": "<script>", "request_id": "qwen-8"}

    told = await OneAccount(answer(headers, stream=False)).post()

    assert told.headers["x-upstream-request-id"] == "qwen-8"
