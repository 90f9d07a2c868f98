"""/v1/logins: who may, what is told, and what becomes of a login. Time is virtual, Qwen the simulator's."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from qwen_worker.platform.ports import FetchError, FetchTimeout
from tests.simulator.named_faults import NAMED_FAULTS
from tests.support.clock import virtual
from tests.support.kv import Namespace
from tests.support.login_world import CLIENT, LoginWorld
from tests.support.ports import ScriptedResponse
from tests.support.several_accounts import fault

DEVICE_CODE, TOKEN = "/device/code", "/oauth2/token"
LOGIN_PATHS = [
    ("GET", "/v1/logins"),
    ("POST", "/v1/logins"),
    ("GET", "/v1/logins/login_1"),
    ("POST", "/v1/logins/login_1"),
    ("DELETE", "/v1/logins/login_1"),
]
QWEN_SECRETS = ("device_code", "code_verifier", "access-", "refresh-")


@pytest.mark.parametrize(("method", "path"), [*LOGIN_PATHS, ("PUT", "/logins")])
@virtual
async def test_without_an_admin_key_the_paths_are_unknown(method: str, path: str) -> None:
    gateway = LoginWorld().isolate({"ADMIN_KEY": ""})
    unknown = await gateway.ask(method, "/v1/nothing", key=CLIENT)
    told = await gateway.ask(method, path, key=CLIENT)
    assert told.error == (404, "not_found", None)
    assert told.body == unknown.body
    assert (await gateway.ask(method, path, key=None)).status == (404 if path == "/logins" else 401)
    assert gateway.kv.reads == []


@pytest.mark.parametrize(("method", "path"), LOGIN_PATHS)
@pytest.mark.parametrize("is_open", [False, True])
@virtual
async def test_only_the_admin_may(method: str, path: str, is_open: bool) -> None:
    gateway = LoginWorld().isolate({"CLIENT_KEYS": ""} if is_open else {})
    refused = await gateway.ask(method, path, key=None)
    assert refused.error == (401, "invalid_api_key", None)
    assert refused.headers["www-authenticate"] == "Bearer"
    client = await gateway.ask(method, path, key=CLIENT)
    assert client.error == ((401, "invalid_api_key", None) if is_open else (403, "admin_key_required", None))
    assert (await gateway.ask(method, path)).status not in (401, 403)


@virtual
async def test_an_approved_login_answers_at_once_and_secrets_stay_inside() -> None:
    world = LoginWorld()
    gateway = world.isolate()
    began = await gateway.chat()
    assert began.error == (503, "credentials_missing", None)

    begun = await gateway.begin("mine")
    assert begun.items() >= {"object": "login", "label": "mine", "status": "pending"}.items()
    assert begun["user_code"] in begun["verification_uri_complete"]
    assert begun["expires_at"] == world.clock.now_ms() // 1000 + 900
    assert begun["interval_seconds"] == 2
    pending = await gateway.poll(begun)
    assert (pending["status"], pending["user_code"]) == ("pending", begun["user_code"])
    assert await gateway.logins() == {}

    world.clock.advance(2)
    world.oauth.approve(begun["user_code"])
    active = await gateway.poll(begun)
    assert (active["status"], active["expires_at"], active["created"]) == ("active", None, begun["created"])
    assert "user_code" not in active
    assert await gateway.logins() == {"mine": {k: v for k, v in active.items() if k != "message"}}

    answer = await gateway.chat()
    assert (answer.status, answer.headers["x-qwen-account"]) == (200, "mine")
    told = json.dumps([begun, pending, active, await gateway.health()]) + world.logs.text
    assert not any(secret in told for secret in QWEN_SECRETS)


@pytest.mark.parametrize(
    ("happens", "status", "follows"),
    [
        (lambda world, code: world.oauth.deny(code), "denied", "denied at Qwen"),
        (lambda world, code: world.oauth.expire(code), "expired", "expired"),
        (lambda world, code: world.clock.advance(901), "expired", "expired"),
        (lambda world, code: world.answers.update({TOKEN: [fault("oauth_tier_closed")]}), "closed", "closed"),
        (lambda world, code: world.answers.update({TOKEN: [fault("oauth_device_code_expired_401")]}),
         "expired", "expired"),
    ],
)  # fmt: skip
@virtual
async def test_a_login_that_comes_to_nothing(
    happens: Callable[[LoginWorld, str], None], status: str, follows: str
) -> None:
    world = LoginWorld()
    gateway, other = world.isolate(), world.isolate()
    begun = await gateway.begin()
    happens(world, begun["user_code"])
    over = await gateway.poll(begun)
    assert over["status"] == status
    assert follows in over["message"]
    polls = world.polls
    world.clock.advance(10)
    assert (await gateway.poll(begun))["status"] == status
    assert (await other.poll(begun))["status"] == status
    assert world.polls == polls
    [record] = [value for key, value in world.namespace.values.items() if ":pending:" in key]
    assert not any(secret in record for secret in ("device-", begun["user_code"]))
    assert await gateway.logins() == {}


@virtual
async def test_a_login_whose_tokens_the_api_refuses_is_told_to_be_closed_and_leaves_nothing() -> None:
    world = LoginWorld()
    world.oauth.closed_tier = True
    gateway = world.isolate()
    begun = await gateway.begin("mine")
    world.oauth.approve(begun["user_code"])
    over = await gateway.poll(begun)
    assert (over["status"], "QWEN_API_KEY" in over["message"]) == ("closed", True)
    assert await gateway.logins() == {}
    assert world.keys == []
    assert (await gateway.chat()).error == (503, "credentials_missing", None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("oauth_tier_closed", (502, "login_closed", None)),
        (ScriptedResponse(400, {"error": "x", "error_description": "This login is no longer supported"}),
         (502, "login_closed", None)),
        ("oauth_200_html", (502, "upstream_blocked", None)),
        ("oauth_200_captcha", (502, "upstream_blocked", None)),
        ("html_403", (502, "upstream_blocked", None)),
        ("oauth_429", (429, "rate_limit_exceeded", None)),
        ("oauth_500", (502, "upstream_unavailable", None)),
        ("oauth_200_error", (502, "upstream_error", None)),
        ("oauth_invalid_request", (502, "upstream_error", None)),
        (ScriptedResponse(404, "<html>"), (502, "upstream_error", None)),
        (ScriptedResponse(200, {"device_code": "d"}), (502, "upstream_error", None)),
        (FetchError(), (502, "upstream_unavailable", None)),
        (FetchTimeout(), (504, "upstream_timeout", None)),
    ],
)  # fmt: skip
@virtual
async def test_why_a_login_cannot_begin(answer: Any, error: tuple[int, str, str | None]) -> None:
    world = LoginWorld()
    gateway = world.isolate()
    if isinstance(answer, str) and "body" not in NAMED_FAULTS[answer]:
        raise AssertionError(answer)
    world.answers[DEVICE_CODE] = [fault(answer) if isinstance(answer, str) else answer]
    told = await gateway.ask("POST", "/v1/logins")
    assert told.error == error
    assert "unauthorized_client" not in json.dumps(told.body)
    assert (await gateway.ask("POST", "/v1/logins")).status == 201


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html,x", "http://evil.example/", "nonsense", 5]
)
@virtual
async def test_no_link_that_a_person_must_not_follow_is_passed_on(uri: Any) -> None:
    world = LoginWorld()
    gateway = world.isolate()
    answer = {"device_code": "d", "user_code": "u", "verification_uri": uri, "verification_uri_complete": uri}
    world.answers[DEVICE_CODE] = [ScriptedResponse(200, answer)]
    assert (await gateway.ask("POST", "/v1/logins")).error == (502, "upstream_error", None)


@virtual
async def test_qwen_is_asked_no_more_often_than_it_wants() -> None:
    world = LoginWorld()
    gateway = world.isolate()
    begun = await gateway.begin()
    for _ in range(3):
        assert (await gateway.poll(begun))["status"] == "pending"
    assert world.polls == 1
    world.answers[TOKEN] = [fault("oauth_slow_down"), fault("oauth_slow_down_400")]
    intervals = []
    for pause in (2, 2, 3, 3, 4.5):
        world.clock.advance(pause)
        intervals.append((await gateway.poll(begun))["interval_seconds"])
    assert intervals == [3.0, 3.0, 4.5, 4.5, 4.5]
    assert world.polls == 4
    for _ in range(5):
        world.answers[TOKEN] = [fault("oauth_slow_down")]
        world.clock.advance(10)
        slowest = (await gateway.poll(begun))["interval_seconds"]
    assert slowest == 10


@pytest.mark.parametrize("name", ["oauth_500", "oauth_504_html", "oauth_200_html", "oauth_200_error"])
@virtual
async def test_a_poll_that_qwen_fails_to_answer_is_repeated(name: str) -> None:
    world = LoginWorld()
    gateway = world.isolate()
    begun = await gateway.begin()
    world.oauth.approve(begun["user_code"])
    world.answers[TOKEN] = [fault(name), FetchError(), FetchTimeout()]
    for _ in range(3):
        pending = await gateway.poll(begun)
        assert (pending["status"], "asked again" in pending["message"]) == ("pending", True)
        world.clock.advance(2)
    assert (await gateway.poll(begun))["status"] == "active"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"label": 5}, (400, "invalid_type", "label")),
        ({"label": ""}, (400, "invalid_value", "label")),
        ({"label": "with space"}, (400, "invalid_value", "label")),
        ({"label": "x" * 41}, (400, "invalid_value", "label")),
        ({"label": "taken"}, (400, "invalid_value", "label")),
        ({"label": "QWEN_API_KEY"}, (400, "invalid_value", "label")),
        ([], (400, "invalid_type", None)),
        (b"{", (400, "invalid_json", None)),
    ],
)
@virtual
async def test_a_label_must_be_one_and_nobody_elses(body: Any, error: tuple[int, str, str | None]) -> None:
    gateway = LoginWorld().isolate({"QWEN_API_KEY": "upstream-key-1"})
    await gateway.log_in("taken")
    other = await gateway.log_in("other")
    sent = {"raw": body} if isinstance(body, bytes) else {"body": body}
    assert (await gateway.ask("POST", "/v1/logins", **sent)).error == error
    assert (await gateway.ask("POST", f"/v1/logins/{other['id']}", **sent)).error == error
    assert set(await gateway.logins()) == {"taken", "other"}


@virtual
async def test_logins_get_names_if_they_have_none() -> None:
    gateway = LoginWorld().isolate()
    first = await gateway.begin()
    second = await gateway.begin()
    await gateway.log_in("login-3")
    assert [first["label"], second["label"]] == ["login-1", "login-2"]
    assert (await gateway.begin())["label"] == "login-4"
    empty = await gateway.ask("POST", "/v1/logins", {"label": None})
    assert (empty.status, empty.body["label"]) == (201, "login-5")


@virtual
async def test_a_label_that_was_taken_meanwhile_gets_a_number() -> None:
    world = LoginWorld()
    here, there = world.isolate(), world.isolate()
    begun = [await here.begin("mine"), await there.begin("mine")]
    for login in begun:
        world.oauth.approve(login["user_code"])
    assert (await here.poll(begun[0]))["label"] == "mine"
    world.clock.advance(100)
    await there.logins()
    assert (await there.poll(begun[1]))["label"] == "mine-2"


@virtual
async def test_renamed() -> None:
    world = LoginWorld()
    gateway = world.isolate()
    login = await gateway.log_in("old")
    path = f"/v1/logins/{login['id']}"
    assert (await gateway.ask("POST", path, {})).error == (400, "missing_required_parameter", "label")
    same = await gateway.ask("POST", path, {"label": "old"})
    told = await gateway.ask("POST", path, {"label": "new"})
    assert (same.status, told.status, told.body) == (200, 200, (await gateway.logins())["new"])
    assert (await gateway.chat()).headers["x-qwen-account"] == "new"
    assert list(await world.isolate().accounts()) == ["new"]


@virtual
async def test_a_pending_login_is_renamed_and_cancelled() -> None:
    world = LoginWorld()
    gateway, other = world.isolate(), world.isolate()
    begun = await gateway.begin("old")
    path = f"/v1/logins/{begun['id']}"
    told = await gateway.ask("POST", path, {"label": "new"})
    assert (told.body["label"], told.body["status"], told.body["user_code"]) == (
        "new",
        "pending",
        begun["user_code"],
    )
    gone = await other.ask("DELETE", path)
    assert gone.body == {"id": begun["id"], "object": "login", "deleted": True}
    world.oauth.approve(begun["user_code"])
    for isolate in (gateway, other):
        for method in ("GET", "POST", "DELETE"):
            assert (await isolate.ask(method, path, {"label": "x"})).error == (404, "login_not_found", "id")
    assert world.polls == 0


@pytest.mark.parametrize("name", ["login_1", "login_1/more", "..%2F..", "%00", "x" * 600])
@virtual
async def test_a_login_that_does_not_exist(name: str) -> None:
    gateway = LoginWorld().isolate()
    for method in ("GET", "POST", "DELETE"):
        told = await gateway.ask(method, f"/v1/logins/{name}", {"label": "x"})
        assert told.error == (404, "login_not_found", "id")


@virtual
async def test_a_removed_login_is_not_used_and_kv_forgets_it() -> None:
    world = LoginWorld()
    gateway = world.isolate()
    kept, removed = await gateway.log_in("kept"), await gateway.log_in("removed")
    for _ in range(3):  # several refreshes leave several records
        world.clock.advance(120)
        for login in world.oauth.logins.values():
            login.revoke_access_tokens()
        for _ in range(2):
            assert (await gateway.chat()).status == 200
    secrets = [login.refresh_token for login in world.oauth.logins.values()]
    assert (await gateway.ask("DELETE", f"/v1/logins/{removed['id']}")).body["deleted"] is True
    stored = json.dumps(world.namespace.values)
    assert [secret in stored for secret in secrets] == [True, False]
    assert list(await gateway.logins()) == ["kept"]
    assert list(await gateway.accounts()) == ["kept"]
    for _ in range(3):
        assert (await gateway.chat()).headers["x-qwen-account"] == "kept"
    assert (await gateway.ask("DELETE", f"/v1/logins/{removed['id']}")).status == 404
    assert kept["status"] == "active"


@virtual
async def test_without_kv_no_login_can_be_kept() -> None:
    gateway = LoginWorld().isolate({"QWEN_API_KEY": "upstream-key-1"})
    gateway._runtime = gateway._runtime._replace(kv=None)
    assert (await gateway.ask("POST", "/v1/logins")).error == (404, "logins_not_kept", None)
    assert (await gateway.health())["logins"] is False


@virtual
async def test_while_kv_fails_nothing_is_begun_or_changed_in_silence() -> None:
    world = LoginWorld()
    gateway = world.isolate()
    login = await gateway.log_in()
    path = f"/v1/logins/{login['id']}"
    gateway.kv.fail_writes = 9
    failed = (503, "logins_unavailable", None)
    assert (await gateway.ask("POST", "/v1/logins")).error == failed
    assert (await gateway.ask("POST", path, {"label": "new"})).error == failed
    gateway.kv.fail_writes = 0
    assert (await gateway.ask("POST", path, {"label": "new"})).status == 200
    fresh = world.isolate()
    fresh.kv.fail_reads = 99
    assert (await fresh.ask("GET", "/v1/logins")).error == failed
    gateway.kv.fail_writes = 99
    assert (await gateway.ask("DELETE", path)).error == failed
    gateway.kv.fail_writes = 0
    assert (await gateway.chat()).error == (503, "credentials_missing", None)
    assert (await gateway.ask("DELETE", path)).status == 200
    assert (await gateway.ask("DELETE", path)).status == 404
    await world.isolate().cron()
    assert world.keys == ["qwen_logins"]


@virtual
async def test_a_token_is_kept_when_the_client_hangs_up_while_kv_fails() -> None:
    world = LoginWorld()
    gateway = world.isolate()
    begun = await gateway.begin("mine")
    world.oauth.approve(begun["user_code"])
    gateway.kv.fail_writes = 6
    asking = asyncio.ensure_future(gateway.poll(begun))
    await asyncio.sleep(0.05)
    asking.cancel()
    await gateway.background.finished()
    fresh = world.isolate()
    assert list(await fresh.accounts()) == ["mine"]
    assert (await fresh.chat()).headers["x-qwen-account"] == "mine"
    assert (await fresh.poll(begun))["status"] == "active"


@virtual
async def test_two_tabs_in_two_places_make_one_login() -> None:
    world = LoginWorld(Namespace(staleness="cached"))
    here, there = world.isolate(), world.isolate()
    begun = await here.begin("mine")
    assert (await there.poll(begun))["status"] == "pending"
    await asyncio.sleep(2)
    world.oauth.approve(begun["user_code"])
    statuses = [login["status"] for login in await asyncio.gather(here.poll(begun), there.poll(begun))]
    assert statuses.count("active") == 1
    for _ in range(50):
        await asyncio.sleep(2)
        statuses = [login["status"] for login in await asyncio.gather(here.poll(begun), there.poll(begun))]
        assert set(statuses) <= {"active", "pending"}
    assert statuses == ["active", "active"]
    assert len(world.oauth.logins) == 1
    assert list(await there.logins()) == list(await here.logins()) == ["mine"]
