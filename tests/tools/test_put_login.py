import json
import time
from pathlib import Path
from typing import Any

import pytest

from qwen_worker.config.login import oauth_token_from
from tests.tools.checkout import LOGGED_IN, LOGGED_OUT, Checkout
from tools.cli_login import SECRET_LIMIT_BYTES

TOKENS = ("access-token-1", "refresh-token-1", "id-token-1")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path)
    checkout.answers(LOGGED_IN)
    return checkout


def login(**changes: Any) -> dict[str, Any]:
    """What the CLI writes; None removes a member."""
    members = {
        "access_token": TOKENS[0],
        "refresh_token": TOKENS[1],
        "token_type": "Bearer",
        "resource_url": "portal.qwen.ai",
        "expiry_date": int(time.time() * 1000) + 3 * 3_600_000,
        "id_token": TOKENS[2],
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def write_login(checkout: Checkout, text: str, name: str = "home/.qwen/oauth_creds.json") -> Path:
    file = checkout.root.parent / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def assert_silent_about_secrets(printed: str) -> None:
    assert not any(token in printed for token in TOKENS)


def test_the_login_of_the_cli_becomes_the_secret(checkout: Checkout) -> None:
    members = login()
    write_login(checkout, json.dumps(members, indent=2))

    result = checkout.make("login-secret")

    assert result.returncode == 0, result.stdout
    put = checkout.calls("wrangler")[-1]
    assert put.arguments == ["secret", "put", "QWEN_CLI_AUTH"]
    assert "\n" not in put.stdin
    assert oauth_token_from(json.loads(put.stdin)) == oauth_token_from(members)
    assert TOKENS[2] not in put.stdin
    assert "QWEN_CLI_AUTH is set" in result.stdout
    assert "valid for 2 h 59 min" in result.stdout
    assert_silent_about_secrets(result.stdout)


def test_another_file_and_another_secret_can_be_named(checkout: Checkout) -> None:
    file = write_login(checkout, json.dumps(login()), "second.json")

    result = checkout.make("login-secret", f"FILE={file}", "SECRET=QWEN_CLI_AUTH_2")

    assert result.returncode == 0, result.stdout
    assert checkout.calls("wrangler")[-1].arguments == ["secret", "put", "QWEN_CLI_AUTH_2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a JSON object"),
        ('["access-token-1"]', "expected the JSON object of oauth_creds.json"),
        (json.dumps(login(access_token=None)), "access_token: expected a non-empty string"),
        (json.dumps(login(expiry_date="refresh-token-1")), "expiry_date: expected milliseconds"),
        (json.dumps(login(refresh_token="r" * SECRET_LIMIT_BYTES)), f"holds {SECRET_LIMIT_BYTES}"),
        (json.dumps(login(refresh_token=None, expiry_date=1)), "there is no refresh token"),
    ],
)
def test_what_is_no_usable_login_is_not_sent(text: str, said: str, checkout: Checkout) -> None:
    write_login(checkout, text)

    result = checkout.run("tools.put_login")

    assert result.returncode == 1
    assert said in result.stdout
    assert checkout.calls() == []
    assert_silent_about_secrets(result.stdout)


def test_a_missing_file_is_named(checkout: Checkout) -> None:
    result = checkout.run("tools.put_login")

    assert result.returncode == 1
    assert ".qwen/oauth_creds.json cannot be read: No such file" in result.stdout


def test_an_expired_login_that_can_be_refreshed_is_sent(checkout: Checkout) -> None:
    write_login(checkout, json.dumps(login(expiry_date=1)))

    assert checkout.run("tools.put_login").returncode == 0
    assert checkout.calls("wrangler")[-1].arguments[:2] == ["secret", "put"]


def test_without_a_login_at_cloudflare_nothing_is_sent(checkout: Checkout) -> None:
    write_login(checkout, json.dumps(login()))
    checkout.answers(LOGGED_OUT)

    result = checkout.run("tools.put_login")

    assert result.returncode == 1
    assert "npx wrangler login" in result.stdout
    assert [call.arguments[0] for call in checkout.calls("wrangler")] == ["whoami"]


def test_wranglers_failure_is_not_taken_for_success(checkout: Checkout) -> None:
    write_login(checkout, json.dumps(login()))
    checkout.answers({**LOGGED_IN, "wrangler secret put": (1, "")})

    result = checkout.run("tools.put_login")

    assert result.returncode == 1
    assert "QWEN_CLI_AUTH is not set" in result.stdout


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "QWEN_CLI_AUTH_1", "QWEN_CLI_AUTH_21", "--force"])
def test_no_other_secret_can_be_overwritten(name: str, checkout: Checkout) -> None:
    write_login(checkout, json.dumps(login()))

    result = checkout.run("tools.put_login", variables={"SECRET": name})

    assert result.returncode == 1
    assert "SECRET must be" in result.stdout
    assert checkout.calls() == []
