"""Field types that several requests share."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

# A name in the repository or a hub id (org/name); neither can lead out of a directory.
_NAME_PATTERN = r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$"


def _check_model_name(name: str) -> str:
    if not re.fullmatch(_NAME_PATTERN, name):
        raise ValueError(f"{name!r} is not a model name: letters, digits, '.', '_' and '-', or a hub id like org/name")
    return name


ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_check_model_name), Field(
    description="Alias, name in the repository or hub id, for example `fast`.",
    json_schema_extra={"pattern": _NAME_PATTERN, "example": "fast"})]

GeneratorName = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_check_model_name), Field(
        description="Alias, name in the repository or hub id of a text generator, for example `smollm2`.",
        json_schema_extra={"pattern": _NAME_PATTERN, "example": "smollm2"})]

_Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_WEIGHTS_SCHEMA = {"type": "object", "minProperties": 1, "maxProperties": 8,
                   "additionalProperties": {"type": "number", "minimum": 0},
                   "not": {"additionalProperties": {"const": 0}}}
ModelWeights = Annotated[dict[ModelName, _Weight], WithJsonSchema(_WEIGHTS_SCHEMA), Field(
    min_length=1, max_length=8, description=(
        "Several models with their weights, for example {\"fast\": 0.4, \"multilingual\": 0.6}: the vectors, of length "
        "1, are laid one after another so that the cosine is the weighted mean of the models' cosines."))]

Reason = Annotated[str, StringConstraints(max_length=1000), Field(description="Why; kept in the history.")]

# Who asks, as the calling product names them.
Subject = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _as_list(value: object) -> object:
    if isinstance(value, list) and value and all(_is_token_ids(item) for item in value):
        raise ValueError("token ids are refused, because every model here has its own tokeniser and would read ids of "
                         "another one as other words; send texts (LangChain: check_embedding_ctx_length=False)")
    return [value] if isinstance(value, str) else value


def _is_token_ids(item: object) -> bool:
    """Return whether `item` is one id, or the list of ids that OpenAI takes in place of a text."""
    return type(item) is int or (isinstance(item, list) and all(type(part) is int for part in item))


# One text or a list of them. Validated as a list, so that an error names the row and not a branch of a union.
Texts = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1), WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]})]
