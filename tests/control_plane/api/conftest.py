"""A server elsewhere that generates, and a catalog that knows it as the model `far`."""

import json

import pytest
from flask import Flask, Response, request

from tests.control_plane.conftest import serving


class Elsewhere:
    """An OpenAI-compatible server that keeps what it is asked and says what it is told to."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.pieces: list[str] = ["好", "的"]
        self.status = 200
        self.garbage_after: int | None = None
        self.app = Flask("elsewhere")
        self.app.post("/v1/chat/completions")(self.chat)
        self.app.post("/v1/completions", endpoint="raw")(self.chat)

    def chat(self) -> Response:
        self.asked.append(request.get_json())
        if self.status != 200:
            return Response("no", self.status)
        return Response(self._lines("messages" in self.asked[-1]), mimetype="text/event-stream")

    def _lines(self, is_chat: bool):
        for number, piece in enumerate(self.pieces):
            if number == self.garbage_after:
                yield "data: {garbage\n\n"
            text = {"delta": {"content": piece}} if is_chat else {"text": piece}
            yield f"data: {json.dumps({'choices': [{'index': 0, **text}]})}\n\n"
        yield f"data: {json.dumps({'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})}\n\n"
        usage = {"prompt_tokens": 7, "completion_tokens": len(self.pieces)}
        yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"


@pytest.fixture
def elsewhere():
    """The server, which says 好的 unless told otherwise."""
    return Elsewhere()


@pytest.fixture
def far(settings, elsewhere, monkeypatch):
    """Have the catalog know it; to be named before what builds the application."""
    monkeypatch.setenv("FAR_KEY", "sesame")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(elsewhere.app) as address:
        with settings.catalog_path.open("a", encoding="utf-8") as catalog:
            catalog.write(f'\n[[models]]\nalias = "far"\ntask = "text-generation"\n[models.remote]\n'
                          f'url = "{address}/v1"\nmodel = "big"\nkey_variable = "FAR_KEY"\nretries = 0\n')
        yield
