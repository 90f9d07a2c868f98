"""Sends thousands of malformed requests to the real runtime: each is answered, and none with a 5xx.

The requests are random but the same in every run. They go to one Worker over a few connections, as an OAuth
login (whose rules change the most) and as an API key.
"""

import contextlib
import http.client
import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tests.simulator.config import DEFAULT_API_KEY
from tests.simulator.server import QwenSimulator
from tests.worker.conftest import CLIENT_KEY, StartDirectWorker
from tests.worker.harness.direct_worker import DirectWorker

PATH = "/v1/chat/completions"
REQUESTS_A_KIND = 300
CONNECTIONS = 4

VALID: dict[str, Any] = {
    "model": "qwen3-coder-plus",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "é 🙂"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "42"},
        {"role": "developer", "content": "Go on."},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "strict": True,
                "parameters": {"type": "object", "additionalProperties": False},
            },
        }
    ],
    "tool_choice": "auto",
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "max_completion_tokens": 100,
    "reasoning_effort": "low",
    "n": 1,
}
# fmt: off
EVIL_VALUES = (
    "null", "true", "-1", "0", "1e999", "-1e999", "NaN", "Infinity", "9" * 400, "9" * 5000, "1.5",
    '""', '"\\ud800"', '"\\u0000"', '"\x00"', '"é"', '"' + "a" * 3000 + '"',
    "[]", "{}", "[null]", "[[]]", '[{"type":"text"}]', "[1,]", '{"a":1,"a":2}',
    "[" * 500 + "]" * 500, "[" * 20_000, '{"a":' * 20_000,
    "\\", "'a'", "undefined", "0x10", "01",
)
CONTENT_TYPES = (
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "image/png", "", "a/b/c; ;;",
    "application/json; charset=utf-16", "application/octet-stream",
)
# fmt: on


class Attack(NamedTuple):
    """One malformed request."""

    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    method: str = "POST"
    path: str = PATH


def spelled() -> str:
    return json.dumps(VALID, ensure_ascii=False)


def garbage(rng: random.Random) -> Attack:
    alphabet = rng.choice([bytes(range(256)), b'{}[]",:\\ \n0123456789.eE-truefalsn\x00'])
    return Attack(bytes(rng.choices(alphabet, k=rng.randrange(200))))


def damaged(rng: random.Random) -> Attack:
    """A valid body with a few bytes changed, lost or added, or its end cut off."""
    body = bytearray(spelled().encode())
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(body))
        match rng.randrange(5):
            case 0:
                body[at] = rng.randrange(256)
            case 1:
                del body[at : at + rng.randint(1, 20)]
            case 2:
                body[at:at] = rng.choice([b"\x00", b'"', b"\\", b"\xff", b"{", b"]", b",", b"\xed\xa0\x80"])
            case 3:
                start = rng.randrange(len(body))
                body[at:at] = body[start : start + 40]
            case _:
                del body[max(at, 1) :]
    return Attack(bytes(body))


def wrong_values(rng: random.Random) -> Attack:
    """A valid body with a value somewhere in it replaced by one of another type or beyond all limits."""
    text = spelled()
    decoder = json.JSONDecoder()
    for _ in range(rng.randint(1, 2)):
        starts = [at + 2 for at in range(len(text)) if text.startswith((": ", ", "), at)]
        start = rng.choice(starts)
        try:
            _, end = decoder.raw_decode(text, start)
        except ValueError:
            continue
        text = text[:start] + rng.choice(EVIL_VALUES) + text[end:]
    return Attack(text.encode())


def repeated_members(rng: random.Random) -> Attack:
    """A body with top-level members removed, repeated and in another order, some of them with evil values."""
    members = [json.dumps(name) + ":" + json.dumps(value) for name, value in VALID.items()]
    members += [
        f'"{rng.choice([*VALID, "x"])}":{rng.choice(EVIL_VALUES[:24])}' for _ in range(rng.randrange(4))
    ]
    return Attack(("{" + ",".join(rng.choices(members, k=rng.randrange(12))) + "}").encode())


def nested(rng: random.Random) -> Attack:
    """A body with a part that is nested deeper than any stack."""
    depth = rng.choice([20, 90, 200, 500, 900, 1000, 1100, 5000, 100_000])
    opening, closing = rng.choice(
        [("[", "]"), ('{"a":', "}"), ('[{"items":', "}]"), ('{"properties":{"a":', "}}")]
    )
    value = opening * depth + "1" + closing * (depth if rng.random() < 0.7 else 0)
    field = rng.choice(
        ['"x":%s', '"tools":[{"function":{"strict":1,"parameters":%s}}]', '"model":%s', '"messages":%s']
    )
    message = '{"role":"system","content":"x","x":%s}' % (value if rng.random() < 0.3 else "1")
    return Attack(f'{{"stream":true,"messages":[{message}],{field % value}}}'.encode())


def odd_headers(rng: random.Random) -> Attack:
    """A good or bad body under headers that do not fit it, or do not fit anything."""
    body = spelled().encode() if rng.random() < 0.3 else rng.choice([b"", b"a=b&c=d", b"\x89PNG\r\n", b"{}"])
    if rng.random() < 0.1:
        body = spelled().encode("utf-16")
    headers = {"content-type": rng.choice(CONTENT_TYPES)}
    if rng.random() < 0.3:
        headers["content-encoding"] = rng.choice(["gzip", "br", "deflate", "identity", "x"])
    if rng.random() < 0.5:
        name = rng.choice(
            ["x-request-id", "accept", "authorization", "x-a", "origin", "expect-ct", "accept-encoding"]
        )
        headers[name] = "".join(rng.choices("abc\t ;,=\"'{}[]\xe9\xff", k=rng.choice([0, 3, 200, 5000])))
    return Attack(body, headers)


