"""Exports a decoder checkpoint for NVIDIA's vLLM backend: its files as they are, and the arguments of the engine.

There is no graph to build and, without a GPU, nothing that could run: vLLM computes with the checkpoint's own weights,
so the manifest says what becomes of these and has neither figures nor a golden answer.
"""

import datetime
import json
import os
import shutil
import stat
from collections.abc import Callable
from importlib.metadata import version as package_version
from pathlib import Path

from export.contract import (
    CHAT_TEMPLATE_FILE,
    MANIFEST_FILE,
    TEXT_GENERATION,
    TEXT_OUTPUT,
    TOKENIZER_FILE,
    VLLM_ARGUMENTS_FILE,
    VLLM_BACKEND,
)
from export.decoder_checkpoint import DecoderCheckpoint, check_resources, open_checkpoint
from export.decoder_export import GeneratorRequest
from export.errors import UnsupportedModelError
from export.manifest import GeneratorManifest, sha256_of
from export.publish import publish_version, stage_version
from export.sources.checkpoint import select_files, weights_format
from export.succession import check_backend, check_task
from export.triton_config import vllm_config
from export.vllm_arguments import DTYPES, VllmOptions, write_engine_arguments

STEPS = ("load checkpoint", "gather files", "publish")
# Of a safetensors header (safetensors: "Format"), by our names.
_STORED_TYPES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
_OUR_FILES = (MANIFEST_FILE, VLLM_ARGUMENTS_FILE)


def export_vllm(request: GeneratorRequest, options: VllmOptions,
                on_step: Callable[[str], None] = lambda step: None) -> Path:
    """Export one version and return its directory; `on_step` hears the name of each step as it begins.

    Raises UnsupportedModelError; the repository is then what it was.
    """
    if request.forced:
        raise UnsupportedModelError("an export for vLLM is not compared with anything, so there is no bound to waive; "
                                    "leave --force out")
    on_step(STEPS[0])
    with stage_version(request.repository, request.name) as (staging, version):
        model_dir = request.repository / request.name
        check_task(model_dir, TEXT_GENERATION, TEXT_OUTPUT)
        check_backend(model_dir, VLLM_BACKEND)
        work = staging / "work"
        checkpoint = _open(request.checkpoint.path, work)
        context_tokens = _context(checkpoint, options)
        on_step(STEPS[1])
        _gather(checkpoint, staging)
        shutil.rmtree(work)
        write_engine_arguments(staging, model_dir / str(version), request.precision, context_tokens, options)
        on_step(STEPS[2])
        _describe(request, checkpoint, staging, version, context_tokens).write(staging)
        return publish_version(staging, version, vllm_config(request.name))


def _open(path: Path, work: Path) -> DecoderCheckpoint:
    work.mkdir()
    if weights_format(path) != "safetensors":  # It is written anew, through float32 weights in memory.
        check_resources(path, work)
    return open_checkpoint(path, work / "checkpoint")


def _context(checkpoint: DecoderCheckpoint, options: VllmOptions) -> int:
    most = checkpoint.config.max_position_embeddings
    if options.context_tokens is not None and options.context_tokens > most:
        raise UnsupportedModelError(f"--context-tokens {options.context_tokens} is more than the {most} tokens that "
                                    f"{checkpoint.path} has positions for")
    return options.context_tokens or most


def _gather(checkpoint: DecoderCheckpoint, staging: Path) -> None:
    """Put what vLLM reads into `staging`: configuration, tokenizer and safetensors, and never code."""
    for name in select_files(file.name for file in checkpoint.path.iterdir() if file.is_file()):
        if name not in _OUR_FILES:
            _place((checkpoint.path / name).resolve(), staging / name)
    # Files of the checkpoint may be linked to, so that they are never written over.
    if not (staging / TOKENIZER_FILE).exists():
        checkpoint.tokenizer.backend_tokenizer.save(str(staging / TOKENIZER_FILE))
    if checkpoint.chat_template and not (staging / CHAT_TEMPLATE_FILE).exists():
        (staging / CHAT_TEMPLATE_FILE).write_text(checkpoint.chat_template, encoding="utf-8")


def _place(source: Path, target: Path) -> None:
    """Link to a file, which takes no room, or copy it: from another file system, and what others may not read.

    A Triton in a container reads as another user, and a link has the mode of the checkpoint's own file.
    """
    if not source.stat().st_mode & stat.S_IROTH:
        return _copy(source, target)
    try:
        os.link(source, target)
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    need, have = source.stat().st_size, shutil.disk_usage(target.parent).free
    if need > have:
        raise UnsupportedModelError(f"copying {source} takes {need / 1e9:.1f} GB and {have / 1e9:.1f} GB are free on "
                                    f"the file system of {target.parent.parent}; free some")
    shutil.copyfile(source, target)


def _describe(request: GeneratorRequest, checkpoint: DecoderCheckpoint, staging: Path, version: int,
              context_tokens: int) -> GeneratorManifest:
    kv_heads, head_dim = checkpoint.heads
    return GeneratorManifest(
        model=request.name, version=version, task=TEXT_GENERATION,
        source=request.checkpoint.source, revision=request.checkpoint.revision,
        engine=request.engine, precision=request.precision, max_tokens=context_tokens,
        layers=checkpoint.config.num_hidden_layers, kv_heads=kv_heads, head_dim=head_dim,
        vocab_size=checkpoint.config.vocab_size, kv_type=DTYPES[request.precision],
        stop_token_ids=checkpoint.stop_token_ids, generation_defaults=checkpoint.generation_defaults,
        special_tokens=checkpoint.special_tokens, prompt_prefix=checkpoint.prompt_prefix,
        quality={"weights": _fate_of_weights(staging, request.precision)},
        created_at=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        built_with={"transformers": package_version("transformers")},
        files={path.name: sha256_of(path) for path in sorted(staging.iterdir())})


def _fate_of_weights(staging: Path, precision: str) -> str:
    """Say what vLLM makes of the weights, which is all that can be said without running it."""
    stored = sorted({kind for file in staging.glob("*.safetensors") for kind in _stored_types(file)})
    if stored == [precision]:
        return f"the checkpoint's own, {precision} as stored"
    return f"the checkpoint's own, rounded from {' and '.join(stored)} to {precision} when they are loaded"


def _stored_types(file: Path) -> set[str]:
    """Return the element types of a safetensors file: 8 bytes give the length of a JSON header (its format page)."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    kinds = {item["dtype"] for name, item in header.items() if name != "__metadata__"}
    return {_STORED_TYPES.get(kind, kind) for kind in kinds}
