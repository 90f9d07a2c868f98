import json
import time
from typing import Any

import pytest

from tests.tools.conftest import ACCOUNTS, CLIENT_KEY, HEALTHY, MODELS, Machine, StartGateway
from tools.network import free_port


def login(**changes: Any) -> str:
    members = {
        "access_token": "access-token-1",
        "refresh_token": "refresh-token-1",
        "expiry_date": int((time.time() + 60 * 3600 - 1) * 1000),
        **changes,
    }
    return json.dumps(members)


def test_a_fresh_clone_is_well(machine: Machine) -> None:
    examination = machine.examine(tools=True)

    assert examination.exit_code == 0, examination.text
    assert examination.of_level("error") == []
    assert any("Node.js v22.12.0" in text for text in examination.of_level("ok"))
    assert "make dev serves a simulated Qwen" in examination.text
    assert "doctor: all is well" in examination.text


def test_make_runs_it(machine: Machine) -> None:
    result = machine.checkout.make("doctor", f"PORT={free_port()}")

    assert result.returncode == 0, result.stdout
    assert "doctor: all is well" in result.stdout


def test_tools_that_are_missing_or_old_are_named(machine: Machine) -> None:
    machine.checkout.remove("uv")
    machine.checkout.versions({"node": "v16.20.2"})

    examination = machine.examine(tools=True)

    assert examination.exit_code == 1
    assert any("Node.js v16.20.2 is too old" in text for text in examination.of_level("error"))
    assert any("uv is missing; only deploying needs it" in text for text in examination.of_level("note"))


def test_good_configuration_is_recognised(machine: Machine) -> None:
    machine.dev_vars(f"QWEN_CLI_AUTH='{login()}'\nOPENAI_API_KEY={CLIENT_KEY},second\nLOG_LEVEL=debug\n")

    examination = machine.examine()

    assert examination.exit_code == 0, examination.text
    assert examination.of_level("warning") == []
    assert any("access token valid for 2 days 11 h" in text for text in examination.of_level("ok"))
    assert "CLIENT_KEYS: 2 client keys" in examination.text


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        ("OPENAI_KEY=test-client-key", "error", "OPENAI_KEY is no variable of the Worker"),
        ("qwen_api_key=test-api-key", "error", "qwen_api_key is no variable"),
        ("MY_OWN_THING=1", "warning", "MY_OWN_THING is no variable"),
        ("LOG_LEVEL=loud", "error", "LOG_LEVEL cannot be used"),
        ("OPENAI_BASE_URL=dashscope", "error", "OPENAI_BASE_URL cannot be used"),
        ("QWEN_CLI_AUTH={\n", "error", "QWEN_CLI_AUTH cannot be used"),
        ('QWEN_CLI_AUTH={\n"access_token":\n', "error", "line 2 is not NAME=value"),
        ("UPSTREAM_ATTEMPTS=5", "warning", "UPSTREAM_ATTEMPTS: no longer used"),
        ("CLIENT_KEYS=a\nOPENAI_API_KEY=b", "error", "CLIENT_KEYS cannot be used"),
        ("OPENAI_API_KEY=ab#cd", "warning", "OPENAI_API_KEY is cut at its #"),
        ("QWEN_API_KEY=Bearer test-api-key", "warning", "QWEN_API_KEY: mended: `Bearer` in front of it"),
        ("QWEN_BASE_URL=https://example.com/v1/models", "warning", "QWEN_BASE_URL: mended: an endpoint"),
        ("LOG_LEVEL=info\nLOG_LEVEL=debug\n", "warning", "LOG_LEVEL is set more than once"),
        ("LOG_LEVEL=info", "error", "no credential for Qwen"),
        ("QWEN_API_KEY=test-api-key", "warning", "CLIENT_KEYS is not set"),
        ("QWEN_API_KEY=sk-sp-test", "error", "a key of a plan (sk-sp-...) does not work at dashscope-intl"),
        (f"QWEN_CLI_AUTH='{login(expiry_date=1)}'", "note", "access token expired"),
        (f"QWEN_CLI_AUTH='{login(expiry_date=None)}'", "note", "does not say when"),
        (f"QWEN_CLI_AUTH='{login(refresh_token=None)}'", "warning", "ends for good in"),
        (f"QWEN_CLI_AUTH='{login(refresh_token=None, expiry_date=1)}'", "error", "there is no refresh token"),
    ],
)
def test_what_is_wrong_with_dev_vars_is_said(text: str, level: str, said: str, machine: Machine) -> None:
    machine.dev_vars(text)

    examination = machine.examine()

    assert any(said in check for check in examination.of_level(level)), examination.text
    assert examination.exit_code == bool(examination.of_level("error"))


