"""One request's journey: request id -> CORS -> route -> key check -> handler -> error boundary."""

import os
import re
import time
from random import Random
from typing import TYPE_CHECKING, Any

from qwen_worker.accounts.pool import AccountPool
from qwen_worker.api.context import Context
from qwen_worker.api.routes import Endpoint, Route, endpoint_names, find_route, is_protected
from qwen_worker.auth import identify
from qwen_worker.config.client_keys import ADMIN, ANYONE, ClientKey
from qwen_worker.config.settings import Settings
from qwen_worker.errors import (
    ConfigurationInvalid,
    InternalError,
    MethodNotAllowed,
    NotFound,
    NotPermitted,
    ProxyError,
)
from qwen_worker.log import Log
from qwen_worker.platform.ports import Environment, InboundRequest, LogSink, Respond, Runtime
from qwen_worker.reply import Reply, preflight
from qwen_worker.upstream.error_reader import ErrorReader
from qwen_worker.version import __version__

if TYPE_CHECKING:
    from qwen_worker.credentials.state import CredentialState
    from qwen_worker.usage.ledger import Ledger

_VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)


class Isolate:
    """What lives as long as the isolate: plain data that requests may share, and the gateway."""

    def __init__(self) -> None:
        self.credential_state: CredentialState = {}
        self._environment: Environment | None = None
        self._gateway: Gateway | None = None

    def gateway(self, environment: Environment, sink: LogSink) -> "Gateway":
        """The gateway for these settings. Reads the variables again only for another environment."""
        if self._gateway is None or environment is not self._environment:
            former, settings = self._gateway, Settings.from_env(environment)
            if former is None:
                pool = AccountPool(settings, self.credential_state)
                self._gateway = Gateway(settings, pool, sink, started_ms=int(time.time() * 1000))
            else:
                record, logins = former.pool.kept_record, former.pool.logins
                pool = AccountPool(settings, self.credential_state, record, logins)
                started_ms, ledger = former.started_ms, former.ledger
                self._gateway = Gateway(settings, pool, sink, started_ms=started_ms, ledger=ledger)
            self._environment = environment
        return self._gateway


