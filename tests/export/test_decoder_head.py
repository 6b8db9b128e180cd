"""A graph computes the logits of the last token, and those of others when it is asked for them."""

import numpy as np
import onnx
import onnxruntime
import pytest

from export.contract import LOGITS_FROM
from export.decoder_head import LOGITS

TOKENS = [[5, 9, 3, 40]]


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def graph(request, float32_graph):
    return float32_graph(request.param)


def run(graph, **more):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    feeds = {item.name: np.zeros((1, item.shape[1], 0, item.shape[3]), np.float32)
             for item in session.get_inputs() if item.name.startswith("past_key_values.")}
    feeds |= {"input_ids": np.array(TOKENS), "attention_mask": np.ones((1, 4), np.int64)}
    if "position_ids" in {item.name for item in session.get_inputs()}:
        feeds["position_ids"] = np.arange(4)[None]
    return session.run([LOGITS], feeds | more)[0]


def test_the_last_logits_are_those_that_the_whole_run_ends_with(graph):
    every, last = run(graph, **{LOGITS_FROM: np.array([0])}), run(graph)
    assert (every.shape[:2], last.shape[:2]) == ((1, 4), (1, 1))
    np.testing.assert_allclose(last[:, 0], every[:, -1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(run(graph, **{LOGITS_FROM: np.array([2])}), every[:, 2:], rtol=1e-5, atol=1e-5)


def test_the_graph_says_that_logits_may_be_fewer(graph):
    output = next(item for item in onnx.load(str(graph), load_external_data=False).graph.output if item.name == LOGITS)
    assert output.type.tensor_type.shape.dim[1].dim_param == "logits_length"
