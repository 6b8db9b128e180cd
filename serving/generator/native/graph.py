"""A graph's nodes and weights by their names; weights are read from the disk when they are asked for."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data


class Graph:
    """An ONNX graph without its constants, and without the nodes below a name that is of no interest.

    Raises OSError, or what onnx raises, where a file cannot be read.
    """

    def __init__(self, model_file: Path, ignored: str) -> None:
        model = onnx.load(str(model_file), load_external_data=False)
        self._folder = model_file.parent
        self._nodes = {node.name: node for node in model.graph.node
                       if node.op_type != "Constant" and not node.name.startswith(ignored)}
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}

    @property
    def operators(self) -> dict[str, str]:
        """The operators of all nodes by name."""
        return {name: node.op_type for name, node in self._nodes.items()}

    def nodes(self, operator: str) -> list[str]:
        """Return the names of the nodes of one operator."""
        return [name for name, node in self._nodes.items() if node.op_type == operator]

    @property
    def weights(self) -> list[str]:
        """The names of all weights."""
        return list(self._weights)

    def inputs(self, node: str) -> list[str]:
        """Return the names of what a node reads."""
        return list(self._nodes[node].input)

    def attributes(self, node: str) -> dict:
        """Return the attributes of a node."""
        return {item.name: helper.get_attribute_value(item) for item in self._nodes[node].attribute}

    def shape(self, weight: str) -> list[int]:
        """Return the shape of a weight."""
        return list(self._weights[weight].dims)

    def weight(self, name: str) -> np.ndarray:
        """Return a weight; one that lies in a file of its own is not copied."""
        tensor = self._weights[name]
        if not uses_external_data(tensor):
            return numpy_helper.to_array(tensor)
        place = ExternalDataInfo(tensor)
        kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        return np.memmap(self._folder / place.location, kind, "r", place.offset or 0, tuple(tensor.dims))
