"""Where a token comes from, and how many requests share one refresh."""

import asyncio

import pytest

from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.errors import CredentialsMissing, CredentialsRejected, RefreshPending
from qwen_worker.platform.ports import FetchError
from tests.support.clock import virtual
from tests.support.isolate import Isolate
from tests.support.kv import MemoryKV
from tests.support.token_endpoint import HOUR, LIFETIME_SECONDS, Answer, TokenEndpoint, login_json

EXPIRED = {"QWEN_CLI_AUTH": login_json(expires_in_seconds=-10)}


@virtual
async def test_a_fresh_isolate_uses_the_secret_while_kv_is_empty() -> None:
    kv = MemoryKV()
    isolate = Isolate(kv=kv)
    credential = await isolate.acquire()
    assert (credential.kind, credential.secret) == ("oauth", "access-refresh-0")
    assert credential.base_url == "https://portal.qwen.ai/v1"
    assert isolate.endpoint.requests == []
    assert not kv.writes


@virtual
async def test_after_the_first_request_memory_answers_without_reading_kv() -> None:
    kv = MemoryKV()
    isolate = Isolate(kv=kv)
    for _ in range(50):
        await isolate.acquire()
    assert kv.reads == [RECORD_KEY]


@virtual
async def test_the_hot_path_never_waits() -> None:
    isolate = Isolate(kv=MemoryKV())
    await isolate.acquire()
    with pytest.raises(StopIteration):
        isolate.account.acquire(isolate.runtime, isolate.log).send(None)


@virtual
async def test_many_first_requests_read_kv_once() -> None:
    kv = MemoryKV()
    isolate = Isolate(kv=kv)
    await asyncio.gather(*(isolate.acquire() for _ in range(100)))
    assert kv.reads == [RECORD_KEY]


@virtual
async def test_100_requests_with_an_expired_token_cause_one_refresh_and_all_get_its_result() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    credentials = await asyncio.gather(*(isolate.acquire() for _ in range(100)))
    assert {credential.secret for credential in credentials} == {"access-refresh-1"}
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_the_leaders_hang_up_does_not_lose_the_refresh() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    leader = asyncio.ensure_future(isolate.acquire())
    await asyncio.sleep(0.1)
    followers = [asyncio.ensure_future(isolate.acquire()) for _ in range(10)]
    await asyncio.sleep(0.1)
    leader.cancel()
    credentials = await asyncio.gather(*followers)
    assert {credential.secret for credential in credentials} == {"access-refresh-1"}
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_a_refresh_that_all_clients_have_left_is_kept_for_the_next_one() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    leader = asyncio.ensure_future(isolate.acquire())
    await asyncio.sleep(0.1)
    leader.cancel()
    await asyncio.sleep(5)
    assert (await isolate.acquire()).secret == "access-refresh-1"
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_a_leader_that_dies_is_replaced_after_a_time_out() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.faults = ["hang"]
    started = asyncio.get_running_loop().time()
    credentials = await asyncio.gather(*(isolate.acquire() for _ in range(20)))
    assert {credential.secret for credential in credentials} == {"access-refresh-1"}
    assert len(isolate.endpoint.requests) == 2
    assert asyncio.get_running_loop().time() - started < 30
    assert "credentials job died" in isolate.events("warning")


@virtual
async def test_a_leader_that_dies_while_it_writes_leaves_its_token_to_the_next_one() -> None:
    kv = MemoryKV()
    isolate = Isolate(EXPIRED, kv=kv)
    kv.hang_writes = True
    first = asyncio.ensure_future(isolate.acquire())
    await asyncio.sleep(1)
    kv.hang_writes = False
    assert (await first).secret == "access-refresh-1"
    assert len(isolate.endpoint.requests) == 1
    await isolate.acquire()
    await asyncio.sleep(60)
    await isolate.acquire()
    await asyncio.sleep(60)
    assert kv.record["refresh_token"] == "refresh-1"


@virtual
async def test_a_token_near_its_expiry_is_refreshed_in_the_background_while_all_go_on_with_it() -> None:
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(expires_in_seconds=20 * 60)}, kv=MemoryKV())
    isolate.endpoint.delay_seconds = 5
    first = await asyncio.gather(*(isolate.acquire() for _ in range(20)))
    assert {credential.secret for credential in first} == {"access-refresh-0"}
    assert asyncio.get_running_loop().time() < 1
    await isolate.background.finished()
    assert (await isolate.acquire()).secret == "access-refresh-1"
    assert len(isolate.endpoint.requests) == 1


