import json

import pytest

from qwen_worker.config.login import OAuthToken
from qwen_worker.credentials.store import CorruptRecord, LoginStore, StoredLogin
from tests.support.clock import virtual
from tests.support.kv import MemoryKV

TOKEN = OAuthToken(
    "access-token-1", "refresh-token-1", 1_800_000_000_000, "portal.qwen.ai", "Bearer", 1_799_000_000_000
)


@virtual
async def test_a_record_has_the_fields_of_the_predecessor_and_our_own() -> None:
    kv = MemoryKV()
    await LoginStore(kv, "key").write(StoredLogin(TOKEN, "print"))
    assert json.loads(kv.values["key"]) == {
        "access_token": "access-token-1",
        "refresh_token": "refresh-token-1",
        "token_type": "Bearer",
        "resource_url": "portal.qwen.ai",
        "expiry_date": 1_800_000_000_000,
        "refreshed_at": 1_799_000_000_000,
        "secret_fingerprint": "print",
    }
    assert await LoginStore(kv, "key").read() == StoredLogin(TOKEN, "print")


@virtual
async def test_the_predecessors_record_is_read() -> None:
    kv = MemoryKV(
        {
            "key": '{"access_token":"access-token-1","refresh_token":"refresh-token-1","token_type":"Bearer",'
            '"resource_url":"portal.qwen.ai","expiry_date":1800000000000}'
        }
    )
    assert await LoginStore(kv, "key").read() == StoredLogin(TOKEN._replace(refreshed_at_ms=None), None)


@pytest.mark.parametrize(
    "value", ["", "not json", "[]", "null", '{"access_token": 5}', '{"refresh_token": "r"}']
)
def test_a_corrupt_record_is_told_from_a_missing_one_without_showing_it(value: str) -> None:
    @virtual
    async def story() -> None:
        store = LoginStore(MemoryKV({"key": value}), "key")
        with pytest.raises(CorruptRecord) as caught:
            await store.read()
        assert value == "" or value not in str(caught.value)

    story()


@virtual
async def test_the_successor_of_each_refresh_token_has_a_key_of_its_own() -> None:
    kv = MemoryKV()
    store = LoginStore(kv, "key")
    await store.write_successor("print-1", StoredLogin(TOKEN, None))
    assert await store.read_successor("print-1") == StoredLogin(TOKEN, None)
    assert await store.read_successor("print-2") is None
    assert await store.read() is None


@virtual
async def test_a_rejection_is_remembered_by_fingerprint() -> None:
    kv = MemoryKV()
    store = LoginStore(kv, "key")
    assert await store.read_rejection() is None
    await store.write_rejection("print-1")
    assert await store.read_rejection() == "print-1"
