"""The headers of a request to Qwen. Of the client's own, only the User-Agent may be among them."""

from qwen_worker.credentials.credential import Credential
from qwen_worker.qwen_code import USER_AGENT
from qwen_worker.upstream.hosts import family_of, is_plan_host


def upstream_headers(
    credential: Credential, *, request_id: str, client_user_agent: str | None = None
) -> dict[str, str]:
    """The headers of a chat completions request, as the official CLI sends them.

    The CLI accepts JSON for streams too (it is the body that asks for a stream), and adds the `X-DashScope-*`
    headers for Qwen's own hosts only. Since February 2026 the portal throttles callers without them after
    some 20 calls. A plan for coding tools knows those by their User-Agent, so there the client's own is sent.
    """
    is_plan = client_user_agent is not None and is_plan_host(credential.base_url)
    user_agent = client_user_agent if is_plan and client_user_agent else USER_AGENT
    headers = {
        "authorization": f"Bearer {credential.secret}",
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": user_agent,
        "x-request-id": request_id,
    }
    if family_of(credential) != "other":
        headers["x-dashscope-useragent"] = USER_AGENT
        headers["x-dashscope-cachecontrol"] = "enable"
        headers["x-dashscope-authtype"] = "qwen-oauth" if credential.kind == "oauth" else "openai"
    return headers
