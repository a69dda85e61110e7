"""Pictures from a request, within limits; what a client did wrong is a status and a sentence."""

import base64
import binascii
import json
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.formparsers import MultiPartException, MultiPartParser

from reswork.datasets.decoding import Unreadable, header, reason_of
from reswork.shipping.server_settings import Limits


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        sentence: for whoever sent it.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


async def pictures_of(request: Request, limits: Limits) -> list[bytes]:
    """The files in a request: JSON with base64, multipart, or one picture as it is.

    Raises:
        Refused: too much, or something else.
    """
    body = await _body(request, limits.most_bytes)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        found = _from_json(body)
    elif kind == "multipart/form-data":
        found = await _from_form(request, body, limits)
    elif kind.startswith("image/") or kind == "application/octet-stream":
        found = [body]
    else:
        raise Refused(
            415,
            f"content type {kind[:60]!r} is not read: send image/*, multipart/form-data with files, or "
            'application/json with {"images": ["<base64>", ...]}',
        )
    if not 1 <= len(found) <= limits.most_images:
        raise Refused(400, f"{len(found)} pictures in one request: send 1 to {limits.most_images}")
    return found


def check_picture(data: bytes, limits: Limits, index: int, scale: int = 1) -> None:
    """Refuse what is no picture, or has too many pixels, before it is decoded.

    Args:
        data: of its file.
        limits: of a request.
        index: its number.
        scale: how many times as high and wide what comes out is.

    Raises:
        Refused: with the number of the picture.
    """
    try:
        found = header(data)
    except Unreadable as error:
        raise Refused(400, f"picture {index} cannot be read: {reason_of(error)}") from error
    height, width = (scale * side for side in (found.height, found.width))
    if scale > 1 and height * width > limits.most_pixels:
        raise Refused(
            413,
            f"picture {index} would become {width}x{height} pixels; at most {limits.most_pixels:,} are given back",
        )
    if height * width > limits.most_pixels:
        raise Refused(
            413,
            f"picture {index} has {found.width}x{found.height} pixels; at most {limits.most_pixels:,} are read",
        )


async def _body(request: Request, most: int) -> bytes:
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise Refused(413, f"the request has {int(told):,} bytes; at most {most:,} are read")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"the request has more than {most:,} bytes")
        parts.append(part)
    return b"".join(parts)


def _from_json(body: bytes) -> list[bytes]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is no JSON") from error
    texts = values.get("images") if isinstance(values, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refused(400, 'the JSON has no list of texts under "images": send {"images": ["<base64>", ...]}')
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Refused(400, f"picture {index} is no base64") from error
    return found


async def _from_form(request: Request, body: bytes, limits: Limits) -> list[bytes]:
    async def whole() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(request.headers, whole(), max_files=limits.most_images + 1, max_fields=8)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, UnicodeError) as error:
        raise Refused(400, f"the multipart form cannot be read: {str(error)[:200]}") from error
    try:
        return [await each.read() for _, each in form.multi_items() if not isinstance(each, str)]
    finally:
        await form.close()
