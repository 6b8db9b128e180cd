"""Each recipe keeps what the graph computes, and gives bits where it says."""

import numpy as np
import onnx
import pytest

from export.contract import MODEL_FILE
from export.decoder_embedding import TABLE
from export.decoder_quantization import HEAD, QuantizationRecipe, quantize_decoder
from serving.decode import GraphRow
from tests.export.decoders import VOCABULARY

PROMPT = list(range(5, 45))
EIGHT = QuantizationRecipe(8, 32, "rtn", symmetric=True)
FOUR = QuantizationRecipe(4, 32, "rtn", symmetric=False)
ROTATED = QuantizationRecipe(8, 64, "rtn", symmetric=True, rotated=True)


@pytest.fixture(scope="module")
def graph(float32_graph):
    """A small GPT-2 in float32."""
    return float32_graph("gpt2")


def quantized(graph, folder, recipe):
    seen = [np.eye(64)] * 5 if recipe.rotated else []   # of two norms in each of two layers, and the last
    quantize_decoder(graph, folder / MODEL_FILE, recipe, seen)
    return folder / MODEL_FILE


def bits_of(path, attribute="bits") -> dict[str, int]:
    """Return the bits of each matrix by its name in the float32 graph."""
    nodes = [node for node in onnx.load(path, load_external_data=False).graph.node if node.op_type == "MatMulNBits"]
    return {node.name.rpartition("_Q")[0]: next(item.i for item in node.attribute if item.name == attribute)
            for node in nodes}


def blocks_of(path) -> dict[str, int]:
    """Return how many weights of each matrix share a scale."""
    return bits_of(path, "block_size")


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # onnxruntime's hqq
@pytest.mark.parametrize(("recipe", "bound"), [
    (EIGHT, 0.05), (QuantizationRecipe(8, 16, "rtn", symmetric=False, accuracy_level=1), 0.05), (FOUR, 0.6),
    (QuantizationRecipe(4, 16, "k_quant", symmetric=False), 0.6),
    (QuantizationRecipe(4, 32, "hqq", symmetric=False, accuracy_level=1), 0.6)], ids=str)
def test_the_quantised_graph_computes_nearly_the_same_with_its_cache(graph, tmp_path, recipe, bound):
    original, small = GraphRow(graph), GraphRow(quantized(graph, tmp_path, recipe))
    expected = original.append(PROMPT)
    found = np.concatenate([small.append(PROMPT[:30]), small.append(PROMPT[30:])])
    assert found.shape == (len(PROMPT), VOCABULARY)
    assert 0 < np.linalg.norm(found - expected) / np.linalg.norm(expected) < bound


def test_every_matrix_gets_the_bits_of_the_recipe_and_the_head_eight(graph, tmp_path):
    bits = bits_of(quantized(graph, tmp_path, FOUR))
    assert bits.pop(HEAD) == 8
    assert len(bits) == 8
    assert set(bits.values()) == {4}


def test_a_mixed_recipe_gives_eight_bits_to_what_is_sensitive(graph, tmp_path):
    recipe = QuantizationRecipe(4, 32, "rtn", symmetric=False, mixed=True)
    wide = {name for name, bits in bits_of(quantized(graph, tmp_path, recipe)).items() if bits == 8}
    # Of two layers the first is no edge and no third; the second is the last eighth.
    assert wide == {HEAD, "/model/layers.1/attn/qkv_proj/MatMul", "/model/layers.1/mlp/down_proj/MatMul"}


def test_a_tied_embedding_is_stored_once(graph, tmp_path):
    model = onnx.load(quantized(graph, tmp_path, EIGHT), load_external_data=False)
    places = {item.name: {entry.key: entry.value for entry in item.external_data} for item in model.graph.initializer}
    head = next(node for node in model.graph.node if node.name.startswith(HEAD))
    assert places["model.embed_tokens.weight_Q8"] == places[head.input[1]]
    assert "model.embed_tokens.weight" not in places


@pytest.mark.parametrize(("family", "recipe"), [("qwen2", ROTATED), ("llama", ROTATED), ("llama", EIGHT)])
def test_an_embedding_that_cannot_be_shared_has_8_bits_of_its_own(float32_graph, tmp_path, family, recipe):
    graph = float32_graph(family)
    path = quantized(graph, tmp_path, recipe)
    model = onnx.load(path, load_external_data=False)
    head = next(node for node in model.graph.node if node.name.startswith(HEAD))
    assert head.op_type == ("MatMulIntegerToFloat" if recipe.rotated else "MatMulNBits")
    table = next(item for item in model.graph.initializer if item.name == f"{TABLE}_Q8")
    assert (table.data_type, list(table.dims)) == (onnx.TensorProto.UINT8, [VOCABULARY, 64])
    assert TABLE not in {item.name for item in model.graph.initializer}
    blocks = {name.rpartition("/")[0].rpartition("/")[2]: block for name, block in blocks_of(path).items()}
    assert set(blocks.values()) == {recipe.block_size}
    assert ({"down_proj", "o_proj"} == set(blocks)) is recipe.rotated
    expected, found = GraphRow(graph).append(PROMPT), GraphRow(path).append(PROMPT)
    assert 0 < np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.1
