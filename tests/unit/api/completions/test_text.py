"""The text of a choice, cut anywhere: stop words and code fences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_worker.api.completions.gap import Gap, gap_of, marked
from qwen_worker.api.completions.text import ChoiceText

CASES = [
    # the model's words, what is shown
    ("x = 1", "x = 1"),
    ("    x = 1\n", "    x = 1\n"),
    ("```python\nx = 1\n```", "x = 1"),
    ("```\nx = 1\ny = 2\n```\nThis adds.", "x = 1\ny = 2"),
    ("\n```py\nx\n```\n", "x"),
    ("``", "``"),
    ("", ""),
    ("  ", "  "),
    ("```py", ""),
    ("a STOP b", "a "),
    ("```\na STOP b\n```", "a "),
    ("a ST", "a ST"),
    ("a ``` b", "a ``` b"),
]


def shown(pieces: list[str], stops: tuple[str, ...] = ("STOP",), *, may_be_fenced: bool = True) -> str:
    text = ChoiceText(stops, may_be_fenced=may_be_fenced)
    return "".join(text.feed(piece) for piece in pieces) + text.release()


@pytest.mark.parametrize(("said", "expected"), CASES)
def test_the_fence_and_what_follows_a_stop_word_are_left_out(said: str, expected: str) -> None:
    assert shown([said]) == expected
    assert shown([*said]) == expected


def test_a_continued_text_keeps_its_fences() -> None:
    said = "```python\nx = 1\n```\nand so on"
    assert shown([said], may_be_fenced=False) == said


@given(st.sampled_from(CASES), st.data())
def test_it_does_not_matter_how_a_text_is_cut(case: tuple[str, str], data: st.DataObject) -> None:
    said, expected = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=6)))
    pieces = [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    assert shown(pieces) == expected


@pytest.mark.parametrize(
    ("prompt", "suffix", "gap"),
    [
        ("def f():", "", Gap("def f():", "")),
        ("def f():", "f()", Gap("def f():", "f()")),
        ("<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>", "", Gap("P", "S")),
        ("<|fim_prefix|>P<|fim_suffix|>", "", Gap("P", "")),
        ("<|fim_prefix|>P", "", Gap("P", "")),
        ("<|fim_prefix|><|fim_suffix|>S<|fim_middle|>", "", Gap("", "S")),
        ("<fim_prefix>P<fim_suffix>S<fim_middle>", "", Gap("P", "S")),
        (
            "<|repo_name|>r\n<|file_sep|>a.py\nx = 1\n<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
            "",
            Gap("P", "S", "Repository: r\n\nFile: a.py\nx = 1"),
        ),
    ],
)
def test_the_gap_that_a_prompt_shows(prompt: str, suffix: str, gap: Gap) -> None:
    assert gap_of(prompt, suffix) == gap


def test_a_marked_gap_is_found_again() -> None:
    assert gap_of(marked(Gap("P\n", "\nS")), "") == Gap("P\n", "\nS")
