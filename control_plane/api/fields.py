"""Field types that several requests share."""

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200), Field(
    description="Alias, name in the repository or hub id, for example `fast`.")]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


# One text or a list of them. Validated as a list, so that an error names the row and not a branch of a union.
Texts = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1), WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]})]
