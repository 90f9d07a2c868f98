"""`LIVE=1 make doctor` against the simulator, which plays Qwen's public hosts and plans by their names."""

import json
import sys
import time
from collections.abc import Iterator

import pytest

from tests.simulator import DEFAULT_API_KEY, QwenSimulator, SimulatorConfig, public_hosts, run_in_thread
from tests.simulator.public_hosts import HOST_KEYS, PUBLIC_HOSTS
from tests.support.public_hosts import lead_to
from tests.tools.conftest import Examination, Machine

INTL = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
CODING = "https://coding-intl.dashscope.aliyuncs.com/v1"
MODELSCOPE = "https://api-inference.modelscope.cn/v1"

# Host, base URL, a model of it, and the APIs that it speaks.
DASHSCOPE_APIS = "chat, messages, responses, embeddings"
PLAYED = [
    ("dashscope.aliyuncs.com", "/compatible-mode/v1", "qwen3-coder-plus", DASHSCOPE_APIS),
    ("dashscope-intl.aliyuncs.com", "/compatible-mode/v1", "qwen3.7-plus", DASHSCOPE_APIS),
    ("dashscope-us.aliyuncs.com", "/compatible-mode/v1", "qwen3-max", DASHSCOPE_APIS),
    ("ws-1.ap-southeast-1.maas.aliyuncs.com", "/compatible-mode/v1", "qwen3-coder-plus", DASHSCOPE_APIS),
    ("coding.dashscope.aliyuncs.com", "/v1", "qwen3-coder-plus", "chat, messages, and not responses"),
    ("coding-intl.dashscope.aliyuncs.com", "/v1", "kimi-k2.5", "chat, messages, and not responses"),
    ("token-plan.cn-beijing.maas.aliyuncs.com", "/compatible-mode/v1", "qwen3.8-max", "chat, messages, resp"),
    ("token-plan.ap-southeast-1.maas.aliyuncs.com", "/compatible-mode/v1", "glm-5.2", "chat, messages, resp"),
    ("api-inference.modelscope.cn", "/v1", "Qwen/Qwen3-Coder-480B-A35B-Instruct", "chat, messages, and not"),
]


@pytest.fixture
def qwen() -> Iterator[QwenSimulator]:
    with run_in_thread(SimulatorConfig(api_keys=(DEFAULT_API_KEY, *HOST_KEYS))) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _public_hosts_are_simulated(qwen: QwenSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(qwen.port, monkeypatch)


def examined(machine: Machine, *lines: str, live: str = "1") -> Examination:
    """What the doctor says of a `.dev.vars`; no key of any host is in it."""
    machine.dev_vars("\n".join((*lines, "CLIENT_KEYS=test-client-key", "")))
    examination = machine.examine(LIVE=live)
    assert not any(key in examination.text for key in HOST_KEYS)
    return examination


@pytest.mark.parametrize(("name", "path", "model", "speaks"), PLAYED)
def test_each_host_and_plan_is_told_with_what_it_speaks(
    name: str, path: str, model: str, speaks: str, machine: Machine, qwen: QwenSimulator
) -> None:
    examination = examined(
        machine,
        f"QWEN_API_KEY={PUBLIC_HOSTS[name].key}",
        f"QWEN_BASE_URL=https://{name}{path}",
        f"DEFAULT_MODEL={model}",
    )

    assert examination.exit_code == 0, examination.text
    assert f"{name} takes the key and answers with {model}" in examination.text
    assert f"{name} speaks {speaks}" in examination.text
    assert "doctor: all is well\n" in examination.text
    answered = [chat for chat in qwen.chats if chat.status == 200]
    assert len(answered) == 1, "one request that costs tokens"
    assert isinstance(answered[0].body, dict)
    assert answered[0].body["max_tokens"] == 8


def test_the_lists_of_models_come_before_what_costs_tokens(machine: Machine, qwen: QwenSimulator) -> None:
    examined(machine, f"QWEN_API_KEY={PUBLIC_HOSTS['dashscope-us.aliyuncs.com'].key}")

    assert [request.endpoint for request in qwen.requests] == ["models"]


@pytest.mark.parametrize(("name", "path", "model", "_"), PLAYED)
@pytest.mark.parametrize("key", ["sk-simulated-eu", "sk-sp-simulated-other"])
def test_a_key_of_another_host_is_told(
    name: str, path: str, model: str, _: str, key: str, machine: Machine
) -> None:
    examination = examined(
        machine, f"QWEN_API_KEY={key}", f"QWEN_BASE_URL=https://{name}{path}", f"DEFAULT_MODEL={model}"
    )

    assert examination.exit_code == 1
    assert any(
        f"{name} refuses the key (HTTP 401); key and host must belong together" in text
        or "a key of a plan (sk-sp-...) does not work at" in text
        for text in examination.of_level("error")
    ), examination.text
    assert key not in examination.text


def test_a_plan_that_refuses_this_client_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_hosts, "_CODING_TOOLS", ("claude-cli/",))

    examination = examined(
        machine,
        f"QWEN_API_KEY={PUBLIC_HOSTS['coding-intl.dashscope.aliyuncs.com'].key}",
        f"QWEN_BASE_URL={CODING}",
    )

    assert examination.exit_code == 1
    assert any("refuses this client (HTTP 405)" in text for text in examination.of_level("error"))
    assert "doctor: 1 to mend" in examination.text


