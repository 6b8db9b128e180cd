"""A turned residual stream gives the same logits, and nothing in it stands out any more."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.decoder_builder import CPU, build_graph
from export.decoder_checkpoint import open_checkpoint
from export.decoder_rotation import TURNS, is_rotatable, rotate_residual
from export.decoder_run import DecoderGraph
from tests.export.decoders import build_decoder

TOKENS = [5, 9, 3, 40, 7]


def build(folder, family):
    checkpoint = open_checkpoint(build_decoder(folder / "checkpoint", family), folder / "opened")
    return build_graph(checkpoint, folder / "graph", "fp32", CPU)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_logits_stay_what_they_were(tmp_path, family):
    graph = build(tmp_path, family)
    model = onnx.load(str(graph))
    assert is_rotatable(model)
    rotate_residual(model)
    onnx.save(model, str(tmp_path / "turned.onnx"))
    before, after = (DecoderGraph(file).append(TOKENS) for file in (graph, tmp_path / "turned.onnx"))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * np.abs(before).max())


def test_the_stream_is_turned_once_and_every_gain_is_1(tmp_path):
    model = onnx.load(str(build(tmp_path, "llama")))
    rotate_residual(model)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    gains = [weights[name] for name in weights if "layernorm.weight" in name]
    assert len(gains) == 5
    assert all((gain == 1).all() for gain in gains)
    turn = weights[f"{TURNS[0]}/weight"]
    np.testing.assert_allclose(turn @ turn.T, np.eye(len(turn)), atol=1e-6)
    assert {node.name for node in model.graph.node} >= set(TURNS)


def test_a_graph_with_other_norms_is_left_to_others(tmp_path):
    assert not is_rotatable(onnx.load(str(build(tmp_path, "gpt2")), load_external_data=False))