def odd_targets(rng: random.Random) -> Attack:
    """A method or path that does not exist."""
    path = rng.choice(
        ["/", "/v1", "/v1/models", PATH, "/v1/models/", "//", "/%", "/%00", "/v1/models/%ff", "/v1/../x"]
    )
    path += "".join(rng.choices("/%?#&=.aé0\\\"'<>", k=rng.randrange(20)))
    method = rng.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"])
    return Attack(
        rng.choice([b"", b"{", b"\xff"]), {}, method, "".join(path.encode("ascii", "ignore").decode().split())
    )


KINDS: tuple[Callable[[random.Random], Attack], ...] = (
    garbage,
    damaged,
    wrong_values,
    repeated_members,
    nested,
    odd_headers,
    odd_targets,
)


class Outcome(NamedTuple):
    """What became of an attack; `problem` says what is wrong with the answer, if anything."""

    status: int
    problem: str


def send(connection: http.client.HTTPConnection, attack: Attack) -> Outcome:
    headers = {"content-type": "application/json", "authorization": f"Bearer {CLIENT_KEY}", **attack.headers}
    try:
        connection.putrequest(attack.method, attack.path, skip_accept_encoding=True)
        for name, value in {**headers, "content-length": str(len(attack.body))}.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(attack.body)
        response = connection.getresponse()
        body = response.read()
    except http.client.InvalidURL:
        connection.close()
        return Outcome(0, "")
    except (http.client.HTTPException, ConnectionError) as error:
        connection.close()
        return Outcome(0, repr(error))
    return Outcome(response.status, _problem(attack, response, body))


def _problem(attack: Attack, response: http.client.HTTPResponse, body: bytes) -> str:
    if response.status >= 500:
        return f"{response.status} {body[:200]!r}"
    # What workerd itself refuses never reaches the Worker and is not JSON.
    if response.status < 400 or attack.method == "HEAD" or not response.headers["x-request-id"]:
        return ""
    error = json.loads(body)["error"]
    return "" if error["message"] and error["type"] and "param" in error else f"not an error: {body[:200]!r}"


def outcomes(worker: DirectWorker, attacks: list[Attack]) -> Iterator[tuple[Attack, Outcome]]:
    address = urlsplit(worker.base_url).netloc

    def send_all(share: list[Attack]) -> list[tuple[Attack, Outcome]]:
        with contextlib.closing(http.client.HTTPConnection(address, timeout=20)) as connection:
            return [(attack, send(connection, attack)) for attack in share]

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for share in threads.map(send_all, [attacks[n::CONNECTIONS] for n in range(CONNECTIONS)]):
            yield from share


def assert_answers(worker: DirectWorker) -> None:
    answer = httpx.post(
        worker.base_url + PATH,
        json={"messages": [{"role": "user", "content": "x"}]},
        headers={"authorization": f"Bearer {CLIENT_KEY}"},
    )
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"]


@pytest.fixture(params=["oauth", "api_key"])
def attacked(
    request: pytest.FixtureRequest, start_direct_worker: StartDirectWorker, simulator: QwenSimulator
) -> DirectWorker:
    """A Worker to be attacked, with a login or with an API key."""
    if request.param == "oauth":
        return start_direct_worker({"LOG_LEVEL": "error"})
    key = {"QWEN_API_KEY": DEFAULT_API_KEY, "OPENAI_BASE_URL": simulator.api_url, "LOG_LEVEL": "error"}
    return start_direct_worker(key, credentials=False)


def test_no_malformed_request_gets_a_5xx(attacked: DirectWorker) -> None:
    rng = random.Random(20260727)
    attacks = [kind(rng) for kind in KINDS for _ in range(REQUESTS_A_KIND)]
    statuses: Counter[int] = Counter()
    failures = []
    for attack, outcome in outcomes(attacked, attacks):
        statuses[outcome.status] += 1
        if outcome.problem:
            failures.append((attack.method, attack.path, attack.headers, attack.body[:300], outcome))

    assert not failures
    assert statuses[400] > len(attacks) / 2
    assert statuses[200] > 30, "some damage is harmless, or the attacks test nothing beyond the parser"
    assert not attacked.events("unexpected error")
    assert_answers(attacked)


def test_broken_off_and_oversized_requests_leave_the_worker_well(
    start_direct_worker: StartDirectWorker,
) -> None:
    worker = start_direct_worker({"LOG_LEVEL": "error"})
    address = urlsplit(worker.base_url)
    start = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {CLIENT_KEY}\r\n".encode()
    body = spelled().encode()
    for data in (
        start,
        start + b"content-length: 1000000\r\n\r\n" + body,
        start + b"transfer-encoding: chunked\r\n\r\nff\r\n" + body[:20],
        start + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        start + b"content-length: -1\r\n\r\n",
        start + b"x-a: " + b"a" * 300_000 + b"\r\n\r\n",
        start + b"x-a: b\r\n" * 5000 + b"\r\n",
    ):
        for half_closed in (True, False):
            with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
                try:
                    connection.sendall(data)
                    if half_closed:
                        connection.shutdown(socket.SHUT_WR)
                        connection.settimeout(0.2)
                        assert not connection.recv(100).startswith(b"HTTP/1.1 5")
                except (ConnectionError, TimeoutError):
                    continue
    assert_answers(worker)