def test_a_plan_that_takes_coding_tools_only_says_so(machine: Machine) -> None:
    examination = examined(
        machine,
        f"QWEN_API_KEY={PUBLIC_HOSTS['coding-intl.dashscope.aliyuncs.com'].key}",
        f"QWEN_BASE_URL={CODING}",
    )

    assert any("it refuses others, such as OpenAI's SDK" in text for text in examination.of_level("note"))


@pytest.mark.parametrize(
    ("url", "model", "said"),
    [
        (INTL, "qwen3-coder-pluss", "such as qwen3-coder-plus"),
        (CODING, "qwen3-max", "set DEFAULT_MODEL to a model that the account has"),
    ],
)
def test_a_default_model_that_is_not_there_is_told(url: str, model: str, said: str, machine: Machine) -> None:
    name = url.split("/")[2]
    examination = examined(
        machine,
        f"QWEN_API_KEY={PUBLIC_HOSTS[name].key}",
        f"QWEN_BASE_URL={url}",
        f"DEFAULT_MODEL={model}",
    )

    assert examination.exit_code == 1
    assert f"{name} does not serve {model}" in examination.text
    assert said in examination.text


def test_an_api_that_is_set_to_native_and_missing_is_told(machine: Machine) -> None:
    account = {"api_key": "sk-sp-simulated-coding-intl", "base_url": CODING, "responses": "native"}

    examination = examined(machine, f"QWEN_API_KEY='{json.dumps(account)}'")

    assert any("responses is native in the account" in text for text in examination.of_level("error"))


def test_an_address_without_a_chat_api_is_told(machine: Machine) -> None:
    examination = examined(
        machine, "QWEN_API_KEY=sk-simulated-intl", "QWEN_BASE_URL=https://dashscope-intl.aliyuncs.com/v9"
    )

    assert any(
        "no chat completions at https://dashscope-intl" in text for text in examination.of_level("error")
    )
    assert "Get credentials" in examination.text


