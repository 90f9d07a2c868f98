"""Looks at `.dev.vars`: can it be read, does the Worker know its variables, can it use their values."""

import difflib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from qwen_worker.config.account import AccountSettings
from qwen_worker.config.settings import REMOVED, Settings
from qwen_worker.upstream.hosts import DEFAULT_API_KEY_BASE_URL
from tools.dev_vars import DevVars, decode_text, parse_dev_vars
from tools.findings import Finding, error, note, ok, warning
from tools.login_expiry import login_finding

CREDENTIAL_REMEDY = "set QWEN_CLI_AUTH or QWEN_API_KEY in it (README, Get credentials)"

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


def dev_vars_findings(file: Path, now_ms: int) -> tuple[list[Finding], dict[str, str]]:
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
    findings = [
        *_file_findings(file, content),
        *_name_findings(content.values),
        *configuration_findings(content.values, now_ms),
    ]
    return findings, content.values


def client_key(values: Mapping[str, str]) -> str | None:
    """One of the keys that clients of a Worker with these variables must send; None if it is open."""
    return next(iter(Settings.from_env(RecordingEnvironment(values)).client_keys), None)


def configuration_findings(values: Mapping[str, str], now_ms: int) -> list[Finding]:
    """Whether the Worker can use these values, and which accounts they are."""
    settings = Settings.from_env(RecordingEnvironment(values))
    findings = [
        error(f"{problem.variable} cannot be used", f"expected {problem.expected}")
        for problem in settings.problems
    ]
    findings += [
        warning(str(notice), "remove it")
        if notice.variable in REMOVED
        else note(str(notice), "it is understood; README, Configuration, shows how it is written")
        for notice in settings.notices
    ]
    accounts = [account for account in settings.accounts if account.login or account.api_key]
    if not accounts:
        findings.append(error("no credential for Qwen that can be used", CREDENTIAL_REMEDY))
    for account in accounts:
        findings += _account_findings(account, settings.base_url, now_ms)
    if settings.client_keys:
        findings.append(ok(f"CLIENT_KEYS: {_counted(len(settings.client_keys), 'client key')}"))
    else:
        findings.append(
            warning(
                "CLIENT_KEYS is not set: whoever reaches the gateway may use your account",
                "set it to a long random text, such as the output of: openssl rand -hex 24",
            )
        )
    return findings


def _file_findings(file: Path, content: DevVars) -> list[Finding]:
    findings = []
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        findings.append(warning("other users of this machine may read it", f"chmod 600 {file.name}"))
    findings += [
        error(
            f"line {number} is not NAME=value, so it is ignored",
            "put a value of several lines in single quotes",
        )
        for number in content.stray_lines
    ]
    findings += [
        warning(f"{name} is set more than once; the last one counts", "remove the others")
        for name in content.repeated
    ]
    findings += [
        warning(
            f"{name} is cut at its #: the rest of the line is a comment", "put the value in single quotes"
        )
        for name in content.cut
    ]
    return findings


def _name_findings(names: Iterable[str]) -> list[Finding]:
    known = known_variables()
    findings = []
    for name in names:
        if name in known or name in REMOVED:
            continue
        similar = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        if similar:
            findings.append(error(f"{name} is no variable of the Worker", f"did you mean {similar[0]}?"))
        else:
            findings.append(
                warning(f"{name} is no variable of the Worker", "remove it, or see README, Configuration")
            )
    return findings


def _account_findings(account: AccountSettings, base_url: str | None, now_ms: int) -> list[Finding]:
    if account.login is not None:
        return [login_finding(account.label, account.login, now_ms)]
    url = account.base_url or base_url or DEFAULT_API_KEY_BASE_URL
    host = urlsplit(url).hostname
    is_plan_key = (account.api_key or "").startswith(_PLAN_KEY_PREFIX)
    if is_plan_key and host in _PAY_AS_YOU_GO_HOSTS:
        return [
            error(
                f"{account.label}: a key of a plan ({_PLAN_KEY_PREFIX}...) does not work at {host}",
                "set QWEN_BASE_URL to the plan's own address (README, Get credentials)",
            )
        ]
    return [ok(f"{account.label}: an API key for {url}")]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
