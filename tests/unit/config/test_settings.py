import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qwen_worker.config.client_keys import ClientKey
from qwen_worker.config.settings import REMOVED, Settings

LOGIN = {
    "access_token": "access-token-1",
    "token_type": "Bearer",
    "refresh_token": "refresh-token-1",
    "resource_url": "portal.qwen.ai",
    "expiry_date": 1_700_000_000_000,
}
VARIABLES = (
    "QWEN_CLI_AUTH",
    "QWEN_CLI_AUTH_2",
    "QWEN_API_KEY",
    "QWEN_API_KEY_2",
    "CLIENT_KEYS",
    "OPENAI_API_KEY",
    "DEFAULT_MODEL",
    "MODEL_ALIASES",
    "OPENAI_MODEL",
    "QWEN_MODELS",
    "QWEN_BASE_URL",
    "OPENAI_BASE_URL",
    "QWEN_OAUTH_BASE_URL",
    "LOG_LEVEL",
    "REQUEST_BODY_LIMIT_BYTES",
    "UPSTREAM_TIMEOUT_SECONDS",
    "STREAM_KEEP_ALIVE_SECONDS",
    "STREAM_IDLE_TIMEOUT_SECONDS",
    *REMOVED,
)


def read(**variables: str) -> Settings:
    return Settings.from_env(variables)


def problems(**variables: str) -> list[str]:
    return [problem.variable for problem in read(**variables).problems]


def test_nothing_set_gives_the_defaults_without_a_problem() -> None:
    settings = read()
    assert settings == Settings()
    assert settings.problems == ()


@pytest.mark.parametrize("blank", ["", "   ", "\n"])
def test_blank_values_count_as_not_set(blank: str) -> None:
    assert read(**dict.fromkeys(VARIABLES, blank)) == Settings()


@pytest.mark.parametrize("indent", [None, 2])
def test_a_login_is_read_as_the_cli_wrote_it(indent: int | None) -> None:
    [account] = read(QWEN_CLI_AUTH=json.dumps(LOGIN, indent=indent)).accounts
    token = account.login
    assert token is not None
    assert token.access_token == "access-token-1"
    assert token.refresh_token == "refresh-token-1"
    assert token.resource_url == "portal.qwen.ai"
    assert token.expiry_date_ms == 1_700_000_000_000


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("not json", "QWEN_CLI_AUTH"),
        ("[]", "QWEN_CLI_AUTH"),
        (json.dumps({**LOGIN, "access_token": None}), "QWEN_CLI_AUTH (access_token)"),
        (json.dumps({**LOGIN, "refresh_token": 5}), "QWEN_CLI_AUTH (refresh_token)"),
        (json.dumps({**LOGIN, "expiry_date": "soon"}), "QWEN_CLI_AUTH (expiry_date)"),
    ],
)
def test_a_malformed_login_is_reported_by_field_and_not_shown(value: str, where: str) -> None:
    settings = read(QWEN_CLI_AUTH=value)
    assert [problem.variable for problem in settings.problems] == [where]
    assert [account.login for account in settings.accounts] == [None]
    assert "token-1" not in str(settings.problems)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENAI_BASE_URL", "dashscope"),
        ("OPENAI_BASE_URL", "ftp://example.com"),
        ("OPENAI_BASE_URL", "https://user:secret@example.com/v1"),
        ("QWEN_BASE_URL", "ftp://example.com"),
        ("QWEN_OAUTH_BASE_URL", "https://"),
        ("CLIENT_KEYS", ","),
        ("OPENAI_API_KEY", " , "),
        ("QWEN_API_KEY", "pasted\u2026key"),
    ],
)
def test_what_would_be_unsafe_to_ignore_is_fatal(variable: str, value: str) -> None:
    problem = read(**{variable: value}).fatal_problem
    assert problem is not None
    assert problem.variable == variable
    assert value not in str(problem)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOG_LEVEL", "loud"),
        ("REQUEST_BODY_LIMIT_BYTES", "1MB"),
        ("UPSTREAM_TIMEOUT_SECONDS", "nan"),
        ("STREAM_KEEP_ALIVE_SECONDS", "-1"),
        ("STREAM_IDLE_TIMEOUT_SECONDS", "inf"),
        ("OPENAI_MODEL", "=x"),
        ("OPENAI_MODEL", "qwen3-coder-plus,qwen3-coder-plus"),
        ("MODEL_ALIASES", "gpt-4o="),
        ("MODEL_ALIASES", "qwen3-max"),
        ("QWEN_MODELS", ","),
    ],
)
def test_other_bad_values_are_named_and_the_default_is_used(variable: str, value: str) -> None:
    settings = read(**{variable: value})
    assert [problem.variable for problem in settings.problems] == [variable]
    assert settings.fatal_problem is None
    assert settings._replace(problems=()) == Settings()


