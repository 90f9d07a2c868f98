import pytest

from qwen_worker.credentials.credential import Credential
from qwen_worker.qwen_code import USER_AGENT
from qwen_worker.upstream.headers import upstream_headers

PLAIN = {
    "authorization": "Bearer secret-1",
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": USER_AGENT,
    "x-request-id": "req_1",
}


def dashscope(auth_type: str) -> dict[str, str]:
    return {
        **PLAIN,
        "x-dashscope-useragent": USER_AGENT,
        "x-dashscope-cachecontrol": "enable",
        "x-dashscope-authtype": auth_type,
    }


@pytest.mark.parametrize(
    ("credential", "headers"),
    [
        (Credential("oauth", "secret-1", "https://portal.qwen.ai/v1"), dashscope("qwen-oauth")),
        (Credential("oauth", "secret-1", "http://127.0.0.1:1/v1"), dashscope("qwen-oauth")),
        (
            Credential("api_key", "secret-1", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
            dashscope("openai"),
        ),
        (Credential("api_key", "secret-1", "https://api-inference.modelscope.cn/v1"), PLAIN),
        (Credential("api_key", "secret-1", "http://127.0.0.1:1/v1"), PLAIN),
    ],
)
def test_each_host_gets_the_headers_it_knows(credential: Credential, headers: dict[str, str]) -> None:
    assert upstream_headers(credential, request_id="req_1") == headers


def test_the_user_agent_is_the_official_clis() -> None:
    name, _, platform = USER_AGENT.partition(" ")
    assert name.startswith("QwenCode/")
    assert platform == "(linux; x64)"


@pytest.mark.parametrize(
    "base_url",
    [
        "https://coding.dashscope.aliyuncs.com/v1",
        "https://coding-intl.dashscope.aliyuncs.com/v1",
        "https://token-plan.cn-beijing.maas.aliyuncs.com/compatible-mode/v1",
    ],
)
def test_a_plan_for_coding_tools_sees_the_clients_own_user_agent(base_url: str) -> None:
    credential = Credential("api_key", "secret-1", base_url)

    sent = upstream_headers(credential, request_id="req_1", client_user_agent="claude-cli/2.1 (external)")

    assert sent["user-agent"] == "claude-cli/2.1 (external)"
    for nothing in (None, ""):
        sent = upstream_headers(credential, request_id="req_1", client_user_agent=nothing)
        assert sent["user-agent"] == USER_AGENT


@pytest.mark.parametrize(
    "credential",
    [
        Credential("api_key", "secret-1", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        Credential("api_key", "secret-1", "https://coding.example/v1"),
        Credential("oauth", "secret-1", "https://portal.qwen.ai/v1"),
    ],
)
def test_no_other_host_does(credential: Credential) -> None:
    sent = upstream_headers(credential, request_id="req_1", client_user_agent="claude-cli/2.1 (external)")

    assert sent["user-agent"] == USER_AGENT
