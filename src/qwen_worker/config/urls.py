"""The base URL that a configured text stands for."""

from qwen_worker.config.text import is_http_url


def base_url_in(text: str, *, is_api: bool = True) -> tuple[str, list[str]] | None:
    """The base URL without trailing slash, and in words what was mended; None if the text makes none.

    `is_api`: it is that of an API, not that of the token endpoint.
    """
    is_usual = text.endswith("/compatible-mode/v1") or (text.endswith("/v1") and "aliyuncs.com" not in text)
    if is_usual and is_http_url(text):
        return text, []
    from qwen_worker.config.base_url import mended_base_url

    return mended_base_url(text, is_api=is_api)
