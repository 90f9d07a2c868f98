"""Reading the body of a request."""

from qwen_worker.api.context import Context
from qwen_worker.errors import InvalidRequest, PayloadTooLarge
from qwen_worker.platform.ports import BodyTooLarge, BodyUnreadable


async def read_body(context: Context) -> bytes:
    """The whole body, decompressed. Raises PayloadTooLarge, InvalidRequest and UnsupportedEncoding."""
    limit_bytes = context.settings.body_limit_bytes
    try:
        body = await context.request.body(limit_bytes)
    except BodyTooLarge:
        raise PayloadTooLarge(f"The request body is larger than {limit_bytes} bytes.") from None
    except BodyUnreadable:
        raise InvalidRequest("The request body could not be read to its end.", code="invalid_body") from None
    encoding = context.request.header("content-encoding")
    if encoding is None:
        return body
    from qwen_worker.api.content_encoding import decode_body

    return decode_body(body, encoding, limit_bytes)