@pytest.mark.parametrize(
    ("fault", "level", "said"),
    [
        ("insufficient_quota_daily", "warning", "takes the key, but: The quota"),
        ("rate_limit_exceeded", "warning", "takes the key, but: Qwen limits the rate"),
        ("arrearage", "warning", "is not paid up"),
        ("html_403", "error", "a firewall, a captcha"),
        ("internal_error", "error", "Qwen had an internal error"),
        ("connection_reset", "error", "does not answer"),
        ("empty_200", "error", "Qwen answered with nothing"),
    ],
)
def test_what_else_a_host_may_answer_is_told(
    fault: str, level: str, said: str, machine: Machine, qwen: QwenSimulator
) -> None:
    qwen.faults.add(fault, credential="sk-simulated-intl")

    examination = examined(machine, "QWEN_API_KEY=sk-simulated-intl")

    assert any(said in text for text in examination.of_level(level)), examination.text


@pytest.mark.parametrize(
    "value", [f"{INTL}/chat/completions", f"{INTL}/models", "dashscope-intl.aliyuncs.com"]
)
@pytest.mark.parametrize("live", ["0", "1"])
def test_a_mended_base_url_works_and_is_not_called_well(value: str, live: str, machine: Machine) -> None:
    examination = examined(machine, "QWEN_API_KEY=sk-simulated-intl", f"QWEN_BASE_URL={value}", live=live)

    assert examination.exit_code == 0, examination.text
    assert any("QWEN_BASE_URL: mended" in text for text in examination.of_level("warning"))
    assert "nothing is broken, but 1 to look at" in examination.text
    assert ("takes the key" in examination.text) is (live == "1")


def test_a_mended_key_works_and_is_not_called_well(machine: Machine) -> None:
    examination = examined(machine, "QWEN_API_KEY=Bearer sk-simulated-intl")

    assert "takes the key" in examination.text
    assert "nothing is broken, but 1 to look at" in examination.text


def test_without_live_nothing_is_called_and_the_verdict_says_so(
    machine: Machine, qwen: QwenSimulator
) -> None:
    examination = examined(machine, "QWEN_API_KEY=sk-simulated-intl", live="0")

    assert qwen.requests == []
    assert "all is well, as far as one can see without calling Qwen" in examination.text


@pytest.mark.parametrize(("answer", "is_called"), [("y", True), ("", False), ("no", False)])
def test_a_person_is_asked_once(
    answer: str, is_called: bool, machine: Machine, qwen: QwenSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("builtins.input", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    examined(machine, "QWEN_API_KEY=sk-simulated-intl", "QWEN_API_KEY_2=sk-simulated-intl-2", live="")

    assert len(asked) == 1
    assert bool(qwen.requests) is is_called


def login_variable(qwen: QwenSimulator, *, seconds: float = 3_600, **changes: object) -> str:
    login = qwen.create_login(access_token_seconds=seconds, resource_url="portal.qwen.ai")
    login.closed_tier = bool(changes.pop("closed_tier", False))
    return f"QWEN_CLI_AUTH='{json.dumps({**login.credentials(), **changes})}'"


def test_a_login_is_called_as_the_portal_wants_it(machine: Machine, qwen: QwenSimulator) -> None:
    examination = examined(machine, login_variable(qwen))

    assert examination.exit_code == 0, examination.text
    assert "portal.qwen.ai takes the login and answers" in examination.text


def test_a_closed_tier_is_told(machine: Machine, qwen: QwenSimulator) -> None:
    examination = examined(machine, login_variable(qwen, closed_tier=True))

    assert any("although it has not expired" in text for text in examination.of_level("error"))
    assert "closed the free tier" in examination.text


def test_an_expired_login_is_left_alone(machine: Machine, qwen: QwenSimulator) -> None:
    examination = examined(machine, login_variable(qwen, expiry_date=int(time.time() * 1000) - 1))

    assert qwen.requests == [], "its refresh token works once, for the gateway"
    assert "not called, because its access token has expired" in examination.text


def test_a_key_is_not_sent_in_the_clear(machine: Machine, qwen: QwenSimulator) -> None:
    examination = examined(
        machine,
        "QWEN_API_KEY=sk-simulated-intl",
        "QWEN_BASE_URL=http://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    )

    assert qwen.requests == []
    assert any("readable on the way" in text for text in examination.of_level("error"))
