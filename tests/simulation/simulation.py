"""Thirty days of a Worker: hundreds of isolates in many places, and everything that can go wrong.

The real manager, account and store code runs in virtual time over a KV that is stale for up to 60 s and a
token endpoint whose refresh tokens work once. Isolates start and die, clients come in bursts, hang up and
retry as the OpenAI SDKs do, Qwen and KV have faults and outages, access tokens are revoked early, and on some
nights nobody calls, so that the morning's herd meets an expired token in all places at once.

What is assumed to hold: the runtime lets background work (`waitUntil`) end before it evicts an isolate, and
an answer of the token endpoint that has spent a refresh token arrives.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from qwen_worker.accounts.pool import Account, AccountPool
from qwen_worker.config.settings import Settings
from qwen_worker.credentials.state import CredentialState
from qwen_worker.credentials.store import RECORD_KEY
from qwen_worker.errors import ProxyError
from qwen_worker.log import Log
from qwen_worker.platform.ports import Runtime
from tests.simulation.endpoint import LIFETIME_SECONDS, Qwen
from tests.simulation.kv import CentralStore, PlaceKV, Staleness
from tests.simulation.virtual_time import EPOCH_MS, VirtualClock, run_virtual

DAY = 86_400.0
HOUR = 3_600.0
CRON_SECONDS = 900.0
SDK_RETRIES = 2


@dataclass(frozen=True)
class Scenario:
    """What is varied. Shares are probabilities per request, call or operation; times are in seconds."""

    name: str
    cron: bool = True
    staleness: Staleness = "cached"
    days: float = 30.0
    isolates: int = 150
    places: int = 25
    isolate_lifetime: float = 3 * HOUR
    request_gap: float = 2_400.0
    quiet_nights: float = 0.5
    hang_up_share: float = 0.05
    endpoint_fault_share: float = 0.05
    endpoint_hang_share: float = 0.005
    endpoint_outage: float = 300.0
    endpoint_revokes_previous: bool = False
    kv_error_share: float = 0.02
    kv_outage: float = 15.0
    revocations: int = 5
    new_logins: int = 1
    logins: int = 1
    """How many accounts there are at a time."""
    rearrangements: int = 0
    """How often the operator puts them in another order, takes one out or puts it back."""


@dataclass
class Report:
    """What came of it."""

    seed: int
    scenario: Scenario
    counts: Counter[str] = field(default_factory=Counter)
    error_codes: Counter[str] = field(default_factory=Counter)
    lost_tokens: list[str] = field(default_factory=list)
    setbacks: list[str] = field(default_factory=list)
    mixed_up: list[str] = field(default_factory=list)
    longest_dark_seconds: float = 0.0
    dead_at_the_end: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.counts["requests"]

    def per_day(self, name: str) -> float:
        return self.counts[name] / self.scenario.days

    def share(self, name: str) -> float:
        return self.counts[name] / max(1, self.requests)

    @property
    def problems(self) -> list[str]:
        """What must never be."""
        problems = []
        if self.dead_at_the_end:
            problems.append(f"bricked: no isolate gets a working token any more of {self.dead_at_the_end}")
        if self.mixed_up:
            problems.append(f"tokens of another account: {self.mixed_up[:3]}")
        if self.lost_tokens:
            problems.append(f"rotated tokens lost: {len(self.lost_tokens)}")
        if self.setbacks:
            problems.append(f"KV's record deleted or replaced by an older token: {self.setbacks[:3]}")
        if self.longest_dark_seconds > self.scenario.endpoint_outage + 300:
            problems.append(f"dark for {self.longest_dark_seconds:.0f} s")
        return problems


class Isolate:
    """One isolate: its memory, its place's view of KV, its background work."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self.deployment = world.deployment
        self.pool = AccountPool(world.settings, CredentialState())
        self._tasks: set[asyncio.Task[None]] = set()
        self._runtime = Runtime(
            VirtualClock(),
            world.qwen,
            world.rng.choice(world.places),
            self,
            world.rng.random,
            _no_pipe,
        )
        self._log = Log(lambda level, line: None, "silent")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """The Background port."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def live(self, until: float) -> None:
        """Serves bursts of clients until it is evicted."""
        world = self._world
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / world.scenario.request_gap))
            await world.wait_out_the_night(self._rng)
            if self.deployment != world.deployment and world.now > world.deployed_at + self._rng.uniform(
                0, 600
            ):
                return await self.end()
            await self._burst()
            if world.now >= until:
                return await self.end()

    async def end(self) -> None:
        """Eviction: what is in the background ends first, but for 30 s at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=30)
        for task in self._tasks:
            task.cancel()

    async def cron(self) -> None:
        await self.pool.keep_fresh(self._runtime, self._log)

    async def _burst(self) -> None:
        size = 1 if self._rng.random() < 0.8 else self._rng.randint(2, 12)
        if size == 1 and self._rng.random() >= self._world.scenario.hang_up_share:
            return await self._client()
        clients = [asyncio.ensure_future(self._client()) for _ in range(size)]
        for client in clients:
            if self._rng.random() < self._world.scenario.hang_up_share:
                asyncio.get_running_loop().call_later(self._rng.uniform(0.0, 3.0), client.cancel)
        await asyncio.gather(*clients, return_exceptions=True)
        return None

    async def _client(self) -> None:
        """A request, repeated as the OpenAI SDKs do it."""
        world = self._world
        world.counts["requests"] += 1
        for attempt in range(SDK_RETRIES + 1):
            error = await self._request()
            if error is None:
                world.note_success()
                return
            world.note_error(error)
            if attempt == 0:
                world.counts["first answer an error"] += 1
            if not error.retryable or attempt == SDK_RETRIES:
                break
            await asyncio.sleep(error.retry_after_seconds or self._rng.uniform(0.4, 0.6) * 2**attempt)
        world.counts["failed after retries"] += 1

    async def _request(self) -> ProxyError | None:
        """A request to one of the accounts."""
        accounts = self.pool.accounts
        return await self.request(accounts[0] if len(accounts) == 1 else self._rng.choice(accounts))

    async def request(self, account: Account) -> ProxyError | None:
        """What the gateway does for one request: acquire, call, and replace a token that the API refuses."""
        world, source = self._world, account.source
        try:
            credential = await source.acquire(self._runtime, self._log)
            world.check_owner(credential.secret, account)
            for _ in range(2):
                if world.qwen.accepts(credential.secret, world.now):
                    return None
                credential = await source.replace(credential, self._runtime, self._log)
                world.check_owner(credential.secret, account)
            if world.qwen.accepts(credential.secret, world.now):
                return None
        except ProxyError as error:
            return error
        return ProxyError("refused by the API", code="refused_by_the_api")


