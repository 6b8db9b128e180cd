"""Lets a decoder's graph compute the logits of the last token only, which is all that generating needs.

A prompt's other logits cost as much as a fifth of a small model's work. The quality gate still asks for all of them.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.contract import LOGITS_FROM

LOGITS = "logits"
_LAST = -1
_TOKEN_AXIS = 1               # hidden states are [batch, tokens, hidden]


def make_logits_optional(graph: Path) -> None:
    """Give the graph the optional input `logits_from`, which counts from the end where negative; default -1, the last.

    The file is written in place, its weights beside it are left alone.
    """
    model = onnx.load(str(graph), load_external_data=False)
    nodes = model.graph.node
    head = _find_head(model)
    hidden = nodes[head].input[0]
    for name, value in ((LOGITS_FROM, _LAST), ("logits_to", np.iinfo(np.int64).max), ("logits_axis", _TOKEN_AXIS)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    # An initializer that is an input as well is a default.
    model.graph.input.append(helper.make_tensor_value_info(LOGITS_FROM, onnx.TensorProto.INT64, [1]))
    wanted = helper.make_node("Slice", [hidden, LOGITS_FROM, "logits_to", "logits_axis"], [f"{hidden}/wanted"],
                              name="/lm_head/Slice")
    nodes[head].input[0] = wanted.output[0]
    nodes.insert(head, wanted)
    _forget_token_count(model)
    onnx.save(model, str(graph))


def _find_head(model: onnx.ModelProto) -> int:
    """Return the index of the matrix product that the logits come from, be it quantised, cast or capped afterwards."""
    nodes = list(model.graph.node)
    maker = {name: index for index, node in enumerate(nodes) for name in node.output}
    index = maker[LOGITS]
    while not nodes[index].op_type.startswith("MatMul"):
        index = maker[next(name for name in nodes[index].input if name in maker)]
    return index


def _forget_token_count(model: onnx.ModelProto) -> None:
    """Say that logits may be of fewer tokens than the run has."""
    output = next(item for item in model.graph.output if item.name == LOGITS)
    output.type.tensor_type.shape.dim[_TOKEN_AXIS].dim_param = "logits_length"
    # What the builder noted of the shapes between is not true any more; ONNX Runtime finds them itself.
    del model.graph.value_info[:]
