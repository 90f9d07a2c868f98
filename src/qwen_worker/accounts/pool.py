"""The accounts under one reading of the settings: each with its configuration and its credentials.

Modules that only several accounts need (turns, cooldowns, their record) are imported if there are several;
modules that only a login needs, if there is one.
"""

from typing import TYPE_CHECKING

from qwen_worker.config.account import KV_ACCOUNT, AccountSettings
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.api_key_source import ApiKeySource
from qwen_worker.errors import NotFound
from qwen_worker.log import Log
from qwen_worker.models import resolve_model
from qwen_worker.platform.ports import Runtime
from qwen_worker.upstream.attempts import AccountAccess
from qwen_worker.upstream.call import HostApi, Ways
from qwen_worker.upstream.hosts import DEFAULT_API_KEY_BASE_URL

if TYPE_CHECKING:
    from qwen_worker.accounts.cooldown_record import CooldownRecord
    from qwen_worker.accounts.login_book import LoginBook
    from qwen_worker.credentials.oauth_source import OAuthSource
    from qwen_worker.credentials.source import CredentialSource
    from qwen_worker.credentials.state import CredentialState
    from qwen_worker.upstream.host_models import HostLists

REFRESH_LEAD_SECONDS = 1800.0
"""How long before its expiry a token is refreshed in the background."""


MOST_MODELS = 128
"""Of how many models it is remembered which accounts serve them: clients may name any."""


class Account:
    """One account."""

    __slots__ = ("_refused_stage", "base_url", "health_id", "settings", "source")

    def __init__(
        self, settings: AccountSettings, source: "CredentialSource", health_id: str, base_url: str
    ) -> None:
        self.settings = settings
        self.source = source
        self.health_id = health_id
        """Identifies its cooldowns. Changes with its secret and its base URL."""
        self.base_url = base_url
        """Where a key calls; a login's host is told by its token."""
        self._refused_stage: object = None

    @property
    def label(self) -> str:
        """Its name in the log and on /health."""
        return self.settings.label

    def access(self, model: str) -> AccountAccess:
        """What a call to this account needs; `model` is the model's name at its host."""
        ways = Ways(self.settings.responses, self.settings.messages, self.settings.completions)
        return AccountAccess(self.settings.label, self.source, model, ways)

    def serves(self, asked: str, resolved: str) -> bool:
        """Whether it may be asked for a model, under the client's name or the one that Qwen knows."""
        models = self.settings.models
        return not models or asked in models or resolved in models

    def note_refusal(self) -> None:
        """Remembers which stage of the credential Qwen has refused."""
        self._refused_stage = self.source.stage

    def has_renewed(self, now_ms: int) -> bool:
        """Whether the cron trigger or another isolate has renewed the credential since then."""
        return self.source.has_renewed(self._refused_stage, now_ms)


ServingAccount = tuple[Account, str]
"""An account that serves a model, and the name that the model has there."""


