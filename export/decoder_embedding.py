"""Keeps a decoder's embedding in 8 bits: in a table of its own, or in the rows of a tied head. Knows no recipes."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

TABLE = "model.embed_tokens.weight"
BITS, BLOCK = 8, 32   # of the head as well, where the two share
_CODES, _SCALES = f"{TABLE}_Q{BITS}", f"{TABLE}_scales"
_STEPS, _ZERO_POINT = 127, 128   # GatherBlockQuantized's, where it is given none
_MICROSOFT = "com.microsoft"


def is_tied(model: onnx.ModelProto, head: str) -> bool:
    """Return whether the embedding is the transposed matrix of the node `head`, in blocks that the two can share."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    node = next(node for node in model.graph.node if node.name == head)
    embedding, matrix = weights[TABLE], weights[node.input[1]]
    if list(embedding.dims) != list(matrix.dims)[::-1] or embedding.dims[1] % BLOCK:
        return False
    return np.array_equal(numpy_helper.to_array(embedding), numpy_helper.to_array(matrix).T)


def quantize_embedding(model: onnx.ModelProto) -> None:
    """Replace the float32 table by one of 8 bits in place, where its rows are whole blocks."""
    tensor = next(item for item in model.graph.initializer if item.name == TABLE)
    rows, width = tensor.dims
    if width % BLOCK:
        return
    blocks = numpy_helper.to_array(tensor).reshape(rows, -1, BLOCK)
    scales = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(_STEPS)
    codes = np.rint(blocks / np.where(scales == 0, 1, scales)) + _ZERO_POINT
    model.graph.initializer.extend([numpy_helper.from_array(codes.astype(np.uint8).reshape(rows, width), _CODES),
                                    numpy_helper.from_array(scales[:, :, 0], _SCALES)])
    _look_up(model, _SCALES)


def look_up_in_head(model: onnx.ModelProto, head: str) -> None:
    """Replace the lookup by one in the rows of the quantised node `head`, and drop the float32 table."""
    _look_up(model, next(node for node in model.graph.node if node.name == head).input[2])


def share_head(target: Path, head: str) -> None:
    """Give the lookup in a saved graph its table: the very bytes of the head's matrix, as [vocabulary, hidden]."""
    model = onnx.load(str(target), load_external_data=False)
    matrix = next(node for node in model.graph.node if node.name == head).input[1]
    table = model.graph.initializer.add()
    table.CopyFrom(next(item for item in model.graph.initializer if item.name == matrix))
    table.name = _CODES
    table.dims[:] = [table.dims[0], table.dims[1] * table.dims[2]]
    onnx.save(model, str(target))


def _look_up(model: onnx.ModelProto, scales: str) -> None:
    lookup = next(node for node in model.graph.node if TABLE in node.input)
    lookup.CopyFrom(helper.make_node(
        "GatherBlockQuantized", [_CODES, lookup.input[1], scales], list(lookup.output), name=lookup.name,
        domain=_MICROSOFT, bits=BITS, block_size=BLOCK, gather_axis=0, quantize_axis=1))
    model.graph.initializer.remove(next(item for item in model.graph.initializer if item.name == TABLE))
