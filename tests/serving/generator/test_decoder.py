"""A graph is computed by what can compute it, and a generator writes on with either."""

import numpy as np
import pytest

from export.contract import MODEL_FILE
from serving.generator.decoder import open_decoder
from serving.generator.native import packing
from serving.generator.native.processor import processor_can


def test_a_graph_that_is_not_ours_is_left_to_onnx_runtime(tiny_version):
    assert open_decoder(tiny_version / MODEL_FILE, 1, 0, native=True).engine == "ONNX Runtime"


@pytest.mark.skipif(not processor_can(), reason="the processor has no AVX-512 VNNI")
def test_ours_is_left_to_it_where_it_is_asked_for_or_the_processor_cannot(int8_graph, monkeypatch):
    graph = int8_graph("llama")
    ours, asked_for = open_decoder(graph, 1, 0, native=True), open_decoder(graph, 1, 0, native=False)
    monkeypatch.setattr(packing, "processor_can", lambda: False)
    without = open_decoder(graph, 1, 0, native=True)
    assert (ours.engine, asked_for.engine, without.engine) == ("machine code of ours", "ONNX Runtime", "ONNX Runtime")
    assert ours.vocab_size == asked_for.vocab_size
    assert 2 * ours.token_bytes == asked_for.token_bytes   # float16 and float32
    one, other = (decoder.new_session(2, 64).prefill(1, [5, 9, 3], 0) for decoder in (ours, asked_for))
    assert np.corrcoef(one, other)[0, 1] > 0.99
