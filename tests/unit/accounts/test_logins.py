"""Logins that were made at the gateway, as accounts: who uses them when, and what KV has of them."""

import asyncio
import json
import random
from typing import Any

import pytest

from qwen_worker.accounts.kept_logins import KeptLogin, newest, parsed, serialised
from qwen_worker.accounts.login_upkeep import erase
from qwen_worker.credentials.store import account_key
from qwen_worker.log import Log
from tests.support.clock import virtual
from tests.support.kv import Chance, Namespace
from tests.support.login_world import CLIENT, GatewayIsolate, LoginWorld

KEY = {"QWEN_API_KEY": "upstream-key-1"}
LOGINS_KEY = "qwen_logins"


async def serve(isolate: GatewayIsolate, seconds: float, every: float = 5.0) -> None:
    """Clients use an isolate for a while."""
    for _ in range(int(seconds / every)):
        await isolate.chat()
        await asyncio.sleep(every)


@virtual
async def test_requests_read_nothing_and_wait_for_nothing() -> None:
    world = LoginWorld(Namespace())
    login = world.oauth.create_login("env")
    isolate = world.isolate({"QWEN_CLI_AUTH": json.dumps(login.credentials())})
    await isolate.chat()
    await isolate.background.finished()
    before = list(isolate.kv.reads)
    assert before.count(LOGINS_KEY) == 1
    began = world.clock.now_ms()
    for _ in range(50):
        assert (await isolate.chat()).status == 200
    assert isolate.kv.reads == before
    assert world.clock.now_ms() - began == 50 * 100  # Qwen's own time
    await asyncio.sleep(30)
    for _ in range(10):
        await isolate.chat()
    await isolate.background.finished()
    assert isolate.kv.reads == [*before, LOGINS_KEY]


@virtual
async def test_a_fresh_isolate_without_another_account_waits_for_the_logins_once() -> None:
    world = LoginWorld()
    await world.isolate().log_in("mine")
    fresh = world.isolate()
    answers = await asyncio.gather(*(fresh.chat() for _ in range(5)))
    assert [answer.status for answer in answers] == [200] * 5
    assert fresh.kv.reads.count(LOGINS_KEY) == 1


@pytest.mark.parametrize("staleness", ["none", "cached", "worst"])
@virtual
async def test_other_isolates_learn_of_a_login_and_of_its_end(staleness: Any) -> None:
    world = LoginWorld(Namespace(staleness=staleness, chance=Chance(random.Random(1))))
    here, there = world.isolate(KEY), world.isolate(KEY)
    await serve(there, 60)
    login = await here.log_in("mine")
    await serve(there, 95)
    assert list(await there.accounts()) == ["QWEN_API_KEY", "mine"]
    assert world.asked
    await asyncio.sleep(70)
    assert (await here.ask("DELETE", f"/v1/logins/{login['id']}")).status == 200
    await serve(there, 95)
    world.asked.clear()
    await serve(there, 30)
    assert world.asked == []
    assert list(await there.accounts()) == ["QWEN_API_KEY"]


@virtual
async def test_a_login_stands_in_for_a_key_that_fails() -> None:
    world = LoginWorld()
    isolate = world.isolate(KEY)
    await isolate.log_in("mine")
    assert (await isolate.chat()).headers["x-qwen-account"] == "mine"  # Qwen refuses the key
    accounts = await isolate.accounts()
    assert [accounts["QWEN_API_KEY"]["state"], accounts["mine"]["state"]] == ["cooldown", "ready"]


@virtual
async def test_cooldowns_and_logins_survive_a_change_of_the_settings() -> None:
    world = LoginWorld()
    isolate = world.isolate(KEY)
    await isolate.log_in("mine")
    await isolate.chat()
    isolate.env = {**isolate.env, "LOG_LEVEL": "info"}
    reads = len(isolate.kv.reads)
    accounts = await isolate.accounts()
    assert accounts["QWEN_API_KEY"]["state"] == "cooldown"
    assert (await isolate.chat()).headers["x-qwen-account"] == "mine"
    assert LOGINS_KEY not in isolate.kv.reads[reads:]


@virtual
async def test_the_cron_trigger_refreshes_a_login_and_no_token_is_lost() -> None:
    world = LoginWorld()
    await world.isolate().log_in("mine")
    [login] = world.oauth.logins.values()
    for _ in range(24):
        await asyncio.sleep(3_600)
        await world.isolate().cron()
    assert login.refreshes >= 4
    assert login.refused_refreshes == 0
    assert login.refresh_token in json.dumps(world.namespace.values)
    assert (await world.isolate().chat()).status == 200


