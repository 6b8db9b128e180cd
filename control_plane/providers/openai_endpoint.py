"""Calls an OpenAI-compatible server elsewhere (httpx), whose exceptions stop here. Knows nothing of our own routes."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from control_plane.errors import ProviderError, ProviderRejectedError, ProviderTimeoutError, ProviderUnavailableError
from export.catalog import RemoteEndpoint

CHAT_PATH = "chat/completions"
COMPLETIONS_PATH = "completions"
# The server is there, but not for this request now (RFC 9110).
_RETRIED_STATUSES = (429, 502, 503, 504)
_REJECTED_STATUSES = (400, 404, 409, 413, 422)
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_CONNECT_TIMEOUT_S = 5.0
_MESSAGE_CHARS = 500
_END_OF_STREAM = "[DONE]"


class OpenAIEndpoint:
    """One model on one server. Threads may share it."""

    def __init__(self, endpoint: RemoteEndpoint, api_key: str | None,
                 transport: httpx.BaseTransport | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._endpoint, self._sleep = endpoint, sleep
        self._client = httpx.Client(
            base_url=endpoint.url.rstrip("/") + "/", headers=headers, transport=transport,
            timeout=httpx.Timeout(endpoint.timeout_s, connect=min(_CONNECT_TIMEOUT_S, endpoint.timeout_s)))

    def ask(self, path: str, body: dict) -> dict:
        """Return the whole answer to `body`, whose `model` and `stream` are set here.

        Raises ProviderUnavailableError, ProviderTimeoutError, ProviderRejectedError or ProviderError.
        """
        with self._errors():
            response = self._send(path, {**body, "stream": False})
            response.read()
            return self._parse(response.text)

    def stream(self, path: str, body: dict) -> Iterator[dict]:
        """Yield the chunks of the answer as they come; closing the iterator closes the connection. Raises as `ask`."""
        with self._errors():
            response = self._send(path, {**body, "stream": True})
            try:
                for line in response.iter_lines():
                    if line.startswith("data:") and (text := line[5:].strip()):
                        if text == _END_OF_STREAM:
                            return
                        yield self._parse(text)
            finally:
                response.close()

    def _send(self, path: str, body: dict) -> httpx.Response:
        """Send until the server takes the request; returns a response whose body is not read yet."""
        request = self._client.build_request("POST", path, json={**body, "model": self._endpoint.model})
        for attempt in range(self._endpoint.retries + 1):
            pause_s = min(_FIRST_PAUSE_S * 2 ** attempt, _LONGEST_PAUSE_S)
            is_last = attempt == self._endpoint.retries
            try:
                response = self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if is_last:
                    raise
            else:
                if response.is_success:
                    return response
                response.read()
                if is_last or response.status_code not in _RETRIED_STATUSES:
                    raise self._refusal(response)
                pause_s = _stated_pause_s(response, pause_s)
            self._sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _parse(self, text: str) -> dict:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ProviderError(f"{self._endpoint.url} answered something else than a JSON object: {_short(text)}")
        if "error" in document:
            raise ProviderError(f"{self._endpoint.url} failed: {_short(json.dumps(document['error']))}")
        return document

    def _refusal(self, response: httpx.Response) -> ProviderError:
        said = f"{self._endpoint.url} answered {response.status_code}: {_short(response.text)}"
        if response.status_code in _RETRIED_STATUSES:
            return ProviderUnavailableError(said)
        if response.status_code in _REJECTED_STATUSES:
            return ProviderRejectedError(said)
        if response.status_code in (401, 403):
            return ProviderError(f"{said}; check the key in {self._endpoint.key_variable or 'key_variable'}")
        return ProviderError(said)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise ProviderUnavailableError(f"{self._endpoint.url} cannot be reached: {error}") from error
        except httpx.TimeoutException as error:
            raise ProviderTimeoutError(f"{self._endpoint.url} did not answer within {self._endpoint.timeout_s} s "
                                       "(timeout_s in the catalog)") from error
        except httpx.HTTPError as error:
            raise ProviderError(f"{self._endpoint.url} broke off: {error}") from error


def _stated_pause_s(response: httpx.Response, default_s: float) -> float:
    """Return the seconds that the server asks to wait, within reason."""
    stated = response.headers.get("Retry-After", "")
    return min(float(stated), _LONGEST_PAUSE_S) if stated.isdecimal() else default_s


def _short(text: str) -> str:
    return text if len(text) <= _MESSAGE_CHARS else text[:_MESSAGE_CHARS] + "…"
