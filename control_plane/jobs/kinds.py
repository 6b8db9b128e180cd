"""The kinds of jobs there are: the arguments of each, and the module that does it, which this process never imports.

A further kind is a row of KINDS here and a module with a function `run(arguments, report) -> dict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from control_plane.errors import ControlPlaneError
from control_plane.generation.query_arguments import QueryArguments
from control_plane.json_schema import only, whole_number
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

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str
    name: Annotated[str, AfterValidator(_check_repository_name)] | None = Field(
        None, description="Name in the model repository; default the alias.",
        json_schema_extra={"pattern": MODEL_NAME_PATTERN.pattern.replace(r"\Z", "$")})
    precision: Literal["fp32", "fp16", "bf16", "int8", "int4"] | None = Field(
        None, description="Default: bf16 where the processor has it, else fp32; int8 for text, bf16 with vllm.")
    engine: Literal["openvino", "onnxruntime", "onnxruntime-cuda", "vllm"] | None = Field(
        None, description="Default: openvino; onnxruntime for text generation.")
    min_cosine: float | None = Field(
        None, ge=0, le=1, strict=True,
        description="Lowest cosine to sentence-transformers to accept. An int8 embedding model needs one.")
    force: bool = Field(
        False, strict=True, description="Publish text generation that misses its quality bound; its manifest says so.")
    context_tokens: whole_number(1, 1 << 30) | None = Field(None, description=(
        "Prompt and answer together, with engine vllm; default as many as the model has positions for."))
    gpus: whole_number(1, 64) = Field(1, description="GPUs that share the weights, with engine vllm.")


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


class SeedArguments(BaseModel):
    """Nothing: there is one seed."""

    model_config = ConfigDict(extra="forbid")


class TuneArguments(BaseModel):
    """Which batch to train, export and judge."""

    model_config = ConfigDict(extra="forbid")

    batch_id: str = Field(max_length=32)
    auto_extract_keywords: bool = Field(False, strict=True)


class ExtractKeywordsArguments(BaseModel):
    """How sure a keyword must be, and from how many of the newest labelled questions it may come."""

    model_config = ConfigDict(extra="forbid")

    min_confidence: float = Field(0.8, gt=0, lt=1, description=(
        "Lower end of the 95 % interval of a keyword's precision."))
    limit: int = Field(1000, ge=1, le=100_000)


@dataclass(frozen=True)
class JobKind:
    """One kind: its arguments, and the module whose `run` does it."""

    arguments: type[BaseModel]
    module: str
    max_attempts: int = _MAX_ATTEMPTS


EXPORT = "export"
EVALUATE = "evaluate"
GENERATE = "generate"
SEED = "seed"
TUNE = "tune"
EXTRACT_KEYWORDS = "extract_keywords"
KINDS: Mapping[str, JobKind] = {
    EXPORT: JobKind(ExportArguments, "conch.jobs.export"),
    EVALUATE: JobKind(EvaluateArguments, "conch.jobs.evaluate"),
    SEED: JobKind(SeedArguments, "conch.jobs.seed"),
    GENERATE: JobKind(QueryArguments, "conch.jobs.generate"),
    TUNE: JobKind(TuneArguments, "conch.jobs.tune"),
    EXTRACT_KEYWORDS: JobKind(ExtractKeywordsArguments, "conch.jobs.extract_keywords"),
}


def find_kind(kinds: Mapping[str, JobKind], name: str) -> JobKind:
    """Return a kind by its name; raises ControlPlaneError for one that only another Conch has."""
    if name not in kinds:
        raise ControlPlaneError(f"this Conch knows no jobs of kind {name!r}, only {', '.join(kinds)}; a newer one may "
                                "have submitted it")
    return kinds[name]
