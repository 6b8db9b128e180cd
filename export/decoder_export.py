"""Exports a decoder checkpoint to a version in the model repository: load, build, quantise, prove, publish.

An int4 export tries the recipes in order and keeps the first that meets the bound (docs/decisions/0008).
"""

import datetime
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as package_version
from pathlib import Path

import numpy as np
import onnx

from export.contract import (
    CHAT_TEMPLATE_FILE,
    MODEL_FILE,
    TEXT_GENERATION,
    TEXT_GENERATOR_BACKEND,
    TEXT_OUTPUT,
    TOKENIZER_FILE,
)
from export.decoder_builder import CPU, CUDA, build_graph
from export.decoder_calibration import calibration_rows, observe_norms
from export.decoder_checkpoint import DecoderCheckpoint, check_resources, load_decoder, open_checkpoint
from export.decoder_prompts import quality_prompts
from export.decoder_quality import (
    BOUNDS,
    QualityReference,
    QualityRun,
    describe_quality,
    find_shortfall,
)
from export.decoder_quantization import QuantizationRecipe, quantize_decoder
from export.decoder_rotation import is_rotatable
from export.errors import QualityError, UnsupportedModelError
from export.golden import GOLDEN_TEXT
from export.manifest import GeneratorManifest, sha256_of
from export.precision import CUDA_ENGINE
from export.publish import publish_version, stage_version
from export.sources.checkpoint import Checkpoint
from export.succession import check_backend, check_task
from export.triton_config import generator_config

STEPS = ("load checkpoint", "build graph", "ask the original", "quantize", "prove quality", "publish")
# The quickest first; the figures that chose them are in docs/decisions/0008.
RECIPES = {
    "int8": (QuantizationRecipe(8, 64, "rtn", symmetric=True, rotated=True),
             QuantizationRecipe(8, 32, "rtn", symmetric=True)),
    "int4": (QuantizationRecipe(4, 32, "rtn", symmetric=False, mixed=True),
             QuantizationRecipe(4, 16, "rtn", symmetric=False, mixed=True)),
}
_KV_TYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16",
             onnx.TensorProto.BFLOAT16: "bfloat16"}
_ROW_TOKENS = 512   # the longest row that the original reads; where its context is short, half of that
_RECORDED_PACKAGES = ("torch", "transformers", "onnx", "onnxruntime", "onnxruntime-genai")


@dataclass(frozen=True)
class GeneratorRequest:
    """What to export and how."""

    checkpoint: Checkpoint
    repository: Path
    name: str
    engine: str       # export.precision.GENERATOR_ENGINES
    precision: str
    forced: bool = False  # publish also what misses its quality bound; the manifest says so
    calibration: Path | None = None  # texts, one a line, that a recipe which rotates is fitted to; None: ours

    @property
    def device(self) -> str:
        """What the graph runs on."""
        return CUDA if self.engine == CUDA_ENGINE else CPU


@dataclass(frozen=True)
class _Original:
    """What is known of the float32 checkpoint once it has left the memory."""

    quality: QualityReference
    norms: list[np.ndarray]   # as export.decoder_calibration observes them; none where no recipe asks for them
    golden_token_ids: list[int]


def export_decoder(request: GeneratorRequest, on_step: Callable[[str], None] = lambda step: None) -> Path:
    """Export one version and return its directory; `on_step` hears the name of each step as it begins.

    Raises UnsupportedModelError, or QualityError with the figures; the repository is then what it was.
    """
    on_step(STEPS[0])
    with stage_version(request.repository, request.name) as (staging, version):
        check_task(request.repository / request.name, TEXT_GENERATION, TEXT_OUTPUT)
        check_backend(request.repository / request.name, TEXT_GENERATOR_BACKEND)
        check_resources(request.checkpoint.path, staging)
        work = staging / "work"
        work.mkdir()
        checkpoint = open_checkpoint(request.checkpoint.path, work / "checkpoint")
        on_step(STEPS[1])
        graph = build_graph(checkpoint, work / "graph", _built_precision(request), request.device)
        recipes = _recipes(request, graph)
        on_step(STEPS[2])
        original = _ask_original(checkpoint, work / "reference", _calibration_rows(request, checkpoint, recipes))
        _write_texts(checkpoint, staging)
        run, quality = _fit(request, graph, recipes, original, staging, on_step)
        on_step(STEPS[5])
        shutil.rmtree(work)
        _describe(request, checkpoint, staging, version, run, quality).write(staging)
        return publish_version(staging, version, generator_config(request.name))


def _built_precision(request: GeneratorRequest) -> str:
    """Return what the builder is asked for: for CPUs float32, which is quantised here."""
    return request.precision if request.device == CUDA else "fp32"


