"""The token and device code endpoints over HTTP: faults first, then the state of `oauth.py`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tests.simulator.device_flow import OAuthAnswer
from tests.simulator.exchange import Exchange
from tests.simulator.fault_queue import FaultQueue
from tests.simulator.faults import HEALTHY, Fault
from tests.simulator.oauth import Login, OAuthState
from tests.simulator.sending import begin_answer

_FORM: Final = "application/x-www-form-urlencoded"
_POLL_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class OAuthEndpoint:
    """`POST /api/v1/oauth2/token` and `POST /api/v1/oauth2/device/code`."""

    oauth: OAuthState
    faults: FaultQueue

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a request; a refresh spends its token before a slow answer leaves, a fault spends none."""
        record = exchange.record
        token = record.form.get("refresh_token", "")
        login = self.oauth.login_of_refresh_token(token)
        record.credential = login.name if login else None
        user_code = self.oauth.device_flow.user_code_of(record.form.get("device_code", ""))
        names = {token, login.name if login else "", user_code or ""}
        fault = self.faults.take(record.endpoint, names) or HEALTHY
        if fault.spend_refresh_token:
            self.oauth.token(record.form)
        await _wait_for_release(login)
        await begin_answer(exchange, fault)
        if fault.replaces_answer:
            return await exchange.send_fault(fault)
        if not record.headers.get("User-Agent"):
            return await exchange.send_fault(Fault.model_validate("captcha_200"))
        answer = self._answer(exchange)
        kept = {name: value for name, value in answer.body.items() if name not in fault.omit}
        return await exchange.send_json(answer.status, {**kept, **fault.extra})

    def _answer(self, exchange: Exchange) -> OAuthAnswer:
        if exchange.request.method != "POST" or exchange.request.content_type != _FORM:
            text = "A form-encoded POST is required"
            return OAuthAnswer(400, {"error": "invalid_request", "error_description": text})
        form = exchange.record.form
        return (
            self.oauth.token(form)
            if exchange.record.endpoint == "token"
            else self.oauth.device_flow.start(form)
        )


async def _wait_for_release(login: Login | None) -> None:
    """Wait while a test, in another thread perhaps, holds the login's refreshes."""
    while login is not None and login.is_refresh_held:  # noqa: ASYNC110 - asyncio's events stay in their thread
        await asyncio.sleep(_POLL_SECONDS)
