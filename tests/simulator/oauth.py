"""chat.qwen.ai's OAuth 2.0 endpoints: logins with single-use refresh tokens, and the device code flow.

State and decisions without HTTP, which `oauth_endpoint.py` adds. All times are seconds
of the configured clock.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.simulator.config import CLIENT_ID, SimulatorConfig
from tests.simulator.device_flow import DEVICE_GRANT, DeviceFlow, OAuthAnswer, refusal
from tests.simulator.json_types import JsonObject
from tests.simulator.named_faults import INVALID_REFRESH_TOKEN


@dataclass(slots=True)
class Login:
    """One user's login. `refresh_token` is the only one that still works; `access_tokens` maps live ones to
    expiry.

    `closed_tier`: refreshes succeed and the API refuses every access token. `refreshes` counts the
    successful ones, `refused_refreshes` those with a spent token or after the login was killed.
    `is_refresh_held`: the token endpoint leaves refreshes unanswered (see `refresh_held`).
    """

    name: str
    refresh_token: str
    resource_url: str | None
    access_token: str = ""
    expires_at: float = 0.0
    access_tokens: dict[str, float] = field(default_factory=dict)
    alive: bool = True
    closed_tier: bool = False
    refreshes: int = 0
    refused_refreshes: int = 0
    is_refresh_held: bool = False

    def credentials(self) -> JsonObject:
        """Return the present tokens in the form of `oauth_creds.json`; `expiry_date` is milliseconds."""
        credentials: JsonObject = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "refresh_token": self.refresh_token,
            "expiry_date": int(self.expires_at * 1000),
        }
        if self.resource_url is not None:
            credentials["resource_url"] = self.resource_url
        return credentials

    def revoke_access_tokens(self) -> None:
        """End all access tokens before their expiry; the refresh token goes on working."""
        self.access_tokens.clear()

    def kill(self) -> None:
        """End the login: no token of it works any more."""
        self.alive = False
        self.access_tokens.clear()

    @contextmanager
    def refresh_held(self) -> Iterator[None]:
        """Until the block ends, the token endpoint neither does nor answers a refresh of this login."""
        self.is_refresh_held = True
        try:
            yield
        finally:
            self.is_refresh_held = False


class OAuthState:
    """All logins and device codes of one simulator."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._nonce = secrets.token_hex(4)
        self._issued = 0
        self._login_of_refresh_token: dict[str, Login] = {}
        self._login_of_access_token: dict[str, Login] = {}
        self.device_flow = DeviceFlow(config)
        self.logins: dict[str, Login] = {}
        self.default_resource_url: str | None = None
        self.closed_tier = False
        """Whether the API refuses every token of the logins that users approve from now on."""

    # logins

    def create_login(
        self,
        name: str | None = None,
        *,
        access_token_seconds: float | None = None,
        resource_url: str | None = None,
    ) -> Login:
        """Log a new user in. A negative `access_token_seconds` gives an access token that has expired
        already.
        """
        name = name or f"login-{len(self.logins) + 1}"
        if name in self.logins:
            raise ValueError(f"a login {name!r} exists already")
        login = Login(name=name, refresh_token="", resource_url=resource_url or self.default_resource_url)
        self.logins[name] = login
        self._issue(login, access_token_seconds)
        return login

    def login_of_access_token(self, token: str) -> Login | None:
        """Return the login whose live access token this is, or None (unknown, expired, revoked, closed
        tier).
        """
        login = self._login_of_access_token.get(token)
        if login is None or login.closed_tier or login.access_tokens.get(token, 0.0) <= self._config.clock():
            return None
        return login

    def login_of_refresh_token(self, token: str) -> Login | None:
        """Return the login that a refresh token belongs or belonged to."""
        return self._login_of_refresh_token.get(token)

    # token endpoint

    def token(self, form: Mapping[str, str]) -> OAuthAnswer:
        """Answer a request to the token endpoint, spending the refresh token or device code it presents."""
        grant_type = form.get("grant_type")
        if grant_type == "refresh_token":
            return self._refresh(form)
        if grant_type == DEVICE_GRANT:
            return self.device_flow.poll(form, self._approved_login)
        return refusal(400, "unsupported_grant_type", "Unsupported grant_type")

    def _refresh(self, form: Mapping[str, str]) -> OAuthAnswer:
        token = form.get("refresh_token", "")
        login = self._login_of_refresh_token.get(token)
        if form.get("client_id") != CLIENT_ID or login is None:
            return refusal(400, "invalid_request", INVALID_REFRESH_TOKEN)
        if not login.alive or login.refresh_token != token:
            login.refused_refreshes += 1
            return refusal(400, "invalid_request", INVALID_REFRESH_TOKEN)
        login.refreshes += 1
        return OAuthAnswer(200, self._issue(login))

    def _issue(self, login: Login, lifetime_seconds: float | None = None) -> JsonObject:
        lifetime = (
            self._config.access_token_lifetime_seconds if lifetime_seconds is None else lifetime_seconds
        )
        self._issued += 1
        suffix = f"{login.name}-{self._issued}-{self._nonce}"
        login.access_token = f"access-{suffix}"
        login.refresh_token = f"refresh-{suffix}"
        login.expires_at = self._config.clock() + lifetime
        login.access_tokens[login.access_token] = login.expires_at
        self._login_of_access_token[login.access_token] = login
        self._login_of_refresh_token[login.refresh_token] = login
        return _token_answer(login, lifetime)

    # device code flow

    def approve(self, user_code: str) -> None:
        """Play the user who approves in the browser. Raises KeyError for an unknown user code."""
        self.device_flow.code(user_code).decision = True

    def deny(self, user_code: str) -> None:
        """Play the user who denies in the browser. Raises KeyError for an unknown user code."""
        self.device_flow.code(user_code).decision = False

    def expire(self, user_code: str) -> None:
        """End a device code before its time. Raises KeyError for an unknown user code."""
        self.device_flow.code(user_code).expires_at = self._config.clock()

    def _approved_login(self) -> OAuthAnswer:
        login = self.create_login()
        login.closed_tier = self.closed_tier
        return OAuthAnswer(200, _token_answer(login, self._config.access_token_lifetime_seconds))


def _token_answer(login: Login, lifetime_seconds: float) -> JsonObject:
    answer = login.credentials()
    del answer["expiry_date"]
    answer["expires_in"] = int(lifetime_seconds)
    return answer
