"""Looks at `.dev.vars`: can it be read, does the Worker know its variables, can it use their values."""

import difflib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from qwen_worker.config.account import AccountSettings
from qwen_worker.config.settings import REMOVED, Settings
from qwen_worker.upstream.hosts import DEFAULT_API_KEY_BASE_URL
from tools.checks import Check, error, note, ok, warning
from tools.dev_vars import DevVars, decode_text, parse_dev_vars
from tools.login_expiry import login_check

CREDENTIAL_REMEDY = "set QWEN_CLI_AUTH or QWEN_API_KEY in it (docs/accounts.md, Get credentials)"

_PAY_AS_YOU_GO_HOSTS = {
    "dashscope.aliyuncs.com",
    "dashscope-intl.aliyuncs.com",
    "dashscope-us.aliyuncs.com",
}
_PLAN_KEY_PREFIX = "sk-sp-"


class RecordingEnvironment:
    """Variables that remember which names were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: dict[str, None] = {}

    def get(self, name: str) -> str | None:
        """The value of a variable, or None."""
        self.asked[name] = None
        return self._values.get(name)


def known_variables() -> list[str]:
    """The name of every variable that the Worker uses, in the order in which it reads them."""
    environment = RecordingEnvironment({})
    Settings.from_env(environment)
    return [name for name in environment.asked if name not in REMOVED]


def dev_vars_checks(file: Path, now_ms: int) -> tuple[list[Check], dict[str, str]]:
    """What there is to say about the file, and its variables; none if it is missing or cannot be read."""
    try:
        text = decode_text(file.read_bytes())
    except FileNotFoundError:
        missing = "there is none: make dev serves a simulated Qwen"
        return [note(missing, f"cp .dev.vars.example {file.name}, to use the real one")], {}
    except (OSError, UnicodeError) as problem:
        return [
            error(f"it cannot be read: {type(problem).__name__}", f"chmod 600 {file.name}; save it as UTF-8")
        ], {}
    content = parse_dev_vars(text)
    checks = [
        *_file_checks(file, content),
        *_name_checks(content.values),
        *configuration_checks(content.values, now_ms),
    ]
    return checks, content.values


def client_key(values: Mapping[str, str]) -> str | None:
    """One of the keys that clients of a Worker with these variables must send; None if it is open."""
    return next((client.key for client in Settings.from_env(RecordingEnvironment(values)).client_keys), None)


def configuration_checks(values: Mapping[str, str], now_ms: int) -> list[Check]:
    """Whether the Worker can use these values, and which accounts they are."""
    settings = Settings.from_env(RecordingEnvironment(values))
    checks = [
        error(f"{problem.variable} cannot be used", f"expected {problem.expected}")
        for problem in settings.problems
    ]
    checks += [
        warning(str(notice), "remove it")
        if notice.variable in REMOVED
        else warning(str(notice), "it is understood; docs/configuration.md shows how it is written")
        for notice in settings.notices
    ]
    accounts = [account for account in settings.accounts if account.login or account.api_key]
    if not accounts:
        checks.append(error("no credential for Qwen that can be used", CREDENTIAL_REMEDY))
    for account in accounts:
        checks += _account_checks(account, settings.base_url, now_ms)
    if settings.client_keys:
        checks.append(ok(f"CLIENT_KEYS: {_counted(len(settings.client_keys), 'client key')}"))
    else:
        checks.append(
            warning(
                "CLIENT_KEYS is not set: whoever reaches the gateway may use your account",
                "set it to a long random text, such as the output of: openssl rand -hex 24",
            )
        )
    return checks


def _file_checks(file: Path, content: DevVars) -> list[Check]:
    checks = []
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        checks.append(warning("other users of this machine may read it", f"chmod 600 {file.name}"))
    checks += [
        error(
            f"line {number} is not NAME=value, so it is ignored",
            "put a value of several lines in single quotes",
        )
        for number in content.stray_lines
    ]
    checks += [
        warning(f"{name} is set more than once; the last one counts", "remove the others")
        for name in content.repeated
    ]
    checks += [
        warning(
            f"{name} is cut at its #: the rest of the line is a comment", "put the value in single quotes"
        )
        for name in content.cut
    ]
    return checks


def _name_checks(names: Iterable[str]) -> list[Check]:
    known = known_variables()
    checks = []
    for name in names:
        if name in known or name in REMOVED:
            continue
        similar = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        if similar:
            checks.append(error(f"{name} is no variable of the Worker", f"did you mean {similar[0]}?"))
        else:
            checks.append(
                warning(f"{name} is no variable of the Worker", "remove it, or see docs/configuration.md")
            )
    return checks


def _account_checks(account: AccountSettings, base_url: str | None, now_ms: int) -> list[Check]:
    if account.login is not None:
        return [login_check(account.label, account.login, now_ms)]
    url = account.base_url or base_url or DEFAULT_API_KEY_BASE_URL
    host = urlsplit(url).hostname
    is_plan_key = (account.api_key or "").startswith(_PLAN_KEY_PREFIX)
    if is_plan_key and host in _PAY_AS_YOU_GO_HOSTS:
        return [
            error(
                f"{account.label}: a key of a plan ({_PLAN_KEY_PREFIX}...) does not work at {host}",
                "set QWEN_BASE_URL to the plan's own address (docs/accounts.md, Get credentials)",
            )
        ]
    return [ok(f"{account.label}: an API key for {url}")]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
