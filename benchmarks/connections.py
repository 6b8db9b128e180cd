"""One keep-alive connection to an embeddings endpoint, REST or gRPC; knows nothing of load and clocks.

Both kinds hand back a NumPy array, as a real caller would want it, so that decoding counts in the client's CPU time.
The REST connection is a bare HTTP/1.1 client: on a machine whose cores are shared with the server, whatever a heavier
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


class RestConnection:
    """POSTs texts to an OpenAI-shaped embeddings endpoint over one connection."""

    def __init__(self, url: str, model: str, encoding_format: str, api_key: str = "") -> None:
        """`url` is the whole endpoint, http only; `encoding_format` is "float" or "base64"."""
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._model, self._encoding_format = model, encoding_format
        authorization = f"Authorization: Bearer {api_key}\r\n" if api_key else ""
        self._head = (
            f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
            f"{authorization}Content-Length: "
        )

    async def __aenter__(self) -> "RestConnection":
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=HEADER_LIMIT_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def embed(self, texts: list[str]) -> np.ndarray:
        """Return float32 [len(texts), dimension]; raises AnswerError, or OSError when the connection breaks."""
        job = {"model": self._model, "input": texts, "encoding_format": self._encoding_format}
        body = json.dumps(job, ensure_ascii=False).encode()
        self._writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        answer = await self._reader.readexactly(content_length(head))
        if not head.split(b" ", 2)[1].startswith(b"200"):
            raise AnswerError((head + answer)[:500].decode(errors="replace"))
        return decode_embeddings(json.loads(answer), self._encoding_format)


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


def content_length(head: bytes) -> int:
    """Read the length of the body from a response head; raises AnswerError where the head does not say."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise AnswerError(f"response without Content-Length: {head[:500]!r}")


def decode_embeddings(answer: dict, encoding_format: str) -> np.ndarray:
    """Turn an OpenAI embeddings answer into float32 [rows, dimension]; base64 is little-endian float32."""
    rows = [item["embedding"] for item in answer["data"]]
    if encoding_format == "base64":
        return np.stack([np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows])
    return np.array(rows, dtype=np.float32)
