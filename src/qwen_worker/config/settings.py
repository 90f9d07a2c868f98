"""Settings: every variable of the Worker, read, parsed and checked once, in one place.

`Settings.from_env` never raises. A value that cannot be used becomes a `Problem` that names the variable and
what was expected (never the value); /health and the log show it. A problem is fatal where going on with a
default would be unsafe: a broken base URL must not send a key to another host, a broken client key list must
not open the endpoint. What an operator should know although nothing is wrong becomes a `Notice`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from qwen_worker.config.account import KV_ACCOUNT, AccountSettings
from qwen_worker.config.accounts import read_accounts
from qwen_worker.config.client_keys import ClientKey
from qwen_worker.config.reader import Notice, Problem, Reader
from qwen_worker.log import LEVELS
from qwen_worker.platform.ports import Environment

if TYPE_CHECKING:
    from qwen_worker.config.prices import Price

DEFAULT_MODEL = "qwen3-coder-plus"
DEFAULT_OAUTH_BASE_URL = "https://chat.qwen.ai"

REMOVED = {
    "ACCOUNT_HEADER": "responses always name the account that answered",
    "QWEN_CREDENTIAL": "the `priority` of an account says which one is used first",
    "REFRESH_LEAD_SECONDS": "a token is refreshed half an hour before its expiry",
    "STREAM_REWRITE": "a stream is repaired where it needs that",
    "UPSTREAM_ATTEMPTS": "a request is sent up to 3 times to each account",
}
"""Variables that are no longer used, each with what holds instead."""


class Settings(NamedTuple):
    """The Worker's configuration. docs/configuration.md explains each variable."""

    accounts: tuple[AccountSettings, ...] = (KV_ACCOUNT,)
    """QWEN_CLI_AUTH and QWEN_API_KEY, also numbered: what we call Qwen with. Never empty."""
    client_keys: tuple[ClientKey, ...] = ()
    """CLIENT_KEYS: who may call us; empty means anyone."""
    admin_key: str | None = None
    """ADMIN_KEY: who may see all usage, and use nothing."""
    prices: "Mapping[str, Price]" = {}  # noqa: RUF012 - a NamedTuple's
    """PRICES, by model."""
    default_model: str = DEFAULT_MODEL
    """DEFAULT_MODEL: for requests that name no model."""
    model_aliases: Mapping[str, str] = {}
    """MODEL_ALIASES: the model that is meant by a client's name for it."""
    models: tuple[str, ...] = ()
    """QWEN_MODELS, and DEFAULT_MODEL: the catalogue of /v1/models; none: what the accounts serve."""
    base_url: str | None = None
    """QWEN_BASE_URL: Qwen's API, without trailing slash; None: the credential's own or the default."""
    oauth_base_url: str = DEFAULT_OAUTH_BASE_URL
    """QWEN_OAUTH_BASE_URL: the host of the token endpoint."""
    log_level: str = "info"
    """LOG_LEVEL."""
    body_limit_bytes: int = 20_000_000
    """REQUEST_BODY_LIMIT_BYTES."""
    upstream_timeout_seconds: float = 600.0
    """UPSTREAM_TIMEOUT_SECONDS: a whole non-streaming answer, or the headers of a stream."""
    keep_alive_seconds: float = 10.0
    """STREAM_KEEP_ALIVE_SECONDS: silence before the first event after which keep-alives are sent; 0: never.
    """
    idle_timeout_seconds: float = 300.0
    """STREAM_IDLE_TIMEOUT_SECONDS: silence within a stream after which it is given up."""
    problems: tuple[Problem, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every configured secret: no error, log line or response may hold one of them."""
        found = [client.key for client in self.client_keys]
        if self.admin_key is not None:
            found.append(self.admin_key)
        for account in self.accounts:
            login = account.login
            found += filter(
                None, (account.api_key, login and login.access_token, login and login.refresh_token)
            )
        return tuple(found)

    @property
    def fatal_problem(self) -> Problem | None:
        """The first problem that no request can be served with."""
        return next((problem for problem in self.problems if problem.fatal), None)

    @classmethod
    def from_env(cls, env: Environment) -> "Settings":
        """Reads every variable once. Empty and blank values count as not set."""
        reader = Reader(env)
        named, aliases = reader.model_and_aliases()
        default_model = named or DEFAULT_MODEL
        client_keys = reader.client_keys()
        listed = reader.names("QWEN_MODELS")
        settings = cls(
            accounts=read_accounts(reader.text, reader.report, reader.mended),
            client_keys=client_keys,
            admin_key=reader.admin_key(client_keys),
            prices=reader.prices(),
            default_model=default_model,
            model_aliases=aliases,
            models=tuple(dict.fromkeys((*listed, default_model))) if listed else (),
            base_url=reader.base_url(),
            oauth_base_url=reader.url("QWEN_OAUTH_BASE_URL", is_api=False) or DEFAULT_OAUTH_BASE_URL,
            log_level=reader.choice("LOG_LEVEL", tuple(LEVELS), default="info"),
            body_limit_bytes=int(reader.number("REQUEST_BODY_LIMIT_BYTES", 20_000_000, 1_000, 100_000_000)),
            upstream_timeout_seconds=reader.number("UPSTREAM_TIMEOUT_SECONDS", 600, 0.1, 3_600),
            keep_alive_seconds=reader.number("STREAM_KEEP_ALIVE_SECONDS", 10, 0, 600),
            idle_timeout_seconds=reader.number("STREAM_IDLE_TIMEOUT_SECONDS", 300, 0.1, 3_600),
        )
        for name, instead in REMOVED.items():
            if reader.is_set(name):
                reader.note(name, f"no longer used: {instead}")
        return settings._replace(problems=tuple(reader.problems), notices=tuple(reader.notices))
