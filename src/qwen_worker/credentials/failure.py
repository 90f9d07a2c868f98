"""Why an OAuth account has no token for a request, in the words for the client."""

from qwen_worker.credentials.state import AccountState
from qwen_worker.errors import CredentialsMissing, CredentialsRejected, ProxyError, RefreshPending

HOW_TO_BEGIN = (
    "set QWEN_API_KEY (with QWEN_BASE_URL) or QWEN_CLI_AUTH, or log in at the gateway's own page with the "
    "admin key"
)
"""How an operator gives the gateway an account."""

REJECTED_MESSAGE = (
    "Qwen has refused the refresh token of this gateway's login. The operator must log in again, with the "
    "Qwen Code CLI and its new oauth_creds.json in QWEN_CLI_AUTH or at the gateway's own page, or set "
    "QWEN_API_KEY and QWEN_BASE_URL."
)
EXPIRED_MESSAGE = (
    "This gateway's login has expired and holds no refresh token. The operator must set QWEN_CLI_AUTH to a "
    "complete oauth_creds.json, or set QWEN_API_KEY and QWEN_BASE_URL."
)
DISCONTINUED_MESSAGE = (
    "Qwen refuses an access token that it has issued just now: its OAuth tier was closed on 2026-04-15. The "
    "operator must set QWEN_API_KEY and QWEN_BASE_URL instead."
)
MISSING_MESSAGE = f"This gateway has no credentials for Qwen. The operator must {HOW_TO_BEGIN}."


def discontinued() -> ProxyError:
    """The error while the API refuses tokens that have only just been issued."""
    return CredentialsRejected(DISCONTINUED_MESSAGE, code="oauth_discontinued")


def no_token(state: AccountState, now_ms: int) -> ProxyError:
    """The error for a request while the account has no token that it may use."""
    token = state.held.token
    if now_ms < state.discontinued.until_ms:
        return discontinued()
    if token is None:
        return CredentialsMissing(MISSING_MESSAGE)
    if token.refresh_token is None:
        return CredentialsRejected(EXPIRED_MESSAGE)
    refusal = state.refusals.of(token)
    if refusal is not None and refusal.final:
        return CredentialsRejected(REJECTED_MESSAGE)
    return RefreshPending(
        "The token for Qwen is being refreshed, or the refresh failed temporarily. Try again shortly.",
        retry_after_seconds=max(1.0, (state.refreshes.retry_at_ms - now_ms) / 1000),
    )
