"""One Triton request to texts and options. Knows nothing of engines."""

import json
from dataclasses import dataclass

from export.contract import TEXT_INPUT
from serving.encoder.options import EncodeOptions, options_from_parameters
from serving.errors import EncodeError, InvalidTextError


@dataclass(frozen=True)
class RequestRows:
    """The texts of one request; they share its options."""

    texts: list[str]
    options: EncodeOptions


def read_request(request, pb_utils) -> RequestRows | EncodeError | None:
    """Read a request; returns its error instead when it is malformed, None when its client has gone."""
    if request.is_cancelled():
        return None
    tensor = pb_utils.get_input_tensor_by_name(request, TEXT_INPUT).as_numpy()  # object [rows, 1] of bytes
    try:
        options = options_from_parameters(json.loads(request.parameters() or "{}"))
        return RequestRows([_decode(row, raw) for row, raw in enumerate(tensor.reshape(-1))], options)
    except EncodeError as error:
        return error


def _decode(row: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidTextError(f"text {row} is not UTF-8: {error.reason} at byte {error.start}") from error
