"""The traced graph: named tensors, dynamic shapes, both forms of the embedding, pooling in every mode."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from export.checkpoint_model import load_sentence_transformer
from export.contract import ATTENTION_MASK, INPUT_IDS, POOLING_MASK, RAW_EMBEDDING, UNIT_EMBEDDING
from export.encoder_graph import export_graph, pools_prompt
from tests.export.checkpoints import HIDDEN, MAX_TOKENS, build_checkpoint
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import relative_error


@pytest.fixture
def trace(tmp_path):
    """Return a function that builds a checkpoint, traces it and returns (model, path of the graph)."""
    def run(**options):
        model = load_sentence_transformer(build_checkpoint(tmp_path, **options))
        export_graph(model, tmp_path / "model.onnx")
        return model, tmp_path / "model.onnx"
    return run


@pytest.mark.parametrize(("include_prompt", "inputs"), [
    (True, [INPUT_IDS, ATTENTION_MASK]), (False, [INPUT_IDS, ATTENTION_MASK, POOLING_MASK])])
def test_inputs_and_outputs_are_those_of_the_contract_and_every_shape_stays_dynamic(trace, include_prompt, inputs):
    model, path = trace(include_prompt=include_prompt)
    graph = onnx.load(path).graph
    assert [item.name for item in graph.input] == inputs
    assert [item.name for item in graph.output] == [RAW_EMBEDDING, UNIT_EMBEDDING]
    for item in graph.input:
        assert item.type.tensor_type.elem_type == onnx.TensorProto.INT64
        assert [size.dim_param for size in item.type.tensor_type.shape.dim] == ["rows", "tokens"]
    assert pools_prompt(model) is include_prompt


@pytest.mark.parametrize("heads", [[], [Normalize]], ids=["raw", "normalised"])
def test_both_forms_come_out_whether_or_not_the_checkpoint_normalises(trace, heads):
    model, path = trace(heads=heads)
    raw, unit = _run(path, *_tokens(model, rows=3, tokens=7))
    lengths = np.linalg.norm(raw, axis=1)
    assert (np.abs(lengths - 1) > 0.1).all()
    np.testing.assert_allclose(unit, raw / lengths[:, None], rtol=FP32_RELATIVE_ERROR, atol=FP32_RELATIVE_ERROR)


def test_a_normalisation_in_the_middle_stays_where_it_is(trace):
    from sentence_transformers.sentence_transformer.modules import Dense
    model, path = trace(heads=[Normalize, lambda dimension: Dense(dimension, 16)])
    ids, mask = _tokens(model, rows=2, tokens=5)
    assert relative_error(_run(path, ids, mask)[0], _original(model, ids, mask)) < FP32_RELATIVE_ERROR


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (1, 2), (1, MAX_TOKENS), (2, 3), (7, 11), (33, MAX_TOKENS)])
def test_the_graph_computes_the_original_for_any_rows_and_tokens(trace, rows, tokens):
    model, path = trace(pooling=Pooling.POOLING_MODES)
    ids, mask = _tokens(model, rows, tokens)
    found = _run(path, ids, mask)[0]
    expected = _original(model, ids, mask)
    for index, mode in enumerate(Pooling.POOLING_MODES):
        part = slice(index * HIDDEN, (index + 1) * HIDDEN)
        assert relative_error(found[:, part], expected[:, part]) < FP32_RELATIVE_ERROR, mode


def test_what_stands_in_padded_places_does_not_matter(trace):
    model, path = trace(pooling=Pooling.POOLING_MODES)
    ids, mask = _tokens(model, rows=4, tokens=9)
    mask[:, 5:] = 0
    changed = np.where(mask == 0, ids + 1, ids)
    assert relative_error(_run(path, changed, mask)[0], _run(path, ids, mask)[0]) < FP32_RELATIVE_ERROR


def test_tokens_outside_the_pooling_mask_are_attended_to_but_not_pooled(trace):
    model, path = trace(pooling="mean", include_prompt=False)
    ids, mask = _tokens(model, rows=1, tokens=6)
    pooling = mask.copy()
    pooling[:, :3] = 0
    with torch.no_grad():
        features = model[0]({"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)})
    expected = features["token_embeddings"][:, 3:].mean(dim=1).numpy()
    found = _run(path, ids, mask, pooling)[0]
    assert relative_error(found, expected) < FP32_RELATIVE_ERROR
    assert relative_error(_run(path, ids, mask, mask)[0], expected) > 0.01


def _tokens(model, rows: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random ids and a mask whose rows have all lengths up to `tokens`, each int64 [rows, tokens]."""
    ids = np.random.default_rng(0).integers(5, len(model.tokenizer), (rows, tokens))
    lengths = tokens - np.arange(rows) % tokens
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    return np.where(mask, ids, model.tokenizer.pad_token_id), mask


def _run(path, *tensors: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    return session.run([RAW_EMBEDDING, UNIT_EMBEDDING], dict(zip(names, tensors, strict=True)))


def _original(model, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Run sentence-transformers' own modules on each row without padding; float32 [rows, dimension]."""
    rows = []
    for row, row_mask in zip(ids, mask, strict=True):
        kept = torch.from_numpy(row[row_mask == 1])[None]
        with torch.no_grad():
            features = model({"input_ids": kept, "attention_mask": torch.ones_like(kept)})
        rows.append(features["sentence_embedding"][0].numpy())
    return np.array(rows)
