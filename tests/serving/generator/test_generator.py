"""What the generator checks before a request runs, how answers end, and versions that cannot be loaded."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from serving.errors import InvalidGenerationError, PromptTooLongError, VersionLoadError
from serving.generator.generator import TextGenerator
from serving.generator.limits import EngineSettings
from tests.serving.generator.decoders import CONTEXT, END, VOCAB, write_version

GREEDY = {"temperature": 0, "max_tokens": 12}


def answer(generator, prompt="Hello", **sampling) -> tuple[str, str, int]:
    events = list(generator.generate(prompt, {**GREEDY, **sampling}))
    return "".join(event.text for event in events), events[-1].finish_reason, events[-1].token_count


def test_an_answer_ends_at_max_tokens(generator):
    assert answer(generator)[1:] == ("length", 12)


def test_an_answer_ends_when_the_context_is_full(generator):
    prompt = "x" * (CONTEXT - 5)
    assert answer(generator, prompt, max_tokens=100, ignore_eos=True)[1:] == ("length", 6)


def test_an_answer_ends_at_a_stop_token(generator):
    whole = list(generator.generate("Hello", {**GREEDY, "logprobs": 0}))
    third = [told[0].token for event in whole for told in event.logprobs][2]
    assert answer(generator, stop_token_ids=[third])[1:] == ("stop", 3)


def test_an_answer_ends_before_a_stop_string(generator):
    whole = answer(generator)[0]
    stop = whole[3:5]
    assert answer(generator, stop=[stop])[:2] == (whole[:whole.index(stop)], "stop")


def test_the_models_own_end_counts_unless_it_is_to_be_ignored(generator):
    forced = {"guided_decoding": {"regex": "ab"}}
    assert answer(generator, **forced)[:2] == ("ab", "stop")
    assert answer(generator, max_tokens=40, ignore_eos=True)[1:] == ("length", 40)


def test_an_answer_does_not_end_before_its_minimum(generator):
    at_once = {"logit_bias": {str(END): 100}, "max_tokens": 12}
    assert answer(generator, **at_once)[1:] == ("stop", 1)
    assert answer(generator, **at_once, min_tokens=7)[1:] == ("stop", 8)
    assert answer(generator, **at_once, min_tokens=12)[1:] == ("length", 12)
    assert answer(generator, guided_decoding={"regex": "ab"}, min_tokens=9)[:2] == ("ab", "stop")


def test_a_biased_token_is_chosen_or_avoided_and_its_logprob_is_the_models(generator):
    plain = next(iter(generator.generate("Hello", {**GREEDY, "logprobs": 0}))).logprobs[0][0]
    biased = {"logit_bias": {str(plain.token): -100}}
    avoided = next(iter(generator.generate("Hello", {**GREEDY, **biased, "logprobs": 1}))).logprobs[0]
    assert avoided[0].token != plain.token
    assert (avoided[1].token, avoided[1].logprob) == (plain.token, plain.logprob)


def test_the_special_tokens_of_a_version_reach_its_template(tmp_path):
    version = write_version(tmp_path / "1", template="{{ bos_token }}{{ messages[0].content }}",
                            special_tokens={"bos_token": "<|im_start|>"})
    generator = TextGenerator.load(version, EngineSettings(slots=1), 1)
    assert generator.render([{"role": "user", "content": "hi"}]) == "<|im_start|>hi"
    generator.close()


def _messages(*texts: str) -> list[dict]:
    """Return a conversation whose messages but the last may be left out."""
    *earlier, last = [{"role": "user", "content": text} for text in texts]
    return [*({**message, "droppable": True} for message in earlier), last]


@pytest.mark.parametrize(("texts", "left_out"), [
    (["aa", "bb", "hi"], 0), (["a" * CONTEXT, "bb", "hi"], 1), (["aa", "b" * CONTEXT, "hi"], 2),
    (["a" * 1_000_000, "bb", "hi"], 1), (["hi"], 0)])
def test_messages_that_may_be_left_out_give_way_the_oldest_first(generator, texts, left_out):
    sampling = {"max_tokens": 4}
    prompt, dropped = generator.render_to_fit(_messages(*texts), None, sampling)
    assert dropped == left_out
    assert prompt == generator.render(_messages(*texts[left_out:]))
    generator.prepare(prompt, sampling, lambda request, event: None, is_chat=True)


def test_an_answer_of_any_length_is_left_half_of_the_context(generator):
    few = ["a" * (CONTEXT // 2), "b" * 20, "hi"]
    prompt, dropped = generator.render_to_fit(_messages(*few), None, {"max_tokens": 100_000})
    assert (prompt, dropped) == (generator.render(_messages(*few[1:])), 1)


def test_a_message_that_must_stay_is_not_left_out_however_long_it_is(generator):
    prompt, dropped = generator.render_to_fit(_messages("aa", "h" * CONTEXT), None, {"max_tokens": 4})
    assert dropped == 1
    with pytest.raises(PromptTooLongError):
        generator.prepare(prompt, {"max_tokens": 4}, lambda request, event: None, is_chat=True)


def test_logprobs_come_for_every_token(generator):
    events = list(generator.generate("Hello", {**GREEDY, "logprobs": 2}))
    told = [tokens for event in events for tokens in event.logprobs]
    assert len(told) == 12
    assert all(tokens[0].rank == 1 and len(tokens) == 2 for tokens in told)
    assert events[-1].cumulative_logprob == pytest.approx(sum(tokens[0].logprob for tokens in told))


@pytest.mark.parametrize(("prompt", "sampling", "error", "words"), [
    ("", {}, InvalidGenerationError, "the prompt is empty"),
    ("x" * CONTEXT, {}, PromptTooLongError, f"has {CONTEXT} tokens .* may have {CONTEXT}; shorten it"),
    ("x" * 1_000_000, {}, InvalidGenerationError, "1000000 characters"),
    ("x", {"stop_token_ids": [VOCAB]}, InvalidGenerationError, f"stop_token_ids has {VOCAB}"),
    ("x", {"logit_bias": {str(VOCAB): 1}}, InvalidGenerationError, f"logit_bias has {VOCAB}, but the model's tokens"),
    ("x", {"temperature": "hot"}, InvalidGenerationError, "temperature is 'hot'"),
])
def test_a_request_that_cannot_run_is_refused_with_the_reason(generator, prompt, sampling, error, words):
    with pytest.raises(error, match=words):
        generator.prepare(prompt, sampling, print)


def test_a_long_prompt_is_cut_from_the_left_when_asked(generator):
    prompt = "".join(str(number) for number in range(400))
    assert answer(generator, prompt, truncate_prompt_tokens=20) == answer(generator, prompt[-20:])
    longest = generator.prepare(prompt, {"truncate_prompt_tokens": 10_000}, print)
    assert len(longest.prompt) == CONTEXT - 1


def test_a_conversation_becomes_a_prompt_with_special_tokens(generator):
    prompt = generator.render([{"role": "user", "content": "hi"}])
    request = generator.prepare(prompt, {}, print, is_chat=True)
    assert request.prompt.tolist().count(END) == 1


def test_a_model_without_a_template_says_so(tmp_path):
    generator = TextGenerator.load(write_version(tmp_path / "1", template=None), EngineSettings(slots=1), 1)
    with pytest.raises(InvalidGenerationError, match="no chat template; send text_input"):
        generator.render([{"role": "user", "content": "hi"}])
    generator.close()


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "chat_template.jinja", "manifest.json"])
def test_a_damaged_file_fails_the_load_by_name(tiny_version, tmp_path, file):
    version = shutil.copytree(tiny_version, tmp_path / "1")
    data = bytearray((version / file).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (version / file).write_bytes(data)
    with pytest.raises(VersionLoadError, match=file):
        TextGenerator.load(version, EngineSettings(), 1)


@pytest.mark.parametrize("stop_token_ids", [(), (VOCAB,), (-1,)])
def test_stop_tokens_that_do_not_exist_are_refused(tmp_path, stop_token_ids):
    with pytest.raises(VersionLoadError, match="states the stop tokens"):
        TextGenerator.load(write_version(tmp_path / "1", stop_token_ids=stop_token_ids), EngineSettings(slots=1), 1)


def without_checks(version: Path, **changes) -> Path:
    """Change a manifest, and have it vouch for no file."""
    path = version / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": {}, **changes}))
    return version


def test_another_kind_of_model_is_refused(tiny_version, tmp_path):
    encoder = {"task": "embedding", "dimension": 8, "pad_token_id": 0, "pooling": [], "pools_prompt": True,
               "normalized": True}
    version = without_checks(shutil.copytree(tiny_version, tmp_path / "1"), **encoder)
    with pytest.raises(VersionLoadError, match="for embedding, which is no text generation"):
        TextGenerator.load(version, EngineSettings(), 1)


def test_a_graph_without_a_cache_is_refused(tiny_version, tmp_path):
    version = without_checks(shutil.copytree(tiny_version, tmp_path / "1"))
    ids, same = (helper.make_tensor_value_info(name, TensorProto.INT64, [1, 4]) for name in ("input_ids", "same"))
    graph = helper.make_graph([helper.make_node("Identity", ["input_ids"], ["same"])], "plain", [ids], [same])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, version / "model.onnx")
    with pytest.raises(VersionLoadError, match="not a decoder"):
        TextGenerator.load(version, EngineSettings(), 1)


def test_a_graph_that_is_no_graph_is_refused(tiny_version, tmp_path):
    version = without_checks(shutil.copytree(tiny_version, tmp_path / "1"))
    (version / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(VersionLoadError, match=r"model\.onnx cannot be opened"):
        TextGenerator.load(version, EngineSettings(), 1)