class Gateway:
    """Answers requests with one reading of the settings."""

    def __init__(
        self,
        settings: Settings,
        pool: AccountPool,
        sink: LogSink,
        *,
        started_ms: int,
        ledger: "Ledger | None" = None,
    ) -> None:
        self.started_ms = started_ms
        self.pool = pool
        self.ledger = ledger
        """What is known of usage; None until something is counted."""
        self._settings = settings
        self._fatal_problem = settings.fatal_problem
        self._secrets = settings.secrets
        self._has_admin = settings.admin_key is not None
        self._sink = sink
        self._announced = False
        self._random = Random(os.urandom(32))  # noqa: S311 - an id is no secret
        """For the ids of requests: asking the runtime for each takes ten times as long."""

    async def handle(self, request: InboundRequest, runtime: Runtime, respond: Respond) -> None:
        """Answers any request: calls `respond` once, and goes on while a stream lasts. Never raises."""
        request_id = self._request_id(request)
        log = Log(self._sink, self._settings.log_level, request_id)
        if not self._announced:
            self._announce(log, runtime)
        route = find_route(request.path, self._has_admin)
        reply = Reply(request, request_id, respond, route)
        try:
            await self._answer(request, runtime, log, route, reply)
        except ProxyError as error:
            _log_error(log, error, reply.client)
            await reply.fail(error)
        except Exception as error:
            log.error("unexpected error", exception=type(error).__name__, where=_where(error))
            await reply.fail(InternalError("The gateway failed to handle this request."))

    async def scheduled(self, runtime: Runtime) -> None:
        """Serves the cron event: notes that it came, refreshes the logins that no request has refreshed, and
        sees to usage.
        """
        log = Log(self._sink, self._settings.log_level)
        if runtime.kv is not None:
            from qwen_worker.last_cron import note_run

            await note_run(runtime.kv, runtime.clock.now_ms(), log)
        if self._has_admin:
            from qwen_worker.accounts.login_upkeep import sweep

            await sweep(self.pool, runtime, log)
        await self.pool.keep_fresh(runtime, log)
        if runtime.database is not None:
            from qwen_worker.usage.upkeep import keep_usage

            await keep_usage(self.ledger, runtime.database, runtime.clock, log)

    async def _answer(
        self, request: InboundRequest, runtime: Runtime, log: Log, route: Route | None, reply: Reply
    ) -> None:
        """Calls the handler. Raises ProxyError."""
        if request.method != "POST":
            # No handler reads it then; the next request on the connection would fail (workers-runtime).
            await request.discard_body()
        if request.method == "OPTIONS":
            reply.respond(preflight(request, route))
            return
        client, ledger = ANYONE, None
        endpoint = None if route is None else route.endpoint(request.method)
        place = endpoint or route
        if is_protected(request.path) if place is None else place.needs_key:
            self._check_configuration()
            client = reply.client = self._identified(request, runtime, log)
            if endpoint is not None:
                if client is ADMIN and endpoint.api is not None:
                    raise NotPermitted("The admin key may see usage, and use no model. Send a client key.")
                ledger = await self._admit(client, endpoint, runtime, log, reply)
        if route is None:
            names = endpoint_names(has_admin=self._has_admin)
            raise NotFound(f"Unknown path. This gateway has {', '.join(names)}.")
        if endpoint is None:
            raise MethodNotAllowed(f"This path answers {route.allow} only.", allow=route.allow)
        if self._has_admin:
            from qwen_worker.accounts.login_upkeep import attend

            reading = attend(self.pool, runtime, log)
            if reading is not None:
                await reading
        await endpoint.handler(
            Context(
                request,
                reply.request_id,
                route.argument,
                self._settings,
                self.pool,
                runtime,
                log,
                ErrorReader(self._secrets, runtime.clock.now_ms),
                reply.respond,
                self.started_ms,
                client,
                ledger,
                reply.meter,
            )
        )

    def _identified(self, request: InboundRequest, runtime: Runtime, log: Log) -> ClientKey:
        """Whose request it is. Raises InvalidApiKey."""
        settings = self._settings
        client = identify(request, settings.client_keys, settings.admin_key, now_ms=runtime.clock.now_ms)
        log.debug("authentication passed", required=bool(settings.client_keys))
        return client

    async def _admit(
        self, client: ClientKey, endpoint: Endpoint, runtime: Runtime, log: Log, reply: Reply
    ) -> "Ledger | None":
        """Holds a client to its limits, and has its request counted. Raises ProxyError.

        Returns what is known of usage; None where nothing is counted.
        """
        is_limited = client.tokens_per_day is not None
        if runtime.database is None and not is_limited and client.requests_per_minute is None:
            return None
        if self.ledger is None:
            from qwen_worker.usage.ledger import Ledger

            self.ledger = Ledger()
        ledger = self.ledger
        if is_limited:
            from qwen_worker.usage.limits import token_headers

            reply.client_headers = lambda: token_headers(ledger, client, runtime.clock.now_ms())
        if endpoint.api is None:
            return ledger
        from qwen_worker.usage.meter import Meter

        reply.meter = Meter(ledger, client, endpoint.api, runtime, log)
        if is_limited or client.requests_per_minute is not None:
            from qwen_worker.usage.limits import admit

            await admit(ledger, client, runtime, log)
        return ledger

    def _request_id(self, request: InboundRequest) -> str:
        """The caller's id if it has the form of one, otherwise a new one."""
        given = request.header("x-request-id")
        if given is not None and _VALID_REQUEST_ID.fullmatch(given):
            return given
        return f"req_{self._random.getrandbits(96):024x}"

    def _check_configuration(self) -> None:
        if self._fatal_problem is not None:
            raise ConfigurationInvalid(f"The gateway is misconfigured: {self._fatal_problem}.")

    def _announce(self, log: Log, runtime: Runtime) -> None:
        """Logs, once in an isolate, what an operator must know about this configuration."""
        self._announced = True
        settings = self._settings
        log.info("gateway started", version=__version__, kv_bound=runtime.kv is not None)
        log.debug("environment loaded", **_presence(settings))
        if not settings.client_keys:
            log.warning("endpoints are open", reason="CLIENT_KEYS is not set: anyone may use this gateway")
        if runtime.kv is None:
            log.warning("QWEN_KV is not bound", consequence="a refreshed login is lost with this isolate")
        for problem in settings.problems:
            log.error("configuration problem", variable=problem.variable, expected=problem.expected)
        for notice in settings.notices:
            log.warning("configuration notice", variable=notice.variable, notice=notice.text)


def _presence(settings: Settings) -> dict[str, Any]:
    return {
        "QWEN_CLI_AUTH": any(account.login is not None for account in settings.accounts),
        "QWEN_API_KEY": any(account.api_key is not None for account in settings.accounts),
        "accounts": [account.label for account in settings.accounts],
        "CLIENT_KEYS": bool(settings.client_keys),
        "QWEN_BASE_URL": settings.base_url is not None,
        "model": settings.default_model,
    }


def _log_error(log: Log, error: ProxyError, client: ClientKey | None) -> None:
    """Logs a client's mistake as information, every other error as a warning for the operator."""
    write = log.info if error.scope == "request" and error.status < 500 else log.warning
    write(
        "request failed",
        client=None if client is None else client.label,
        status=error.status,
        code=error.code,
        param=error.param,
        account=error.account,
        upstream_status=error.upstream_status,
        upstream_request_id=error.upstream_request_id,
    )


def _where(error: Exception) -> str:
    """File and line of the innermost frame: enough to find a bug, without any value of the request."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
