"""A gap in a text, and the marks by which clients show one in a prompt (fill in the middle)."""

from typing import NamedTuple

_MARKS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
)
"""Of Qwen and of StarCoder: what comes before the text before the gap, the text after it, the answer.
Tools choose by the name of the model, which may be an alias.
"""


class Gap(NamedTuple):
    """What stands around a gap."""

    before: str
    after: str
    context: str = ""
    """Of other files, for instance."""


def gap_of(prompt: str, suffix: str) -> Gap:
    """Where the answer to a prompt belongs. `after` is empty for a text that is to be continued."""
    for start, middle, end in _MARKS:
        context, mark, rest = prompt.partition(start)
        if mark:
            before, _, after = rest.partition(middle)
            return Gap(before.removesuffix(end), after.partition(end)[0], _readable(context))
    return Gap(prompt, suffix)


def marked(gap: Gap) -> str:
    """The prompt for a model that was trained with Qwen's marks (Model Studio, Completions)."""
    start, middle, end = _MARKS[0]
    return f"{start}{gap.before}{middle}{gap.after}{end}"


def _readable(context: str) -> str:
    return context.replace("<|repo_name|>", "Repository: ").replace("<|file_sep|>", "\nFile: ").strip()
