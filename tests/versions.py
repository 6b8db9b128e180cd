"""Damages version directories on purpose. Knows nothing of checkpoints."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from export.contract import MODEL_FILE
from export.manifest import Manifest, read_manifest, sha256_of


def reseal(version_dir: Path, **changes) -> Manifest:
    """Change fields of the manifest and make its sha256 figures those of the files as they are now."""
    manifest = read_manifest(version_dir)
    files = {name: sha256_of(version_dir / name) for name in manifest.files}
    manifest = dataclasses.replace(manifest, files=files, **changes)
    manifest.write(version_dir)
    return manifest


def change_weights(version_dir: Path, change) -> None:
    """Apply `change` (array -> array) to every float matrix of the graph and reseal the version."""
    path = version_dir / MODEL_FILE
    model = onnx.load(path)
    matrices = [tensor for tensor in model.graph.initializer
                if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2]
    assert matrices
    for tensor in matrices:
        changed = np.asarray(change(numpy_helper.to_array(tensor)), dtype=np.float32)
        tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    onnx.save(model, path)
    reseal(version_dir)


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return {path: data} of every file under `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest |found - expected| / |expected| over rows, each float32 [rows, dimension]; NaN stays NaN."""
    assert found.shape == expected.shape
    differences = np.linalg.norm(np.asarray(found, dtype=np.float64) - expected, axis=-1)
    return float(np.max(differences / np.linalg.norm(expected, axis=-1)))
