"""The names of accounts, wherever they are given."""

import re
from typing import Any

LABEL_RULE = "up to 40 letters, digits, dots, dashes or underscores"
"""What a label may be, in words; the first character is a letter or a digit."""

_matches = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII).fullmatch


def is_label(value: Any) -> bool:
    """Whether a value can be an account's label."""
    return isinstance(value, str) and _matches(value) is not None
