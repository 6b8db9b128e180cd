"""What slots keep of those who have left is what a newcomer would compute."""

import numpy as np
import pytest

from export.contract import MODEL_FILE
from serving.generator.decoder import open_decoder
from serving.generator.events import GenerationRequest
from serving.generator.generator import TextGenerator
from serving.generator.limits import EngineSettings
from serving.generator.native.processor import processor_can
from serving.generator.native.session import NativeSession
from serving.generator.sampling_parameters import parse_sampling_parameters
from serving.generator.sequence import Sequence
from serving.generator.slots import SlotTable
from serving.generator.vocabulary import Vocabulary
from tests.serving.generator.decoders import write_int8_version

PROMPT, QUESTION = [7, 80, 9, 120, 30, 44, 61], [9, 33, 90, 14]
ANSWER_TOKENS = 20


@pytest.fixture(params=[pytest.param("llama", marks=pytest.mark.skipif(
    not processor_can(), reason="the processor has no AVX-512 VNNI")), "tiny"])
def version(request, tmp_path):
    """Return a version that machine code computes, and one that ONNX Runtime does."""
    if request.param == "tiny":
        return request.getfixturevalue("tiny_version")
    return write_int8_version(tmp_path / "int8" / "1", request.getfixturevalue("int8_graph")(request.param))


def answer(table, vocabulary, prompt) -> tuple[list[int], int]:
    """Return the tokens of a greedy answer, and how many of the prompt were in a slot already."""
    parameters = parse_sampling_parameters({"temperature": 0, "ignore_eos": True}, {})
    sequence = Sequence(GenerationRequest(np.array(prompt), parameters, None, lambda *_: None), 0, vocabulary, 128)
    shared = table.begin(sequence)
    sequence.advance(table.fill(len(prompt) - shared))
    table.join()
    while len(sequence.answer) < ANSWER_TOKENS:
        sequence.advance(table.decode()[table.running.index(sequence)])
    table.leave(sequence)
    return sequence.answer, shared


def test_a_conversation_goes_on_from_all_that_is_exact_as_if_it_were_new(version):
    decoder = open_decoder(version / MODEL_FILE, 1, 0, native=True)
    vocabulary = Vocabulary(version, decoder.vocab_size, (2,))
    session = decoder.new_session(2, 128)
    table, fresh = SlotTable(session), SlotTable(decoder.new_session(2, 128))
    first, shared = answer(table, vocabulary, PROMPT)
    assert shared == 0
    # Of an answer the last token was chosen and never computed.
    conversation, held = [*PROMPT, *first, *QUESTION], len(PROMPT) + session.is_exact * (ANSWER_TOKENS - 1)
    assert answer(table, vocabulary, conversation) == (answer(fresh, vocabulary, conversation)[0], held)
    assert answer(table, vocabulary, PROMPT)[0] == first


@pytest.mark.skipif(not processor_can(), reason="the processor has no AVX-512 VNNI")
def test_nothing_is_kept_of_those_whom_a_failed_step_ended(int8_graph, tmp_path, monkeypatch):
    version = write_int8_version(tmp_path / "int8" / "1", int8_graph("llama"))
    generator = TextGenerator.load(version, EngineSettings(), threads=1)
    decode, steps = NativeSession.decode, []

    def fail_in_the_third(session, *arguments):
        steps.append(arguments)
        return decode(session, *arguments) if len(steps) != 3 else 1 / 0

    monkeypatch.setattr(NativeSession, "decode", fail_in_the_third)
    prompt, asked = "the model server answers each question", {"temperature": 0, "ignore_eos": True, "max_tokens": 8}
    assert "division by zero" in str(list(generator.generate(prompt, asked))[-1].error)
    assert list(generator.generate(prompt, asked))[-1].finish_reason == "length"
    assert generator.statistics.reused_tokens == 0
    list(generator.generate(prompt, asked))
    assert generator.statistics.reused_tokens > 0
    generator.close()
