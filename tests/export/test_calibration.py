"""What calibration texts show of a graph, and where the texts come from."""

import numpy as np
import onnx
import onnxruntime
import pytest

from export.calibration import observe_inputs, read_calibration_texts
from export.checkpoint_model import load_sentence_transformer
from export.encoder_graph import export_graph
from export.errors import UnsupportedModelError
from export.golden import golden_texts
from tests.export.checkpoints import build_checkpoint
from tests.graph_inputs import graph_inputs, random_texts


def test_our_texts_are_none_of_those_that_an_export_is_proven_on():
    texts = read_calibration_texts()
    assert len(texts) > 100
    assert not set(texts) & set(golden_texts(512))


def test_texts_of_a_users_own_are_its_lines_that_say_something(tmp_path):
    (tmp_path / "mine.txt").write_text("first\n\n  \n二\n", encoding="utf-8")
    assert read_calibration_texts(tmp_path / "mine.txt") == ["first", "二"]


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xff\xfe", None])
def test_a_file_without_texts_is_refused_by_its_name(tmp_path, content):
    if content is not None:
        (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(UnsupportedModelError, match=r"mine\.txt"):
        read_calibration_texts(tmp_path / "mine.txt")


def test_every_text_counts_as_much_and_each_of_its_tokens_too(tmp_path):
    export_graph(load_sentence_transformer(build_checkpoint(tmp_path)), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    names = [node.input[0] for node in model.graph.node if node.op_type == "MatMul" and "projection" in node.name]
    texts = random_texts((7, 4), vocabulary=60)
    seen = observe_inputs(model, names, texts)
    assert list(seen) == names
    rows = [_hidden(model, names[0], text) for text in texts]
    expected = sum(some.T @ some / len(some) for some in rows)
    np.testing.assert_allclose(seen[names[0]].gram, expected, rtol=1e-5)
    np.testing.assert_allclose(seen[names[0]].peaks, np.abs(np.concatenate(rows)).max(axis=0), rtol=1e-6)
    means = np.mean([np.mean(some ** 2, axis=0) for some in rows], axis=0)
    np.testing.assert_allclose(seen[names[0]].root_mean_squares, np.sqrt(means), rtol=1e-5)


def _hidden(model: onnx.ModelProto, name: str, text: list[int]) -> np.ndarray:
    """Return what the tensor `name` is for one text, float64 [tokens, channels]."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    # Rows are padded to a multiple of what the engine's kernels like.
    return session.run([name], graph_inputs([text]))[0][0, :len(text)].astype(np.float64)