@pytest.mark.parametrize("is_rotated", [False, True])
@pytest.mark.parametrize("is_first", [False, True])
@virtual
async def test_a_secret_wins_over_the_login_that_it_describes(is_rotated: bool, is_first: bool) -> None:
    world = LoginWorld()
    old = world.isolate()
    made = await old.log_in("mine")
    [login] = world.oauth.logins.values()
    secret = {**login.credentials(), "label": "secret"}
    if is_rotated:
        await asyncio.sleep(6 * 3_600)
        assert (await old.chat()).status == 200
        assert login.refreshes == 1
    env = {"QWEN_CLI_AUTH": json.dumps(secret)}
    if not is_first:
        other = world.oauth.create_login("other")
        env = {"QWEN_CLI_AUTH": json.dumps(other.credentials()), "QWEN_CLI_AUTH_2": json.dumps(secret)}
    new = world.isolate(env)
    for _ in range(4):
        assert (await new.chat()).status == 200
    assert "mine" not in await new.accounts()
    assert "secret" in await new.accounts()
    assert list(await new.logins()) == ["mine"]
    assert (await new.ask("DELETE", f"/v1/logins/{made['id']}")).status == 200
    await asyncio.sleep(6 * 3_600)
    for _ in range(4):
        assert (await new.chat()).status == 200
    assert login.refused_refreshes == 0
    assert "cooldown" not in {account["state"] for account in (await new.accounts()).values()}


@virtual
async def test_a_secret_takes_the_label() -> None:
    world = LoginWorld()
    await world.isolate().log_in("mine")
    secret = {**world.oauth.create_login("env").credentials(), "label": "mine"}
    isolate = world.isolate({"QWEN_CLI_AUTH": json.dumps(secret)})
    await isolate.logins()
    assert list(await isolate.accounts()) == ["mine", "mine-2"]
    assert [("login_id" in account) for account in (await isolate.accounts()).values()] == [False, True]


@virtual
async def test_the_predecessors_login_in_kv_stays_beside_the_new_ones() -> None:
    world = LoginWorld()
    old = world.oauth.create_login("old")
    world.namespace.values["qwen_oauth_credentials"] = json.dumps(old.credentials())
    isolate = world.isolate()
    assert (await isolate.chat()).status == 200
    await isolate.log_in("new")
    for _ in range(4):
        assert (await isolate.chat()).status == 200
    assert set(world.asked[-4:]) == {"old", "login-2"}
    assert list(await world.isolate().accounts()) == ["QWEN_KV", "new"]


@virtual
async def test_a_gateway_without_an_account_says_so() -> None:
    world = LoginWorld()
    isolate = world.isolate()
    for key in (None, CLIENT):
        health = await isolate.health(key)
        assert health["status"] == "degraded"
        assert "accounts: none yet; set QWEN_API_KEY" in health["reasons"][0]
        assert "logins" not in health
    health = await isolate.health()
    assert (health["logins"], health["clients"]) == (True, ["alice"])
    assert "/v1/embeddings" not in health["apis"]
    await isolate.log_in("mine")
    health = await isolate.health(CLIENT)
    assert (health["status"], health["client"]) == ("ok", "alice")
    [account] = health["accounts"]
    assert (account["label"], account["state"]) == ("mine", "ready")
    assert 21_000 < account["credentials"]["expires_in_seconds"] <= 21_600


@virtual
async def test_health_is_degraded_while_no_account_can_be_used() -> None:
    world = LoginWorld()
    isolate = world.isolate()
    await isolate.log_in("mine")
    [login] = world.oauth.logins.values()
    login.kill()
    await asyncio.sleep(120)
    await isolate.chat()
    await asyncio.sleep(120)
    await isolate.chat()
    health = await isolate.health(None)
    assert health["reasons"] == ["accounts: none can be used now (rejected)"]
    await isolate.log_in("another")
    assert (await isolate.health(None))["status"] == "ok"
    assert (await isolate.chat()).headers["x-qwen-account"] == "another"


async def used_in_two_places(world: LoginWorld) -> tuple[GatewayIsolate, GatewayIsolate, Any, Any]:
    """Where a login was made two minutes ago, where it is used too, what the admin was told of it, and the
    simulator's login.
    """
    here, there = world.isolate(), world.isolate()
    made = await here.log_in("mine")
    assert (await there.chat()).status == 200
    [login] = world.oauth.logins.values()
    await asyncio.sleep(120)
    return here, there, made, login