def test_a_typing_error_is_put_right(machine: Machine) -> None:
    machine.dev_vars("QWEN_API_KYE=test-api-key")

    assert "did you mean QWEN_API_KEY?" in machine.examine().text


def test_a_plan_key_with_the_plans_address_is_well(machine: Machine) -> None:
    url = "https://coding-intl.dashscope.aliyuncs.com/v1"
    machine.dev_vars(f"QWEN_API_KEY=sk-sp-test\nOPENAI_BASE_URL={url}\nOPENAI_API_KEY={CLIENT_KEY}\n")

    examination = machine.examine()

    assert examination.exit_code == 0, examination.text
    assert f"an API key for {url}" in examination.text


def test_a_file_that_others_may_read_is_warned_of(machine: Machine) -> None:
    machine.dev_vars("QWEN_API_KEY=test-api-key", mode=0o644)

    assert "chmod 600 .dev.vars" in machine.examine().text


def test_a_file_that_is_no_text_is_an_error(machine: Machine) -> None:
    machine.dev_vars(b"A=\xff\xfe")

    assert any("cannot be read" in text for text in machine.examine().of_level("error"))


@pytest.mark.parametrize(
    "text",
    [
        f"QWEN_CLI_AUTH='{login()}'",
        f'QWEN_CLI_AUTH="{login()}"',
        f"QWEN_CLI_AUTH={json.dumps(login())}",
        f"QWEN_CLI_AUTH=\n'{login()}'",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_login_is_read_however_it_is_quoted_and_saved(text: str, encoding: str, machine: Machine) -> None:
    machine.dev_vars(f"{text}\nCLIENT_KEYS={CLIENT_KEY}\n".replace("\n", "\r\n").encode(encoding))

    examination = machine.examine()

    assert examination.exit_code == 0, examination.text
    assert any("access token valid for 2 days 11 h" in found for found in examination.of_level("ok"))


def test_the_login_of_the_cli_is_looked_at(machine: Machine) -> None:
    file = machine.home / ".qwen" / "oauth_creds.json"
    file.parent.mkdir(parents=True)
    for content in (
        login().encode(),
        login().encode("utf-16"),
        json.dumps({"qwen": json.loads(login())}).encode(),
    ):
        file.write_bytes(content)
        assert "login: access token valid for 2 days 11 h" in machine.examine().text

    file.write_text("{}")
    assert "access_token: expected a non-empty string" in machine.examine().text


def test_a_healthy_gateway_is_recognised(machine: Machine, start_gateway: StartGateway) -> None:
    url = start_gateway({"/health": (200, HEALTHY), "/v1/models": (200, MODELS)}, key=CLIENT_KEY)
    machine.dev_vars(f"QWEN_API_KEY=test-api-key\nOPENAI_API_KEY={CLIENT_KEY}\n")

    examination = machine.examine(f"{url}/v1/")

    assert examination.exit_code == 0, examination.text
    assert "answers: qwen-worker-1.0.0" in examination.text
    assert "a: ready" in examination.text
    assert "models listed at /v1/models: 1" in examination.text


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({**HEALTHY, "reasons": ["LOG_LEVEL: expected a level"]}, "LOG_LEVEL: expected a level"),
        *(
            ({**HEALTHY, "accounts": [{"label": "a", "state": state, "credentials": {"state": state}}]}, text)
            for state, text in [
                ("missing", "no credential"),
                ("rejected", "refuses the login"),
                ("expired", "has expired"),
                ("discontinued", "OAuth tier is closed"),
            ]
        ),
        (
            {
                **HEALTHY,
                "accounts": [
                    *ACCOUNTS,
                    {"label": "b", "state": "cooldown", "credentials": {"state": "rejected"}},
                ],
            },
            "b: Qwen refuses",
        ),
        ({"status": "ok"}, "is not this gateway's"),
        ("<html>", "is not this gateway's"),
    ],
)
def test_what_is_wrong_with_a_gateway_is_said(
    health: Any, said: str, machine: Machine, start_gateway: StartGateway
) -> None:
    url = start_gateway({"/health": (200, health), "/v1/models": (200, MODELS)})

    examination = machine.examine(url)

    assert examination.exit_code == 1
    assert any(said in text for text in examination.of_level("error")), examination.text


