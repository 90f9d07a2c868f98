"""Who calls the API, and which fault the answer gets: the same for every API."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulator.config import SimulatorConfig
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import HEALTHY, Fault, Simulation
from tests.simulator.json_types import JsonObject
from tests.simulator.oauth import Login, OAuthState


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credential a request bears: `name` is the login's (OAuth) or the API key."""

    name: str
    login: Login | None = None


def authenticate(token: str, config: SimulatorConfig, oauth: OAuthState) -> Caller | None:
    """Return whose `token` it is; None if it is nobody's."""
    if token in config.api_keys:
        return Caller(token)
    if login := oauth.login_of_access_token(token):
        return Caller(login.name, login)
    return None


def choose_fault(body: JsonObject, caller: Caller, exchange: Exchange, faults: FaultQueue) -> Fault:
    """Return the fault for a request that passed all checks: its own, a planned or a queued one.

    Raises pydantic's ValidationError, which the server answers.
    """
    record = exchange.record
    attempt = exchange.recorder.accept(record.key)
    names = {caller.name, record.bearer}
    simulation = (
        Simulation.model_validate(body["simulate"]) if "simulate" in body else faults.planned(record.key)
    )
    if simulation is None:
        return faults.take(record.endpoint, names) or HEALTHY
    if simulation.only_for and names.isdisjoint(simulation.only_for):
        return HEALTHY
    return simulation.fault_of_attempt(attempt)