def _no_pipe() -> Any:
    raise AssertionError("credentials open no pipe")


class World:
    """The clock, Qwen, KV, the operator; and the count of it all."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.rng = random.Random(seed)
        self.report = Report(seed, scenario)
        self.counts = self.report.counts
        self.qwen = Qwen(
            self.rng,
            scenario.endpoint_fault_share,
            scenario.endpoint_hang_share,
            scenario.endpoint_revokes_previous,
        )
        self.store = CentralStore(self.rng, scenario.staleness, scenario.kv_error_share)
        self.places = [PlaceKV(self.store) for _ in range(scenario.places)]
        self._quiet = [self.rng.random() < scenario.quiet_nights for _ in range(int(scenario.days) + 2)]
        self.deployment = 0
        self._logins: list[dict[str, Any]] = []
        self._taken_out: list[dict[str, Any]] = []
        self._serial = 0
        self.deployed_at = 0.0
        self._dark_since: float | None = None
        self._isolates: list[Isolate] = []
        self._background: list[asyncio.Future[None]] = []

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def run(self) -> Report:
        """Lives through all days."""
        for _ in range(self.scenario.logins):
            self._logins.append(self._log_in())
        self._deploy()
        tasks = [asyncio.ensure_future(self._slot()) for _ in range(self.scenario.isolates)]
        tasks.append(asyncio.ensure_future(self._operator()))
        tasks.append(asyncio.ensure_future(self._misfortune()))
        if self.scenario.cron:
            tasks.append(asyncio.ensure_future(self._cron()))
        await asyncio.sleep(self.scenario.days * DAY)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(isolate.end() for isolate in self._isolates), *self._background)
        await self._settle()
        return self.report

    async def wait_out_the_night(self, rng: random.Random) -> None:
        """From midnight to 8 o'clock of a quiet night nobody calls; the morning starts everywhere at once."""
        day, hour = divmod(self.now, DAY)
        if self._quiet[int(day)] and hour < 8 * HOUR:
            await asyncio.sleep(8 * HOUR - hour + rng.expovariate(1 / 30))

    def note_success(self) -> None:
        self._dark_since = None

    def note_error(self, error: ProxyError) -> None:
        """Counts an error, and for how long there has been nothing but errors."""
        self.counts["error answers"] += 1
        self.report.error_codes[error.code] += 1
        if self._dark_since is None:
            self._dark_since = self.now
        self.report.longest_dark_seconds = max(self.report.longest_dark_seconds, self.now - self._dark_since)

    async def _slot(self) -> None:
        """One isolate after the other."""
        await asyncio.sleep(self.rng.uniform(0, HOUR))
        while True:
            isolate = Isolate(self)
            self._isolates.append(isolate)
            self.counts["isolates"] += 1
            await isolate.live(self.now + self.rng.expovariate(1 / self.scenario.isolate_lifetime))
            self._isolates.remove(isolate)

    async def _cron(self) -> None:
        """The trigger fires once for the whole Worker, in an isolate that is there or in a new one."""
        while True:
            await asyncio.sleep(CRON_SECONDS)
            running = [isolate for isolate in self._isolates if isolate.deployment == self.deployment]
            isolate = self.rng.choice(running) if running and self.rng.random() < 0.5 else Isolate(self)
            isolate.spawn(isolate.cron())
            if isolate not in self._isolates:
                self._background.append(asyncio.ensure_future(isolate.end()))
                self._background = [task for task in self._background if not task.done()]

    async def _operator(self) -> None:
        """Changes the secret now and then, while isolates with the old one live on for minutes."""
        actions = [self._renew_login] * self.scenario.new_logins
        actions += [self._rearrange] * self.scenario.rearrangements
        times = sorted(self.rng.uniform(1, self.scenario.days - 1) for _ in actions)
        if self.scenario.rearrangements:
            self.rng.shuffle(actions)
        for time, action in zip(times, actions, strict=True):
            await asyncio.sleep(time * DAY - self.now)
            action()
            self._deploy()

    def _renew_login(self) -> None:
        index = 0 if len(self._logins) == 1 else self.rng.randrange(len(self._logins))
        self._logins[index] = self._log_in()

    def _rearrange(self) -> None:
        if self._taken_out:
            self._logins.insert(self.rng.randint(0, len(self._logins)), self._taken_out.pop())
        elif self.rng.random() < 0.5:
            self._logins.append(self._logins.pop(0))
        else:
            self._taken_out.append(self._logins.pop(self.rng.randrange(len(self._logins))))

    async def _misfortune(self) -> None:
        """Outages of Qwen and of KV, access tokens revoked before their time."""
        scenario = self.scenario
        events = [("revoke", self.rng.uniform(1, scenario.days) * DAY) for _ in range(scenario.revocations)]
        for day in range(0, int(scenario.days), 2):
            events.append(("qwen", (day + self.rng.uniform(0, 2)) * DAY))
            events.append(("kv", (day + self.rng.uniform(0, 2)) * DAY))
        for kind, time in sorted(events, key=lambda event: event[1]):
            await asyncio.sleep(max(0.0, time - self.now))
            if kind == "qwen":
                self.qwen.down_until = self.now + self.rng.uniform(0, scenario.endpoint_outage)
            elif kind == "kv":
                self.store.down_until = self.now + self.rng.uniform(0, scenario.kv_outage)
            elif self.qwen.issued:
                self.qwen.revoke(self.qwen.issued[-1][0])

    def check_owner(self, access_token: str, account: Account) -> None:
        """An account must never call with the token of another one."""
        login = account.settings.login
        if login is None or access_token.split("-")[1] != login.access_token.split("-")[1]:
            self.report.mixed_up.append(f"{access_token} for {account.label}")

    def _log_in(self) -> dict[str, Any]:
        """A new login, as `oauth_creds.json` holds it."""
        self._serial += 1
        access, refresh = self.qwen.log_in(f"login{self._serial}", self.now)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "resource_url": "portal.qwen.ai",
            "expiry_date": EPOCH_MS + int((self.now + LIFETIME_SECONDS) * 1000),
        }

    def _deploy(self) -> None:
        """Sets the secret anew."""
        self.deployment += 1
        self.deployed_at = self.now
        secret = self._logins[0] if len(self._logins) == 1 else self._logins
        self.settings = Settings.from_env({"QWEN_CLI_AUTH": json.dumps(secret)})

    async def _settle(self) -> None:
        """When all is calm: does a fresh isolate get working tokens, and was every rotated token kept?"""
        self.qwen.down_until = self.store.down_until = 0.0
        self.qwen.fault_share = self.qwen.hang_share = self.store.error_share = 0.0
        while self._taken_out:
            self._rearrange()
            self._deploy()
        for index in range(len(self._logins)):
            for _ in range(20):
                isolate = Isolate(self)
                account = isolate.pool.accounts[index]
                if await isolate.request(account) is None:
                    break
                await asyncio.sleep(15)
            else:
                self.report.dead_at_the_end.append(account.label)
        kept = " ".join(self.store.every_value())
        self.report.lost_tokens = [refresh for _, refresh in self.qwen.issued if f'"{refresh}"' not in kept]
        self.report.setbacks = self._setbacks()
        self.counts.update(self.qwen.counts)
        self.counts.update(self.store.counts)

    def _setbacks(self) -> list[str]:
        """The moments at which a record was deleted, or went back to an older token of the same login, and if
        there is but one account, to an older login.
        """
        setbacks = []
        for key, versions in self.store.history.items():
            newest: dict[str, int] = {}
            if ":successor:" in key or not key.startswith(RECORD_KEY) or key.endswith(":rejected"):
                continue
            for time, value in versions:
                if value is None:
                    setbacks.append(f"day {time / DAY:.3f}: {key} deleted")
                    continue
                _, login, number = json.loads(value)["refresh_token"].split("-")
                group = login if self.scenario.logins > 1 else ""
                if int(number) < newest.get(group, -1):
                    setbacks.append(f"day {time / DAY:.3f}: {newest[group]} -> {number}")
                newest[group] = int(number)
        return setbacks


def simulate(scenario: Scenario, seed: int) -> Report:
    """Runs one scenario with one seed; the same seed gives the same report."""

    async def main() -> Report:
        return await World(scenario, seed).run()

    return run_virtual(main())
