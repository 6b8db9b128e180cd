"""An encoder's matrices in int8: smaller, nearly the same, and exact where a few inputs are large."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from export.calibration import observe_inputs
from export.checkpoint_model import load_sentence_transformer
from export.contract import MODEL_FILE, RAW_EMBEDDING
from export.encoder_graph import export_graph
from export.encoder_int8 import quantize_encoder
from export.errors import ParityError, UnsupportedModelError
from export.manifest import read_manifest, sha256_of
from export.parity import MIN_COSINE
from serving.encoder.encoder import TextEncoder
from tests.export.checkpoints import BODIES, HIDDEN, LAYERS, build_checkpoint, export_to
from tests.graph_inputs import graph_inputs, random_texts
from tests.tolerances import FP32_RELATIVE_ERROR, INT8_MIN_COSINE

TOKENS = random_texts((12, 9, 5, 3, 2, 1), vocabulary=60)
# Of a layer: query, key and value (one where they are fused), attention's output, and the MLP's two.
MATRICES = {"bert": 4, "roberta": 4, "xlm-roberta": 4, "distilbert": 6, "mpnet": 6}


@pytest.fixture(params=BODIES)
def graphs(request, tmp_path):
    """Return the traced graph of one body, and a quantised copy of it."""
    export_graph(load_sentence_transformer(build_checkpoint(tmp_path, request.param)), tmp_path / "traced.onnx")
    shutil.copy(tmp_path / "traced.onnx", tmp_path / "model.onnx")
    quantize_encoder(tmp_path / "model.onnx", TOKENS)
    return tmp_path / "traced.onnx", tmp_path / "model.onnx"


def test_every_matrix_of_the_transformer_is_int8_and_computes_nearly_the_same(graphs, request):
    traced, quantised = graphs
    matrices = MATRICES[request.node.callspec.params["graphs"]] * LAYERS
    graph = onnx.load(quantised).graph
    onnx.checker.check_model(onnx.load(quantised))
    assert sum(node.op_type == "DequantizeLinear" for node in graph.node) == matrices
    integers = [tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert len(integers) == matrices
    assert quantised.stat().st_size < traced.stat().st_size
    assert INT8_MIN_COSINE < _lowest_cosine(_run(traced), _run(quantised)) < 1 - FP32_RELATIVE_ERROR


def test_the_largest_inputs_of_the_mlps_second_matrix_stay_in_floating_point(graphs):
    before, after = (onnx.load(path).graph for path in graphs)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in (*before.initializer, *after.initializer)}
    narrowing = [node for node in before.node if node.op_type == "MatMul" and node.input[1] in values
                 and values[node.input[1]].shape[0] > values[node.input[1]].shape[1] == HIDDEN]
    assert len(narrowing) == LAYERS
    seen = observe_inputs(onnx.load(graphs[0]), [node.input[0] for node in narrowing], TOKENS)
    for node in narrowing:
        channels, rows = (values[f"{node.output[0]}/{what}"] for what in ("channels", "rows"))
        assert seen[node.input[0]].peaks.argmax() in channels
        np.testing.assert_array_equal(rows, values[node.input[1]][channels])
        assert not values[f"{node.input[0]}/smoothing"][channels].any()


def test_matrices_that_see_sentences_rather_than_tokens_are_left_alone(tmp_path):
    checkpoint = build_checkpoint(tmp_path, heads=[lambda width: Dense(width, 48)])
    export_graph(load_sentence_transformer(checkpoint), tmp_path / "model.onnx")
    quantize_encoder(tmp_path / "model.onnx", TOKENS)
    kinds = {tuple(tensor.dims): tensor.data_type for tensor in onnx.load(tmp_path / "model.onnx").graph.initializer
             if 48 in tensor.dims and len(tensor.dims) == 2}
    assert set(kinds.values()) == {onnx.TensorProto.FLOAT}


def test_a_graph_that_does_not_tell_what_its_matrices_multiply_is_refused(small_checkpoint, tmp_path):
    export_graph(load_sentence_transformer(small_checkpoint), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    weights = {tensor.name for tensor in model.graph.initializer}
    place, product = next((place, node) for place, node in enumerate(model.graph.node)
                          if node.op_type == "MatMul" and node.input[1] in weights)
    model.graph.node.insert(place, helper.make_node("Opaque", [product.input[0]], ["hidden"], domain="test"))
    product.input[0] = "hidden"
    model.opset_import.append(helper.make_opsetid("test", 1))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UnsupportedModelError, match="tokens or sentences; export in bf16"):
        quantize_encoder(tmp_path / "model.onnx", TOKENS)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_int8_is_refused_without_a_bound_of_its_own_before_anything_is_touched(small_checkpoint, tmp_path, engine):
    with pytest.raises(UnsupportedModelError, match="--min-cosine"):
        export_to(tmp_path / "repository", small_checkpoint, engine, "int8")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_int8_passes_the_bound_it_was_given_and_states_its_own_figure(small_checkpoint, tmp_path, engine):
    version = export_to(tmp_path, small_checkpoint, engine, "int8", min_cosine=INT8_MIN_COSINE)
    manifest = read_manifest(version)
    assert manifest.precision == "int8"
    assert manifest.parity["required_cosine"] == INT8_MIN_COSINE
    assert INT8_MIN_COSINE <= manifest.parity["min_cosine"] < MIN_COSINE
    texts = ["hello", "好", "the model server"]
    found = TextEncoder.load(version, threads=1).encode(texts).vectors
    expected = SentenceTransformer(str(small_checkpoint), device="cpu", local_files_only=True).encode(texts)
    assert _lowest_cosine(expected, found) > INT8_MIN_COSINE


def test_int8_is_fitted_to_the_texts_that_are_given(small_checkpoint, tmp_path):
    (tmp_path / "mine.txt").write_text("the model server\n询问\n", encoding="utf-8")
    ours, mine = (export_to(tmp_path / f"fitted to {calibration and 'mine'}", small_checkpoint, "openvino", "int8",
                            min_cosine=INT8_MIN_COSINE, calibration=calibration) / MODEL_FILE
                  for calibration in (None, tmp_path / "mine.txt"))
    assert sha256_of(ours) != sha256_of(mine)


def test_int8_below_its_bound_is_refused(small_checkpoint, tmp_path):
    with pytest.raises(ParityError, match=r"0\.9999999 is required"):
        export_to(tmp_path, small_checkpoint, "onnxruntime", "int8", min_cosine=0.9999999)


def _lowest_cosine(expected: np.ndarray, found: np.ndarray) -> float:
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    return float(np.min(np.sum(expected * found, axis=1) / lengths))


def _run(path) -> np.ndarray:
    """Return raw embeddings of a few texts in packed and padded rows; float32 [texts, dimension]."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([RAW_EMBEDDING], graph_inputs(TOKENS, [[0, 3], [1], [2, 4, 5]]))[0]
