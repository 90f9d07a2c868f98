"""Embeddings from the client's request to the hosts and back, in virtual time."""

import asyncio
import base64
import json
import struct
from typing import Any

import pytest

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.app import Gateway
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.state import CredentialState
from qwen_worker.models import BUILT_IN_ALIASES
from qwen_worker.platform.ports import OutboundRequest
from tests.support.clock import START_MS, VirtualClock, virtual
from tests.support.ports import LogRecorder, ScriptedFetcher, ScriptedRequest, ScriptedResponse, make_runtime
from tests.support.responses import gateway_response
from tests.support.streams import MemoryPipe

KEY = {"QWEN_API_KEY": "key-a"}


class World:
    """A gateway, and hosts that answer with `[number of the text, 0.1]` for each text `text <number>`."""

    def __init__(self, variables: dict[str, str] | None = None) -> None:
        self.fetcher = ScriptedFetcher(self._answer)
        self.logs = LogRecorder()
        self.at_once = self.most_at_once = 0
        self.failures: dict[str, ScriptedResponse] = {}
        settings = Settings.from_env(variables or KEY)
        pool = AccountPool(settings, CredentialState())
        self.gateway = Gateway(settings, pool, self.logs, started_ms=START_MS)

    async def _answer(self, request: OutboundRequest) -> ScriptedResponse:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        body = json.loads(request.body or b"")
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        # The later a text, the sooner its answer.
        await asyncio.sleep(1 / (1 + int(texts[0].split()[-1])))
        self.at_once -= 1
        if texts[0] in self.failures:
            return self.failures[texts[0]]
        data = [
            {"object": "embedding", "embedding": [int(text.split()[-1]), 0.1], "index": index}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return ScriptedResponse(
            200, {"object": "list", "data": data, "model": body["model"], "usage": usage, "id": "x"}
        )

    async def create(self, body: dict[str, Any] | bytes) -> tuple[int, Any, bytes]:
        """Status, JSON and bytes of the answer."""
        response = await gateway_response(
            self.gateway,
            ScriptedRequest("POST", "/v1/embeddings", body=body),
            make_runtime(clock=VirtualClock(), fetcher=self.fetcher),
        )
        content = response.body
        if isinstance(content, MemoryPipe):
            content = await content.content()
        assert isinstance(content, bytes | str)
        raw = content if isinstance(content, bytes) else content.encode()
        return response.status, json.loads(raw), raw

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(request.body or b"") for request in self.fetcher.requests]


