import pytest

from qwen_worker import errors
from qwen_worker.errors import MethodNotAllowed, ProxyError, UnsupportedEncoding

WITH_OTHER_FIELDS = (MethodNotAllowed, UnsupportedEncoding)


def taxonomy() -> list[type[ProxyError]]:
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, ProxyError) and value not in WITH_OTHER_FIELDS
    ]


@pytest.mark.parametrize("kind", taxonomy())
def test_clients_are_told_not_to_repeat_what_cannot_succeed(kind: type[ProxyError]) -> None:
    error = kind("x")
    repeated = error.status in (401, 429) or error.status >= 500  # the 401 by Claude Code, the others by SDKs
    told_not_to = error.headers().get("x-should-retry") == "false"
    assert told_not_to == (repeated and not error.retryable)


def test_only_a_wrong_client_key_is_a_401() -> None:
    assert [kind.__name__ for kind in taxonomy() if kind.status == 401] == ["InvalidApiKey"]


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1, "1"), (1.2, "2"), (90, "90")])
def test_retry_after_is_whole_seconds_never_less_than_asked(seconds: float, header: str) -> None:
    assert errors.RateLimited("x", retry_after_seconds=seconds).headers()["retry-after"] == header


def test_method_not_allowed_lists_the_methods() -> None:
    error = MethodNotAllowed("x", allow="GET, HEAD, OPTIONS")
    assert (error.status, error.headers()["allow"]) == (405, "GET, HEAD, OPTIONS")
