"""KServe v2 messages as protobuf: how tensors go into a request and come out of an answer. Sends nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
from tritonclient.grpc import service_pb2
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor, triton_to_np_dtype

_FIELDS = {bool: "bool_param", str: "string_param"}


def new_request(model: str, version: int | None, request_id: str,
                parameters: Mapping[str, str | bool] | None = None) -> service_pb2.ModelInferRequest:
    """Return a request without tensors; without a version the highest one that is loaded answers it."""
    request = service_pb2.ModelInferRequest(
        model_name=model, model_version="" if version is None else str(version), id=request_id)
    for name, value in (parameters or {}).items():
        setattr(request.parameters[name], _FIELDS[type(value)], value)
    return request


def add_texts(request: service_pb2.ModelInferRequest, name: str, texts: Sequence[str],
              shape: Sequence[int] | None = None) -> None:
    """Add a BYTES tensor of UTF-8; without a shape it has one dimension."""
    raw = serialize_byte_tensor(np.array([text.encode() for text in texts], dtype=object)).item()
    add_tensor(request, name, "BYTES", raw, shape or [len(texts)])


def add_tensor(request: service_pb2.ModelInferRequest, name: str, datatype: str, raw: bytes,
               shape: Sequence[int]) -> None:
    """Add a tensor that is bytes already: row-major, little-endian."""
    request.inputs.add(name=name, datatype=datatype, shape=shape)
    request.raw_input_contents.append(raw)


def read_outputs(answer: service_pb2.ModelInferResponse) -> dict[str, np.ndarray]:
    """Return every output by name, in its shape; elements of BYTES are bytes."""
    return {output.name: _array(output, raw)
            for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)}


def read_output(answer: service_pb2.ModelInferResponse, name: str) -> np.ndarray:
    """Return one output as `read_outputs` does, and leave the others alone."""
    index = next(index for index, output in enumerate(answer.outputs) if output.name == name)
    return _array(answer.outputs[index], answer.raw_output_contents[index])


def _array(output: service_pb2.ModelInferResponse.InferOutputTensor, raw: bytes) -> np.ndarray:
    flat = (deserialize_bytes_tensor(raw) if output.datatype == "BYTES"
            else np.frombuffer(raw, triton_to_np_dtype(output.datatype)))
    return flat.reshape(output.shape)
