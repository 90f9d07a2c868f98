"""What the documents and .dev.vars.example say is held against the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_worker import errors
from qwen_worker.api.routes import endpoint_names, find_route
from qwen_worker.config.settings import Settings
from qwen_worker.version import __version__
from tests.unit.runtime_rules import RULES
from tools.configuration_check import known_variables
from tools.dev_vars import parse_dev_vars
from tools.repository import ROOT, SOURCE

README = ROOT / "README.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
LOGINS = ROOT / "docs" / "logins.md"
EXAMPLE = (ROOT / ".dev.vars.example").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMING_DOCUMENTS = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]
"""Those that name the files of this version."""
NO_EVENTS = {"outcome", "completed", "make logs", "exceededCpu"}
"""What is quoted among the log lines and is none."""
OLDER_NAMES = {"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"}
"""They stay valid, and the example shows the newer ones."""
PAGES_NAMED = sorted(
    {
        name
        for file in [ROOT / ".dev.vars.example", *(ROOT / "tools").glob("*.py")]
        for name in re.findall(r"\bdocs/[\w-]+\.md(?:, [A-Z][a-z]+(?: [a-z0-9]+)*)?", file.read_text())
    }
)
"""`docs/accounts.md, Several accounts`: what tools and the example send people to."""
SOURCE_TEXT = "\n".join(file.read_text() for file in SOURCE.rglob("*.py"))


def section(document: Path, title: str) -> str:
    """A chapter of a document."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", document.read_text(), re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    ruled = {index for index, line in enumerate(lines) if set(line) <= set("|-")}
    return [row for index, row in enumerate(cells) if index not in ruled and index + 1 not in ruled]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def unnumbered(name: str) -> str:
    """QWEN_CLI_AUTH_2 is documented with QWEN_CLI_AUTH."""
    return re.sub(r"_\d+$", "", name)


def documented_variables() -> dict[str, str | None]:
    """The variables of the table with their defaults."""
    variables: dict[str, str | None] = {}
    for row in rows(CONFIGURATION.read_text()):
        default = quoted(row[1])
        for name in quoted(row[0]):
            variables.setdefault(unnumbered(name), default[0] if default else None)
    return variables


def example_variables() -> dict[str, str]:
    """The variables of .dev.vars.example, those in comments too."""
    return parse_dev_vars(re.sub(r"^# (?=[A-Z_0-9]+=)", "", EXAMPLE, flags=re.MULTILINE)).values


class Variables(dict[str, str]):
    """An environment."""


def settings(**variables: str) -> Settings:
    return Settings.from_env(Variables(variables))


def test_every_variable_is_documented_and_no_other() -> None:
    assert set(documented_variables()) == {unnumbered(name) for name in known_variables()}


def test_every_variable_is_in_the_example_and_no_other() -> None:
    known = {unnumbered(name) for name in known_variables()}
    assert {unnumbered(name) for name in example_variables()} == known - OLDER_NAMES


@pytest.mark.parametrize(("name", "default"), documented_variables().items())
def test_documented_defaults_are_the_defaults(name: str, default: str | None) -> None:
    if default is not None:
        assert settings(**{name: default}) == settings()


@pytest.mark.parametrize(("name", "value"), example_variables().items())
def test_the_example_shows_usable_values_and_the_documented_defaults(name: str, value: str) -> None:
    read = settings(**{name: value})
    assert (read.problems, read.notices) == ((), ())
    if documented_variables()[unnumbered(name)] is not None:
        assert settings(**{name: value}) == settings()


def test_the_example_as_it_stands_changes_nothing() -> None:
    found = parse_dev_vars(EXAMPLE)

    assert found.stray_lines == ()
    assert settings(**found.values) == settings()


def test_every_endpoint_is_documented_and_answers() -> None:
    documented = [quoted(row[0])[0] for row in rows(section(README, "Endpoints"))]

    assert set(documented) == {*endpoint_names(has_admin=False), "GET /", "GET /v1/logins"}
    logins = [quoted(row[0])[0] for row in rows(section(LOGINS, "Requests"))]
    assert {*documented, *logins} == {*endpoint_names(has_admin=True), "GET /"}
    for endpoint in (*documented, *logins):
        method, path = endpoint.split()
        route = find_route(path, has_admin=True)
        assert route is not None
        assert route.endpoint(method) is not None


def test_endpoints_that_need_a_key_are_marked() -> None:
    for endpoint, key, _ in rows(section(README, "Endpoints")):
        route = find_route(quoted(endpoint)[0].split()[1], has_admin=True)
        assert route is not None
        assert key == ("yes" if route.needs_key else "no")


def test_the_log_lines_to_look_for_exist() -> None:
    log = section(TROUBLESHOOTING, "The log")
    story = log[log.index("A good request reads") :].split("\n\n")[0]
    columns = [row[2] for row in rows(section(TROUBLESHOOTING, "By error"))]
    events = {event for text in (story, *columns) for event in quoted(text)} - NO_EVENTS

    assert len(events) > 15
    for event in events:
        assert f'"{event}"' in SOURCE_TEXT, event


def operators_errors(base: type[errors.ProxyError] = errors.ProxyError) -> Iterator[str]:
    """The codes of errors that are not the fault of a request."""
    for kind in base.__subclasses__():
        yield from operators_errors(kind)
        if kind.status >= 429 and kind is not errors.InternalError:
            yield kind.code


def test_every_error_that_an_operator_can_mend_is_explained() -> None:
    symptoms = " ".join(row[0] for row in rows(section(TROUBLESHOOTING, "By error")))

    assert {*operators_errors()} | {"oauth_discontinued"} <= set(quoted(symptoms))
    for code in quoted(symptoms):
        assert f'"{code}"' in SOURCE_TEXT, code


def test_statuses_of_errors_are_right() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    statuses = {getattr(kind, "code", ""): getattr(kind, "status", 0) for kind in kinds}
    found = re.findall(r"(\d{3}) `(\w+)`", section(TROUBLESHOOTING, "By error"))

    assert len(found) > 8
    for status, code in found:
        assert statuses.get(code, int(status)) == int(status), code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = document.parent / path if path else document
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text()), target


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_make_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = document.read_text()
    for command in re.findall(r"(?:`|^)(?:\w+=\S+ )*make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert command in targets, command
    for module in re.findall(r"python -m (tools\.[a-z_]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


@pytest.mark.parametrize("document", NAMING_DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    for name in re.findall(
        r"`((?:src|tests|tools|bench|docs|\.github|\.ci)/[\w/.-]+)`", document.read_text()
    ):
        assert (ROOT / name).exists(), name


def test_the_rules_for_the_source_are_told() -> None:
    told = section(ROOT / "docs" / "production-runtime.md", "Rules for the source")

    assert [quoted(row[0])[0] for row in rows(told)] == [*RULES]


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) < 200


@pytest.mark.parametrize("name", PAGES_NAMED)
def test_pages_that_programs_name_exist(name: str) -> None:
    page, _, chapter = name.partition(", ")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert not chapter or chapter in headings


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