@virtual
async def test_one_request_starts_the_background_refresh_when_a_held_token_comes_near_its_expiry() -> None:
    isolate = Isolate(kv=MemoryKV())
    await isolate.acquire()
    await asyncio.sleep(LIFETIME_SECONDS - 46 * 60)
    await isolate.acquire()
    assert isolate.background.tasks == set()
    await asyncio.sleep(17 * 60)
    assert (await isolate.acquire()).secret == "access-refresh-0"
    assert len(isolate.background.tasks) == 1
    await isolate.background.finished()
    assert (await isolate.acquire()).secret == "access-refresh-1"


@virtual
async def test_a_lead_time_beyond_the_tokens_life_does_not_refresh_all_the_time() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.lifetime_seconds = 600
    for _ in range(600):
        await isolate.acquire()
        await asyncio.sleep(6)
    assert 6 <= len(isolate.endpoint.requests) <= HOUR / 80


@virtual
async def test_in_a_month_of_steady_traffic_kv_is_read_once_a_window_and_written_once_a_rotation() -> None:
    kv = MemoryKV()
    isolate = Isolate(kv=kv)
    for _ in range(30 * 24 * 6):
        await isolate.acquire()
        await asyncio.sleep(600)
    await isolate.background.finished()
    rotations = len(isolate.endpoint.spent)
    assert 30 * 4 <= rotations <= 30 * 5
    assert kv.record_reads <= rotations + 1
    assert len(kv.record_writes) == rotations
    assert isolate.endpoint.refused == 0


@virtual
async def test_kv_serves_an_isolate_that_starts_later() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    await Isolate(EXPIRED, kv=kv, endpoint=endpoint).acquire()
    other = Isolate(EXPIRED, kv=kv, endpoint=endpoint)
    assert (await other.acquire()).secret == "access-refresh-1"
    assert len(endpoint.requests) == 1
    assert {"token source", "token validity", "base URL resolved"} <= set(other.events("debug"))


@virtual
async def test_an_isolate_with_an_old_token_takes_over_what_another_has_refreshed() -> None:
    kv, endpoint = MemoryKV(), TokenEndpoint()
    one, two = (Isolate(kv=kv, endpoint=endpoint, seed=seed) for seed in (1, 2))
    await one.acquire()
    await two.acquire()
    await asyncio.sleep(LIFETIME_SECONDS + 60)
    assert (await one.acquire()).secret == "access-refresh-1"
    assert (await two.acquire()).secret == "access-refresh-1"
    assert len(endpoint.requests) == 1


@virtual
async def test_an_access_token_without_refresh_token_is_used_until_it_expires() -> None:
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(refresh=None)}, kv=MemoryKV())
    assert (await isolate.acquire()).secret == "access-refresh-0"
    await asyncio.sleep(LIFETIME_SECONDS - 40)
    assert (await isolate.acquire()).secret == "access-refresh-0"
    await asyncio.sleep(20)
    error = await isolate.error()
    assert isinstance(error, CredentialsRejected)
    assert "QWEN_CLI_AUTH" in error.message
    assert isolate.endpoint.requests == []


@virtual
async def test_a_login_without_expiry_is_used_until_qwen_says_no() -> None:
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(expires_in_seconds=None)}, kv=MemoryKV())
    await isolate.acquire()
    await asyncio.sleep(100 * HOUR)
    assert (await isolate.acquire()).secret == "access-refresh-0"


@virtual
async def test_without_any_credentials_the_message_names_the_variables() -> None:
    error = await Isolate({}, kv=MemoryKV()).error()
    assert isinstance(error, CredentialsMissing)
    assert "QWEN_API_KEY" in error.message
    assert "QWEN_CLI_AUTH" in error.message


@virtual
async def test_kv_alone_is_enough() -> None:
    isolate = Isolate({}, kv=MemoryKV({RECORD_KEY: login_json()}))
    assert (await isolate.acquire()).secret == "access-refresh-0"


@virtual
async def test_without_kv_the_worker_works_from_the_environment_and_memory() -> None:
    isolate = Isolate(EXPIRED, kv=None)
    await asyncio.gather(*(isolate.acquire() for _ in range(10)))
    await asyncio.sleep(LIFETIME_SECONDS)
    assert (await isolate.acquire()).secret == "access-refresh-2"
    assert len(isolate.endpoint.requests) == 2