@pytest.mark.parametrize("name", ["CLIENT_KEYS", "OPENAI_API_KEY"])
def test_client_keys_are_separated_by_commas(name: str) -> None:
    assert read(**{name: " one, two ,,three"}).client_keys == tuple(map(ClientKey, ("one", "two", "three")))


@pytest.mark.parametrize("name", REMOVED)
def test_a_variable_that_is_no_longer_used_is_noticed_and_changes_nothing(name: str) -> None:
    settings = read(**{name: "a value"})
    [notice] = settings.notices
    assert str(notice).startswith(f"{name}: no longer used")
    assert "a value" not in str(notice)
    assert settings._replace(notices=()) == Settings()


NAMES_AND_OLDER_NAMES = [
    ("CLIENT_KEYS", "one,two", "OPENAI_API_KEY", "one, two", "three", True),
    (
        "QWEN_BASE_URL",
        "https://a.example/v1",
        "OPENAI_BASE_URL",
        "https://a.example/v1/",
        "https://b.example",
        True,
    ),
    ("DEFAULT_MODEL", "qwen3-max", "OPENAI_MODEL", "qwen3-max", "qwen3-coder-flash", False),
    ("MODEL_ALIASES", "a=x,b=y", "OPENAI_MODEL", "b=y, a=x", "a=x", False),
]


@pytest.mark.parametrize(("name", "value", "older_name", "same", "other", "fatal"), NAMES_AND_OLDER_NAMES)
def test_older_names_stay_valid_and_two_different_values_are_a_problem(
    name: str, value: str, older_name: str, same: str, other: str, fatal: bool
) -> None:
    settings = read(**{name: value})
    assert settings != Settings()
    assert read(**{older_name: same}) == settings
    assert read(**{name: value, older_name: same}) == settings

    contradicted = read(**{name: value, older_name: other})
    [problem] = contradicted.problems
    assert (problem.variable, problem.fatal) == (name, fatal)
    assert older_name in problem.expected
    assert contradicted._replace(problems=()) == settings


def test_the_default_model_and_aliases_may_come_from_different_variables() -> None:
    settings = read(DEFAULT_MODEL="qwen3-max", OPENAI_MODEL="a=x")
    assert (settings.default_model, settings.model_aliases) == ("qwen3-max", {"a": "x"})
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("value", "default", "aliases"),
    [
        ("qwen3-max", "qwen3-max", {}),
        (
            "qwen3-max, gpt-4o = qwen3-coder-plus, gpt-4o-mini=qwen3-coder-flash",
            "qwen3-max",
            {"gpt-4o": "qwen3-coder-plus", "gpt-4o-mini": "qwen3-coder-flash"},
        ),
        ("gpt-4o=qwen3-max", "qwen3-coder-plus", {"gpt-4o": "qwen3-max"}),
    ],
)
def test_the_default_model_may_be_followed_by_aliases(
    value: str, default: str, aliases: dict[str, str]
) -> None:
    settings = read(OPENAI_MODEL=value)
    assert settings.default_model == default
    assert settings.model_aliases == aliases
    assert settings.problems == ()


def test_the_default_model_is_always_listed() -> None:
    assert read(OPENAI_MODEL="qwen3-max").models == ()
    assert read(QWEN_MODELS="a,b", OPENAI_MODEL="b").models == ("a", "b")


def test_base_urls_lose_their_trailing_slashes() -> None:
    assert read(OPENAI_BASE_URL="https://example.com/v1//").base_url == "https://example.com/v1"


@hypothesis_settings(deadline=None)
@given(st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=40)))
def test_no_value_makes_reading_fail_or_appears_in_a_problem(variables: dict[str, str]) -> None:
    settings = Settings.from_env(variables)
    for problem in settings.problems:
        assert problem.variable.split(" ")[0] in variables
