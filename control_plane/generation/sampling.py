"""The sampling parameters that requests may state, by OpenAI's names and vLLM's. Knows no model and no HTTP."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, WithJsonSchema

from control_plane.json_schema import whole_number

_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_MOST_ANSWERS = 16
_MOST_STOPS = 64
_MOST_BIASES = 1024
_BIGGEST_SEED = 1 << 53  # Beyond that a JSON parser may round.


_TOKEN_ID_PATTERN = "^[0-9]{1,9}$"  # noqa: S105 - JSON's keys are strings
_TokenId = Annotated[str, StringConstraints(pattern=_TOKEN_ID_PATTERN)]
# pydantic would say patternProperties, of which flask-openapi3 leaves nothing.
_BIAS_SCHEMA = {"type": "object", "maxProperties": _MOST_BIASES, "propertyNames": {"pattern": _TOKEN_ID_PATTERN},
                "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}}


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class JsonSchemaFormat(BaseModel):
    """A JSON schema that the answer is to follow."""

    name: str = "schema"
    schema_: dict = Field(alias="schema")


class ResponseFormat(BaseModel):
    """What the answer is to be: any text, any JSON object, or JSON after a schema."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchemaFormat | None = Field(None, description="With type json_schema, and only with it.")


class SamplingFields(BaseModel):
    """How to choose tokens and when to stop; what is left out is as the model's checkpoint has it."""

    temperature: Annotated[_Number, Field(ge=0, le=2)] | None = Field(
        None, description="0 takes the likeliest token. Default: GENERATION_TEMPERATURE.")
    top_p: Annotated[_Number, Field(gt=0, le=1)] | None = None
    top_k: whole_number(-1, 1 << 30) | None = Field(None, description="0 and -1: all.")
    min_p: Annotated[_Number, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[_Number, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[_Number, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[_Number, Field(gt=0, le=100)] | None = None
    seed: whole_number(-_BIGGEST_SEED, _BIGGEST_SEED) | None = Field(
        None, description="The same seed, the same answer.")
    n: whole_number(1, _MOST_ANSWERS) | None = Field(None, description="Answers to give.")
    stop: Annotated[list[str], BeforeValidator(_as_list), Field(max_length=_MOST_STOPS), WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": _MOST_STOPS}]}
    )] | None = Field(None, description="Strings that end an answer, which does not have them.")
    stop_token_ids: list[whole_number(0)] | None = None
    ignore_eos: bool | None = Field(None, strict=True)
    min_tokens: whole_number(0) | None = Field(
        None, description="Tokens before which neither stop nor the model's own end ends an answer.")
    logit_bias: Annotated[dict[_TokenId, Annotated[_Number, Field(ge=-100, le=100)]], Field(max_length=_MOST_BIASES),
                          WithJsonSchema(_BIAS_SCHEMA)] | None = Field(
        None, description="By token id, what is added to the token's logit; -100 all but forbids it.")
    truncate_prompt_tokens: whole_number(1) | None = Field(
        None, description="Keep so many of the prompt's last tokens, and no more than there is room for.")
    response_format: ResponseFormat | None = None
    guided_regex: str | None = Field(None, description="A regular expression that the whole answer matches.")

    def sampling(self) -> dict:
        """Return the parameters as vLLM names them."""
        given = self.model_dump(exclude_none=True, include=set(_SAME_NAMES))
        constraint = self._constraint()
        return {**given, **({"guided_decoding": constraint} if constraint else {})}

    def _constraint(self) -> dict | None:
        if self.guided_regex is not None:
            return {"regex": self.guided_regex}
        kind = self.response_format.type if self.response_format else "text"
        if kind == "text":
            return None
        described = self.response_format.json_schema
        schema = described.schema_ if described and kind == "json_schema" else {"type": "object"}
        return {"json": json.dumps(schema, ensure_ascii=False)}


_SAME_NAMES = tuple(name for name in SamplingFields.model_fields if name not in ("response_format", "guided_regex"))
