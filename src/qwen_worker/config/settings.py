"""Settings: every variable of the Worker, read, parsed and checked once, in one place.

`Settings.from_env` never raises. A value that cannot be used becomes a `Problem` that names the variable and
what was expected (never the value); /health and the log show it. A problem is fatal where going on with a
default would be unsafe: a broken base URL must not send a key to another host, a broken client key list must
not open the endpoint.
"""

from collections.abc import Mapping
from typing import NamedTuple

from qwen_worker.config.account import KV_ACCOUNT, AccountSettings, Kind
from qwen_worker.config.accounts import read_accounts
from qwen_worker.config.text import is_http_url
from qwen_worker.log import LEVELS
from qwen_worker.platform.ports import Environment

DEFAULT_MODEL = "qwen3-coder-plus"
DEFAULT_MODELS = ("qwen3-coder-plus", "qwen3-coder-flash", "coder-model", "vision-model")
DEFAULT_OAUTH_BASE_URL = "https://chat.qwen.ai"


class Problem(NamedTuple):
    """A variable whose value cannot be used."""

    variable: str
    expected: str
    fatal: bool

    def __str__(self) -> str:
        return f"{self.variable}: expected {self.expected}"


class Settings(NamedTuple):
    """The Worker's configuration. The README's table documents each variable."""

    accounts: tuple[AccountSettings, ...] = (KV_ACCOUNT,)
    """QWEN_CLI_AUTH and QWEN_API_KEY, also numbered: what we call Qwen with. Never empty."""
    prefer: Kind = "api_key"
    """QWEN_CREDENTIAL: which kind of account is used first where no priority says otherwise."""
    client_keys: tuple[str, ...] = ()
    """OPENAI_API_KEY: who may call us; empty means anyone."""
    default_model: str = DEFAULT_MODEL
    """OPENAI_MODEL: for requests that name no model."""
    model_aliases: Mapping[str, str] = {}
    """OPENAI_MODEL: `alias=model` entries."""
    models: tuple[str, ...] = DEFAULT_MODELS
    """QWEN_MODELS: the catalogue of /v1/models."""
    base_url: str | None = None
    """OPENAI_BASE_URL: Qwen's API, without trailing slash; None: the credential's own or the default."""
    oauth_base_url: str = DEFAULT_OAUTH_BASE_URL
    """QWEN_OAUTH_BASE_URL: the host of the token endpoint."""
    log_level: str = "info"
    """LOG_LEVEL."""
    body_limit_bytes: int = 20_000_000
    """REQUEST_BODY_LIMIT_BYTES."""
    refresh_lead_seconds: float = 1800.0
    """REFRESH_LEAD_SECONDS: how long before expiry a token is refreshed in the background."""
    upstream_timeout_seconds: float = 600.0
    """UPSTREAM_TIMEOUT_SECONDS: a whole non-streaming answer, or the headers of a stream."""
    upstream_attempts: int = 3
    """UPSTREAM_ATTEMPTS: how often a request is sent to Qwen at most when it fails in passing."""
    keep_alive_seconds: float = 10.0
    """STREAM_KEEP_ALIVE_SECONDS: silence before the first event after which comments are sent; 0: never."""
    idle_timeout_seconds: float = 300.0
    """STREAM_IDLE_TIMEOUT_SECONDS: silence within a stream after which it is given up."""
    rewrite_streams: str = "auto"
    """STREAM_REWRITE: `auto` or `always`."""
    show_account: bool = False
    """ACCOUNT_HEADER: whether responses name the account that answered, in `x-qwen-account`."""
    problems: tuple[Problem, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every configured secret: no error, log line or response may hold one of them."""
        found = [*self.client_keys]
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
        reader = _Reader(env)
        default_model, aliases = reader.default_model_and_aliases()
        prefer: Kind = "api_key"
        if reader.choice("QWEN_CREDENTIAL", ("api_key", "oauth"), default=prefer) == "oauth":
            prefer = "oauth"
        return cls(
            accounts=read_accounts(reader.text, reader.report, prefer=prefer),
            prefer=prefer,
            client_keys=reader.client_keys(),
            default_model=default_model,
            model_aliases=aliases,
            models=reader.models(default_model),
            base_url=reader.url("OPENAI_BASE_URL"),
            oauth_base_url=reader.url("QWEN_OAUTH_BASE_URL") or DEFAULT_OAUTH_BASE_URL,
            log_level=reader.choice("LOG_LEVEL", tuple(LEVELS), default="info"),
            body_limit_bytes=int(reader.number("REQUEST_BODY_LIMIT_BYTES", 20_000_000, 1_000, 100_000_000)),
            refresh_lead_seconds=reader.number("REFRESH_LEAD_SECONDS", 1800, 0, 18_000),
            upstream_timeout_seconds=reader.number("UPSTREAM_TIMEOUT_SECONDS", 600, 0.1, 3_600),
            upstream_attempts=int(reader.number("UPSTREAM_ATTEMPTS", 3, 1, 8)),
            keep_alive_seconds=reader.number("STREAM_KEEP_ALIVE_SECONDS", 10, 0, 600),
            idle_timeout_seconds=reader.number("STREAM_IDLE_TIMEOUT_SECONDS", 300, 0.1, 3_600),
            rewrite_streams=reader.choice("STREAM_REWRITE", ("auto", "always"), default="auto"),
            show_account=reader.choice("ACCOUNT_HEADER", ("off", "on"), default="off") == "on",
            problems=tuple(reader.problems),
        )


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.problems: list[Problem] = []

    def text(self, name: str) -> str | None:
        value = self._env.get(name)
        return (value.strip() or None) if value else None

    def url(self, name: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        if not is_http_url(value):
            self.report(name, "an absolute http(s) URL without query", fatal=True)
            return None
        return value.rstrip("/")

    def number(self, name: str, default: float, minimum: float, maximum: float) -> float:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not minimum <= number <= maximum:
            self.report(name, f"a number from {minimum:g} to {maximum:,.0f}", fatal=False)
            return default
        return number

    def choice(self, name: str, choices: tuple[str, ...], *, default: str) -> str:
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in choices:
            self.report(name, f"one of {', '.join(choices)}", fatal=False)
            return default
        return value.lower()

    def client_keys(self) -> tuple[str, ...]:
        value = self.text("OPENAI_API_KEY")
        if value is None:
            return ()
        keys = tuple(key.strip() for key in value.split(",") if key.strip())
        if not keys:
            self.report("OPENAI_API_KEY", "client keys separated by commas", fatal=True)
        return keys

    def default_model_and_aliases(self) -> tuple[str, dict[str, str]]:
        default: str | None = None
        aliases: dict[str, str] = {}
        for entry in (self.text("OPENAI_MODEL") or "").split(","):
            alias, separator, model = (part.strip() for part in entry.partition("="))
            if not alias and not separator:
                continue
            if separator and alias and model:
                aliases[alias] = model
            elif not separator and default is None:
                default = alias
            else:
                self.report(
                    "OPENAI_MODEL", "a model name, optionally followed by alias=model entries", fatal=False
                )
        return default or DEFAULT_MODEL, aliases

    def models(self, default_model: str) -> tuple[str, ...]:
        value = self.text("QWEN_MODELS")
        listed = [name.strip() for name in (value or "").split(",") if name.strip()]
        if value is not None and not listed:
            self.report("QWEN_MODELS", "model names separated by commas", fatal=False)
        return tuple(dict.fromkeys((*(listed or DEFAULT_MODELS), default_model)))

    def report(self, variable: str, expected: str, *, fatal: bool) -> None:
        """Notes what is wrong with a variable."""
        self.problems.append(Problem(variable, expected, fatal))