@virtual
async def test_a_host_from_the_refresh_answer_is_used_from_then_on() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.extra = {"resource_url": "https://other.qwen.ai/v1"}
    assert (await isolate.acquire()).base_url == "https://other.qwen.ai/v1"


@virtual
async def test_a_resource_url_that_makes_no_url_is_passed_over_with_a_warning() -> None:
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(resource_url="no host at all")}, kv=MemoryKV())
    assert (await isolate.acquire()).base_url == "https://portal.qwen.ai/v1"
    assert "resource_url of the login is not usable" in isolate.events("warning")


@virtual
async def test_another_base_url_in_the_settings_counts_for_the_token_in_memory() -> None:
    login = login_json(resource_url=None)
    isolate = Isolate({"QWEN_CLI_AUTH": login}, kv=MemoryKV())
    assert (await isolate.acquire()).base_url == "https://portal.qwen.ai/v1"
    isolate.configure({"QWEN_CLI_AUTH": login, "OPENAI_BASE_URL": "https://other.example/v1"})
    assert (await isolate.acquire()).base_url == "https://other.example/v1"


@pytest.mark.parametrize(
    "fault",
    [
        Answer(429, '{"error":"slow_down"}'),
        Answer(500, "oops"),
        Answer(504, "<html>504</html>"),
        Answer(200, "<html>captcha</html>"),
        FetchError(),
    ],
)
def test_a_passing_fault_is_retried_and_the_requests_succeed(fault: Answer | Exception) -> None:
    @virtual
    async def story() -> None:
        isolate = Isolate(EXPIRED, kv=MemoryKV())
        isolate.endpoint.faults = [fault, fault]
        credentials = await asyncio.gather(*(isolate.acquire() for _ in range(10)))
        assert {credential.secret for credential in credentials} == {"access-refresh-1"}
        assert len(isolate.endpoint.requests) == 3

    story()


@virtual
async def test_a_passing_fault_does_not_hurt_while_the_token_is_valid() -> None:
    isolate = Isolate({"QWEN_CLI_AUTH": login_json(expires_in_seconds=20 * 60)}, kv=MemoryKV())
    isolate.endpoint.faults = [Answer(503, "")] * 1000
    for _ in range(180):
        assert (await isolate.acquire()).secret == "access-refresh-0"
        await asyncio.sleep(6)
    assert 3 <= len(isolate.endpoint.requests) < 120
    isolate.endpoint.faults = []
    await asyncio.sleep(61)
    await isolate.acquire()
    await isolate.background.finished()
    assert (await isolate.acquire()).secret == "access-refresh-1"


@virtual
async def test_an_outage_with_an_expired_token_is_a_503_to_be_retried_and_no_storm() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.faults = [Answer(503, "")] * 1000
    for _ in range(300):
        error = await isolate.error()
        assert isinstance(error, RefreshPending)
        assert error.retryable
        assert 1 <= int(error.headers()["retry-after"]) <= 90
        await asyncio.sleep(1)
    assert len(isolate.endpoint.requests) < 60
    isolate.endpoint.faults = []
    await asyncio.sleep(90)
    assert (await isolate.acquire()).secret == "access-refresh-1"


@virtual
async def test_a_long_retry_after_of_the_endpoint_is_heeded_within_bounds() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.faults = [Answer(429, '{"error":"slow_down"}', {"retry-after": "40"})]
    error = await isolate.error()
    assert error.headers()["retry-after"] == "40"
    await asyncio.sleep(20)
    assert isinstance(await isolate.error(), RefreshPending)
    assert len(isolate.endpoint.requests) == 1
    await asyncio.sleep(21)
    assert (await isolate.acquire()).secret == "access-refresh-1"


@virtual
async def test_a_refresh_token_that_does_not_rotate_goes_on_working() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.rotates = False
    for number in (1, 2, 3):
        assert (await isolate.acquire()).secret == f"access-{number}"
        await asyncio.sleep(LIFETIME_SECONDS)


@virtual
async def test_tokens_too_short_lived_to_be_used_do_not_make_a_storm() -> None:
    isolate = Isolate(EXPIRED, kv=MemoryKV())
    isolate.endpoint.lifetime_seconds = 5
    for _ in range(20):
        assert isinstance(await isolate.error(), RefreshPending)
        await asyncio.sleep(1)
    assert len(isolate.endpoint.requests) <= 6
