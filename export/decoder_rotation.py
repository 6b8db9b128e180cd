"""Turns the residual stream of a decoder's float32 graph, so that few bits can hold what flows through it.

Some channels of a language model's residual stream are a hundred times as large as the others, and a scale that fits
them leaves no steps for the rest. A turn by any orthogonal matrix spreads them over all channels and changes no result:
the matrices that write to the stream and those that read from it take it in, and the norms between them do not see it
(QuaRot, Ashkboos et al. 2024, without its rotations at run time). Knows nothing of quantisation.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

_NORM, _FIRST_NORM = "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization"
_NORM_STREAM, _NORM_ADDED = 0, 1   # inputs of a norm: the stream, and what is added to it before
_SEED = 0
_SLAB = 8192   # rows or columns of a matrix that are turned at once


def is_rotatable(model: onnx.ModelProto) -> bool:
    """Return whether the graph is of the kind that can be turned: RMS norms between matrices, after a table."""
    graph = _Graph(model)
    norms = graph.norms()
    if len(norms) < 2:
        return False
    read = all(node.op_type == "MatMul" for norm in norms for node in graph.readers(norm.output[0]))
    written = all(graph.writer(norm.input[_NORM_ADDED]) is not None for norm in norms[1:])
    return read and written and graph.table(norms[0].input[_NORM_STREAM]) is not None


def rotate_residual(model: onnx.ModelProto, seen: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Turn the residual stream of a rotatable graph in place, and make the gains of its norms 1.

    Embedding and head are not each other's transpose any more: the head takes in the gain of the last norm. `seen` is
    what the norms gave before (export.decoder_calibration); returns what they give now, float64 [hidden, hidden], by
    the names of the values that products read.
    """
    graph = _Graph(model)
    norms = graph.norms()
    width = graph.weight(_gain_of(norms[0])).shape[0]
    turn, _ = np.linalg.qr(np.random.default_rng(_SEED).standard_normal((width, width)))
    graph.change(graph.table(norms[0].input[_NORM_STREAM]), lambda table: table @ turn)
    for norm in norms[1:]:
        for name in graph.writer(norm.input[_NORM_ADDED]):
            graph.change(name, lambda weights: weights @ turn)
    turned = {}
    for norm, gram in zip(norms, seen, strict=True):
        gain, turned_gram = graph.weight(_gain_of(norm)), turn.T @ gram @ turn
        for node in graph.readers(norm.output[0]):
            graph.change(node.input[1], lambda matrix, gain=gain: turn.T @ (gain[:, None] * matrix), axis=1)
            turned[node.input[0]] = turned_gram
        graph.change(_gain_of(norm), np.ones_like)
    return turned


class _Graph:
    """A graph's nodes by what they read and write, and its weights."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}

    def norms(self) -> list[onnx.NodeProto]:
        """Return the norms of the residual stream, in its order; norms of single heads are none of them."""
        later = [node for node in self._graph.node if node.op_type == _NORM]
        first = [node for node in self._graph.node if node.op_type == _FIRST_NORM and later
                 and node.input[_NORM_STREAM] == later[0].input[_NORM_STREAM]]
        return [*first, *later] if first else []

    def readers(self, name: str) -> Iterator[onnx.NodeProto]:
        """Yield the nodes that read a value, and those that read a slice of it."""
        for node in self._graph.node:
            if name in node.input:
                yield from self.readers(node.output[0]) if node.op_type == "Slice" else [node]

    def writer(self, name: str) -> list[str] | None:
        """Return the weights of what writes a value, a matrix and perhaps its bias; None where it is no product."""
        node = next(node for node in self._graph.node if name in node.output)
        if node.op_type == "MatMul" and node.input[1] in self._weights:
            return [node.input[1]]
        if node.op_type != "Add":
            return None
        biases = [item for item in node.input if item in self._weights]
        products = [self.writer(item) for item in node.input if item not in self._weights]
        return [*products[0], *biases] if len(products) == 1 and products[0] else None

    def table(self, name: str) -> str | None:
        """Return the weight that a value is looked up in, None where it is computed."""
        node = next(node for node in self._graph.node if name in node.output)
        return node.input[0] if node.op_type == "Gather" and node.input[0] in self._weights else None

    def weight(self, name: str) -> np.ndarray:
        """Return a weight as float64."""
        return numpy_helper.to_array(self._weights[name]).astype(np.float64)

    def change(self, name: str, change: Callable[[np.ndarray], np.ndarray], axis: int = 0) -> None:
        """Replace a weight by `change` of it, a matrix slab by slab along `axis`: those of vocabularies are large."""
        weight = numpy_helper.to_array(self._weights[name])
        slabs = [weight] if weight.ndim == 1 else np.split(weight, range(_SLAB, weight.shape[axis], _SLAB), axis)
        changed = np.concatenate([change(slab.astype(np.float64)).astype(np.float32) for slab in slabs], axis)
        self._weights[name].CopyFrom(numpy_helper.from_array(changed, name))


def _gain_of(norm: onnx.NodeProto) -> str:
    return norm.input[2 if norm.op_type == _NORM else 1]
