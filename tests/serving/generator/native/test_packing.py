"""Only graphs of the kind that our machine code computes are packed for it."""

import numpy as np
import onnx
import pytest
from onnx import helper

from serving.errors import VersionLoadError
from serving.generator.native.packing import pack_matrix, read_weights


def test_a_packed_matrix_holds_every_code_where_its_instruction_looks_for_it():
    codes = np.random.default_rng(0).integers(-127, 128, (128, 48)).astype(np.int8)
    scales = np.arange(96, dtype=np.float32).reshape(2, 48)
    packed = pack_matrix(codes, scales)
    assert packed.groups.shape == (3, 32, 16, 4)
    for row, column in ((0, 0), (5, 17), (127, 47), (64, 16)):
        assert packed.groups[column // 16, row // 4, column % 16, row % 4] == codes[row, column]
        assert packed.scales[column // 16, row // 64, column % 16] == scales[row // 64, column]
        block = codes[row // 64 * 64:row // 64 * 64 + 64, column].astype(int)
        assert packed.offsets[column // 16, row // 64, column % 16] == -128 * block.sum()


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_an_int8_export_is_packed(int8_graph, family):
    weights = read_weights(int8_graph(family))
    assert weights.attention_biases.any() == (family == "qwen2")
    assert weights.head_gains.shape == (2, 2 if family == "qwen3" else 0, 32 if family == "qwen3" else 16)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_float32_graph_is_not(float32_graph, family):
    assert read_weights(float32_graph(family)) is None


def edited(graph, folder, edit):
    """Return a copy of a graph of which one thing is another."""
    model = onnx.load(str(graph))
    edit({node.name: node for node in model.graph.node}, model)
    onnx.save(model, str(folder / "model.onnx"))
    return folder / "model.onnx"


def set_attribute(node, name, value):
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def drop_attribute(node, name):
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def set_input(node, place, name):
    node.input[place] = name


ATTENTION = "/model/layers.1/attn/GroupQueryAttention"


@pytest.mark.parametrize("edit", [
    lambda nodes, model: set_attribute(nodes[ATTENTION], "softcap", 30.0),
    lambda nodes, model: set_attribute(nodes[ATTENTION], "scale", 0.5),
    lambda nodes, model: set_attribute(nodes[ATTENTION], "local_window_size", 64),
    lambda nodes, model: set_attribute(nodes[ATTENTION], "something_new", 1),
    lambda nodes, model: drop_attribute(nodes[ATTENTION], "do_rotary"),
    lambda nodes, model: set_attribute(nodes["/model/layers.1/post_attention_layernorm/SkipLayerNorm"], "epsilon", 0.1),
    lambda nodes, model: nodes["/model/layers.0/mlp/down_proj/MatMul_Q8"].input.append("zero_points"),
    lambda nodes, model: nodes["/model/embed_tokens/Gather"].input.append("zero_points"),
    lambda nodes, model: set_input(nodes["/lm_head/MatMul"], 2, "another scale"),
    lambda nodes, model: set_attribute(nodes["/model/layers.0/mlp/down_proj/MatMul_Q8"], "block_size", 32),
    lambda nodes, model: setattr(nodes["/model/layers.0/mlp/act_fn/Sigmoid"], "op_type", "Tanh"),
    lambda nodes, model: model.graph.node.remove(nodes["/model/layers.1/mlp/Mul"]),
    lambda nodes, model: model.graph.node.append(helper.make_node("Identity", ["x"], ["y"], name="/model/other")),
], ids=["softcap", "scale", "window", "new attribute", "no rotation", "epsilon", "zero points", "embedding",
        "scale of codes", "blocks", "activation", "a node less", "a node more"])
def test_a_graph_that_computes_anything_else_is_left_alone(int8_graph, tmp_path, edit):
    assert read_weights(edited(int8_graph("llama"), tmp_path, lambda nodes, model: None)) is not None
    assert read_weights(edited(int8_graph("llama"), tmp_path, edit)) is None


def test_a_graph_that_cannot_be_read_is_refused_by_name(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(VersionLoadError, match=r"model\.onnx cannot be opened"):
        read_weights(tmp_path / "model.onnx")
