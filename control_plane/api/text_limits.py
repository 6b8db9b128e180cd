"""Limits on the texts of a request, checked before anything is sent to Triton."""

from collections.abc import Sequence

from control_plane.errors import InvalidRequestError
from control_plane.settings import Settings


def check_texts(field: str, texts: Sequence[str], settings: Settings) -> None:
    """Raise InvalidRequestError naming the field, the row and the limit when there is too much."""
    if len(texts) > settings.max_texts:
        raise InvalidRequestError(field, f"{len(texts)} texts are more than the {settings.max_texts} that one request "
                                         "may carry; send them in several")
    for row, text in enumerate(texts):
        if len(text) > settings.max_text_chars:
            name = f"{field}.{row}" if len(texts) > 1 else field
            raise InvalidRequestError(name, f"{len(text)} characters are more than {settings.max_text_chars}")
