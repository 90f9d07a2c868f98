"""The error taxonomy. The dialects under `api/` decide how an error looks on the wire.

ProxyError
├── the client's own mistakes (scope "request", never retried)
│   ├── InvalidRequest      400   invalid_json, invalid_value, context_length_exceeded, content_filter ...
│   ├── InvalidApiKey       401   invalid_api_key
│   ├── NotPermitted        403   not_permitted
│   ├── NotFound            404   not_found, model_not_found
│   ├── MethodNotAllowed    405   method_not_allowed
│   ├── UpgradeRefused      426   upgrade_refused
│   ├── PayloadTooLarge     413   request_too_large
│   └── UnsupportedEncoding 415   unsupported_content_encoding
├── limits of the account we call Qwen with
│   ├── RateLimited         429   rate_limit_exceeded
│   └── QuotaExhausted      429   insufficient_quota
├── our own trouble with Qwen's credentials (never a 401 to the client)
│   ├── CredentialsMissing  503   credentials_missing
│   ├── CredentialsRejected 503   credentials_rejected, oauth_discontinued
│   └── RefreshPending      503   credentials_refreshing
├── Qwen's trouble
│   ├── UpstreamBlocked     502   upstream_blocked
│   ├── UpstreamUnavailable 502   upstream_unavailable, upstream_error
│   ├── UpstreamTimeout     504   upstream_timeout
│   ├── StreamTruncated     in-stream event   stream_truncated
│   └── StreamFailed        in-stream event   stream_failed
├── ConfigurationInvalid    500   configuration_invalid
└── InternalError           500   internal_error
"""

import math
from typing import Literal

Scope = Literal["request", "account", "model"]


CLIENT_NOT_ALLOWED = "client_not_allowed"
"""The code of an UpstreamUnavailable: the account's plan serves other clients than this one."""


class ProxyError(Exception):
    """An error with everything a client, a retry loop and an operator need to know about it.

    `scope` says whose fault it is: only "account" and "model" may put an account into a cooldown or
    move the request to another one. `retryable` says whether the same request may succeed if it is sent
    again.
    """

    status = 500
    type = "server_error"
    code = "internal_error"
    scope: Scope = "request"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_seconds: float | None = None,
        upstream_status: int | None = None,
        upstream_request_id: str | None = None,
        scope: Scope | None = None,
        status: int | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.upstream_status = upstream_status
        self.upstream_request_id = upstream_request_id
        self.account: str | None = None
        """The label of the account that it comes from, for the log."""
        self.is_certain = True
        """Whether a status or a code tells what it is. Otherwise it is told by words that may quote the
        client.
        """
        if code is not None:
            self.code = code
        if scope is not None:
            self.scope = scope
        if status is not None:
            self.status = status
        if retryable is not None:
            self.retryable = retryable

    def headers(self) -> dict[str, str]:
        """The headers that belong to this error.

        `x-should-retry: false` stops the retries of OpenAI's and Anthropic's SDKs, which otherwise repeat
        every 409, 429 and 5xx, and those of Claude Code, which repeats a 401 too.
        """
        headers: dict[str, str] = {}
        if self.retry_after_seconds is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_seconds)))
        if not self.retryable and (self.status == 401 or self.status >= 429):
            headers["x-should-retry"] = "false"
        return headers


class InvalidRequest(ProxyError):
    """The request itself is wrong; `param` names the field."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class InvalidApiKey(ProxyError):
    """The client's key to this gateway is missing, malformed or wrong."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"

    def headers(self) -> dict[str, str]:
        """Adds the challenge that RFC 9110 demands of a 401."""
        return {**super().headers(), "www-authenticate": "Bearer"}


class NotPermitted(ProxyError):
    """The key is valid, but may not do this."""

    status = 403
    type = "invalid_request_error"
    code = "not_permitted"


class NotFound(ProxyError):
    """No such path or model."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class MethodNotAllowed(ProxyError):
    """The path exists, but not for this method. `allow` lists the methods that it has."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow

    def headers(self) -> dict[str, str]:
        """Adds the list of methods that RFC 9110 demands of a 405."""
        return {**super().headers(), "allow": self.allow}


class UpgradeRefused(ProxyError):
    """The client asks for another protocol, such as WebSocket."""

    status = 426
    type = "invalid_request_error"
    code = "upgrade_refused"


class PayloadTooLarge(ProxyError):
    """The body exceeds the configured limit."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class UnsupportedEncoding(ProxyError):
    """The body is compressed in a way that is not known, or not in the way that its header says."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_content_encoding"
    accepted = "gzip, deflate"
    """The codings that are known."""

    def headers(self) -> dict[str, str]:
        """Adds the list of codings that RFC 9110 asks for in such a 415."""
        return {**super().headers(), "accept-encoding": self.accepted}


class RateLimited(ProxyError):
    """A passing limit of the account or the model."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    scope = "account"
    retryable = True


class QuotaExhausted(ProxyError):
    """A quota that is used up for longer than a client waits."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"
    scope = "account"


class CredentialsMissing(ProxyError):
    """Nothing is configured to call Qwen with."""

    status = 503
    type = "upstream_auth_error"
    code = "credentials_missing"
    scope = "account"


class CredentialsRejected(ProxyError):
    """Qwen refuses the credential for good; the operator must act."""

    status = 503
    type = "upstream_auth_error"
    code = "credentials_rejected"
    scope = "account"


class RefreshPending(ProxyError):
    """A token is being refreshed elsewhere, or the token endpoint has a passing fault."""

    status = 503
    type = "upstream_auth_error"
    code = "credentials_refreshing"
    scope = "account"
    retryable = True


class UpstreamBlocked(ProxyError):
    """Something before Qwen answered in its place: a firewall, a captcha, a page of HTML."""

    status = 502
    type = "upstream_error"
    code = "upstream_blocked"
    scope = "account"
    retryable = True


class UpstreamUnavailable(ProxyError):
    """Qwen could not be reached or had an internal error."""

    status = 502
    type = "upstream_error"
    code = "upstream_unavailable"
    scope = "account"
    retryable = True


class UpstreamTimeout(ProxyError):
    """Qwen did not answer in time."""

    status = 504
    type = "upstream_error"
    code = "upstream_timeout"
    scope = "account"
    retryable = True


class StreamTruncated(ProxyError):
    """A stream ended without a finish reason; only ever an in-stream event."""

    status = 502
    type = "upstream_error"
    code = "stream_truncated"


class StreamFailed(ProxyError):
    """Qwen reported an error, or its connection broke, in the middle of a stream; only an in-stream event."""

    status = 502
    type = "upstream_error"
    code = "stream_failed"


class ConfigurationInvalid(ProxyError):
    """A variable of the Worker holds a value that cannot be used; the message names it."""

    status = 500
    type = "configuration_error"
    code = "configuration_invalid"


class InternalError(ProxyError):
    """A bug of ours. The message never holds Python's own words."""

    status = 500
