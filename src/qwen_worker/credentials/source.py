"""What the credentials of every kind of account can do, as a Protocol that only type checkers use."""

from typing import Any, Protocol

from qwen_worker.credentials.credential import Credential
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime


class CredentialSource(Protocol):
    """Where an account's credential comes from."""

    async def acquire(self, runtime: Runtime, log: Log, *, patience_ms: int | None = None) -> Credential:
        """The credential for a call to Qwen. Raises CredentialsMissing, RefreshPending, CredentialsRejected.

        `patience_ms` limits the wait for a token that is being refreshed.
        """
        ...

    async def replace(
        self, refused: Credential, runtime: Runtime, log: Log, *, patience_ms: int | None = None
    ) -> Credential:
        """A credential in place of the one that Qwen's API has refused with 401 or 403. Raises what `acquire`
        raises.
        """
        ...

    def note_accepted(self) -> None:
        """The API has answered with the credential that was acquired last."""
        ...

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """Does the cron trigger's work for it. Never raises."""
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
