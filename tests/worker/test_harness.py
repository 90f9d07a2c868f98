"""The double of KV that other tests rely on, and the Worker that they run without a proxy."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.worker.harness.direct_worker import (
    DirectWorker,
    KvFaults,
    Module,
    direct_worker,
    javascript_module,
)
from tests.worker.harness.runtime import embedded_only

pytestmark = embedded_only("DirectWorker is for the embedded runtime")

READ_KEY = "export default { fetch: async (_, env) => new Response(await env.QWEN_KV.get('key')) }"
# GET reads the key that the path names, PUT writes it; an error of KV becomes the answer.
KV_OVER_HTTP = """
from js import Response
from pyodide.ffi import JsException

async def on_fetch(request, env, ctx):
    key = request.url.rsplit("/", 1)[1]
    print("asked for " + key)
    try:
        if request.method == "PUT":
            await env.QWEN_KV.put(key, await request.text())
        return Response.new(await env.QWEN_KV.get(key))
    except JsException as error:
        return Response.new("error: " + error.message)
"""


@pytest.fixture(scope="module")
def faulty() -> Iterator[DirectWorker]:
    modules = [Module(type="PythonModule", path="entry.py", contents=KV_OVER_HTTP)]
    with direct_worker(modules=modules, faulty_kv=True) as worker:
        yield worker


def get(worker: DirectWorker, key: str) -> str:
    return httpx.get(f"{worker.base_url}/{key}").text


def put(worker: DirectWorker, key: str, value: str) -> str:
    return httpx.put(f"{worker.base_url}/{key}", content=value).text


def test_kv_is_shared_with_the_test(faulty: DirectWorker) -> None:
    faulty.set_kv_faults(KvFaults())
    faulty.kv_put("seeded", "by the test")

    assert get(faulty, "seeded") == "by the test"
    assert put(faulty, "written", "by the Worker") == "by the Worker"
    assert faulty.kv_get("written") == "by the Worker"
    assert faulty.kv_get("missing") is None
    assert {"seeded", "written"} <= set(faulty.kv_keys())
    assert faulty.kv_operations() == [
        {"operation": "get", "key": "seeded"},
        {"operation": "put", "key": "written"},
        {"operation": "get", "key": "written"},
    ]
    faulty.kv_delete("written")
    assert faulty.kv_get("written") is None


def test_kv_fails_as_often_as_told(faulty: DirectWorker) -> None:
    faulty.set_kv_faults(KvFaults(errors={"put": {"message": "KV PUT failed: 429", "times": 1}}))

    assert put(faulty, "failing", "1") == "error: KV PUT failed: 429"
    assert put(faulty, "failing", "2") == "2"


def test_kv_fails_for_good(faulty: DirectWorker) -> None:
    faulty.set_kv_faults(KvFaults(errors={"get": {"message": "KV GET failed: 500"}}))

    assert [get(faulty, "failing") for _ in range(2)] == ["error: KV GET failed: 500"] * 2


def test_kv_is_stale_until_told_otherwise(faulty: DirectWorker) -> None:
    faulty.kv_put("stale", "old")
    faulty.set_kv_faults(KvFaults(stale=True))

    assert put(faulty, "stale", "new") == "old"
    assert faulty.kv_get("stale") == "new"
    faulty.set_kv_faults(KvFaults())
    assert get(faulty, "stale") == "new"


def test_kv_is_slow(faulty: DirectWorker) -> None:
    faulty.kv_put("slow", "value")
    faulty.set_kv_faults(KvFaults(delays_ms={"get": 500}))

    response = httpx.get(f"{faulty.base_url}/slow")

    assert response.text == "value"
    assert response.elapsed.total_seconds() >= 0.5


def test_what_the_worker_prints_is_kept(faulty: DirectWorker) -> None:
    get(faulty, "printed")

    faulty.log.wait_for_text("asked for printed")


def test_kv_persists_where_it_is_told_to(tmp_path: Path) -> None:
    script = javascript_module(READ_KEY)
    with direct_worker(modules=script, state=tmp_path) as first:
        first.kv_put("key", "kept")
        pid = first.pid

    with direct_worker(modules=script, state=tmp_path) as second:
        assert httpx.get(second.base_url).text == "kept"
        assert second.pid != pid
