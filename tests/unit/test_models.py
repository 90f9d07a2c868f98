import pytest

from qwen_worker.config.settings import Settings
from qwen_worker.errors import NotFound
from qwen_worker.models import catalogue, find_model

SETTINGS = Settings(models=("qwen3-coder-plus", "org/model"), model_aliases={"gpt-4o": "qwen3-max"})


def test_the_catalogue_has_openais_shape() -> None:
    assert catalogue(Settings())[:2] == [
        {"id": "qwen3-coder-plus", "object": "model", "created": 1_700_000_000, "owned_by": "qwen"},
        {"id": "qwen3-coder-flash", "object": "model", "created": 1_700_000_000, "owned_by": "qwen"},
    ]


def test_configured_models_come_first_then_the_aliases_that_clients_look_for() -> None:
    assert [model["id"] for model in catalogue(SETTINGS)] == ["qwen3-coder-plus", "org/model", "gpt-4o"]


@pytest.mark.parametrize("name", ["qwen3-coder-plus", "org/model", "gpt-4o"])
def test_a_listed_model_is_found(name: str) -> None:
    assert find_model(SETTINGS, name) in catalogue(SETTINGS)
    assert find_model(SETTINGS, name)["id"] == name


def test_an_unlisted_model_is_not_found() -> None:
    with pytest.raises(NotFound) as missing:
        find_model(SETTINGS, "gpt-5")
    assert (missing.value.status, missing.value.code, missing.value.param) == (
        404,
        "model_not_found",
        "model",
    )