class AccountPool:
    """All accounts: those of the settings, and the logins that were made at the gateway (only where ADMIN_KEY
    is set). `credentials`, `record` and `logins` are what the isolate remembers of them; without a `record`,
    several accounts begin with a fresh one.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: "CredentialState",
        record: "CooldownRecord | None" = None,
        logins: "LoginBook | None" = None,
    ) -> None:
        self.settings = settings
        self.credentials = credentials
        self.kept_record = record
        """The record even while there is only one account."""
        self.logins = None if settings.admin_key is None else logins or _new_book()
        """The logins that were made at the gateway; None where none are looked for."""
        self.model_lists: HostLists = {}
        """What the hosts list, as far as it is known."""
        self._version = 0
        self._serving: dict[tuple[str | None, str | None], list[ServingAccount]] = {}
        """What `serving` has found, by the client's name for a model and the API."""
        self._build()

    def _build(self) -> None:
        """Makes the accounts anew."""
        self._serving.clear()
        settings, logins = self.settings, self.logins
        described: tuple[AccountSettings, ...] = settings.accounts
        kept: tuple[AccountSettings, ...] = ()
        if logins is not None:
            self._version, kept = logins.version, logins.accounts(described)
            if kept and described == (KV_ACCOUNT,) and not logins.has_first_record:
                described = ()
        are_several = len(described) + len(kept) > 1
        self.accounts = tuple(
            Account(
                account,
                self._source(account),
                _health_id(account, settings) if are_several else account.identity,
                _base_url(account, settings),
            )
            for account in (*described, *kept)
        )
        if are_several and self.kept_record is None:
            self.kept_record = _new_record()
        self.record = self.kept_record if are_several else None
        """The turns and cooldowns of the accounts; None where there is only one."""

    def serving(self, model: str | None, api: HostApi | None = None) -> list[ServingAccount]:
        """The accounts that may be asked for a model, by the client's name for it (None: the default model),
        and whose host has the API.

        Raises NotFound if there is none.
        """
        asked_for = model, None if api is None else api.name
        found = self._serving.get(asked_for)
        if found is None:
            found = self._find_serving(model, api)
            if len(self._serving) >= MOST_MODELS:
                self._serving.clear()
            self._serving[asked_for] = found
        return found

    def _find_serving(self, model: str | None, api: HostApi | None) -> list[ServingAccount]:
        settings = self.settings
        asked = model or settings.default_model
        found = []
        for account in self.accounts:
            if api is not None and not api.is_at(account.settings.kind, account.base_url):
                continue
            resolved = resolve_model(
                model,
                default=settings.default_model,
                aliases=settings.model_aliases,
                is_oauth=account.settings.kind == "oauth",
            )
            if account.serves(asked, resolved):
                found.append((account, resolved))
        if not found:
            at = "" if api is None else f" at a host that has {api.name}"
            raise NotFound(
                f"No account of this gateway is configured for the model `{asked}`{at}.",
                code="model_not_found",
                param="model",
            )
        return found

    def first_ready(self, model: str | None, now_ms: int) -> ServingAccount | None:
        """The account that comes first by priority among those that serve a model and are in no cooldown; for
        a question that counts as nobody's turn. Raises NotFound.
        """
        ready = [
            serving
            for serving in self.serving(model)
            if self.record is None
            or self.record.memory.health(serving[0].health_id).cooldown_for(serving[1], now_ms) is None
        ]
        return min(ready, key=lambda serving: serving[0].settings.priority, default=None)

    def keep_up(self) -> None:
        """Takes over the logins as the isolate knows them now."""
        if self.logins is not None and self.logins.version != self._version:
            self._build()

    def access_of(self, account: AccountSettings) -> AccountAccess:
        """What a call with a login needs that is no account yet."""
        model = resolve_model(
            None, default=self.settings.default_model, aliases=self.settings.model_aliases, is_oauth=True
        )
        return AccountAccess(account.label, self.login_source(account), model, Ways())

    def labels(self) -> set[str]:
        """The labels that are taken."""
        return {account.label for account in self.settings.accounts} | {
            account.label for account in self.accounts
        }

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """Does the cron trigger's work: refreshes logins and writes cooldowns. Never raises."""
        for account in self.accounts:
            await account.source.keep_fresh(runtime, log.bound(account=account.label))
        if self.record is not None:
            await self.record.tell(runtime, log)

    def _source(self, account: AccountSettings) -> "CredentialSource":
        if account.api_key is not None:
            return ApiKeySource(account.api_key, _base_url(account, self.settings))
        return self.login_source(account)

    def login_source(self, account: AccountSettings) -> "OAuthSource":
        """The credentials of a login, also of one that is no account yet."""
        from qwen_worker.credentials.oauth_source import OAuthSource

        settings = self.settings
        return OAuthSource(
            account.login,
            self.credentials,
            record_key=record_key(account),
            oauth_base_url=settings.oauth_base_url,
            base_url=account.base_url,
            fallback_base_url=settings.base_url,
            lead_seconds=REFRESH_LEAD_SECONDS,
            is_alone=sum(other.login is not None for other in settings.accounts) == 1,
        )


def record_key(account: AccountSettings) -> str:
    """Where KV holds the login of an account."""
    from qwen_worker.credentials.store import RECORD_KEY, account_key

    return RECORD_KEY if account.is_main_login else account_key(account.identity)


def _health_id(account: AccountSettings, settings: Settings) -> str:
    from qwen_worker.fingerprint import fingerprint

    return fingerprint(account.identity, account.base_url or settings.base_url or "")


def _new_record() -> "CooldownRecord":
    from qwen_worker.accounts.cooldown_record import CooldownRecord
    from qwen_worker.accounts.health import AccountsMemory

    return CooldownRecord(AccountsMemory())


def _base_url(account: AccountSettings, settings: Settings) -> str:
    """Where an API key calls."""
    return account.base_url or settings.base_url or DEFAULT_API_KEY_BASE_URL


def _new_book() -> "LoginBook":
    from qwen_worker.accounts.login_book import LoginBook

    return LoginBook()
