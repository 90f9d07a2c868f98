"""The device code flow of chat.qwen.ai (RFC 8628, with PKCE S256), without HTTP. All times are seconds."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.simulator.config import CLIENT_ID, SimulatorConfig
from tests.simulator.json_types import JsonObject

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class OAuthAnswer(NamedTuple):
    """Status and JSON body of an OAuth endpoint's answer."""

    status: int
    body: JsonObject


@dataclass(slots=True)
class DeviceCode:
    """A pending device authorization; `decision` is None until the user approves or denies."""

    device_code: str
    user_code: str
    code_challenge: str
    expires_at: float
    decision: bool | None = None
    polled_at: float | None = None
    polls: int = 0


class DeviceFlow:
    """The device codes of one simulator."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._nonce = secrets.token_hex(4)
        self._codes: dict[str, DeviceCode] = {}
        self.verification_uri = "https://chat.qwen.ai/authorize"

    def start(self, form: Mapping[str, str]) -> OAuthAnswer:
        """Answer a request to the device code endpoint."""
        if form.get("client_id") != CLIENT_ID:
            return refusal(400, "invalid_client", "Unknown client_id")
        if not form.get("code_challenge") or form.get("code_challenge_method") != "S256":
            return refusal(400, "invalid_request", "code_challenge with method S256 is required")
        user_code = secrets.token_hex(4).upper()
        lifetime = self._config.device_code_lifetime_seconds
        code = DeviceCode(
            device_code=f"device-{secrets.token_hex(8)}-{self._nonce}",
            user_code=user_code,
            code_challenge=form["code_challenge"],
            expires_at=self._config.clock() + lifetime,
        )
        self._codes[code.device_code] = code
        answer: JsonObject = {
            "device_code": code.device_code,
            "user_code": user_code,
            "verification_uri": self.verification_uri,
            "verification_uri_complete": f"{self.verification_uri}?user_code={user_code}&client=qwen-code",
            "expires_in": int(lifetime),
        }
        return OAuthAnswer(200, answer)

    def poll(self, form: Mapping[str, str], approved: Callable[[], OAuthAnswer]) -> OAuthAnswer:
        """Answer a poll of the token endpoint; `approved` makes the login and the answer with its tokens."""
        code = self._codes.get(form.get("device_code", ""))
        if form.get("client_id") != CLIENT_ID or code is None:
            return refusal(400, "invalid_request", "Invalid device_code or client_id")
        code.polls += 1
        now = self._config.clock()
        if now >= code.expires_at:
            return refusal(401, "expired_token", "The device code has expired")
        if code.polled_at is not None and now - code.polled_at < self._config.device_poll_interval_seconds:
            code.polled_at = now
            return refusal(429, "slow_down", "Polling too fast")
        code.polled_at = now
        if code.decision is None:
            return refusal(400, "authorization_pending", "The user has not approved yet")
        if code.decision is False:
            return refusal(400, "access_denied", "The user denied the request")
        if _s256(form.get("code_verifier", "")) != code.code_challenge:
            return refusal(400, "invalid_grant", "code_verifier does not match code_challenge")
        del self._codes[code.device_code]
        return approved()

    def code(self, user_code: str) -> DeviceCode:
        """The device code that a user sees as `user_code`. Raises KeyError."""
        for code in self._codes.values():
            if code.user_code == user_code:
                return code
        raise KeyError(user_code)

    def user_code_of(self, device_code: str) -> str | None:
        """The user code of a device code."""
        code = self._codes.get(device_code)
        return None if code is None else code.user_code


def refusal(status: int, error: str, description: str) -> OAuthAnswer:
    """An error in the words of OAuth 2.0."""
    return OAuthAnswer(status, {"error": error, "error_description": description})


def _s256(code_verifier: str) -> str:
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
