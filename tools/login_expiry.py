"""What the expiry of an OAuth login means for its owner."""

from qwen_worker.config.login import OAuthToken
from tools.checks import Check, error, note, ok, warning

LOGIN_REMEDY = "log in with the Qwen Code CLI again, or use an API key (QWEN_API_KEY)"


def login_check(name: str, token: OAuthToken, now_ms: int) -> Check:
    """The state of a login, called `name`, at the time `now_ms` (milliseconds since the epoch)."""
    if token.expiry_date_ms is None:
        return note(f"{name}: the login does not say when its access token expires")
    distance = duration(abs(token.expiry_date_ms - now_ms) // 1000)
    if token.is_valid(now_ms):
        if token.refresh_token is None:
            return warning(
                f"{name}: no refresh token, so this login ends for good in {distance}", LOGIN_REMEDY
            )
        return ok(f"{name}: access token valid for {distance}, then it is refreshed")
    if token.refresh_token is None:
        return error(f"{name}: expired {distance} ago, and there is no refresh token", LOGIN_REMEDY)
    return note(
        f"{name}: access token expired {distance} ago; it is refreshed at the first request, if Qwen "
        "still takes the refresh token"
    )


def duration(seconds: int) -> str:
    """`93784` -> `1 day 2 h`: the two largest units."""
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} day{'s' if days > 1 else ''} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{rest} s"
