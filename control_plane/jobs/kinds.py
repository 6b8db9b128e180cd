"""The kinds of jobs there are: the arguments of each, and the module that does it, which this process never imports.

A further kind is a row of KINDS here and a module with a function `run(arguments, report) -> dict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from control_plane.errors import ControlPlaneError
from control_plane.json_schema import only
from export.contract import MODEL_NAME_MAX_CHARS, MODEL_NAME_PATTERN

# How often a job is tried whose process dies; an error that it reports itself ends it at once.
_MAX_ATTEMPTS = 3
# Items of an evaluation: all similarities of a labelled set are in memory at once.
_MAX_ITEMS = 5000


def _check_repository_name(name: str) -> str:
    if not MODEL_NAME_PATTERN.match(name):
        raise ValueError(f"{name!r}: letters, digits, '.', '_' and '-', at most {MODEL_NAME_MAX_CHARS}")
    return name


class ExportArguments(BaseModel):
    """What `conch export` takes, without paths: whoever may call the API need not be able to read this machine."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), json_schema_extra={
        "not": {"required": ["precision"],
                "properties": {"precision": {"const": "int8"}, "min_cosine": {"type": "null"}}}})

    model: str
    name: Annotated[str, AfterValidator(_check_repository_name)] | None = Field(
        None, description="Name in the model repository; default the alias.",
        json_schema_extra={"pattern": MODEL_NAME_PATTERN.pattern.replace(r"\Z", "$")})
    precision: Literal["fp32", "bf16", "int8"] | None = Field(
        None, description="Default: bf16 where the processor has it, else fp32.")
    engine: Literal["openvino", "onnxruntime"] | None = Field(None, description="Default: openvino.")
    min_cosine: float | None = Field(
        None, ge=0, le=1, strict=True, description="Lowest cosine to sentence-transformers to accept. int8 needs one.")

    @model_validator(mode="after")
    def _int8_says_how_close(self) -> "ExportArguments":
        if self.precision == "int8" and self.min_cosine is None:
            raise ValueError("int8 does not reach the usual parity bound; say with min_cosine how close it must be, "
                             "for example 0.97")
        return self


class ScoredPair(BaseModel):
    """Two texts, and how alike people found them on any scale; 0 and 1 also give an accuracy."""

    model_config = ConfigDict(extra="forbid")

    first: str
    second: str
    score: float = Field(strict=True, allow_inf_nan=False)


class LabelledText(BaseModel):
    """A text and the class that it belongs to."""

    model_config = ConfigDict(extra="forbid")

    text: str
    label: str


class EvaluateArguments(BaseModel):
    """Which models, on what; each must be loaded, or on demand."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={
        "oneOf": [only("pairs", "labelled"), only("labelled", "pairs")]})

    models: list[str] = Field(min_length=1, max_length=8)
    pairs: list[ScoredPair] | None = Field(None, min_length=2, max_length=_MAX_ITEMS)
    labelled: list[LabelledText] | None = Field(None, min_length=2, max_length=_MAX_ITEMS)

    @model_validator(mode="after")
    def _one_of_pairs_and_labelled(self) -> "EvaluateArguments":
        if (self.pairs is None) == (self.labelled is None):
            raise ValueError("give either pairs or labelled")
        return self

    def texts(self) -> list[str]:
        """Return every text: the two of each pair one after the other, or the labelled ones."""
        if self.labelled is not None:
            return [item.text for item in self.labelled]
        return [text for pair in self.pairs for text in (pair.first, pair.second)]


@dataclass(frozen=True)
class JobKind:
    """One kind: its arguments, and the module whose `run` does it."""

    arguments: type[BaseModel]
    module: str
    max_attempts: int = _MAX_ATTEMPTS


EXPORT = "export"
EVALUATE = "evaluate"
KINDS: Mapping[str, JobKind] = {
    EXPORT: JobKind(ExportArguments, "conch.jobs.export"),
    EVALUATE: JobKind(EvaluateArguments, "conch.jobs.evaluate"),
}


def find_kind(kinds: Mapping[str, JobKind], name: str) -> JobKind:
    """Return a kind by its name; raises ControlPlaneError for one that only another Conch has."""
    if name not in kinds:
        raise ControlPlaneError(f"this Conch knows no jobs of kind {name!r}, only {', '.join(kinds)}; a newer one may "
                                "have submitted it")
    return kinds[name]
