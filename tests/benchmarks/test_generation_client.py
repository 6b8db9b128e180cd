"""llama.cpp's protocol against a small server of our own: only its shape is known here, the real one is measured."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.connections import AnswerError
from benchmarks.generation_client import LlamaConnection, take_wave
from benchmarks.generation_prompts import Prompt


class Completions(BaseHTTPRequestHandler):
    """Streams as many pieces as were asked for; a prompt that begins with 0 gets one too few."""

    protocol_version = "HTTP/1.1"
    lengths: list[int]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.lengths.append(len(asked["prompt"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(1, asked["n_predict"] + (asked["prompt"][0] != 0)):
            event = {"content": "a", "tokens_evaluated": len(asked["prompt"]), "tokens_predicted": number}
            line = f"data: {json.dumps(event)}\n\n".encode()
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Nothing is worth a line."""


@pytest.fixture
def server():
    """A server on a loopback port."""
    Completions.lengths = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Completions) as opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{opened.server_port}/health"
        opened.shutdown()


def test_every_stream_has_the_times_of_its_pieces_and_the_long_prompt_comes_last(server):
    prompts = [Prompt("", [7, place]) for place in range(3)]
    streams = take_wave(lambda: LlamaConnection(server), prompts, [4, 5, 6], Prompt("", [7] * 50))
    assert [len(stream.pieces_s) for stream in streams] == [stream.tokens for stream in streams] == [4, 5, 6]
    assert all(stream.asked_s < stream.pieces_s[0] and stream.pieces_s == sorted(stream.pieces_s) for stream in streams)
    assert Completions.lengths[-1] == 50


def test_an_answer_of_another_length_is_an_error_and_never_a_figure(server):
    with pytest.raises(AnswerError, match=r"\[1, 3\] tokens, \[1, 4\] were meant"):
        take_wave(lambda: LlamaConnection(server), [Prompt("", [0])], [4])
