import json
from pathlib import Path

import pytest

from tests.tools.checkout import LOGGED_IN, LOGGED_OUT, Checkout
from tools.checks import Check
from tools.deploy import secret_checks
from tools.pywrangler import pinned_requirement
from tools.repository import ROOT

SECRET_LIST = "wrangler secret list"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def secrets(*names: str) -> dict[str, tuple[int, str]]:
    return {SECRET_LIST: (0, json.dumps([{"name": name, "type": "secret_text"} for name in names]))}


def test_it_hands_over_to_pywrangler(checkout: Checkout) -> None:
    checkout.answers({**LOGGED_IN, **secrets("QWEN_API_KEY", "OPENAI_API_KEY")})

    result = checkout.run("tools.deploy")

    assert result.returncode == 0, result.stdout
    assert "warning" not in result.stdout
    (call,) = checkout.calls("uv")
    assert call.arguments == ["tool", "run", "--from", pinned_requirement(), "pywrangler", "deploy"]
    assert call.cwd == str(checkout.root)


def test_make_passes_arguments_on_and_a_dry_run_asks_cloudflare_nothing(checkout: Checkout) -> None:
    result = checkout.make("deploy", "ARGS=--dry-run")

    assert result.returncode == 0, result.stdout
    assert checkout.calls("uv")[0].arguments[-2:] == ["deploy", "--dry-run"]
    assert checkout.calls("wrangler") == []


def test_everything_that_is_missing_here_is_said_at_once(checkout: Checkout) -> None:
    checkout.remove("uv")
    checkout.versions({"node": "v20.1.0"})

    result = checkout.run("tools.deploy")

    assert result.returncode == 1
    assert "Node.js v20.1.0 is too old" in result.stdout
    assert "https://nodejs.org" in result.stdout
    assert "uv is missing" in result.stdout
    assert "https://docs.astral.sh/uv/" in result.stdout
    assert "nothing was sent" in result.stdout
    assert checkout.calls() == []


@pytest.mark.parametrize("program", ["node", "npm"])
def test_a_missing_program_is_named(program: str, checkout: Checkout) -> None:
    checkout.remove(program)

    result = checkout.run("tools.deploy")

    assert result.returncode == 1
    assert {"node": "Node.js is missing", "npm": "npm is missing"}[program] in result.stdout
    assert checkout.calls() == []


def test_without_a_login_at_cloudflare_nothing_is_sent(checkout: Checkout) -> None:
    checkout.answers(LOGGED_OUT)

    result = checkout.run("tools.deploy")

    assert result.returncode == 1
    assert "npx wrangler login" in result.stdout
    assert "nothing was sent" in result.stdout
    assert checkout.calls("uv") == []


@pytest.mark.parametrize(
    ("set_secrets", "warnings"),
    [
        ([], ["credentials_missing", "CLIENT_KEYS is not set"]),
        (["CLIENT_KEYS"], ["credentials_missing"]),
        (["QWEN_CLI_AUTH"], ["CLIENT_KEYS is not set"]),
        (["QWEN_CLI_AUTH_2", "OPENAI_API_KEY"], []),
    ],
)
def test_missing_secrets_are_warned_of_and_do_not_stop_it(
    set_secrets: list[str], warnings: list[str], checkout: Checkout
) -> None:
    checkout.answers({**LOGGED_IN, **secrets(*set_secrets)})

    result = checkout.run("tools.deploy")

    assert result.returncode == 0, result.stdout
    assert result.stdout.count("warning") == len(warnings)
    for text in warnings:
        assert text in result.stdout
    assert len(checkout.calls("uv")) == 1


def test_the_first_deployment_says_which_secrets_come_next(checkout: Checkout) -> None:
    checkout.answers({**LOGGED_IN, SECRET_LIST: (1, "")})

    result = checkout.run("tools.deploy")

    assert result.returncode == 0, result.stdout
    assert "npx wrangler secret put CLIENT_KEYS" in result.stdout
    assert "make login-secret" in result.stdout
    assert len(checkout.calls("uv")) == 1


def test_a_failed_deployment_is_a_failure(checkout: Checkout) -> None:
    checkout.answers({**LOGGED_IN, "uv tool run": (3, "")})

    assert checkout.run("tools.deploy").returncode == 3


def test_a_build_at_cloudflare_deploys_with_the_same_version() -> None:
    script = json.loads((ROOT / "package.json").read_text())["scripts"]["deploy"]

    assert f"--from {pinned_requirement()} pywrangler deploy" in script


def test_variables_of_wrangler_toml_count() -> None:
    checks = secret_checks(["QWEN_API_KEY"], ["OPENAI_API_KEY"])

    assert [check.level for check in checks] == ["ok", "ok"]
    assert all(isinstance(check, Check) for check in checks)
