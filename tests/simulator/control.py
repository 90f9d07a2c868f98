"""The simulator's controls over HTTP, for tests and people in another process.

GET    /__control/requests?key=K&endpoint=chat   what was received
DELETE /__control/requests                       forget it
GET    /__control/state                          logins, pending user codes, totals
POST   /__control/faults                         {"fault", "endpoint", "times", "credential",
                                                 "path_prefix", "key"}: see FaultQueue.add
DELETE /__control/faults                         take all queued faults back
POST   /__control/logins                         {"name", "access_token_seconds", "resource_url"}: log in;
                                                 answers with the content of oauth_creds.json
POST   /__control/logins/NAME/ACTION             revoke, expire, kill, close_tier, open_tier
POST   /__control/device-codes/CODE/ACTION       approve, deny
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.simulator.faults import SimulationError
from tests.simulator.json_types import JsonObject, JsonValue

if TYPE_CHECKING:
    from tests.simulator.server import QwenSimulator

CONTROL_PREFIX: Final = "/__control/"


def answer_control(
    simulator: QwenSimulator, method: str, path: str, query: Mapping[str, str], raw_body: bytes
) -> web.Response:
    """Carry out one control request; 400 tells what is wrong with it, 404 that there is no such control."""
    steps = path.removeprefix(CONTROL_PREFIX).split("/")
    try:
        body = json.loads(raw_body) if raw_body else {}
        answer = _carry_out(simulator, method, steps, query, body)
    except (SimulationError, ValueError, TypeError, KeyError) as error:
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
    if answer is None:
        return web.json_response({"error": "no such control"}, status=404)
    return web.json_response(answer)


def _carry_out(
    simulator: QwenSimulator, method: str, steps: list[str], query: Mapping[str, str], body: dict[str, Any]
) -> JsonObject | None:
    match method, steps:
        case "GET", ["requests"]:
            return {"requests": _requests(simulator, query)}
        case "DELETE", ["requests"]:
            simulator.recorder.clear()
        case "GET", ["state"]:
            return _state(simulator)
        case "POST", ["faults"]:
            simulator.faults.add(body.pop("fault"), **body)
        case "DELETE", ["faults"]:
            simulator.faults.clear()
        case "POST", ["logins"]:
            return simulator.create_login(**body).credentials()
        case "POST", ["logins", name, action]:
            return _change_login(simulator, name, action)
        case "POST", ["device-codes", code, "approve"]:
            simulator.oauth.approve(code)
        case "POST", ["device-codes", code, "deny"]:
            simulator.oauth.deny(code)
        case _:
            return None
    return {}


def _requests(simulator: QwenSimulator, query: Mapping[str, str]) -> list[JsonValue]:
    key, endpoint = query.get("key"), query.get("endpoint")
    return [
        request.to_json()
        for request in simulator.requests
        if key in (None, request.key) and endpoint in (None, request.endpoint)
    ]


def _state(simulator: QwenSimulator) -> JsonObject:
    recorder = simulator.recorder
    totals: JsonObject = {
        "requests": recorder.total,
        "active": recorder.active,
        "most_active": recorder.most_active,
    }
    return {**simulator.oauth.to_json(), **totals}


def _change_login(simulator: QwenSimulator, name: str, action: str) -> JsonObject | None:
    login = simulator.oauth.logins[name]
    match action:
        case "revoke":
            login.revoke_access_tokens()
        case "expire":
            simulator.oauth.expire_access_tokens(login)
        case "kill":
            login.kill()
        case "close_tier":
            login.closed_tier = True
        case "open_tier":
            login.closed_tier = False
        case _:
            return None
    return login.credentials()