@virtual
async def test_what_another_isolate_still_writes_of_a_removed_login_is_deleted() -> None:
    world = LoginWorld(Namespace(staleness="cached"))
    here, there, made, login = await used_in_two_places(world)
    assert (await there.chat()).status == 200
    await here.ask("DELETE", f"/v1/logins/{made['id']}")
    login.revoke_access_tokens()
    assert (await there.chat()).status == 200  # it has refreshed, and knows nothing
    assert login.refresh_token in json.dumps(world.namespace.values)
    await asyncio.sleep(70)
    await world.isolate().cron()
    await serve(there, 60)
    await there.background.finished()
    assert world.keys == [LOGINS_KEY]
    assert login.refresh_token not in json.dumps(world.namespace.values)


@virtual
async def test_a_login_is_removed_where_kv_does_not_show_its_last_refresh_yet() -> None:
    world = LoginWorld(Namespace(staleness="cached"))
    here, _, made, login = await used_in_two_places(world)
    fresh = world.isolate()
    assert (await fresh.chat()).status == 200  # its place has cached the record
    login.revoke_access_tokens()
    assert (await here.chat()).status == 200
    assert login.refreshes == 1
    assert (await fresh.ask("DELETE", f"/v1/logins/{made['id']}")).status == 200
    assert login.refresh_token not in json.dumps(world.namespace.values)


@virtual
async def test_a_removal_that_kv_has_failed_to_take_is_repeated_in_full() -> None:
    world = LoginWorld(Namespace(staleness="cached"))
    isolate = world.isolate()
    await isolate.log_in("mine")
    [login] = world.oauth.logins.values()
    await asyncio.sleep(120)
    login.revoke_access_tokens()
    assert (await isolate.chat()).status == 200
    assert isolate.pool.logins is not None
    [identity] = [kept.identity for kept in isolate.pool.logins.living]
    isolate.kv.hide.add(account_key(identity))  # only memory knows of the successor
    isolate.kv.fail_writes = 1
    log = Log(world.logs, "debug")
    removals = [await erase(identity, isolate.pool, isolate._runtime, log) for _ in range(2)]
    assert removals == [False, True]
    assert login.refresh_token not in json.dumps(world.namespace.values)


@virtual
async def test_a_login_is_renamed_where_it_seems_to_be_pending_still() -> None:
    world = LoginWorld(Namespace(staleness="cached"))
    here, there = world.isolate(KEY), world.isolate(KEY)
    begun = await here.begin("mine")
    assert (await there.poll(begun))["status"] == "pending"
    await asyncio.sleep(2)
    world.oauth.approve(begun["user_code"])
    assert (await here.poll(begun))["status"] == "active"
    renamed = await there.ask("POST", f"/v1/logins/{begun['id']}", {"label": "ours"})
    assert (renamed.status, renamed.body["status"], renamed.body["label"]) == (200, "pending", "ours")
    for _ in range(50):
        await asyncio.gather(serve(here, 5), serve(there, 5))
    for isolate in (here, there, world.isolate(KEY)):
        assert set(await isolate.logins()) == {"ours"}


@virtual
async def test_logins_made_at_once_in_two_places_are_both_kept() -> None:
    world = LoginWorld(Namespace(staleness="cached"))
    here, there = world.isolate(KEY), world.isolate(KEY)
    await serve(here, 5)
    await serve(there, 5)
    await asyncio.gather(here.log_in("first"), there.log_in("second"))
    for _ in range(50):
        await asyncio.gather(serve(here, 5), serve(there, 5))
    for isolate in (here, there, world.isolate(KEY)):
        assert set(await isolate.logins()) == {"first", "second"}


RECORD = {"a": KeptLogin("a", "label-a", "abc", 1, 2), "b": KeptLogin("b", "label-b", "def", 3, 4, True)}


def test_the_record_is_read_as_it_was_written() -> None:
    assert parsed(serialised(RECORD, 5)) == RECORD
    assert parsed(serialised(RECORD, 90_000_000)) == {"a": RECORD["a"]}


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "[]", "{", '{"logins": []}', '{"logins": {"a": 5}}'),
        *(
            json.dumps(
                {"logins": {"a": {"label": "x", "identity": "y", "created": 1, "changed": 1} | change}}
            )
            for change in ({"label": "a b"}, {"label": 1}, {"identity": "a:b"}, {"created": None})
        ),
    ],
)
def test_what_is_no_login_is_left_out(text: str | None) -> None:
    assert parsed(text) == {}


def test_the_newest_version_of_each_login_counts() -> None:
    a, b = RECORD["a"], RECORD["b"]
    newer = a._replace(label="new", changed_ms=9)
    assert newest({"a": newer, "b": b}, {"a": a}) == newest({"a": a}, {"a": newer, "b": b})
    assert newest({"a": newer, "b": b}, {"a": a})["a"] == newer
