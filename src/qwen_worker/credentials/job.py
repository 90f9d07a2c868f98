"""What a job on an OAuth account needs."""

from typing import NamedTuple

from qwen_worker.config.login import OAuthToken, oauth_api_base_url, usable_resource_url
from qwen_worker.credentials.credential import Credential
from qwen_worker.credentials.held_token import Source, due_ms
from qwen_worker.credentials.state import AccountState
from qwen_worker.credentials.store import LoginStore
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime


class LoginSettings(NamedTuple):
    """How an OAuth account is configured.

    `login` is None if the account is only in KV, under `record_key`. `oauth_base_url` is the host of the
    token endpoint. `base_url` is where to call in any case, `fallback_base_url` where to call if the login
    names no host. `lead_ms` before its expiry a token is refreshed. `is_alone`: there is no other login.
    """

    login: OAuthToken | None
    record_key: str
    oauth_base_url: str
    base_url: str | None
    fallback_base_url: str | None
    lead_ms: int
    is_alone: bool

    def credential(self, token: OAuthToken) -> Credential:
        """What requests get of a token."""
        base_url = self.base_url or oauth_api_base_url(token.resource_url, self.fallback_base_url)
        return Credential("oauth", token.access_token, base_url)


class Job:
    """One job on an account: the account, and the runtime and log that the job is bound to."""

    __slots__ = ("clock", "log", "runtime", "settings", "state", "store")

    def __init__(self, settings: LoginSettings, state: AccountState, runtime: Runtime, log: Log) -> None:
        self.settings = settings
        self.state = state
        self.runtime = runtime
        self.clock = runtime.clock
        self.log = log
        self.store = None if runtime.kv is None else LoginStore(runtime.kv, settings.record_key)
        """The account's records; None where KV is not bound."""

    def adopt(self, token: OAuthToken, source: Source) -> None:
        """Makes `token` the one that this isolate uses."""
        if token.resource_url is not None and usable_resource_url(token.resource_url) is None:
            self.log.warning(
                "resource_url of the login is not usable", consequence="the next base URL is used"
            )
        # Isolates that hold the same token must not refresh it at the same moment. A few are early, and the
        # others see their refresh before their own time comes.
        lead_ms = self.settings.lead_ms
        early_ms = int(lead_ms / 2 * (1 - self.runtime.random() ** (1 / 3)))
        self.state.adopt(
            token,
            source,
            self.settings.credential(token),
            due_ms(token, lead_ms + early_ms),
            self.clock.now_ms(),
        )
