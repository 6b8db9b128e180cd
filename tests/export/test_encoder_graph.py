"""The traced graph: named tensors, dynamic shapes, both forms of the embedding, pooling in every mode."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from export.checkpoint_model import load_sentence_transformer
from export.contract import (
    INPUT_IDS,
    POOLING_MASK,
    POSITION_IDS,
    RAW_EMBEDDING,
    SCORES,
    SEGMENT_IDS,
    TOKEN_INDEX,
    UNIT_EMBEDDING,
)
from export.encoder_graph import export_graph, pools_prompt
from export.intent_checkpoint import IntentHead
from tests.export.checkpoints import HIDDEN, MAX_TOKENS, build_checkpoint
from tests.graph_inputs import graph_inputs, random_texts
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


@pytest.mark.parametrize("include_prompt", [True, False])
def test_inputs_and_outputs_are_those_of_the_contract_and_every_shape_stays_dynamic(trace, include_prompt):
    model, path = trace(include_prompt=include_prompt)
    graph = onnx.load(path).graph
    rows, texts = ["rows", "row_tokens"], ["texts", "text_tokens"]
    assert {item.name: _sizes(item) for item in graph.input} == {
        INPUT_IDS: rows, POSITION_IDS: rows, SEGMENT_IDS: rows, TOKEN_INDEX: texts, POOLING_MASK: texts}
    assert {item.type.tensor_type.elem_type for item in graph.input} == {onnx.TensorProto.INT64}
    assert [item.name for item in graph.output] == [RAW_EMBEDDING, UNIT_EMBEDDING]
    assert [_sizes(item)[0] for item in graph.output] == ["texts", "texts"]
    assert pools_prompt(model) is include_prompt


@pytest.mark.parametrize("heads", [[], [Normalize]], ids=["raw", "normalised"])
def test_both_forms_come_out_whether_or_not_the_checkpoint_normalises(trace, heads):
    model, path = trace(heads=heads)
    raw, unit = _run(path, _inputs(model, _texts(model, 7, 6, 5), [[0, 1], [2]]))
    lengths = np.linalg.norm(raw, axis=1)
    assert (np.abs(lengths - 1) > 0.1).all()
    np.testing.assert_allclose(unit, raw / lengths[:, None], rtol=FP32_RELATIVE_ERROR, atol=FP32_RELATIVE_ERROR)


def test_a_normalisation_in_the_middle_stays_where_it_is(trace):
    from sentence_transformers.sentence_transformer.modules import Dense
    model, path = trace(heads=[Normalize, lambda dimension: Dense(dimension, 16)])
    texts = _texts(model, 5, 4)
    found = _run(path, _inputs(model, texts, [[0, 1]]))[0]
    assert relative_error(found, _original(model, texts)) < FP32_RELATIVE_ERROR


@pytest.mark.parametrize(("texts", "tokens"), [(1, 1), (1, 2), (1, MAX_TOKENS), (2, 3), (7, 11), (33, MAX_TOKENS)])
@pytest.mark.parametrize("texts_per_row", [1, 3, 33])
def test_the_graph_computes_the_original_for_any_rows_and_texts(trace, texts, tokens, texts_per_row):
    model, path = trace(pooling=Pooling.POOLING_MODES)
    ids = _texts(model, *(tokens - text % tokens for text in range(texts)))
    rows = [list(range(start, min(start + texts_per_row, texts))) for start in range(0, texts, texts_per_row)]
    found, expected = _run(path, _inputs(model, ids, rows))[0], _original(model, ids)
    for index, mode in enumerate(Pooling.POOLING_MODES):
        part = slice(index * HIDDEN, (index + 1) * HIDDEN)
        assert relative_error(found[:, part], expected[:, part]) < FP32_RELATIVE_ERROR, mode


def test_a_head_scores_the_unit_embedding_in_place_of_the_embeddings(trace, tmp_path):
    model, plain = trace()
    head = IntentHead(torch.randn(3, HIDDEN) * 4, torch.randn(3), temperature=2.0)
    export_graph(model, tmp_path / "head.onnx", head)
    assert [item.name for item in onnx.load(tmp_path / "head.onnx").graph.output] == [SCORES]
    inputs = _inputs(model, _texts(model, 9, 5, 4, 2), [[0, 1], [2, 3]])
    unit = _run(plain, inputs)[1].astype(np.float64)
    expected = 1 / (1 + np.exp(-(unit @ head.weight.numpy().T + head.bias.numpy()) / 2.0))
    session = onnxruntime.InferenceSession(tmp_path / "head.onnx", providers=["CPUExecutionProvider"])
    found = session.run([SCORES], inputs)[0]
    assert found.dtype == np.float32
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(found, expected, atol=FP32_RELATIVE_ERROR)


def test_rows_need_not_be_padded_to_any_multiple(trace):
    model, path = trace()
    texts = _texts(model, 4, 3, 5)
    inputs = _inputs(model, texts, [[0, 1, 2]])
    inputs |= {name: inputs[name][:, :12] for name in (INPUT_IDS, POSITION_IDS, SEGMENT_IDS)}
    assert relative_error(_run(path, inputs)[0], _original(model, texts)) < FP32_RELATIVE_ERROR


def test_what_stands_in_padded_places_does_not_matter(trace):
    model, path = trace(pooling=Pooling.POOLING_MODES)
    inputs = _inputs(model, _texts(model, 9, 5, 4, 2), [[0, 1], [2, 3]])
    row_padding, text_padding = inputs[SEGMENT_IDS] == -1, inputs[POOLING_MASK] == 0
    assert row_padding.any()
    assert text_padding.any()
    changed = {**inputs, INPUT_IDS: np.where(row_padding, 6, inputs[INPUT_IDS]),
               POSITION_IDS: np.where(row_padding, 8, inputs[POSITION_IDS]),
               TOKEN_INDEX: np.where(text_padding, 3, inputs[TOKEN_INDEX])}
    assert relative_error(_run(path, changed)[0], _run(path, inputs)[0]) < FP32_RELATIVE_ERROR


def test_tokens_outside_the_pooling_mask_are_attended_to_but_not_pooled(trace):
    model, path = trace(pooling="mean", include_prompt=False)
    texts = _texts(model, 6, 6)
    with torch.no_grad():
        ids = torch.tensor(texts)
        features = model[0]({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    expected = features["token_embeddings"][:, 3:].mean(dim=1).numpy()
    found = _run(path, _inputs(model, texts, [[0, 1]], prompt_tokens=3))[0]
    assert relative_error(found, expected) < FP32_RELATIVE_ERROR
    assert relative_error(_run(path, _inputs(model, texts, [[0, 1]]))[0], expected) > 0.01


def _sizes(item: onnx.ValueInfoProto) -> list[str]:
    return [size.dim_param for size in item.type.tensor_type.shape.dim]


def _texts(model, *lengths: int) -> list[list[int]]:
    return random_texts(lengths, len(model.tokenizer))


def _inputs(model, texts: list[list[int]], rows: list[list[int]], prompt_tokens: int = 0) -> dict[str, np.ndarray]:
    return graph_inputs(texts, rows, model.tokenizer.pad_token_id, prompt_tokens)


def _run(path, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([RAW_EMBEDDING, UNIT_EMBEDDING], inputs)


def _original(model, texts: list[list[int]]) -> np.ndarray:
    """Run sentence-transformers' own modules on each text alone; float32 [texts, dimension]."""
    rows = []
    for text in texts:
        ids = torch.tensor([text])
        with torch.no_grad():
            features = model({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        rows.append(features["sentence_embedding"][0].numpy())
    return np.array(rows)
