"""Rewriting the graph for ONNX Runtime: fewer operators or smaller weights, the same embeddings."""

import shutil
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from export.checkpoint_model import load_sentence_transformer
from export.contract import RAW_EMBEDDING
from export.encoder_graph import export_graph
from export.onnx_precision import fuse_graph, quantize_graph
from tests.export.checkpoints import BODIES, HEADS, HIDDEN, LAYERS, build_checkpoint
from tests.graph_inputs import graph_inputs, random_texts
from tests.tolerances import FP32_RELATIVE_ERROR, INT8_MIN_COSINE
from tests.versions import relative_error


@pytest.fixture(params=BODIES)
def graph(request, tmp_path):
    """Return the traced graph of one body, and a copy of it to rewrite."""
    model = load_sentence_transformer(build_checkpoint(tmp_path, request.param))
    export_graph(model, tmp_path / "traced.onnx")
    shutil.copy(tmp_path / "traced.onnx", tmp_path / "model.onnx")
    return tmp_path / "traced.onnx", tmp_path / "model.onnx"


def test_fusing_leaves_fewer_operators_that_compute_the_same(graph):
    traced, fused = graph
    fuse_graph(fused, HEADS, HIDDEN)
    # A sum and its layer norm become one operator, twice in a layer, and a GELU with its bias another. Attention stays
    # as it was traced: the fusion does not know the mask of packed rows.
    operators = _operators(fused)
    assert operators["SkipLayerNormalization"] >= 2 * LAYERS
    assert operators["BiasGelu"] == LAYERS
    assert operators["Erf"] == 0
    assert operators["LayerNormalization"] <= 1
    assert operators.total() < 0.9 * _operators(traced).total()
    assert relative_error(_run(fused), _run(traced)) < FP32_RELATIVE_ERROR


def test_quantising_leaves_int8_matrices_that_compute_nearly_the_same(graph):
    traced, quantised = graph
    fuse_graph(quantised, HEADS, HIDDEN)
    quantize_graph(quantised)
    types = {tensor.data_type for tensor in onnx.load(quantised).graph.initializer if len(tensor.dims) == 2}
    assert onnx.TensorProto.INT8 in types
    assert quantised.stat().st_size < 0.7 * traced.stat().st_size
    expected, found = _run(traced), _run(quantised)
    cosines = np.sum(expected * found, axis=1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
    assert INT8_MIN_COSINE < cosines.min() < 1 - FP32_RELATIVE_ERROR


def test_quantising_leaves_one_graph_and_nothing_beside_it(graph):
    _, quantised = graph
    before = set(quantised.parent.iterdir())
    quantize_graph(quantised)
    assert set(quantised.parent.iterdir()) == before


def _operators(path) -> Counter:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def _run(path) -> np.ndarray:
    """Return raw embeddings of a few texts in packed and padded rows; float32 [texts, dimension]."""
    texts = random_texts((10, 9, 5, 3, 2, 1), vocabulary=60)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([RAW_EMBEDDING], graph_inputs(texts, [[0, 3], [1], [2, 4, 5]]))[0]
