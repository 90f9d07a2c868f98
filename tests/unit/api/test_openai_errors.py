"""Every error in the envelope that the OpenAI SDKs parse."""

import json

import pytest

from qwen_worker.api.openai_errors import openai_error_body
from qwen_worker.errors import ProxyError
from tests.unit.test_errors import taxonomy


@pytest.mark.parametrize("kind", taxonomy())
def test_every_error_has_the_four_fields(kind: type[ProxyError]) -> None:
    error = json.loads(openai_error_body(kind("What happened.", param="model")))["error"]
    assert error["message"] == "What happened."
    assert error["param"] == "model"
    assert isinstance(error["type"], str)
    assert isinstance(error["code"], str)
