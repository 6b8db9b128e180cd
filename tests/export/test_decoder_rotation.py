"""A turned residual stream gives the same logits, and nothing in it stands out any more."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from export.contract import LOGITS_FROM
from export.decoder_calibration import observe_norms
from export.decoder_checkpoint import load_decoder
from export.decoder_embedding import TABLE
from export.decoder_rotation import is_rotatable, rotate_residual
from serving.decode import GraphRow
from tests.export.decoders import build_decoder

TOKENS = [5, 9, 3, 40, 7]
SEEN = [np.eye(64)] * 5   # of two norms in each of two layers, and the last


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_logits_stay_what_they_were(float32_graph, tmp_path, monkeypatch, family):
    monkeypatch.setattr("export.decoder_rotation._SLAB", 50)
    graph = float32_graph(family)
    model = onnx.load(str(graph))
    assert is_rotatable(model)
    rotate_residual(model, SEEN)
    onnx.save(model, str(tmp_path / "turned.onnx"))
    before, after = (GraphRow(file).append(TOKENS) for file in (graph, tmp_path / "turned.onnx"))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * np.abs(before).max())


def test_the_table_is_turned_and_every_gain_is_1(float32_graph):
    graph = float32_graph("llama")
    before, model = onnx.load(str(graph)), onnx.load(str(graph))
    rotate_residual(model, SEEN)
    weights = weights_of(model)
    gains = [weights[name] for name in weights if "layernorm.weight" in name]
    assert len(gains) == 5
    assert all((gain == 1).all() for gain in gains)
    table, turned = weights_of(before)[TABLE], weights[TABLE]
    assert np.abs(turned - table).max() > 0.1 * np.abs(table).max()
    np.testing.assert_allclose(turned @ turned.T, table @ table.T, atol=1e-4 * np.abs(table @ table.T).max())


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_what_the_norms_were_seen_to_give_is_turned_as_well(float32_graph, tmp_path, family):
    original = load_decoder(build_decoder(tmp_path / "checkpoint", family))
    model = onnx.load(str(float32_graph(family)))
    grams = rotate_residual(model, observe_norms(original, [TOKENS]))
    assert len(grams) == 5
    for value, gram in zip(values_of(model, list(grams)), grams.values(), strict=True):
        x = value.reshape(-1, 64)
        np.testing.assert_allclose(gram, x.T @ x, atol=1e-3 * np.abs(gram).max())


def values_of(model, names) -> list[np.ndarray]:
    """Return what the named values of a graph are when it reads TOKENS."""
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pasts = [item for item in session.get_inputs() if item.name.startswith("past_key_values.")]
    feeds = {"input_ids": np.array([TOKENS]), "attention_mask": np.ones((1, len(TOKENS)), np.int64),
             "position_ids": np.arange(len(TOKENS))[None], LOGITS_FROM: np.array([0])}
    return session.run(names, {name: feeds[name] for name in feeds if name in named(session)} | {
        item.name: np.zeros((1, item.shape[1], 0, item.shape[3]), np.float32) for item in pasts})


def named(session) -> set[str]:
    return {item.name for item in [*session.get_inputs(), *session.get_overridable_initializers()]}


def weights_of(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_a_graph_with_other_norms_is_left_to_others(float32_graph):
    assert not is_rotatable(onnx.load(str(float32_graph("gpt2")), load_external_data=False))
