"""Loads a checkpoint as a sentence-transformers model without running any code that came with it.

Knows nothing of ONNX. Only the module types below are accepted, only safetensors or torch's weights-only loading is
used, and trust_remote_code is never set.
"""

import json
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
from transformers import AutoConfig

from export.errors import UnsupportedModelError

BODIES = ("bert", "distilbert", "mpnet", "roberta", "xlm-roberta")
# Last parts of the class paths in modules.json; old and new versions of the library name different packages.
_MODULES = ("Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout")
_PACKAGE = "sentence_transformers."
_ACTIVATIONS = "torch.nn.modules."


def load_sentence_transformer(path: Path) -> SentenceTransformer:
    """Load the checkpoint in float32 on the CPU; raises UnsupportedModelError naming what is not supported."""
    check_checkpoint(path)
    arguments = {"device": "cpu", "local_files_only": True, "model_kwargs": {"dtype": "float32"}}
    try:
        if (path / "modules.json").is_file():
            return SentenceTransformer(str(path), **arguments).eval()
        # A plain checkpoint gets mean pooling, as sentence-transformers gives it.
        body = Transformer(str(path), model_args=arguments["model_kwargs"])
        return SentenceTransformer(modules=[body, Pooling(body.get_word_embedding_dimension())], device="cpu").eval()
    except Exception as error:  # transformers raises every built-in type for damaged checkpoints
        raise UnsupportedModelError(f"{path} cannot be loaded by sentence-transformers: {error}") from error


def check_checkpoint(path: Path) -> None:
    """Raise UnsupportedModelError unless the body and every module are of a kind that the export knows."""
    modules_file = path / "modules.json"
    modules = _read_json(modules_file) if modules_file.is_file() else []
    for module in modules:
        _check_module(path, module)
    body_dir = path / (modules[0]["path"] if modules else "")
    config = _read_json(body_dir / "config.json")
    if config.get("auto_map"):
        raise UnsupportedModelError(f"{body_dir}/config.json needs remote code (auto_map), which Conch never runs")
    kind = config.get("model_type")
    if kind not in BODIES:
        raise UnsupportedModelError(f"{body_dir}/config.json: model_type {kind!r} is not an encoder that Conch exports; "
                                    f"supported: {', '.join(BODIES)}")
    AutoConfig.from_pretrained(body_dir, local_files_only=True, trust_remote_code=False)


def _check_module(path: Path, module: dict) -> None:
    kind = module.get("type", "")
    name = kind.rsplit(".", 1)[-1]
    if not kind.startswith(_PACKAGE) or name not in _MODULES:
        raise UnsupportedModelError(f"{path}/modules.json: module {kind!r} is not supported; "
                                    f"supported: {', '.join(_MODULES)}")
    if name == "Dense":
        config = _read_json(path / module["path"] / "config.json")
        activation = config.get("activation_function", _ACTIVATIONS)
        if not activation.startswith(_ACTIVATIONS):
            raise UnsupportedModelError(f"{path}/{module['path']}/config.json: activation {activation!r} is not one of "
                                        "torch's own")


def _read_json(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModelError(f"{path} cannot be read: {error}") from error
