import pytest

from qwen_worker.config.login import (
    DEFAULT_OAUTH_API_BASE_URL,
    CredentialFormatError,
    OAuthToken,
    oauth_api_base_url,
    oauth_token_from,
)
from qwen_worker.credentials.credential import Credential

LOGIN = {
    "access_token": "access-token-1",
    "token_type": "Bearer",
    "refresh_token": "refresh-token-1",
    "resource_url": "portal.qwen.ai",
    "expiry_date": 1_800_000_000_000,
}


def test_a_login_is_what_the_cli_writes() -> None:
    token = oauth_token_from(LOGIN)
    assert token == OAuthToken("access-token-1", "refresh-token-1", 1_800_000_000_000, "portal.qwen.ai")


def test_only_the_access_token_is_required_and_unknown_fields_are_ignored() -> None:
    token = oauth_token_from({"access_token": "access-token-1", "scope": "openid", "refresh_token": ""})
    assert token == OAuthToken("access-token-1")
    assert token.is_valid(4_000_000_000_000)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"access_token": None}, "access_token"),
        ({"access_token": "  "}, "access_token"),
        ({"access_token": 7}, "access_token"),
        ({"access_token": "two\nlines"}, "access_token"),
        ({"refresh_token": ["x"]}, "refresh_token"),
        ({"resource_url": {}}, "resource_url"),
        ({"expiry_date": "tomorrow"}, "expiry_date"),
        ({"expiry_date": True}, "expiry_date"),
        ({"expiry_date": -1}, "expiry_date"),
        ({"expiry_date": "nan"}, "expiry_date"),
        ({"expiry_date": "0001-01-01"}, "expiry_date"),
        ({"expiry_date": "1e400"}, "expiry_date"),
    ],
)
def test_a_malformed_login_is_reported_by_field_and_shows_no_value(
    change: dict[str, object], field: str
) -> None:
    with pytest.raises(CredentialFormatError) as caught:
        oauth_token_from({**LOGIN, **change})
    assert caught.value.field == field
    assert "token-1" not in str(caught.value)


@pytest.mark.parametrize("value", [None, "access-token-1", 7, [], [LOGIN]])
def test_what_is_no_object_is_reported_as_a_whole(value: object) -> None:
    with pytest.raises(CredentialFormatError) as caught:
        oauth_token_from(value)
    assert caught.value.field == ""


@pytest.mark.parametrize(
    ("expiry_date", "expiry_date_ms"),
    [
        (1_800_000_000_000, 1_800_000_000_000),
        (1_800_000_000_000.7, 1_800_000_000_000),
        (1_800_000_000, 1_800_000_000_000),
        (1_800_000_000.25, 1_800_000_000_250),
        ("1800000000000", 1_800_000_000_000),
        (" 1800000000 ", 1_800_000_000_000),
        ("2027-01-15T08:00:00Z", 1_800_000_000_000),
        ("2027-01-15T08:00:00.250+00:00", 1_800_000_000_250),
        ("2027-01-15 03:00:00-05:00", 1_800_000_000_000),
        ("2027-01-15", 1_799_971_200_000),
        ("", None),
        (None, None),
        (0, 0),
        (1, 1),
    ],
)
def test_an_expiry_is_understood_in_milliseconds_seconds_and_as_text(
    expiry_date: object, expiry_date_ms: int | None
) -> None:
    assert oauth_token_from({**LOGIN, "expiry_date": expiry_date}).expiry_date_ms == expiry_date_ms


def test_what_surrounds_a_token_does_not_belong_to_it() -> None:
    pasted = {"access_token": "\ufeff access-token-1\r\n", "refresh_token": "refresh-token-1\u200b"}
    assert oauth_token_from({**LOGIN, **pasted}) == oauth_token_from(LOGIN)


def test_a_token_is_valid_until_30_seconds_before_its_expiry() -> None:
    token = OAuthToken("access-token-1", expiry_date_ms=100_000)
    assert token.is_valid(69_999)
    assert not token.is_valid(70_000)


def test_the_order_of_two_tokens_is_that_of_their_issue() -> None:
    early = OAuthToken("a", expiry_date_ms=50_000, refreshed_at_ms=1_000)
    late = OAuthToken("b", expiry_date_ms=40_000, refreshed_at_ms=2_000)
    assert late.is_newer_than(early)
    assert not early.is_newer_than(late)


def test_without_the_time_of_issue_the_later_expiry_is_newer() -> None:
    early = OAuthToken("a", expiry_date_ms=40_000)
    late = OAuthToken("b", expiry_date_ms=50_000, refreshed_at_ms=2_000)
    assert late.is_newer_than(early)
    assert not early.is_newer_than(late)
    assert not early.is_newer_than(early)


@pytest.mark.parametrize(
    ("resource_url", "configured", "base_url"),
    [
        ("portal.qwen.ai", None, "https://portal.qwen.ai/v1"),
        ("portal.qwen.ai/v1", None, "https://portal.qwen.ai/v1"),
        ("https://portal.qwen.ai/", None, "https://portal.qwen.ai/v1"),
        ("https://portal.qwen.ai/v1//", None, "https://portal.qwen.ai/v1"),
        ("http://127.0.0.1:8080", None, "http://127.0.0.1:8080/v1"),
        ("portal.qwen.ai", "https://configured.example/v1", "https://portal.qwen.ai/v1"),
        (None, "https://configured.example/v1", "https://configured.example/v1"),
        (None, None, DEFAULT_OAUTH_API_BASE_URL),
        ("undefined", None, DEFAULT_OAUTH_API_BASE_URL),
        ("null", "https://configured.example/v1", "https://configured.example/v1"),
        ('"portal.qwen.ai",', None, "https://portal.qwen.ai/v1"),
        ("portal.qwen.ai/v1/chat/completions", None, "https://portal.qwen.ai/v1"),
        ("https://portal.qwen.ai/chat/completions/", None, "https://portal.qwen.ai/v1"),
        ("dashscope.aliyuncs.com/compatible-mode", None, "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("javascript:alert(1)", None, DEFAULT_OAUTH_API_BASE_URL),
        ("ftp://portal.qwen.ai", None, DEFAULT_OAUTH_API_BASE_URL),
        ("https://user:password@portal.qwen.ai", None, DEFAULT_OAUTH_API_BASE_URL),
        ("not a host", "https://configured.example/v1", "https://configured.example/v1"),
        ("https://", None, DEFAULT_OAUTH_API_BASE_URL),
    ],
)
def test_the_base_url_is_the_logins_own_then_the_configured_one_then_the_default(
    resource_url: str | None, configured: str | None, base_url: str
) -> None:
    assert oauth_api_base_url(resource_url, configured) == base_url


def test_no_secret_shows_in_a_repr() -> None:
    token = OAuthToken("access-token-1", "refresh-token-1", 1, "portal.qwen.ai")
    shown = repr([token, Credential("oauth", "access-token-1", "u")])
    assert "-1" not in shown
