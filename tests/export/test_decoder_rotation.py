"""A turned residual stream gives the same logits, and nothing in it stands out any more."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.decoder_embedding import TABLE
from export.decoder_rotation import is_rotatable, rotate_residual
from export.decoder_run import DecoderGraph

TOKENS = [5, 9, 3, 40, 7]


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_logits_stay_what_they_were(float32_graph, tmp_path, monkeypatch, family):
    monkeypatch.setattr("export.decoder_rotation._SLAB", 50)
    graph = float32_graph(family)
    model = onnx.load(str(graph))
    assert is_rotatable(model)
    rotate_residual(model)
    onnx.save(model, str(tmp_path / "turned.onnx"))
    before, after = (DecoderGraph(file).append(TOKENS) for file in (graph, tmp_path / "turned.onnx"))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * np.abs(before).max())


def test_the_table_is_turned_and_every_gain_is_1(float32_graph):
    graph = float32_graph("llama")
    before, model = onnx.load(str(graph)), onnx.load(str(graph))
    rotate_residual(model)
    weights = weights_of(model)
    gains = [weights[name] for name in weights if "layernorm.weight" in name]
    assert len(gains) == 5
    assert all((gain == 1).all() for gain in gains)
    table, turned = weights_of(before)[TABLE], weights[TABLE]
    assert np.abs(turned - table).max() > 0.1 * np.abs(table).max()
    np.testing.assert_allclose(turned @ turned.T, table @ table.T, atol=1e-4 * np.abs(table @ table.T).max())


def weights_of(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_a_graph_with_other_norms_is_left_to_others(float32_graph):
    assert not is_rotatable(onnx.load(str(float32_graph("gpt2")), load_external_data=False))