def test_what_a_gateway_says_of_its_variables_is_passed_on(
    machine: Machine, start_gateway: StartGateway
) -> None:
    health = {**HEALTHY, "notices": ["UPSTREAM_ATTEMPTS: no longer used"]}
    url = start_gateway({"/health": (200, health), "/v1/models": (200, MODELS)})

    examination = machine.examine(url)

    assert examination.exit_code == 0, examination.text
    assert "it says: UPSTREAM_ATTEMPTS: no longer used" in examination.of_level("note")


def test_an_account_in_cooldown_is_no_error(machine: Machine, start_gateway: StartGateway) -> None:
    cooldown = {"label": "b", "state": "cooldown", "reason": "quota", "seconds_left": 720}
    accounts = [*ACCOUNTS, {**cooldown, "credentials": {"state": "ready"}}]
    url = start_gateway({"/health": (200, {**HEALTHY, "accounts": accounts}), "/v1/models": (200, MODELS)})

    examination = machine.examine(url)

    assert examination.exit_code == 0, examination.text
    assert "b: in cooldown for 12 min more (quota)" in examination.of_level("note")


def test_several_accounts_are_looked_at_one_by_one(machine: Machine) -> None:
    expired = login(access_token="access-token-2", refresh_token=None, expiry_date=1)
    machine.dev_vars(f"QWEN_CLI_AUTH='{login()}'\nQWEN_CLI_AUTH_2='{expired}'\nQWEN_API_KEY=test-api-key\n")

    examination = machine.examine()

    assert any(text.startswith("QWEN_CLI_AUTH_2: expired") for text in examination.of_level("error"))
    assert any(text.startswith("QWEN_CLI_AUTH: access token valid") for text in examination.of_level("ok"))
    assert any(text.startswith("QWEN_API_KEY: an API key for") for text in examination.of_level("ok"))


def test_keys_are_looked_at(machine: Machine, start_gateway: StartGateway) -> None:
    answers: dict[str, tuple[int, Any]] = {"/health": (200, HEALTHY), "/v1/models": (200, MODELS)}

    without = machine.examine(start_gateway(answers, key=CLIENT_KEY))
    assert without.exit_code == 0, without.text
    assert "/v1/models wants a client key" in without.text

    unprotected = machine.examine(start_gateway(answers))
    assert any("serves anyone" in text for text in unprotected.of_level("warning"))

    wrong = machine.examine(start_gateway(answers, key=CLIENT_KEY), OPENAI_API_KEY="another")
    assert any("refuses the client key" in text for text in wrong.of_level("error"))


def test_a_key_follows_no_redirect(machine: Machine, start_gateway: StartGateway) -> None:
    elsewhere = start_gateway({"/health": (200, HEALTHY)})
    url = start_gateway({"/health": (302, f"{elsewhere}/health")})

    examination = machine.examine(url, OPENAI_API_KEY=CLIENT_KEY)

    assert any("(HTTP 302)" in text for text in examination.of_level("error")), examination.text


def test_a_key_never_goes_out_in_the_clear(machine: Machine) -> None:
    examination = machine.examine("http://gateway.invalid", OPENAI_API_KEY=CLIENT_KEY)

    assert any("not https" in text for text in examination.of_level("error"))


def test_a_named_gateway_that_does_not_answer_is_an_error(machine: Machine) -> None:
    examination = machine.examine(f"http://127.0.0.1:{free_port()}")

    assert examination.exit_code == 1
    assert any("does not answer" in text for text in examination.of_level("error"))
