"""One Triton request to texts and options. Knows nothing of engines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from export.contract import TEXT_INPUT
from serving.encoder.options import EncodeOptions, options_from_parameters
from serving.errors import EncodeError, InvalidTextError

_LARGE_BYTES = 512  # about a hundred tokens


@dataclass(frozen=True)
class RequestRows:
    """The texts of one request; they share its options."""

    texts: list[str]
    options: EncodeOptions


def read_batch(requests: Sequence, pb_utils) -> list[RequestRows | EncodeError | None]:
    """Read the requests of a batch, the oldest first: malformed ones become errors, those whose clients have gone None.

    Asking Triton whether a client has gone takes about as long as computing a token, a twentieth of a short text. So it
    is asked of large requests, and of the oldest; when that one was given up, a queue is being given up, and it is
    asked of all.
    """
    is_given_up = bool(requests) and requests[0].is_cancelled()
    return [read_request(request, pb_utils, asks_always=is_given_up) for request in requests]


def read_request(request, pb_utils, asks_always: bool) -> RequestRows | EncodeError | None:
    """Read one request; it is asked whether its client is still there where it is large, or always."""
    tensor = pb_utils.get_input_tensor_by_name(request, TEXT_INPUT).as_numpy()  # object [rows, 1] of bytes
    texts = tensor.reshape(-1)
    if (asks_always or sum(map(len, texts)) >= _LARGE_BYTES) and request.is_cancelled():
        return None
    try:
        options = options_from_parameters(json.loads(request.parameters() or "{}"))
        return RequestRows([_decode(row, raw) for row, raw in enumerate(texts)], options)
    except EncodeError as error:
        return error


def _decode(row: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidTextError(f"text {row} is not UTF-8: {error.reason} at byte {error.start}") from error
