"""The accounts under one reading of the settings: each with its configuration, credentials and standing."""

from typing import Any, Protocol

from qwen_worker.accounts.choice import Candidate
from qwen_worker.accounts.configuration import AccountSettings
from qwen_worker.accounts.record import recall_rests
from qwen_worker.accounts.standing import WHOLE_ACCOUNT, AccountsMemory, Standing
from qwen_worker.config import Settings
from qwen_worker.credentials.account import OAuthAccount
from qwen_worker.credentials.model import DEFAULT_API_KEY_BASE_URL, Credential
from qwen_worker.credentials.state import CredentialState
from qwen_worker.credentials.static_key import StaticKeyAccount
from qwen_worker.errors import NotFound
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime
from qwen_worker.upstream.models import resolve_model


class CredentialSource(Protocol):
    """Where an account's credential comes from."""

    async def acquire(self, runtime: Runtime, log: Log, *, patience_ms: int | None = None) -> Credential:
        """The credential for a call to Qwen. Raises CredentialsMissing, RefreshPending, CredentialsRejected.

        `patience_ms` bounds how long a token that is being refreshed is waited for.
        """
        ...

    async def replace(
        self, refused: Credential, runtime: Runtime, log: Log, *, patience_ms: int | None = None
    ) -> Credential:
        """Another one than Qwen's API has refused with 401 or 403. Raises what `acquire` raises."""
        ...

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """What the cron trigger does for it. Never raises."""
        ...

    async def describe(self, runtime: Runtime) -> dict[str, Any]:
        """What an operator needs to know of it, without a secret or a part of one."""
        ...

    @property
    def stage(self) -> object:
        """The present stage of a credential that changes."""
        ...

    def has_renewed(self, refused: object, now_ms: int) -> bool:
        """Whether there is a usable credential now, at another stage than when it was refused."""
        ...


class Account:
    """One account."""

    __slots__ = ("_refused_stage", "settings", "source", "standing")

    def __init__(self, settings: AccountSettings, source: CredentialSource, standing: Standing) -> None:
        self.settings = settings
        self.source = source
        self.standing = standing
        self._refused_stage: object = None

    @property
    def label(self) -> str:
        """Its name in the log and on /health."""
        return self.settings.label

    def serves(self, asked: str, resolved: str) -> bool:
        """Whether it may be asked for a model, under the client's name or the one that Qwen knows."""
        models = self.settings.models
        return not models or asked in models or resolved in models

    def note_refusal(self) -> None:
        """Remembers which stage of the credential Qwen has refused."""
        self._refused_stage = self.source.stage

    def end_rest_if_renewed(self, now_ms: int) -> None:
        """A dead login that has come back to life, by the cron trigger or another isolate, need not rest."""
        rest = self.standing.rests.get(WHOLE_ACCOUNT)
        if rest is None or rest.reason != "credentials":
            return
        if self.source.has_renewed(self._refused_stage, now_ms):
            del self.standing.rests[WHOLE_ACCOUNT]

    async def describe(self, runtime: Runtime) -> dict[str, Any]:
        """The account for /health: its label, its state in one word, why it rests and for how long."""
        credentials = await self.source.describe(runtime)
        now_ms = runtime.clock.now_ms()
        rests = {
            place: {"reason": rest.reason, "seconds_left": max(0, rest.free_ms() - now_ms) // 1000}
            for place, rest in self.standing.rests.items()
            if rest.keeps_away(now_ms)
        }
        rest = rests.pop(WHOLE_ACCOUNT, None)
        return {
            "label": self.label,
            "priority": self.settings.priority,
            "state": credentials["state"] if rest is None else "resting",
            "reason": None if rest is None else rest["reason"],
            "seconds_left": None if rest is None else rest["seconds_left"],
            "resting_models": rests,
            "credentials": credentials,
        }


class AccountPool:
    """All accounts. `credentials` and `memory` are what the isolate remembers of them."""

    def __init__(self, settings: Settings, credentials: CredentialState, memory: AccountsMemory) -> None:
        self.memory = memory
        is_alone = sum(account.login is not None for account in settings.accounts) == 1
        self.accounts = tuple(
            Account(
                account, _source(account, settings, credentials, is_alone), memory.standing(account.identity)
            )
            for account in settings.accounts
        )
        self._by_identity = {account.settings.identity: account for account in self.accounts}
        self._settings = settings

    def account(self, candidate: Candidate) -> Account:
        """The account that a candidate stands for."""
        return self._by_identity[candidate.identity]

    def candidates(self, model: str | None) -> list[Candidate]:
        """The accounts that may be asked for a model, by the client's name for it (None: the default model).

        Raises NotFound if there is none.
        """
        settings = self._settings
        asked = model or settings.default_model
        candidates = []
        for account in self.accounts:
            own = account.settings
            resolved = resolve_model(
                model,
                default=settings.default_model,
                aliases=settings.model_aliases,
                is_oauth=own.kind == "oauth",
            )
            if account.serves(asked, resolved):
                candidates.append(Candidate(own.identity, own.priority, resolved, account.standing))
        if not candidates:
            raise NotFound(
                f"No account of this gateway is configured for the model `{asked}`.",
                code="model_not_found",
                param="model",
            )
        return candidates

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """What the cron trigger does for all logins. Never raises."""
        for account in self.accounts:
            await account.source.keep_fresh(runtime, log.bound(account=account.label))

    async def describe(self, runtime: Runtime, log: Log) -> list[dict[str, Any]]:
        """The accounts for /health, without a secret or a part of one."""
        if len(self.accounts) > 1:
            await recall_rests(self.memory, runtime, log)
        return [await account.describe(runtime) for account in self.accounts]


def _source(
    account: AccountSettings, settings: Settings, credentials: CredentialState, is_alone: bool
) -> CredentialSource:
    if account.api_key is not None:
        return StaticKeyAccount(
            account.api_key, account.base_url or settings.base_url or DEFAULT_API_KEY_BASE_URL
        )
    return OAuthAccount(
        account.login,
        credentials,
        record_key=account.record_key,
        oauth_base_url=settings.oauth_base_url,
        base_url=account.base_url,
        fallback_base_url=settings.base_url,
        lead_seconds=settings.refresh_lead_seconds,
        is_alone=is_alone,
    )
