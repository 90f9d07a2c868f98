"""Our estimate of tokens is within 15 % of what Qwen's tokenizer counts."""

# ruff: noqa: RUF001 - Chinese has punctuation of its own

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker import tokens
from qwen_worker.tokens import estimate_tokens
from tests.unit.api.messages.vocabulary import token_count

ROOT = Path(__file__).resolve().parents[2]

ENGLISH = """
The harbour was quiet that morning, and the old ferry lay at the pier as if it had never been meant to move.
Nobody had told the passengers why they were waiting; a few walked up and down to keep warm, others read what
was left of yesterday's newspaper. When the captain finally appeared, he said that the engine needed a part
which could only be had from the mainland, and that he would not be surprised if it took until the weekend.
There were complaints, of course. A woman with two children asked whether she might have her money back, and
was told, politely, that she might not. "Weather and machinery," said the captain, "are nobody's fault."
"""

CHINESE = """
那天早上港口非常安静，旧渡轮停在码头边，好像从来没有打算离开。没有人告诉乘客为什么要等待；有些人来回走动取暖，
另一些人看着昨天的报纸。船长终于出现的时候，他说发动机需要一个零件，只能从大陆运来，如果要等到周末，他也不会
感到意外。当然有人抱怨。一位带着两个孩子的女士问能不能退票，得到的回答很客气：不能。船长说：“天气和机器，谁也
不能怪。”于是大家只好回到旅馆，要了热茶，继续等下去。请检查配置文件中的数据库连接，然后重新启动服务器。
"""

CODE = '''
class RateLimiter:
    """Allows `limit` calls in each window of `seconds`."""

    def __init__(self, limit: int, seconds: float, clock=time.monotonic) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._calls: deque[float] = deque()

    def allow(self) -> bool:
        now = self._clock()
        while self._calls and now - self._calls[0] >= self._seconds:
            self._calls.popleft()
        if len(self._calls) >= self._limit:
            return False
        self._calls.append(now)
        return True

export async function fetchWithRetry(url: string, options: RequestInit = {}, retries = 3): Promise<Response> {
  for (let attempt = 0; attempt <= retries; attempt++) {
    const response = await fetch(url, { ...options, signal: AbortSignal.timeout(5000) });
    if (response.ok || attempt === retries) {
      return response;
    }
    await new Promise((resolve) => setTimeout(resolve, 2 ** attempt * 100));
  }
  throw new Error("unreachable");
}
'''

TOOLS = json.dumps(
    [
        {
            "name": name,
            "description": f"{what} Use it when the user asks for it; do not use it for anything else.",
            "input_schema": {
                "type": "object",
                "properties": {
                    "file_path": {"type": "string", "description": "The absolute path of the file"},
                    "line_offset": {"type": "integer", "description": "The line to start at", "minimum": 0},
                    "replaceAll": {"type": "boolean", "default": False},
                    "mode": {"type": "string", "enum": ["content", "files_with_matches", "count"]},
                },
                "required": ["file_path"],
                "additionalProperties": False,
            },
        }
        for name, what in (
            ("read_file", "Reads a file from the local file system."),
            ("SearchText", "Searches for a regular expression in all files of a folder."),
            ("write_file", "Writes a file, and overwrites what was there."),
        )
    ],
    indent=None,
)

MIXED = f"""
# 部署说明 (Deployment)

Run `make deploy` — it builds the image, then pushes it. 如果失败，请先检查网络连接 and the credentials:

```python
{CODE[:600]}
```

| name | value | 说明 |
|------|-------|------|
| timeout_ms | 30000 | 等待的时间 |
| retries | 3 | how often it is tried again |

{CHINESE[:150]}

2026-11-27 09:25:00 INFO  worker[12]: request 4711 took 38.25 ms, status=200 😀
"""

GERMAN = """
Der Hafen war an diesem Morgen still, und die alte Fähre lag am Anleger, als hätte sie nie ablegen sollen.
Niemand hatte den Fahrgästen gesagt, warum sie warteten; einige gingen auf und ab, um sich zu wärmen, andere
lasen, was von der gestrigen Zeitung übrig war. Natürlich beschwerten sich manche.
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ENGLISH, id="English"),
        pytest.param(CODE, id="code"),
        pytest.param(CHINESE, id="Chinese"),
        pytest.param(TOOLS, id="JSON tools"),
        pytest.param(json.dumps(json.loads(TOOLS), indent=2), id="JSON tools, indented"),
        pytest.param(MIXED, id="mixed"),
        pytest.param(ENGLISH + CHINESE + CODE + TOOLS, id="one after the other"),
        pytest.param((ENGLISH + CHINESE + CODE + TOOLS) * 100, id="long"),
    ],
)
def test_accuracy(text: str) -> None:
    assert estimate_tokens(text.encode()) == pytest.approx(token_count(text), rel=0.15)


@pytest.mark.parametrize("name", ["README.md", "docs/clients.md", "CHANGELOG.md", "pyproject.toml"])
def test_accuracy_on_files_of_ours(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert estimate_tokens(text.encode()) == pytest.approx(token_count(text), rel=0.15)


def test_accuracy_on_our_source() -> None:
    text = "\n".join(file.read_text("utf-8") for file in sorted((ROOT / "src").rglob("*.py")))
    assert estimate_tokens(text.encode()) == pytest.approx(token_count(text), rel=0.15)


def test_other_languages_are_not_far_off() -> None:
    assert estimate_tokens(GERMAN.encode()) == pytest.approx(token_count(GERMAN), rel=0.3)


@given(st.text())
def test_any_text_has_a_number(text: str) -> None:
    estimate = estimate_tokens(text.encode("utf-8", "surrogatepass"))
    assert (estimate > 0) == bool(text)
    assert estimate <= 4 * len(text) + 1


def test_a_long_text_costs_no_more_than_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    estimate = tokens._estimate

    def observed(text: bytes) -> float:
        seen.append(len(text))
        return estimate(text)

    monkeypatch.setattr(tokens, "_estimate", observed)
    estimate_tokens(ENGLISH.encode() * 2000)
    assert max(seen) < 50_000


def test_it_is_cheap() -> None:
    body = (TOOLS.encode() * 50)[:46_000]
    best = min(_seconds(body) for _ in range(20))
    assert best < 0.005, "46 KB take half a millisecond on an idle machine"


def _seconds(body: bytes) -> float:
    start = time.perf_counter()
    estimate_tokens(body)
    return time.perf_counter() - start
