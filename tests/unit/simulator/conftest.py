from collections.abc import AsyncIterator

import pytest

from tests.simulator import QwenSimulator


@pytest.fixture
async def simulator() -> AsyncIterator[QwenSimulator]:
    async with QwenSimulator() as running:
        yield running
