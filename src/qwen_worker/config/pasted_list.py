"""Lists as people paste them: one item a line, separated by semicolons, as a JSON array, each in quotes.

Nothing here is loaded for plain items that are separated by commas.
"""

import re

from qwen_worker.config.pasted import is_empty, mended_text
from qwen_worker.config.pasted_json import read_json

SEMICOLONS = "semicolons between the items"


def split_list(name: str, text: str) -> tuple[list[str], list[str]] | None:
    """The items in the value of the variable `name`, and what was mended; None if it is other JSON."""
    items: list[str] = re.split("[,;\n]", text)
    mended = [SEMICOLONS] if ";" in text else []
    if text.startswith(("[", "{")):
        try:
            value, mended = read_json(text)
        except ValueError:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return None
        items = value
    found = []
    for item in items:
        clean, what = mended_text(name, item.strip())
        mended += what
        if not is_empty(clean):
            found.append(clean)
    return found, list(dict.fromkeys(mended))
