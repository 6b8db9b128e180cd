"""Parts of requests' JSON schemas: they say what validation refuses, so that a client can know before it asks.

Knows no request.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field


def _as_whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def whole_number(least: int, most: int | None = None) -> object:
    """Return the type of an integer within bounds, as JSON Schema has it (6.3.1): 3.0 is one, "3" and true are not."""
    return Annotated[int, Field(strict=True, ge=least, le=most), BeforeValidator(_as_whole)]


def only(field: str, *without: str) -> dict:
    """Return the schema of an object that has `field` and none of `without`; null is as good as left out."""
    return {"required": [field],
            "properties": {field: {"not": {"type": "null"}}, **{name: {"type": "null"} for name in without}}}
