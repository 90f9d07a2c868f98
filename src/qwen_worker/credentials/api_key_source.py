"""A static API key as a credential: it needs no refresh and has no substitute."""

from typing import Any

from qwen_worker.credentials.credential import Credential
from qwen_worker.errors import CredentialsRejected
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime

KEY_REJECTED_MESSAGE = (
    "Qwen refuses the key in QWEN_API_KEY. Key and host must belong together: the operator must set "
    "QWEN_BASE_URL to the host that has issued this key, or replace the key."
)


class ApiKeySource:
    """The account of an API key of DashScope, a plan, ModelScope or any OpenAI-compatible host."""

    def __init__(self, api_key: str, base_url: str) -> None:
        self._credential = Credential("api_key", api_key, base_url)

    async def acquire(self, runtime: Runtime, log: Log, *, patience_ms: int | None = None) -> Credential:
        """The credential for a call to Qwen; always the same one."""
        if log.is_debug:
            log.debug("token source", source="environment", kind="api_key")
            log.debug("base URL resolved", base_url=self._credential.base_url)
        return self._credential

    async def replace(
        self, refused: Credential, runtime: Runtime, log: Log, *, patience_ms: int | None = None
    ) -> Credential:
        """Raises CredentialsRejected: a key that Qwen's API refuses has no substitute."""
        raise CredentialsRejected(KEY_REJECTED_MESSAGE)

    def note_accepted(self) -> None:
        """Nothing: a key is refused each time, or never."""

    async def keep_fresh(self, runtime: Runtime, log: Log) -> None:
        """Does nothing: a key does not expire."""

    def has_renewed(self, refused: object, now_ms: int) -> bool:
        """Whether there is another credential now than the `refused` one: never."""
        return False

    @property
    def stage(self) -> object:
        """What `has_renewed` compares with later: a key has no stages."""
        return None

    async def describe(self, runtime: Runtime) -> dict[str, Any]:
        """What an operator needs to know of the credential, without the secret or a part of it."""
        return {
            "kind": "api_key",
            "state": "ready",
            "source": "environment",
            "expires_in_seconds": None,
            "kv_bound": runtime.kv is not None,
        }
