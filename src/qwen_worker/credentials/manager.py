"""Which credential to call Qwen with now: a static key, or the OAuth account."""

from typing import Any

from qwen_worker.config import Settings
from qwen_worker.credentials.account import OAuthAccount
from qwen_worker.credentials.model import DEFAULT_API_KEY_BASE_URL, Credential
from qwen_worker.credentials.state import CredentialState
from qwen_worker.errors import CredentialsMissing, CredentialsRejected
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime

__all__ = ["CredentialManager", "CredentialState"]

RECORD_KEY = "qwen_oauth_credentials"
"""The KV key of the first account, the same as the predecessor's."""

KEY_REJECTED_MESSAGE = (
    "Qwen refuses the key in QWEN_API_KEY. Key and host must belong together: the operator must set "
    "OPENAI_BASE_URL to the host that has issued this key, or replace the key."
)


class CredentialManager:
    """Hands out credentials under one reading of the settings.

    QWEN_API_KEY is used if it is set, unless QWEN_CREDENTIAL says `oauth`; otherwise the OAuth login, from
    QWEN_CLI_AUTH or from KV alone.
    """

    def __init__(self, settings: Settings, state: CredentialState) -> None:
        self._key: Credential | None = None
        if settings.api_key is not None:
            self._key = Credential("api_key", settings.api_key, settings.base_url or DEFAULT_API_KEY_BASE_URL)
        self._account: OAuthAccount | None = None
        if self._key is None or settings.prefer == "oauth":
            self._account = OAuthAccount(
                settings.login,
                state,
                record_key=RECORD_KEY,
                oauth_base_url=settings.oauth_base_url,
                fallback_base_url=settings.base_url,
                lead_seconds=settings.refresh_lead_seconds,
            )

    async def acquire(self, runtime: Runtime, log: Log) -> Credential:
        """The credential for a call to Qwen.

        Raises CredentialsMissing, RefreshPending or CredentialsRejected.
        """
        if self._account is not None:
            try:
                return await self._account.acquire(runtime, log)
            except CredentialsMissing:
                if self._key is None:
                    raise
        assert self._key is not None  # noqa: S101  without an account there is a key
        if log.is_debug:
            log.debug("token source", source="environment", kind="api_key")
            log.debug("base URL resolved", base_url=self._key.base_url)
        return self._key

    async def replace(self, refused: Credential, runtime: Runtime, log: Log) -> Credential:
        """The credential to try again with after Qwen's API has answered `refused` with 401 or 403.

        Raises what `acquire` raises; for a static key always CredentialsRejected, since there is no other.
        """
        if refused.kind == "api_key" or self._account is None:
            raise CredentialsRejected(KEY_REJECTED_MESSAGE)
        return await self._account.replace(refused, runtime, log)

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """What the cron trigger does for the login. Never raises."""
        if self._account is not None:
            await self._account.keep_fresh(runtime, log)

    async def describe(self, runtime: Runtime) -> dict[str, Any]:
        """What an operator needs to know of the credential, without a secret or a part of one."""
        if self._account is not None:
            description = await self._account.describe(runtime)
            if description["state"] != "missing" or self._key is None:
                return description
        return {
            "kind": "api_key",
            "state": "ready",
            "source": "environment",
            "expires_in_seconds": None,
            "kv_bound": runtime.kv is not None,
        }
