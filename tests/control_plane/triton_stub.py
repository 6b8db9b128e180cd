"""A gRPC server that speaks as much of KServe v2 as the gateway uses, and fails as it is told to."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from export.contract import EMBEDDING_OUTPUT, LABELS_OUTPUT, SCORES_OUTPUT, TOKEN_COUNT_OUTPUT

SECRET = "s3cr3t"
SECRET_HEADER = "triton-grpc-protocol-x-conch-secret"


class TritonStub(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Embeds a text as its length and its number, or scores `labels` by its number.

    `failure` (status, message) comes instead of any answer but liveness.
    """

    def __init__(self) -> None:
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.index: list[tuple[str, str, str]] = []  # name, version, state
        self.delay_s = 0.0
        self.loads: list[service_pb2.RepositoryModelLoadRequest] = []
        self.batch_sizes: list[int] = []
        self.versions: list[str] = []
        self.parameters: dict = {}
        self.labels: tuple[str, ...] = ()            # of every model, which then is an intent model
        self.placements: dict[str, str] = {}  # model -> the placement that its configuration states

    def ServerLive(self, request, context):
        return service_pb2.ServerLiveResponse(live=True)

    def RepositoryIndex(self, request, context):
        self._check_secret(context)
        models = [service_pb2.RepositoryIndexResponse.ModelIndex(name=name, version=version, state=state)
                  for name, version, state in self.index]
        return service_pb2.RepositoryIndexResponse(models=models)

    def RepositoryModelLoad(self, request, context):
        self._check_secret(context)
        self._misbehave(context)
        self.loads.append(request)
        return service_pb2.RepositoryModelLoadResponse()

    def RepositoryModelUnload(self, request, context):
        self._check_secret(context)
        self._misbehave(context)
        return service_pb2.RepositoryModelUnloadResponse()

    def ModelConfig(self, request, context):
        if request.name not in self.placements:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{request.name}' is not found")
        answer = service_pb2.ModelConfigResponse()
        if self.placements[request.name]:
            answer.config.parameters["conch_placement"].string_value = self.placements[request.name]
        return answer

    def ModelInfer(self, request, context):
        self._misbehave(context)
        texts = deserialize_bytes_tensor(request.raw_input_contents[0])
        self.batch_sizes.append(len(texts))
        self.versions.append(request.model_version)
        self.parameters = dict(request.parameters)
        lengths = np.array([len(text) for text in texts])
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="3")
        numbers = np.array([int(text or b"0") for text in texts])
        if self.labels:
            _add_output(answer, SCORES_OUTPUT, "FP32",
                        (numbers[:, None] / 10 ** np.arange(1, len(self.labels) + 1)).astype("<f4"))
            names = np.array([[label.encode() for label in self.labels]] * len(texts), dtype=object)
            answer.outputs.add(name=LABELS_OUTPUT, datatype="BYTES", shape=names.shape)
            answer.raw_output_contents.append(serialize_byte_tensor(names).item())
            _add_output(answer, TOKEN_COUNT_OUTPUT, "INT32", lengths.astype("<i4")[:, None])
            return answer
        vectors = np.stack([lengths, numbers], axis=1).astype("<f4")
        _add_output(answer, EMBEDDING_OUTPUT, "FP32", vectors)
        _add_output(answer, TOKEN_COUNT_OUTPUT, "INT32", lengths.astype("<i4")[:, None])
        return answer

    def _check_secret(self, context) -> None:
        if dict(context.invocation_metadata()).get(SECRET_HEADER) != SECRET:
            context.abort(grpc.StatusCode.UNAVAILABLE, "This protocol is restricted, expecting header")

    def _misbehave(self, context) -> None:
        time.sleep(self.delay_s)
        if self.failure is not None:
            context.abort(*self.failure)


def _add_output(answer, name: str, datatype: str, array: np.ndarray) -> None:
    answer.outputs.add(name=name, datatype=datatype, shape=array.shape)
    answer.raw_output_contents.append(array.tobytes())


@contextmanager
def serve(stub: TritonStub):
    """Serve `stub` on a free port of the loopback interface; gives host:port."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(stub, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()
