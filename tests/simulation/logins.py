"""Hours of a gateway whose admin makes, renames and removes logins, in whatever place, over a stale KV.

Isolates serve clients, start and end. KV is up to 60 s stale, refuses a second write to a key within a
second, and fails now and then. What is assumed to hold: an isolate that has made a change serves requests for
some minutes more, so that it sees whether another place has overwritten its change.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any, NamedTuple

from tests.support.clock import run_virtual
from tests.support.kv import Chance, Namespace, Staleness
from tests.support.login_world import GatewayIsolate, LoginWorld

HOUR = 3_600.0


class LoginScenario(NamedTuple):
    """What happens. Times are in seconds."""

    staleness: Staleness = "cached"
    hours: float = 2.5
    places: int = 3
    kv_error_share: float = 0.02
    change_gap: float = 120.0
    burst_share: float = 0.3
    """How often two admins act in two places within seconds."""


class LoginReport(NamedTuple):
    """What was found at the end; everything but the counts should be empty."""

    changes: int
    refreshes: int
    missing: list[str]
    """Logins that are accounts for the admin, and not for every isolate, by label."""
    undead: list[str]
    """Removed logins that some isolate uses."""
    left_over: list[str]
    """Removed logins of which KV has a token that works."""
    lost: list[str]
    """Logins whose live refresh token nobody has any more."""


def simulate_logins(scenario: LoginScenario, seed: int) -> LoginReport:
    """Runs the scenario with one seed; the same seed gives the same report."""
    return run_virtual(_Story(scenario, seed).run())


class _Story:
    def __init__(self, scenario: LoginScenario, seed: int) -> None:
        self._scenario = scenario
        self._rng = random.Random(seed)
        self._chance = Chance(self._rng, scenario.kv_error_share)
        namespace = Namespace(staleness=scenario.staleness, chance=self._chance, limits_writes=True)
        self._world = LoginWorld(namespace, token_seconds=HOUR)
        self._isolates = [self._isolate() for _ in range(scenario.places)]
        self._labels: dict[str, str] = {}
        """What the admin has been told: label by id."""
        self._renamed_ms: dict[str, int] = {}
        """When a login got its label. Of two renames at once the later one counts, whoever is told first."""
        self._owner: dict[str, str] = {}
        """The simulator's name of the login with an id."""
        self._removed: set[str] = set()
        self._serial = 0
        self._changes = 0
        self._is_over = False

    def _isolate(self) -> GatewayIsolate:
        return self._world.isolate({"LOG_LEVEL": "silent"})

    async def run(self) -> LoginReport:
        tasks = [asyncio.ensure_future(self._serve(number)) for number in range(len(self._isolates))]
        cron = asyncio.ensure_future(self._cron())
        until = self._scenario.hours * HOUR
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(self._rng.expovariate(1 / self._scenario.change_gap))
            acts = 2 if self._rng.random() < self._scenario.burst_share else 1
            places = self._rng.sample(self._isolates, acts)
            await asyncio.gather(*(self._act(isolate) for isolate in places))
        self._chance.error_share = 0.0
        await asyncio.sleep(200)  # every isolate learns of the last change
        self._is_over = True
        await cron
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await self._report()

    async def _serve(self, number: int) -> None:
        """The isolates of one place, one after the other. Each is used for a while without the admin."""
        while True:
            isolate = self._isolates[number]
            successor = asyncio.ensure_future(asyncio.sleep(self._rng.uniform(900, 2_700)))
            await self._use(isolate, successor)
            self._isolates[number] = self._isolate()
            leftover = asyncio.ensure_future(asyncio.sleep(600))
            await self._use(isolate, leftover)
            await isolate.background.settle(30)

    async def _use(self, isolate: GatewayIsolate, until: asyncio.Future[None]) -> None:
        while not until.done():
            await asyncio.sleep(self._rng.expovariate(1 / 25))
            await isolate.chat()

    async def _cron(self) -> None:
        """Comes once more when it is over."""
        while not self._is_over:
            await asyncio.sleep(900)
            await self._isolate().cron()

    async def _act(self, isolate: GatewayIsolate) -> None:
        """One thing that the admin does."""
        self._changes += 1
        known = [name for name in self._labels if name not in self._removed]
        kind = self._rng.random()
        if kind < 0.5 or not known:
            await self._log_in(isolate)
            return
        name = self._rng.choice(known)
        if kind < 0.75:
            self._serial += 1
            label = f"renamed-{self._serial}"
            if await self._insist(isolate, "POST", name, {"label": label}):
                self._note_label(name, label, isolate)
        elif await self._insist(isolate, "DELETE", name):
            self._removed.add(name)

    async def _insist(self, isolate: GatewayIsolate, method: str, name: str, body: Any = None) -> bool:
        """Asks again while KV fails, since what has failed may take effect all the same. Returns whether the
        change was made; not if nobody knows the login here yet.
        """
        while True:
            status = (await isolate.ask(method, f"/v1/logins/{name}", body)).status
            if status != 503:
                logins = isolate.pool.logins
                known = None if logins is None else logins.logins.get(name)
                is_gone = method == "DELETE" and known is not None and known.is_removed
                return status == 200 or is_gone
            await asyncio.sleep(5)

    async def _log_in(self, isolate: GatewayIsolate) -> None:
        self._serial += 1
        label = f"login-of-{self._serial}"
        begun = await isolate.ask("POST", "/v1/logins", {"label": label})
        if begun.status != 201:
            return
        self._world.oauth.approve(begun.body["user_code"])
        for _ in range(60):
            told = await isolate.ask("GET", f"/v1/logins/{begun.body['id']}")
            if told.status == 200 and told.body["status"] == "active":
                name = begun.body["id"]
                self._labels[name] = told.body["label"]
                self._owner[name] = self._owner_of(name, isolate)
                return
            await asyncio.sleep(2)

    def _note_label(self, name: str, label: str, isolate: GatewayIsolate) -> None:
        """Notes the label that this isolate has just given, unless another one has given its own later."""
        assert isolate.pool.logins is not None
        login = isolate.pool.logins.logins.get(name)  # None: here it seems to be pending still
        given_ms = self._world.clock.now_ms() if login is None else login.changed_ms
        if given_ms >= self._renamed_ms.get(name, 0):
            self._labels[name] = label if login is None else login.label
            self._renamed_ms[name] = given_ms

    def _owner_of(self, name: str, isolate: GatewayIsolate) -> str:
        """The simulator's name of a login that this isolate has just made an account."""
        pool = isolate.pool
        assert pool.logins is not None
        identity = pool.logins.logins[name].identity
        state = pool.credentials[f"qwen_oauth_credentials:account:{identity}"]
        assert state.held.token is not None
        return state.held.token.access_token.removeprefix("access-").rsplit("-", 2)[0]

    async def _report(self) -> LoginReport:
        world, alive = self._world, set(self._labels) - self._removed
        wanted = {self._labels[name] for name in alive}
        isolates = [*self._isolates, self._isolate()]
        shown = [set(await isolate.accounts()) for isolate in isolates]
        dead = {self._owner[name] for name in self._removed}
        world.asked.clear()
        for isolate in isolates:
            for _ in range(len(wanted) + 3):
                await isolate.chat()
        await asyncio.sleep(60)  # whoever refreshes a token writes it
        values = json.dumps(world.namespace.values)
        logins = world.oauth.logins
        return LoginReport(
            self._changes,
            sum(login.refreshes for login in logins.values()),
            sorted({label for labels in shown for label in wanted - labels}),
            sorted(dead & set(world.asked)),
            sorted(name for name in dead if logins[name].refresh_token in values),
            sorted(
                self._owner[name] for name in alive if logins[self._owner[name]].refresh_token not in values
            ),
        )