def _calibration_rows(request: GeneratorRequest, checkpoint: DecoderCheckpoint,
                      recipes: Sequence[QuantizationRecipe | None]) -> list[list[int]]:
    """Return what a recipe is fitted to, none where no recipe is; raises UnsupportedModelError for texts then."""
    if any(recipe and recipe.rotated for recipe in recipes):
        return calibration_rows(checkpoint.tokenizer, _longest_row(checkpoint), request.calibration)
    if request.calibration is not None:
        raise UnsupportedModelError(f"{request.name}: this architecture is not fitted to texts (docs/decisions/0008); "
                                    "leave --calibration out")
    return []


def _ask_original(checkpoint: DecoderCheckpoint, folder: Path, rows: list[list[int]]) -> _Original:
    folder.mkdir()
    model, tokenizer = load_decoder(checkpoint.path), checkpoint.tokenizer
    return _Original(QualityReference(model, quality_prompts(tokenizer, _longest_row(checkpoint)), folder),
                     observe_norms(model, rows), tokenizer(GOLDEN_TEXT)["input_ids"])


def _longest_row(checkpoint: DecoderCheckpoint) -> int:
    return min(_ROW_TOKENS, checkpoint.config.max_position_embeddings // 2)


def _write_texts(checkpoint: DecoderCheckpoint, staging: Path) -> None:
    checkpoint.tokenizer.backend_tokenizer.save(str(staging / TOKENIZER_FILE))
    if checkpoint.chat_template:
        (staging / CHAT_TEMPLATE_FILE).write_text(checkpoint.chat_template, encoding="utf-8")


def _fit(request: GeneratorRequest, graph: Path, recipes: Sequence[QuantizationRecipe | None], original: _Original,
         staging: Path, on_step: Callable[[str], None]) -> tuple[QualityRun | None, dict]:
    """Put the first graph that meets the bound into `staging`; returns its run and what the manifest says of it."""
    bound = BOUNDS[request.precision]
    for recipe in recipes:
        on_step(STEPS[3])
        _place(graph, staging, recipe, original.norms)
        on_step(STEPS[4])
        try:
            run = original.quality.compare(staging, original.golden_token_ids, request.device)
        except QualityError as error:
            if not request.forced:
                raise
            return None, {"forced": True, "shortfall": str(error)}
        shortfall = find_shortfall(run.figures, bound)
        if shortfall is None:
            break
    if shortfall and not request.forced:
        raise QualityError(f"{request.name} in {request.precision} is not close enough to its float32 checkpoint: "
                           f"{shortfall}; take a wider precision, or publish it all the same with --force; the "
                           "repository is unchanged")
    named = {"recipe": recipe.name} if recipe else {}
    return run, {**named, **describe_quality(run.figures, bound, shortfall)}


def _recipes(request: GeneratorRequest, graph: Path) -> Sequence[QuantizationRecipe | None]:
    """Return the recipes to try on a graph; None is the graph as it was built."""
    if request.device != CPU or request.precision not in RECIPES:
        return (None,)
    rotates = is_rotatable(onnx.load(str(graph), load_external_data=False))
    return [recipe for recipe in RECIPES[request.precision] if rotates or not recipe.rotated]


def _place(graph: Path, staging: Path, recipe: QuantizationRecipe | None, norms: Sequence[np.ndarray]) -> None:
    """Write the graph to serve into `staging`, over one that was tried before."""
    target = staging / MODEL_FILE
    for file in (target, target.with_name(f"{target.name}.data")):
        file.unlink(missing_ok=True)
        if recipe is None and graph.with_name(file.name).exists():
            graph.with_name(file.name).rename(file)
    if recipe is not None:
        quantize_decoder(graph, target, recipe, norms)


def _describe(request: GeneratorRequest, checkpoint: DecoderCheckpoint, staging: Path, version: int,
              run: QualityRun | None, quality: dict) -> GeneratorManifest:
    kv_heads, head_dim = checkpoint.heads
    manifest = GeneratorManifest(
        model=request.name, version=version, task=TEXT_GENERATION,
        source=request.checkpoint.source, revision=request.checkpoint.revision,
        engine=request.engine, precision=request.precision, max_tokens=checkpoint.config.max_position_embeddings,
        layers=checkpoint.config.num_hidden_layers, kv_heads=kv_heads, head_dim=head_dim,
        vocab_size=checkpoint.config.vocab_size, kv_type=_kv_type(staging / MODEL_FILE),
        stop_token_ids=checkpoint.stop_token_ids, generation_defaults=checkpoint.generation_defaults,
        special_tokens=checkpoint.special_tokens, prompt_prefix=checkpoint.prompt_prefix, quality=quality,
        created_at=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        built_with={name: package_version(name) for name in _RECORDED_PACKAGES},
        files={path.name: sha256_of(path) for path in sorted(staging.iterdir())})
    # What never ran here has no golden answer; whoever loads it is not asked for one.
    return manifest if run is None else replace(manifest, golden_text=GOLDEN_TEXT,
                                                golden_token_ids=run.golden_token_ids)


def _kv_type(graph: Path) -> str:
    inputs = onnx.load(str(graph), load_external_data=False).graph.input
    cache = next(item for item in inputs if item.name.startswith("past_key_values."))
    return _KV_TYPES[cache.type.tensor_type.elem_type]
