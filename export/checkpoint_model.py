"""Loads a checkpoint as a sentence-transformers model without running any code that came with it.

Knows nothing of ONNX. Only the module types below are accepted, only safetensors or torch's weights-only loading is
used, and trust_remote_code is never set.
"""

import json
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

from export.errors import UnsupportedModelError
from export.packed_body import FAMILIES

# Last parts of the class paths in modules.json; old and new versions of the library name different packages.
_MODULES = ("Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout")
_PACKAGE = "sentence_transformers."
_ACTIVATIONS = "torch.nn.modules."


def load_sentence_transformer(path: Path) -> SentenceTransformer:
    """Load the checkpoint in float32 on the CPU; raises UnsupportedModelError naming what is not supported."""
    check_checkpoint(path)
    # weights_only is the default already, but sentence_bert_config.json could switch it off.
    model_kwargs = {"dtype": "float32", "weights_only": True}
    try:
        if (path / "modules.json").is_file():
            model = SentenceTransformer(str(path), device="cpu", local_files_only=True, model_kwargs=model_kwargs)
        else:  # A plain checkpoint gets mean pooling, as sentence-transformers gives it.
            body = Transformer(str(path), model_kwargs=model_kwargs)
            model = SentenceTransformer(modules=[body, Pooling(body.get_embedding_dimension())], device="cpu")
    except Exception as error:  # transformers raises every built-in type for damaged checkpoints
        raise UnsupportedModelError(f"{path} cannot be loaded by sentence-transformers: {error}") from error
    if not model.tokenizer.is_fast:
        raise UnsupportedModelError(f"{path}: {type(model.tokenizer).__name__} has no tokenizer.json form, which is "
                                    "what serving reads")
    return model.eval()


def check_checkpoint(path: Path) -> None:
    """Raise UnsupportedModelError unless the body and every module are of a kind that the export knows."""
    modules = _read_modules(path)
    for module in modules:
        _check_module(path, module)
    config_file = path / (modules[0]["path"] if modules else "") / "config.json"
    config = _read_json(config_file, dict)
    if config.get("auto_map"):
        raise UnsupportedModelError(f"{config_file} needs remote code (auto_map), which Conch never runs")
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise UnsupportedModelError(f"{config_file}: model_type {kind!r} is not an encoder that Conch exports; "
                                    f"supported: {', '.join(FAMILIES)}")
    for option in ("is_decoder", "is_encoder_decoder"):
        if config.get(option):
            raise UnsupportedModelError(f"{config_file}: {option} is set, but Conch exports encoders only")


def _read_modules(path: Path) -> list[dict[str, str]]:
    """Return the module list; empty for a plain checkpoint."""
    file = path / "modules.json"
    if not file.is_file():
        return []
    modules = _read_json(file, list)
    if not modules or not all(isinstance(module, dict) and isinstance(module.get("type"), str)
                              and isinstance(module.get("path"), str) for module in modules):
        raise UnsupportedModelError(f"{file} is not a list of modules, each with a type and a path")
    return modules


def _check_module(path: Path, module: dict[str, str]) -> None:
    kind = module["type"]
    name = kind.rsplit(".", 1)[-1]
    if not kind.startswith(_PACKAGE) or name not in _MODULES:
        raise UnsupportedModelError(f"{path}/modules.json: module {kind!r} is not supported; "
                                    f"supported: {', '.join(_MODULES)}")
    if name == "Dense":
        config = _read_json(path / module["path"] / "config.json", dict)
        activation = config.get("activation_function", _ACTIVATIONS)
        if not str(activation).startswith(_ACTIVATIONS):
            raise UnsupportedModelError(f"{path}/{module['path']}/config.json: activation {activation!r} is not one of "
                                        "torch's own")


def _read_json(path: Path, kind: type):
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnsupportedModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, kind):
        raise UnsupportedModelError(f"{path} holds a JSON {type(document).__name__} where a {kind.__name__} belongs")
    return document
