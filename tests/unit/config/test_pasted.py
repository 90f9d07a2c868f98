"""Values as people paste them: each kind of paste, and their combinations."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from qwen_worker.config.login import OAuthToken
from qwen_worker.config.settings import Settings

KEY = "sk-pasted-key-1"
BOM = "\ufeff"
DASHSCOPE = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
EXPIRY_MS = 1_800_000_000_000
LOGIN: dict[str, Any] = {
    "access_token": "access-token-of-a-login-1",
    "refresh_token": "refresh-token-of-a-login-1",
    "resource_url": "portal.qwen.ai",
    "expiry_date": EXPIRY_MS,
}
TOKEN = OAuthToken(LOGIN["access_token"], LOGIN["refresh_token"], EXPIRY_MS, "portal.qwen.ai")
SECRETS = (KEY, *map(str, LOGIN.values()), "client-key-1", "client-key-2")

Accident = Callable[[str], str]


def read(**variables: str) -> Settings:
    """The settings of these variables, none of which shows in what is said about them."""
    settings = Settings.from_env(variables)
    said = " ".join(map(str, (*settings.problems, *settings.notices)))
    assert not any(secret in said for secret in SECRETS)
    return settings


def key_of(settings: Settings) -> str | None:
    assert settings.problems == ()
    [account] = settings.accounts
    return account.api_key


def login_of(settings: Settings) -> OAuthToken | None:
    assert settings.problems == ()
    [account] = settings.accounts
    return account.login


def said(settings: Settings) -> str:
    return "; ".join(map(str, settings.notices))


def as_utf_16(text: str) -> str:
    """What becomes of UTF-16 that is read as UTF-8."""
    return text.encode("utf-16").decode("utf-8", "replace")


class Around:
    """Puts something around a text."""

    def __init__(self, before: str, after: str = "") -> None:
        self.before = before
        self.after = after

    def __call__(self, text: str) -> str:
        return f"{self.before}{text}{self.after}"

    def __repr__(self) -> str:
        return f"Around({self.before!r}, {self.after!r})"


# --- keys


JSON_MEMBER = Around('"QWEN_API_KEY": "', '",')

KEY_PASTES: list[tuple[Accident, str]] = [
    (Around(BOM), "invisible characters"),
    (Around("\u200b", "\u200d\u2060"), "invisible characters"),
    (lambda key: f"{key[:5]}\u200b{key[5:]}", "invisible characters"),
    (Around("\x1b[200~", "\x1b[201~"), "invisible characters"),
    (as_utf_16, "UTF-16"),
    (lambda key: key.encode("utf-16-be").decode(), "UTF-16"),
    (Around("\u00a0", "\u202f"), ""),
    (Around("", "\r\n"), ""),
    (Around("  ", "\n\n"), ""),
    (Around('"', '"'), "quotes"),
    (Around("'", "'"), "quotes"),
    (Around("`", "`"), "quotes"),
    (Around("\u201c", "\u201d"), "quotes"),
    (Around("\u201e", "\u201c"), "quotes"),
    (Around("\u2018", "\u2019"), "quotes"),
    (Around("QWEN_API_KEY="), "name"),
    (Around("QWEN_API_KEY = "), "name"),
    (Around("QWEN_API_KEY: "), "name"),
    (Around("export QWEN_API_KEY="), "name"),
    (Around("$env:QWEN_API_KEY="), "name"),
    (Around("DASHSCOPE_API_KEY="), "name"),
    (JSON_MEMBER, "name"),
    (Around("QWEN_API_KEY='", "'"), "quotes"),
    (Around("Bearer "), "Bearer"),
    (Around("BEARER  "), "Bearer"),
    (Around("Authorization: Bearer "), "Bearer"),
    (Around("", ","), "comma or semicolon"),
    (Around("", ";"), "comma or semicolon"),
    (Around('"', '",'), "comma or semicolon"),
]


@pytest.mark.parametrize(("accident", "told"), KEY_PASTES)
def test_a_key_is_read_as_it_was_meant(accident: Accident, told: str) -> None:
    settings = read(QWEN_API_KEY=accident(KEY))
    assert key_of(settings) == KEY
    assert told in said(settings)
    assert settings.accounts == read(QWEN_API_KEY=KEY).accounts
    if told:
        assert settings.notices[0].text.startswith("mended: ")


@pytest.mark.parametrize("accident", [accident for accident, _ in KEY_PASTES])
def test_keys_in_json_are_read_as_they_were_meant(accident: Accident) -> None:
    value = json.dumps([{"api_key": accident(KEY)}, accident("sk-another-key")], ensure_ascii=False)
    assert [account.api_key for account in read(QWEN_API_KEY=value).accounts] == [KEY, "sk-another-key"]


@pytest.mark.parametrize("accident", [accident for accident, told in KEY_PASTES if "name" not in told])
def test_a_numbered_variable_is_read_the_same_way(accident: Accident) -> None:
    settings = read(QWEN_API_KEY_2=accident(KEY))
    assert key_of(settings) == KEY


def test_a_plain_key_is_not_touched() -> None:
    assert read(QWEN_API_KEY=KEY).notices == ()


@pytest.mark.parametrize(
    "value",
    [
        "sk-a sk-b",
        "sk-a,sk-b",
        'sk-"a',
        "sk-\u2026",
        '""',
        BOM,
        '["a"',
        "sk-a\nsk-b",
        "\u201c\u201d",
    ],
)
def test_a_key_that_cannot_be_told_is_named(value: str) -> None:
    [problem] = read(QWEN_API_KEY=value).problems
    assert (problem.variable, problem.fatal) == ("QWEN_API_KEY", True)


ONE_OF_A_KIND: list[list[Accident]] = [
    [paste for paste, told in KEY_PASTES if told == kind and paste is not JSON_MEMBER]
    for kind in ("", "quotes", "name", "Bearer", "comma or semicolon")
]
OUTERMOST = [
    Around(""),
    Around(BOM),
    Around("\u200b", "\u200d\u2060"),
    Around("\x1b[200~", "\x1b[201~"),
    as_utf_16,
]


@hypothesis_settings(deadline=None, max_examples=400)
@given(
    st.permutations(ONE_OF_A_KIND).flatmap(lambda kinds: st.tuples(*map(st.sampled_from, kinds))),
    st.integers(0, 5),
    st.sampled_from(OUTERMOST),
)
def test_accidents_of_a_key_may_come_together(
    accidents: tuple[Accident, ...], count: int, outermost: Accident
) -> None:
    value = KEY
    for accident in accidents[:count]:
        value = accident(value)
    if value.isascii() or outermost is not as_utf_16:  # other characters do not outlive UTF-16 read as UTF-8
        value = outermost(value)
    assert key_of(read(QWEN_API_KEY=value)) == KEY


# --- logins


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CAMEL_CASE = {
    "accessToken": LOGIN["access_token"],
    "refreshToken": LOGIN["refresh_token"],
    "resourceUrl": LOGIN["resource_url"],
    "expiryDate": EXPIRY_MS,
}

LOGIN_PASTES: list[tuple[str, str]] = [
    (json.dumps(compact(LOGIN)), "escapes"),
    (compact(LOGIN).replace('"', '\\"'), "escapes"),
    (json.dumps(json.dumps(compact(LOGIN))), "escapes"),
    (f'"{compact(LOGIN)}"', "quotes"),
    (f"'{compact(LOGIN)}'", "quotes"),
    (f"\u201c{compact(LOGIN)}\u201d", "quotes"),
    (compact(LOGIN).replace('"', "\u201d"), "curly quotes"),
    (compact(LOGIN).replace('"', "'"), "single quotes"),
    (encoded(compact(LOGIN)), "base64"),
    (encoded(compact(LOGIN)).rstrip("="), "base64"),
    (base64.encodebytes(json.dumps(LOGIN, indent=2).encode()).decode(), "base64"),
    (base64.urlsafe_b64encode(compact(LOGIN).encode()).decode(), "base64"),
    (base64.b64encode(compact(LOGIN).encode("utf-16")).decode(), "base64"),
    (f"{compact(LOGIN)},", "comma or semicolon"),
    (f"{compact(LOGIN)[:-1]},}}", "a comma too many"),
    (f"[{compact(LOGIN)},]", "a comma too many"),
    (f"QWEN_CLI_AUTH='{compact(LOGIN)}'", "name"),
    (BOM + json.dumps(LOGIN, indent=2), "invisible"),
    (as_utf_16(json.dumps(LOGIN, indent=2)), "UTF-16"),
    (json.dumps(LOGIN, indent=2).replace("\n", "\r\n"), ""),
    (json.dumps(LOGIN, indent=2).replace(" ", "\u00a0"), "no-break spaces"),
    (compact({"oauth_creds": LOGIN}), "an object around it"),
    (compact({"version": 1, "providers": {"qwen": LOGIN}}), "an object around it"),
    (compact({"QWEN_CLI_AUTH": compact(LOGIN)}), "an object around it"),
    (compact({"accounts": [LOGIN]}), "an object around it"),
    (compact(CAMEL_CASE), "other names"),
    (compact({"credentials": CAMEL_CASE}), "other names"),
    (compact({**LOGIN, "expiry_date": EXPIRY_MS // 1000}), "in seconds"),
    (compact({**LOGIN, "expiry_date": EXPIRY_MS / 1000}), "in seconds"),
    (compact({**LOGIN, "expiry_date": str(EXPIRY_MS)}), "as a text"),
    (compact({**LOGIN, "expiry_date": str(EXPIRY_MS // 1000)}), "as a text"),
    (compact({**LOGIN, "expiry_date": "2027-01-15T08:00:00Z"}), "as a text"),
    (compact({**LOGIN, "expiry_date": "2027-01-15T09:00:00.000+01:00"}), "as a text"),
    (compact({**LOGIN, "expiry_date": "2027-01-15 08:00:00"}), "as a text"),
    (compact({**LOGIN, "access_token": f" {LOGIN['access_token']}\n"}), "spaces at the ends"),
    (compact({**LOGIN, "refresh_token": f"{BOM}{LOGIN['refresh_token']}\u00a0"}), "spaces at the ends"),
]


@pytest.mark.parametrize(("value", "told"), LOGIN_PASTES)
def test_a_login_is_read_as_it_was_meant(value: str, told: str) -> None:
    settings = read(QWEN_CLI_AUTH=value)
    assert login_of(settings) == TOKEN
    assert told in said(settings)
    assert bool(told) == bool(settings.notices)
    assert settings.accounts[0].identity == read(QWEN_CLI_AUTH=compact(LOGIN)).accounts[0].identity


def test_a_login_as_the_cli_writes_it_is_not_touched() -> None:
    assert read(QWEN_CLI_AUTH=json.dumps(LOGIN, indent=2)).notices == ()


@pytest.mark.parametrize(
    "token", [LOGIN["access_token"], "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"]
)
@pytest.mark.parametrize("accident", [Around(""), Around("Bearer "), Around('"', '"')])
def test_a_bare_access_token_is_used_and_said_to_end(token: str, accident: Accident) -> None:
    settings = read(QWEN_CLI_AUTH=accident(token))
    assert login_of(settings) == OAuthToken(token)
    assert "not be renewed" in said(settings)


def test_what_belongs_to_an_account_may_be_in_the_object_around_it() -> None:
    value = {"label": "work", "priority": 3, "login": {**LOGIN, "priority": 4}}
    [account] = read(QWEN_CLI_AUTH=compact(value)).accounts
    assert (account.label, account.priority) == ("work", 4)


def test_several_logins_may_be_wrapped() -> None:
    second = {**CAMEL_CASE, "accessToken": "access-token-of-a-login-2"}
    settings = read(QWEN_CLI_AUTH=compact({"accounts": [LOGIN, {"tokens": second}]}))
    assert [account.login and account.login.access_token for account in settings.accounts] == [
        LOGIN["access_token"],
        second["accessToken"],
    ]


@pytest.mark.parametrize(
    ("value", "where", "expected"),
    [
        ("sk-an-api-key-1234567890", "QWEN_CLI_AUTH", "QWEN_API_KEY"),
        ("{}", "QWEN_CLI_AUTH (access_token)", "a non-empty string"),
        ('{"login": {}}', "QWEN_CLI_AUTH (access_token)", "a non-empty string"),
        ("a login", "QWEN_CLI_AUTH", "oauth_creds.json"),
        ("[" * 5000, "QWEN_CLI_AUTH", "oauth_creds.json"),
        ('{"a":' * 1000 + "{}" + "}" * 1000, "QWEN_CLI_AUTH", "oauth_creds.json"),
        ("[" * 100 + "]" * 100, "QWEN_CLI_AUTH (item 1)", "oauth_creds.json"),
        (compact(LOGIN)[:-20], "QWEN_CLI_AUTH", "oauth_creds.json"),
        (compact({**LOGIN, "expiry_date": "tomorrow"}), "QWEN_CLI_AUTH (expiry_date)", "milliseconds"),
    ],
)
def test_a_login_that_cannot_be_told_is_named(value: str, where: str, expected: str) -> None:
    [problem] = read(QWEN_CLI_AUTH=value).problems
    assert problem.variable == where
    assert expected in problem.expected


objects = st.sampled_from([LOGIN, CAMEL_CASE, {**LOGIN, "expiry_date": "2027-01-15T08:00:00Z"}])
wrappings = st.sampled_from(
    [lambda login: login, lambda login: {"a": login}, lambda login: {"b": {"c": login}}]
)
spellings = st.sampled_from([compact, lambda value: json.dumps(value, indent=2)])
slips: "st.SearchStrategy[Accident]" = st.sampled_from(
    [Around(""), lambda text: text.replace('"', "\u201c"), lambda text: text.replace("}", ",}")]
)
encodings: "st.SearchStrategy[Accident]" = st.sampled_from(
    [Around(""), json.dumps, lambda text: json.dumps(text, ensure_ascii=False), encoded]
)
surroundings: "st.SearchStrategy[list[Accident]]" = st.lists(
    st.sampled_from(
        [
            *(Around(BOM), Around("", "\r\n"), Around("\u00a0", " "), Around("'", "'")),
            *(
                Around("QWEN_CLI_AUTH="),
                Around("export QWEN_CLI_AUTH="),
                Around("", ","),
                Around("", ";"),
            ),
        ]
    ),
    max_size=4,
    unique_by=repr,
)


@hypothesis_settings(deadline=None, max_examples=300)
@given(objects, wrappings, spellings, slips, encodings, surroundings)
def test_accidents_of_a_login_may_come_together(
    value: Any,
    wrap: Callable[[Any], Any],
    spell: Callable[[Any], str],
    slip: Accident,
    encode: Accident,
    surround: list[Accident],
) -> None:
    text = encode(slip(spell(wrap(value))))
    for accident in surround:
        text = accident(text)
    assert login_of(read(QWEN_CLI_AUTH=text)) == TOKEN


# --- addresses


@pytest.mark.parametrize(
    ("value", "url", "told"),
    [
        (DASHSCOPE, DASHSCOPE, ""),
        (f"{DASHSCOPE}/", DASHSCOPE, ""),
        (f"{DASHSCOPE}/chat/completions", DASHSCOPE, "endpoint"),
        (f"{DASHSCOPE}/chat/completions/", DASHSCOPE, "endpoint"),
        (f"{DASHSCOPE}/models", DASHSCOPE, "endpoint"),
        (f"{DASHSCOPE}/embeddings", DASHSCOPE, "endpoint"),
        (f"{DASHSCOPE}/responses", DASHSCOPE, "endpoint"),
        (f"{DASHSCOPE},", DASHSCOPE, "comma"),
        (f'"{DASHSCOPE}"', DASHSCOPE, "quotes"),
        (f"\u201c{DASHSCOPE}\u201d;", DASHSCOPE, "quotes"),
        (f"QWEN_BASE_URL={DASHSCOPE}", DASHSCOPE, "name"),
        (f"OPENAI_BASE_URL: {DASHSCOPE}", DASHSCOPE, "name"),
        (f"{BOM}{DASHSCOPE}", DASHSCOPE, "invisible"),
        (f"{DASHSCOPE}?", DASHSCOPE, ""),
        (DASHSCOPE.removeprefix("https://"), DASHSCOPE, "no scheme"),
        ("dashscope-intl.aliyuncs.com", DASHSCOPE, "another path"),
        ("https://dashscope-intl.aliyuncs.com", DASHSCOPE, "another path"),
        ("https://dashscope-intl.aliyuncs.com/v1", DASHSCOPE, "another path"),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode", DASHSCOPE, "another path"),
        ("https://dashscope-intl.aliyuncs.com/apps/anthropic", DASHSCOPE, "another path"),
        ("https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages", DASHSCOPE, "another path"),
        ("https://dashscope-intl.aliyuncs.com/api/v1", DASHSCOPE, "another path"),
        (
            "https://token-plan.ap-southeast-1.maas.aliyuncs.com/apps/anthropic",
            "https://token-plan.ap-southeast-1.maas.aliyuncs.com/compatible-mode/v1",
            "another path",
        ),
        (
            "https://coding-intl.dashscope.aliyuncs.com/apps/anthropic",
            "https://coding-intl.dashscope.aliyuncs.com/v1",
            "another path",
        ),
        (
            "https://coding.dashscope.aliyuncs.com/v1",
            "https://coding.dashscope.aliyuncs.com/v1",
            "",
        ),
        ("portal.qwen.ai", "https://portal.qwen.ai/v1", "another path"),
        ("https://api-inference.modelscope.cn", "https://api-inference.modelscope.cn/v1", "another path"),
        ("https://example.com", "https://example.com", ""),
        ("https://example.com/proxy/qwen", "https://example.com/proxy/qwen", ""),
        ("https://example.com/v1/chat/completions", "https://example.com/v1", "endpoint"),
        ("https://models.example.com", "https://models.example.com", ""),
        (
            "https://dashscope-intl.aliyuncs.com/something/new",
            "https://dashscope-intl.aliyuncs.com/something/new",
            "",
        ),
        ("localhost:11434/v1", "http://localhost:11434/v1", "no scheme"),
        ("192.168.1.5:8000/v1/models", "http://192.168.1.5:8000/v1", "endpoint"),
        ("HTTPS://example.com/v1", "HTTPS://example.com/v1", ""),
    ],
)
@pytest.mark.parametrize("where", ["QWEN_BASE_URL", "OPENAI_BASE_URL", "account"])
def test_a_base_url_is_read_as_it_was_meant(value: str, url: str, told: str, where: str) -> None:
    if where == "account":
        settings = read(QWEN_API_KEY=json.dumps({"api_key": KEY, "base_url": value}))
        found = settings.accounts[0].base_url
    else:
        settings = read(**{where: value})
        found = settings.base_url
    assert settings.problems == ()
    assert found == url
    assert told in said(settings)
    assert told or not settings.notices


@pytest.mark.parametrize(
    "value",
    [
        *(
            "nonsense",
            "ftp://example.com",
            "https:/example.com",
            "user:secret@example.com",
            "https://",
            "/v1",
        ),
        *("https://a b.example/v1", "https://example.com/v1?key=1", "1", "{}", "example.com:0/v1"),
    ],
)
def test_an_address_that_cannot_be_told_is_named(value: str) -> None:
    problem = read(QWEN_BASE_URL=value).fatal_problem
    assert problem is not None
    assert problem.variable == "QWEN_BASE_URL"


hosts = st.sampled_from(
    [
        "dashscope.aliyuncs.com",
        "portal.qwen.ai",
        "coding.dashscope.aliyuncs.com",
        "example.com",
        "127.0.0.1:80",
    ]
)
paths = st.lists(
    st.sampled_from(
        ["v1", "api", "compatible-mode", "apps", "anthropic", "chat", "completions", "models", "..", "x"]
    )
    | st.text(alphabet="ab/@:?#\\%. ", max_size=4),
    max_size=4,
)


@hypothesis_settings(deadline=None, max_examples=300)
@given(st.sampled_from(["", "https://", "http://"]), hosts, paths)
def test_a_mended_address_is_never_that_of_another_host(scheme: str, host: str, path: list[str]) -> None:
    base_url = read(QWEN_BASE_URL="/".join([f"{scheme}{host}", *path])).base_url
    if base_url is not None:
        assert urlsplit(base_url).netloc == host
        assert scheme in base_url


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("chat.qwen.ai", "https://chat.qwen.ai"),
        ("https://chat.qwen.ai/api/v1/oauth2/token", "https://chat.qwen.ai"),
        ("https://chat.qwen.ai/,", "https://chat.qwen.ai"),
        ("https://example.com/api/v1", "https://example.com/api/v1"),
    ],
)
def test_the_token_endpoints_host_is_read_as_it_was_meant(value: str, url: str) -> None:
    settings = read(QWEN_OAUTH_BASE_URL=value)
    assert settings.problems == ()
    assert settings.oauth_base_url == url


@pytest.mark.parametrize("value", ["undefined", "null", "None", " undefined "])
def test_a_resource_url_that_is_none_is_passed_over_and_told(value: str) -> None:
    settings = read(QWEN_CLI_AUTH=compact({**LOGIN, "resource_url": value}))
    assert settings.problems == ()
    assert "`resource_url`" in said(settings)


# --- lists


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("client-key-1,client-key-2", ""),
        ("client-key-1, client-key-2,", "comma"),
        ("client-key-1\nclient-key-2", ""),
        ("client-key-1\r\nclient-key-2\r\n", ""),
        ("client-key-1;client-key-2", "semicolons"),
        ("client-key-1 ; client-key-2", "semicolons"),
        ('["client-key-1", "client-key-2"]', ""),
        ('[\n  "client-key-1",\n  "client-key-2",\n]', "a comma too many"),
        ("['client-key-1', 'client-key-2']", "single quotes"),
        ('"client-key-1","client-key-2"', "quotes"),
        ("\u201cclient-key-1\u201d, \u201cclient-key-2\u201d", "quotes"),
        ('"client-key-1,client-key-2"', "quotes"),
        ("Bearer client-key-1, Bearer client-key-2", "Bearer"),
        ("CLIENT_KEYS=client-key-1,client-key-2", "name"),
        ("OPENAI_API_KEY='client-key-1,client-key-2'", "name"),
        (f"{BOM}client-key-1,\u00a0client-key-2", "invisible"),
        (as_utf_16("client-key-1,client-key-2\r\n"), "UTF-16"),
        (json.dumps('["client-key-1","client-key-2"]'), "escapes"),
    ],
)
@pytest.mark.parametrize("name", ["CLIENT_KEYS", "OPENAI_API_KEY"])
def test_client_keys_are_read_as_they_were_meant(value: str, told: str, name: str) -> None:
    settings = read(**{name: value})
    assert settings.problems == ()
    assert [client.key for client in settings.client_keys] == ["client-key-1", "client-key-2"]
    assert told in said(settings)
    assert told or not settings.notices


@pytest.mark.parametrize(
    "value",
    [
        ",",
        ";",
        '""',
        '"",""',
        "[]",
        '[""]',
        "{}",
        '{"label": "client-key-1"}',
        "[1]",
        "[a",
        BOM,
        "\u200b,",
        "\0",
    ],
)
def test_a_broken_list_of_client_keys_never_opens_the_gateway(value: str) -> None:
    problem = read(CLIENT_KEYS=value).fatal_problem
    assert problem is not None
    assert problem.variable == "CLIENT_KEYS"


@hypothesis_settings(deadline=None)
@given(
    st.text(alphabet="\"'`,;[]{} \n\r\t\0\ufeff\u200b\u00a0\u201c\u201d=:\\Bearer", min_size=1, max_size=12)
)
def test_no_list_of_client_keys_opens_the_gateway(value: str) -> None:
    settings = read(CLIENT_KEYS=value)
    assert settings.client_keys or settings.fatal_problem or not value.strip()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a=x, b=y", ""),
        ("a: x, b: y", ""),
        ("a:x;b:y", ""),
        ("a=x\nb=y\n", ""),
        ('{"a": "x", "b": "y"}', ""),
        ('{"a": "x", "b": "y",}', "a comma too many"),
        ("{'a': 'x', 'b': 'y'}", "single quotes"),
        ('["a=x", "b=y"]', ""),
        ("MODEL_ALIASES='a=x,b=y'", "name"),
    ],
)
def test_model_aliases_are_read_as_they_were_meant(value: str, told: str) -> None:
    settings = read(MODEL_ALIASES=value)
    assert settings.problems == ()
    assert settings.model_aliases == {"a": "x", "b": "y"}
    assert told in said(settings)


@pytest.mark.parametrize(
    ("value", "default", "aliases"),
    [
        ("qwen3:8b", "qwen3:8b", {}),
        ("qwen3:8b, a: x, b=qwen3:8b", "qwen3:8b", {"a": "x", "b": "qwen3:8b"}),
        ("a: x", "qwen3-coder-plus", {"a": "x"}),
        ('{"a": "x"}', "qwen3-coder-plus", {"a": "x"}),
    ],
)
def test_a_model_with_a_colon_in_its_name_is_no_alias(
    value: str, default: str, aliases: dict[str, str]
) -> None:
    settings = read(OPENAI_MODEL=value)
    assert settings.problems == ()
    assert (settings.default_model, settings.model_aliases) == (default, aliases)


@pytest.mark.parametrize("value", ["{", '{"a": 1}', "a=", ":", ",", "qwen3-max"])
def test_aliases_that_cannot_be_told_are_named(value: str) -> None:
    assert {problem.variable for problem in read(MODEL_ALIASES=value).problems} == {"MODEL_ALIASES"}


@pytest.mark.parametrize("value", ["a,b", "a\nb", "a;b", '["a","b"]', '"a","b"', "QWEN_MODELS=a,b"])
def test_models_are_read_as_they_were_meant(value: str) -> None:
    assert read(QWEN_MODELS=value, DEFAULT_MODEL="b").models == ("a", "b")


@pytest.mark.parametrize(
    "variables",
    [
        {"LOG_LEVEL": '"DEBUG",'},
        {"LOG_LEVEL": "LOG_LEVEL=debug"},
        {"LOG_LEVEL": "\ufeffdebug\r\n"},
    ],
)
def test_words_are_read_as_they_were_meant(variables: dict[str, str]) -> None:
    settings = read(**variables)
    assert settings.problems == ()
    assert settings.log_level == "debug"


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(
        ["QWEN_CLI_AUTH", "QWEN_API_KEY", "CLIENT_KEYS", "QWEN_BASE_URL", "MODEL_ALIASES", "LOG_LEVEL"]
    ),
    st.text(max_size=60),
)
def test_no_value_makes_reading_fail(variable: str, value: str) -> None:
    settings = Settings.from_env({variable: value})
    told_of = [told.variable for told in settings.problems] + [told.variable for told in settings.notices]
    for told in told_of:
        assert told.split(" ")[0] == variable
