"""One keep-alive connection to an embeddings endpoint: REST, or KServe v2 over HTTP or gRPC. Knows no load, no clocks.

All kinds hand back a NumPy array, as a real caller would want it, so that decoding counts in the client's CPU time.
HTTP goes through one bare HTTP/1.1 client: on a machine whose cores are shared with the server, whatever a heavier
client library costs would be charged to every contestant.
"""

import asyncio
import base64
import json
from urllib.parse import urlsplit

import numpy as np
import tritonclient.grpc.aio as triton_grpc

from export.contract import EMBEDDING_OUTPUT, TEXT_INPUT

HEADER_LIMIT_BYTES = 64 * 1024


class AnswerError(Exception):
    """A server answered with something other than embeddings; the message holds the start of the answer."""


class _HttpConnection:
    """POSTs JSON to one URL, http only, over one connection."""

    def __init__(self, url: str, api_key: str = "") -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        authorization = f"Authorization: Bearer {api_key}\r\n" if api_key else ""
        self._head = (
            f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
            f"{authorization}Content-Length: "
        )

    async def __aenter__(self) -> "_HttpConnection":
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=HEADER_LIMIT_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def _post(self, job: dict) -> tuple[bytes, bytes]:
        """Return head and body of the answer; raises AnswerError, or OSError when the connection breaks."""
        body = json.dumps(job, ensure_ascii=False).encode()
        self._writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        answer = await self._reader.readexactly(number_in_head(head, b"content-length"))
        if not head.split(b" ", 2)[1].startswith(b"200"):
            raise AnswerError((head + answer)[:500].decode(errors="replace"))
        return head, answer


class RestConnection(_HttpConnection):
    """Asks an OpenAI-shaped embeddings endpoint."""

    def __init__(self, url: str, model: str, encoding_format: str, api_key: str = "") -> None:
        """`url` is the whole endpoint; `encoding_format` is "float" or "base64"."""
        super().__init__(url, api_key)
        self._model, self._encoding_format = model, encoding_format

    async def embed(self, texts: list[str]) -> np.ndarray:
        """Return float32 [len(texts), dimension]; raises AnswerError, or OSError when the connection breaks."""
        _, answer = await self._post(
            {"model": self._model, "input": texts, "encoding_format": self._encoding_format})
        return decode_embeddings(json.loads(answer), self._encoding_format)


class KserveConnection(_HttpConnection):
    """Asks Triton's KServe v2 HTTP endpoint: texts as JSON, embeddings as bytes (KServe's binary tensor extension)."""

    async def embed(self, texts: list[str]) -> np.ndarray:
        """Return float32 [len(texts), dimension]; raises AnswerError, or OSError when the connection breaks."""
        head, answer = await self._post({
            "inputs": [{"name": TEXT_INPUT, "shape": [len(texts), 1], "datatype": "BYTES", "data": texts}],
            "outputs": [{"name": EMBEDDING_OUTPUT, "parameters": {"binary_data": True}}]})
        tensors = answer[number_in_head(head, b"inference-header-content-length"):]
        return np.frombuffer(tensors, dtype="<f4").reshape(len(texts), -1)


class GrpcConnection:
    """Asks Triton's KServe v2 gRPC endpoint for the embedding tensor."""

    def __init__(self, address: str, model: str) -> None:
        """`address` is host:port."""
        self._address, self._model = address, model
        self._outputs = [triton_grpc.InferRequestedOutput(EMBEDDING_OUTPUT)]

    async def __aenter__(self) -> "GrpcConnection":
        self._client = triton_grpc.InferenceServerClient(self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def embed(self, texts: list[str]) -> np.ndarray:
        """Return float32 [len(texts), dimension]; raises tritonclient's InferenceServerException."""
        tensor = triton_grpc.InferInput(TEXT_INPUT, [len(texts), 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=object))
        answer = await self._client.infer(self._model, [tensor], outputs=self._outputs)
        return answer.as_numpy(EMBEDDING_OUTPUT)


def number_in_head(head: bytes, wanted: bytes) -> int:
    """Read the value of a header, named in lower case, from a response head; raises AnswerError where it is missing."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == wanted:
            return int(value)
    raise AnswerError(f"response without {wanted.decode()}: {head[:500]!r}")


def decode_embeddings(answer: dict, encoding_format: str) -> np.ndarray:
    """Turn an OpenAI embeddings answer into float32 [rows, dimension]; base64 is little-endian float32."""
    rows = [item["embedding"] for item in answer["data"]]
    if encoding_format == "base64":
        return np.stack([np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows])
    return np.array(rows, dtype=np.float32)
