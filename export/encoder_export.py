"""Exports an embedding checkpoint to a version in the model repository: load, trace, prove, publish.

What an encoder with a head needs as well is here once (write_encoder, describe_encoder); export.intent_export has the
rest of that.
"""

import dataclasses
import datetime
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from export.calibration import CALIBRATION_TOKENS, read_calibration_texts
from export.catalog import CatalogEntry
from export.checkpoint_model import load_sentence_transformer
from export.contract import EMBEDDING, EMBEDDING_OUTPUT, MODEL_FILE, TOKENIZER_FILE
from export.encoder_graph import export_graph, pools_prompt
from export.encoder_int8 import quantize_encoder
from export.errors import UnsupportedModelError
from export.golden import GOLDEN_TEXT
from export.manifest import EncoderManifest, sha256_of
from export.onnx_precision import fuse_graph, quantize_graph
from export.parity import MIN_COSINE, prove_parity
from export.publish import publish_version, stage_version
from export.sources.checkpoint import Checkpoint
from export.succession import check_dimension, check_task
from export.triton_config import encoder_config
from export.vllm_arguments import NO_OPTIONS, VllmOptions

STEPS = ("load checkpoint", "trace graph", "fit engine", "write tokenizer", "prove parity", "publish")
_RECORDED_PACKAGES = ("torch", "transformers", "sentence-transformers", "onnx", "onnxruntime", "openvino")


@dataclass(frozen=True)
class ExportRequest:
    """What to export and how."""

    entry: CatalogEntry
    checkpoint: Checkpoint
    repository: Path
    name: str
    engine: str
    precision: str
    min_cosine: float | None = None  # None: the project's bound, which int8 cannot use
    calibration: Path | None = None  # texts, one a line, that int8 is fitted to; None: ours
    forced: bool = False             # publish a decoder also when it misses its quality bound
    vllm: VllmOptions = NO_OPTIONS   # for the engine vllm


def export_encoder(request: ExportRequest, on_step: Callable[[str], None] = lambda step: None) -> Path:
    """Export one version and return its directory; `on_step` hears the name of each step as it begins.

    Raises UnsupportedModelError or ParityError; the repository is then what it was.
    """
    if request.precision == "int8" and request.min_cosine is None:
        raise UnsupportedModelError("int8 does not reach the usual parity bound; say how close it must be with "
                                    "--min-cosine, for example --min-cosine 0.998")
    on_step(STEPS[0])
    model = load_sentence_transformer(request.checkpoint.path)
    _apply_catalog_prompts(model, request.entry)
    with stage_version(request.repository, request.name) as (staging, version):
        check_task(request.repository / request.name, EMBEDDING, EMBEDDING_OUTPUT)
        check_dimension(request.repository / request.name, model.get_embedding_dimension())
        write_encoder(model, staging, request.engine, request.precision, on_step, calibration=request.calibration)
        manifest = EncoderManifest(
            model=request.name, version=version, task=EMBEDDING,
            source=request.checkpoint.source, revision=request.checkpoint.revision,
            engine=request.engine, precision=request.precision, **describe_encoder(model, staging))
        manifest.write(staging)
        on_step(STEPS[4])
        figures = prove_parity(model, staging, request.min_cosine or MIN_COSINE)
        dataclasses.replace(manifest, parity=dataclasses.asdict(figures), golden_text=GOLDEN_TEXT,
                            golden_embedding=_golden_embedding(model)).write(staging)
        on_step(STEPS[5])
        return publish_version(staging, version, encoder_config(request.name, manifest.dimension))


def write_encoder(model: SentenceTransformer, staging: Path, engine: str, precision: str,
                  on_step: Callable[[str], None], head: torch.nn.Module | None = None,
                  calibration: Path | None = None) -> None:
    """Write the graph, fitted to its engine, and the tokeniser of `model`, with its `head` where it has one."""
    on_step(STEPS[1])
    export_graph(model, staging / MODEL_FILE, head)
    on_step(STEPS[2])
    _fit_engine(model, staging / MODEL_FILE, engine, precision, calibration)
    on_step(STEPS[3])
    model.tokenizer.backend_tokenizer.save(str(staging / TOKENIZER_FILE))


def describe_encoder(model: SentenceTransformer, staging: Path) -> dict:
    """Return those fields of an EncoderManifest that say what `model` and the files of `staging` are."""
    return {
        "dimension": model.get_embedding_dimension(), "max_tokens": model.max_seq_length,
        "pad_token_id": model.tokenizer.pad_token_id,
        "pooling": _pooling_modes(model), "pools_prompt": pools_prompt(model),
        "normalized": isinstance(model[-1], Normalize),
        "prompts": dict(model.prompts), "default_prompt": model.default_prompt_name,
        "created_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "built_with": {name: package_version(name) for name in _RECORDED_PACKAGES},
        "files": {path.name: sha256_of(path) for path in sorted(staging.iterdir())}}


def _apply_catalog_prompts(model: SentenceTransformer, entry: CatalogEntry) -> None:
    """Give the model the catalog's prompts where the checkpoint brings none of its own."""
    if not any(model.prompts.values()) and entry.prompts:
        model.prompts = dict(entry.prompts)
        model.default_prompt_name = entry.default_prompt


def _fit_engine(model: SentenceTransformer, path: Path, engine: str, precision: str, calibration: Path | None) -> None:
    """Rewrite the graph for ONNX Runtime; OpenVINO fuses by itself and does not read fused operators."""
    if engine == "onnxruntime":
        config = model[0].auto_model.config
        fuse_graph(path, config.num_attention_heads, config.hidden_size)
        if precision == "int8":
            quantize_graph(path)
    elif precision == "int8":
        quantize_encoder(path, model.tokenizer(
            read_calibration_texts(calibration), truncation=True,
            max_length=min(model.max_seq_length, CALIBRATION_TOKENS))["input_ids"])


def _golden_embedding(model: SentenceTransformer) -> tuple[float, ...]:
    """Return sentence-transformers' own answer to the golden text, rounded to what the manifest need hold."""
    embedding = model.encode(GOLDEN_TEXT, convert_to_numpy=True, show_progress_bar=False)
    return tuple(round(float(value), 6) for value in embedding)


def _pooling_modes(model: SentenceTransformer) -> tuple[str, ...]:
    modes = [module.pooling_mode for module in model if isinstance(module, Pooling)]
    return tuple(mode for item in modes for mode in ([item] if isinstance(item, str) else item))