def texts(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


@virtual
async def test_what_a_host_can_answer_as_it_is_goes_on_byte_by_byte() -> None:
    world = World()
    body = b'{ "model":"text-embedding-v4","input" : ["text 1", "text 2"], "dimensions":1e2 ,"user":"x" }'
    body = body.replace(b"1e2 ", b"256")

    status, _, raw = await world.create(body)

    assert status == 200
    [request] = world.fetcher.requests
    assert request.body == body
    assert request.url == "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/embeddings"
    assert json.loads(raw)["id"] == "x"


@virtual
@pytest.mark.parametrize("count", [1, 10, 11, 25, 70])
@pytest.mark.parametrize("encoding_format", ["float", "base64", None])
async def test_each_text_has_its_vector_at_its_index(count: int, encoding_format: str | None) -> None:
    world = World()

    status, answer, _ = await world.create(
        {"model": "text-embedding-v4", "input": texts(count), "encoding_format": encoding_format}
    )

    assert status == 200
    assert [item["index"] for item in answer["data"]] == list(range(count))
    for number, item in enumerate(answer["data"]):
        vector = item["embedding"]
        if encoding_format == "base64":
            assert vector == base64.b64encode(struct.pack("<2f", number, 0.1)).decode()
        else:
            assert vector == [number, 0.1]
    assert answer["usage"] == {"prompt_tokens": count, "total_tokens": count}
    assert {key: answer[key] for key in ("object", "model")} == {
        "object": "list",
        "model": "text-embedding-v4",
    }
    assert all(len(body["input"]) <= 10 for body in world.sent)
    assert {body.get("encoding_format") for body in world.sent} <= {"float", None}
    assert world.most_at_once <= 6


@virtual
async def test_a_single_text_in_base64_stays_a_single_text() -> None:
    world = World()

    _, answer, _ = await world.create({"input": "text 7", "encoding_format": "base64"})

    assert world.sent == [{"input": "text 7", "encoding_format": "float", "model": "text-embedding-v4"}]
    assert struct.unpack("<2f", base64.b64decode(answer["data"][0]["embedding"])) == pytest.approx((7, 0.1))


@virtual
async def test_non_ascii_texts_are_cut_where_they_should() -> None:
    world = World()

    await world.create('{"input":["é\\"],[ 你好 0"%s]}'.replace("%s", ', "😀 1"' * 10).encode())

    assert [body["input"] for body in world.sent] == [['é"],[ 你好 0', *["😀 1"] * 9], ["😀 1"]]


@virtual
async def test_one_line_of_log_for_the_whole_request() -> None:
    world = World()
    await world.create({"input": texts(30)})

    [line] = world.logs.events("completion ended")
    assert line["usage"] == {"prompt_tokens": 30, "total_tokens": 30}
    assert line["model"] == "text-embedding-v4"
    assert line["outcome"] == "completed"


@virtual
async def test_a_failed_batch_fails_the_request_and_the_other_batches_are_given_up() -> None:
    world = World()
    world.failures["text 0"] = ScriptedResponse(
        400, {"error": {"message": "Refused.", "code": "data_inspection_failed"}}
    )
    world.failures["text 100"] = world.failures["text 0"]

    status, answer, _ = await world.create({"input": texts(2048)})

    assert (status, answer["error"]["code"]) == (400, "content_filter")
    sent = len(world.sent)
    await asyncio.sleep(60)
    assert len(world.sent) == sent < 40


@virtual
async def test_an_answer_without_a_vector_for_each_text_is_a_fault_of_the_host() -> None:
    world = World()
    world.failures["text 10"] = ScriptedResponse(
        200, {"data": [{"embedding": [1.0], "index": 0}], "object": "list"}
    )

    status, answer, _ = await world.create({"input": texts(15)})

    assert (status, answer["error"]["code"]) == (502, "upstream_unavailable")


def answer_with(embedding: str) -> ScriptedResponse:
    """An answer with one embedding, spelled like that."""
    return ScriptedResponse(
        200, f'{{"data":[{{"embedding":{embedding},"x":"\u00fc"}}],"usage":{{"total_tokens":1}}}}'
    )


NO_NUMBERS = [
    "[1, null]",
    '[0.5, "1"]',
    '["],[1"]',
    "[1, true]",
    "[[1]]",
    "[1,]",
    "[1 2]",
    "[--1]",
    "[NaN]",
    "[1e39]",
    "[-1e39, 1]",
    "[1e400]",
    "null",
    "7",
    '{"a": [1]}',
]


@virtual
@pytest.mark.parametrize("embedding", NO_NUMBERS)
async def test_what_cannot_be_made_base64_is_a_fault_of_the_host(embedding: str) -> None:
    world = World()
    world.failures["text 10"] = answer_with(embedding)

    status, answer, _ = await world.create({"input": texts(11), "encoding_format": "base64"})

    assert (status, answer["error"]["code"]) == (502, "upstream_unavailable")


@virtual
@pytest.mark.parametrize(
    ("embedding", "expected"),
    [
        ("[]", ""),
        ("[ ]", ""),
        ("[1]", "AACAPw=="),
        ("[\n 1.0 ,\t-0.0\r]", "AACAPwAAAIA="),
        ("[1e-60, 12345678901234567890]", "AAAAAKpUK18="),
        ("[3.4028235e38]", "//9/fw=="),
        ('"AACAPw=="', "AACAPw=="),
    ],
)
async def test_any_spelling_of_numbers_becomes_base64(embedding: str, expected: str) -> None:
    world = World()
    world.failures["text 1"] = answer_with(embedding)

    _, answer, _ = await world.create({"input": "text 1", "encoding_format": "base64"})

    assert answer == {
        "object": "list",
        "usage": {"total_tokens": 1},
        "data": [{"x": "ü", "index": 0, "embedding": expected}],
    }


@virtual
@pytest.mark.parametrize(
    "embedding", ["[1.50,-0, 1e400,\n1E-7]", "[]", "[1, null]", '["],[1"]', "null", '"AACAPw=="']
)
async def test_floats_of_several_batches_stay_as_the_host_has_spelled_them(embedding: str) -> None:
    world = World()
    world.failures["text 10"] = answer_with(embedding)

    _, _, raw = await world.create({"input": texts(11), "encoding_format": "float"})

    assert raw.endswith(f'{{"x": "\\u00fc", "index": 10, "embedding": {embedding}}}]}}'.encode())


INVALID = [
    ({}, "input", "missing_required_parameter"),
    ({"input": None}, "input", "missing_required_parameter"),
    ({"input": []}, "input", "empty_array"),
    ({"input": ""}, "input", "invalid_value"),
    ({"input": ["a", ""]}, "input[1]", "invalid_value"),
    ({"input": ["a", 1]}, "input[1]", "invalid_type"),
    ({"input": {"text": "a"}}, "input", "invalid_type"),
    ({"input": [1, 2]}, "input", "invalid_type"),
    ({"input": [[1, 2], [3]]}, "input", "invalid_type"),
    ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
    ({"input": "a", "encoding_format": "int8"}, "encoding_format", "invalid_value"),
    ({"input": "a", "dimensions": 0}, "dimensions", "invalid_value"),
    ({"input": "a", "dimensions": "64"}, "dimensions", "invalid_type"),
    ({"input": "a", "model": 7}, "model", "invalid_type"),
]


@virtual
@pytest.mark.parametrize(("body", "param", "code"), INVALID)
async def test_what_is_refused(body: dict[str, Any], param: str, code: str) -> None:
    world = World()

    status, answer, _ = await world.create(body)

    error = answer["error"]
    assert (status, error["type"], error["param"], error["code"]) == (
        400,
        "invalid_request_error",
        param,
        code,
    )
    assert world.sent == []


@virtual
@pytest.mark.parametrize("tokens", [[1], [[1]]])
async def test_tokens_are_refused_with_the_setting_that_helps(tokens: Any) -> None:
    _, answer, _ = await World().create({"input": tokens})

    assert "check_embedding_ctx_length=False" in answer["error"]["message"]


@virtual
@pytest.mark.parametrize("name", BUILT_IN_ALIASES)
async def test_openais_names_mean_qwens_model(name: str) -> None:
    world = World()
    await world.create({"model": name, "input": "text 1"})

    assert world.sent[0]["model"] == "text-embedding-v4"


@virtual
async def test_a_configured_alias_counts_more_than_a_built_in_one() -> None:
    world = World({**KEY, "MODEL_ALIASES": "text-embedding-3-small=text-embedding-v3"})
    await world.create({"model": "text-embedding-3-small", "input": "text 1"})

    assert world.sent[0]["model"] == "text-embedding-v3"


PLAN = '{"api_key": "sk-sp-a", "base_url": "https://coding-intl.dashscope.aliyuncs.com/v1", "priority": 1}'


@virtual
async def test_hosts_without_embeddings_are_passed_over_and_get_no_cooldown() -> None:
    world = World({"QWEN_API_KEY": f'[{PLAN}, {{"api_key": "key-b"}}]', "QWEN_CLI_AUTH": '"token"'})

    status, _, _ = await world.create({"input": texts(11)})

    assert status == 200
    assert {request.headers["authorization"] for request in world.fetcher.requests} == {"Bearer key-b"}
    assert world.logs.events("account in cooldown") == []


@virtual
@pytest.mark.parametrize(
    "variables",
    [
        {"QWEN_API_KEY": PLAN},
        {"QWEN_CLI_AUTH": '{"access_token": "t", "refresh_token": "r", "expiry_date": 9999999999999}'},
        {"QWEN_API_KEY": '{"api_key": "a", "models": ["qwen3-max"]}'},
    ],
)
async def test_where_no_host_has_embeddings_that_is_said(variables: dict[str, str]) -> None:
    world = World(variables)

    status, answer, _ = await world.create({"input": "text 1"})

    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert "a host that has embeddings" in answer["error"]["message"]
    assert world.sent == []
