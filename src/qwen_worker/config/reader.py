"""Reads variables, and collects what is wrong with them or worth knowing about them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from qwen_worker.config.client_keys import ClientKey
from qwen_worker.config.text import looks_pasted
from qwen_worker.config.urls import base_url_in
from qwen_worker.platform.ports import Environment

if TYPE_CHECKING:
    from qwen_worker.config.prices import Price

T = TypeVar("T")


class Problem(NamedTuple):
    """A variable whose value cannot be used."""

    variable: str
    expected: str
    fatal: bool

    def __str__(self) -> str:
        return f"{self.variable}: expected {self.expected}"


class Notice(NamedTuple):
    """What an operator should know about a variable although nothing is wrong with it."""

    variable: str
    text: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.text}"


class Reader:
    """One reading of the variables. Empty and blank values count as not set."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.problems: list[Problem] = []
        self.notices: list[Notice] = []

    def is_set(self, name: str) -> bool:
        """Whether a variable has a value, whatever it is."""
        return bool((self._env.get(name) or "").strip())

    def text(self, name: str) -> str | None:
        """The value of a variable, without what was pasted around it."""
        value = (self._env.get(name) or "").strip()
        if value and looks_pasted(name, value):
            from qwen_worker.config.pasted import mended_text

            value, what = mended_text(name, value)
            self.mended(name, what)
        return value or None

    def url(self, name: str, *, is_api: bool = True) -> str | None:
        """A base URL, without trailing slash. Any other value is a fatal problem."""
        value = self.text(name)
        if value is None:
            return None
        found = base_url_in(value, is_api=is_api)
        if found is None:
            self.report(name, "an absolute http(s) URL without query", fatal=True)
            return None
        self.mended(name, found[1])
        return found[0]

    def number(self, name: str, default: float, minimum: float, maximum: float) -> float:
        """A number within bounds."""
        value = self.text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not minimum <= number <= maximum:
            self.report(name, f"a number from {minimum:g} to {maximum:,.0f}", fatal=False)
            return default
        return number

    def choice(self, name: str, choices: tuple[str, ...], *, default: str) -> str:
        """One of a few words, in any case."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in choices:
            self.report(name, f"one of {', '.join(choices)}", fatal=False)
            return default
        return value.lower()

    def names(self, name: str) -> tuple[str, ...]:
        """Names of models; none if the variable is not set or holds none."""
        return self._list(name, "model names separated by commas", fatal=False)

    def client_keys(self) -> tuple[ClientKey, ...]:
        """CLIENT_KEYS, or OPENAI_API_KEY. A value that holds no key is a fatal problem."""
        keys, older = self._keys("CLIENT_KEYS"), self._keys("OPENAI_API_KEY")
        return self._either("CLIENT_KEYS", keys, "OPENAI_API_KEY", older, fatal=True)

    def admin_key(self, client_keys: tuple[ClientKey, ...]) -> str | None:
        """ADMIN_KEY. One that clients have too is a fatal problem."""
        key = self.text("ADMIN_KEY")
        if key is not None and any(key == client.key for client in client_keys):
            self.report("ADMIN_KEY", "a key that no client has", fatal=True)
        return key

    def prices(self) -> "dict[str, Price]":
        """PRICES, by model."""
        text = self.text("PRICES")
        if text is None:
            return {}
        from qwen_worker.config.prices import EXPECTED, read_prices

        try:
            prices, what = read_prices(text)
        except ValueError:
            self.report("PRICES", EXPECTED, fatal=False)
            return {}
        self.mended("PRICES", what)
        return prices

    def base_url(self) -> str | None:
        """QWEN_BASE_URL, or OPENAI_BASE_URL."""
        url, older = self.url("QWEN_BASE_URL"), self.url("OPENAI_BASE_URL")
        return self._either("QWEN_BASE_URL", url, "OPENAI_BASE_URL", older, fatal=True)

    def model_and_aliases(self) -> tuple[str | None, dict[str, str]]:
        """DEFAULT_MODEL and MODEL_ALIASES, or OPENAI_MODEL, which holds both."""
        model, aliases, older = map(self.text, ("DEFAULT_MODEL", "MODEL_ALIASES", "OPENAI_MODEL"))
        if aliases is None and older is None:
            return model, {}
        from qwen_worker.config.aliases import read_aliases

        _, own_aliases, what, problem = read_aliases("MODEL_ALIASES", aliases or "")
        self._tell("MODEL_ALIASES", what, problem)
        older_model, older_aliases, what, problem = read_aliases("OPENAI_MODEL", older or "")
        self._tell("OPENAI_MODEL", what, problem)
        return (
            self._either("DEFAULT_MODEL", model, "OPENAI_MODEL", older_model, fatal=False),
            self._either("MODEL_ALIASES", own_aliases, "OPENAI_MODEL", older_aliases, fatal=False),
        )

    def report(self, variable: str, expected: str, *, fatal: bool) -> None:
        """Notes what is wrong with a variable."""
        self.problems.append(Problem(variable, expected, fatal))

    def note(self, variable: str, text: str) -> None:
        """Notes what is worth knowing about a variable."""
        self.notices.append(Notice(variable, text))

    def mended(self, variable: str, what: Sequence[str]) -> None:
        """Notes what was mended in a variable, in words, if anything was."""
        if what:
            self.note(variable, f"mended: {', '.join(what)}")

    def _either(self, name: str, value: T, older_name: str, older: T, *, fatal: bool) -> T:
        """The value of a variable that has an older name too. Two values that differ are a problem."""
        if value and older and value != older:
            self.report(name, f"what {older_name}, its older name, says, or only one of the two", fatal=fatal)
        return value or older

    def _keys(self, name: str) -> tuple[ClientKey, ...]:
        """The client keys of a variable; a value that holds none is a fatal problem."""
        text = self.text(name)
        if text is None:
            return ()
        if "=" in text or text.startswith(("[", "{")):
            from qwen_worker.config.described_keys import KeyList

            described = KeyList(name, text)
            self.mended(name, list(dict.fromkeys(described.mended)))
            for where, expected in described.problems:
                self.report(where, expected, fatal=False)
            keys = tuple(described.keys)
        else:
            keys = tuple(map(ClientKey, self._items(name, text)))
        if not keys:
            self.report(name, "client keys separated by commas", fatal=True)
        return keys

    def _list(self, name: str, expected: str, *, fatal: bool) -> tuple[str, ...]:
        """The items of a list; a value that holds none is a problem."""
        value = self.text(name)
        if value is None:
            return ()
        items = self._items(name, value)
        if not items:
            self.report(name, expected, fatal=fatal)
        return tuple(items)

    def _items(self, name: str, value: str) -> list[str]:
        """The items of a list that are not blank; none if it is a list of something else."""
        items = [item for item in map(str.strip, value.split(",")) if item]
        is_plain = "\n" not in value and ";" not in value and not value.startswith(("[", "{"))
        if is_plain and not any(looks_pasted(name, item) for item in items):
            return items
        from qwen_worker.config.pasted_list import split_list

        found, what = split_list(name, value) or ([], [])
        self.mended(name, what)
        return found

    def _tell(self, name: str, mended: Sequence[str], problem: str) -> None:
        self.mended(name, mended)
        if problem:
            self.report(name, problem, fatal=False)
