import pytest

from qwen_worker.errors import NotFound
from qwen_worker.models import UNKNOWN_MODEL, catalogue, facts_of, find_model, resolve_model

MODELS = ("qwen3-coder-plus", "org/model")
ALIASES = {"gpt-4o": "qwen3-max"}


def test_the_catalogue_has_openais_shape_and_what_is_known_of_a_model() -> None:
    assert catalogue(["qwen3-coder-plus", "my-model"], {"best": "qwen3-max"}) == [
        {
            "id": "qwen3-coder-plus",
            "object": "model",
            "created": 1_700_000_000,
            "owned_by": "qwen",
            "context_window": 997_952,
            "max_output_tokens": 65_536,
        },
        {"id": "my-model", "object": "model", "created": 1_700_000_000, "owned_by": "qwen"},
        {
            "id": "best",
            "object": "model",
            "created": 1_700_000_000,
            "owned_by": "qwen",
            "context_window": 258_048,
            "max_output_tokens": 65_536,
        },
    ]


def test_what_a_host_says_of_a_model_is_kept() -> None:
    told = {
        "id": "qwen3-max",
        "object": "thing",
        "created": 7,
        "owned_by": "system",
        "context_window": 5,
        "x": [],
    }
    [listed] = catalogue([told, "qwen3-max"], {})
    assert listed == {**told, "object": "model", "max_output_tokens": 65_536}


@pytest.mark.parametrize("created", [None, "2026", 1.5])
def test_a_model_was_created_at_a_number(created: object) -> None:
    assert catalogue([{"id": "x", "created": created}], {})[0]["created"] == 1_700_000_000


def test_models_come_first_then_the_aliases_that_clients_look_for() -> None:
    aliases = {**ALIASES, "gpt-*": "qwen3-max", "org/model": "x"}
    assert [model["id"] for model in catalogue(MODELS, aliases)] == [
        "qwen3-coder-plus",
        "org/model",
        "gpt-4o",
    ]


def test_openais_embedding_models_are_listed_where_qwens_is() -> None:
    aliases = {"text-embedding-3-large": "mine"}
    listed = {model["id"]: model for model in catalogue(["text-embedding-v4"], aliases)}

    assert set(listed) == {
        "text-embedding-v4",
        "text-embedding-3-small",
        "text-embedding-3-large",
        "text-embedding-ada-002",
    }
    assert listed["text-embedding-3-small"]["context_window"] == 8_192
    assert "context_window" not in listed["text-embedding-3-large"]


@pytest.mark.parametrize("name", ["qwen3-coder-plus", "org/model", "gpt-4o"])
def test_a_listed_model_is_found(name: str) -> None:
    listed = catalogue(MODELS, ALIASES)
    assert find_model(name, listed, ALIASES) in listed
    assert find_model(name, listed, ALIASES)["id"] == name


@pytest.mark.parametrize("name", ["gpt-5", "gpt-5[1m]", "text-embedding-3-small"])
def test_an_alias_that_is_not_listed_is_found(name: str) -> None:
    aliases = {"gpt-*": "qwen3-max"}
    assert find_model(name, [], aliases)["id"] == name


def test_an_unlisted_model_is_not_found() -> None:
    with pytest.raises(NotFound) as missing:
        find_model("gpt-5", catalogue(MODELS, ALIASES), ALIASES)
    assert (missing.value.status, missing.value.code, missing.value.param) == (
        404,
        "model_not_found",
        "model",
    )


@pytest.mark.parametrize(
    ("names", "input_tokens", "output_tokens", "thinking"),
    [
        (("qwen3.8-max", "qwen3.8-max-0902", "qwen3.8-flash"), 991_808, 131_072, "by default"),
        (("qwen3.7-max", "qwen3.7-plus", "Qwen3.5-Plus"), 991_808, 65_536, "by default"),
        (("qwen3-coder-plus", "qwen3-coder-flash-2025-07-28"), 997_952, 65_536, "never"),
        (("qwen3-coder-next", "Qwen/qwen3-coder-next"), 262_144, 65_536, "never"),
        (("qwen3-max", "qwen3-max-2026-01-23", "qwen3-max-latest"), 258_048, 65_536, "on request"),
        (("qwen3-vl-plus",), 262_144, 32_768, "on request"),
        (("qwen3.9-ultra",), None, None, "by default"),
        (("qwen3-32b", "Qwen/Qwen3-32B", "qwen3-235b-a22b"), None, None, "by default"),
        (("qwq-plus", "qvq-max", "qwen3-vl-235b-a22b-thinking"), None, None, "always"),
        (("qwen3-30b-a3b-thinking-2507",), None, None, "always"),
        (("qwen3-235b-a22b-instruct-2507",), None, None, "never"),
    ],
)
def test_a_models_facts_are_found_by_its_name_in_any_version(
    names: tuple[str, ...], input_tokens: int | None, output_tokens: int | None, thinking: str
) -> None:
    for name in names:
        facts = facts_of(name)
        assert (facts.input_tokens, facts.output_tokens, facts.thinking) == (
            input_tokens,
            output_tokens,
            thinking,
        ), name


@pytest.mark.parametrize("name", ["qwen3.8-max", "qwen3.8-27b", "qwen3.8-ultra"])
def test_the_newest_models_take_an_effort_as_it_is(name: str) -> None:
    assert facts_of(name).takes_effort
    assert not facts_of("qwen3.7-max").takes_effort


@pytest.mark.parametrize(
    "name", ["", "glm-5", "qwen9-max", "my-qwen3-max", "gpt-4o", "qwen3-maximal", "模型"]
)
def test_nothing_is_known_of_an_unknown_model(name: str) -> None:
    assert facts_of(name) == UNKNOWN_MODEL


ALIAS_RULES = {
    "gpt-*": "qwen3-coder-plus",
    "claude-haiku*": "qwen3-coder-flash",
    "claude-*": "qwen3.7-plus",
    "gpt-4o": "qwen3-max",
    "*-mini": "qwen-flash",
    "chain": "gpt-5",
    "loop-a": "loop-b",
    "loop-b": "loop-a",
    "qwen-v*": "qwen-vl",
}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-5", "qwen3-coder-plus"),
        ("gpt-4o", "qwen3-max"),
        ("claude-haiku-4-5", "qwen3-coder-flash"),
        ("claude-opus-4-5", "qwen3.7-plus"),
        ("claude-opus-4-5[1m]", "qwen3.7-plus"),
        ("o4-mini", "qwen-flash"),
        ("chain", "qwen3-coder-plus"),
        ("loop-a", "loop-a"),
        ("qwen-vx", "qwen-vl"),
        ("qwen-vl", "qwen-vl"),
        ("qwen3.7-max[1m]", "qwen3.7-max"),
        ("qwen3.7-max", "qwen3.7-max"),
        ("text-embedding-3-large", "text-embedding-v4"),
    ],
)
def test_the_longest_alias_that_matches_counts_and_an_exact_one_above_all(name: str, model: str) -> None:
    assert resolve_model(name, default="d", aliases=ALIAS_RULES, is_oauth=False) == model


@pytest.mark.parametrize("name", ["text-embedding-3-small", "gpt-4"])
def test_an_alias_of_itself_keeps_a_name_as_it_is(name: str) -> None:
    aliases = {name: name, "gpt-*": "qwen-max"}
    assert resolve_model(name, default="d", aliases=aliases, is_oauth=False) == name
