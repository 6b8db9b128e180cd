"""What is written for vLLM, in the real Triton, with a stand-in for NVIDIA's backend: its tensors and no model.

The stand-in is where a GPU would be needed. This proves config.pbtxt, model.json and what the control plane sends and
reads; not that vLLM runs.
"""

import json
import time
from pathlib import Path

import pytest

from control_plane.generation.request import GenerationRequest
from control_plane.lifecycle.golden import prove
from control_plane.lifecycle.placement import Placement
from control_plane.triton_config import load_config
from control_plane.triton_gateway import TritonGateway
from control_plane.vllm.requests import request_for_vllm
from export.contract import CONFIG_FILE
from export.decoder_export import GeneratorRequest
from export.manifest import read_manifest
from export.sources.checkpoint import Checkpoint
from export.vllm_arguments import VllmOptions
from export.vllm_export import export_vllm
from serving.processes import start_child
from serving.triton.distribution import find_distribution, lay_out_backends
from serving.triton.server import ServerOptions, server_command, server_environment
from tests.export.decoders import build_decoder
from tests.functional.platform import free_ports

START_TIMEOUT_S = 60
# Answers each of n times with the prompt, a word at a time, and with what it was given as its last word.
BACKEND = '''
import json, os
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        assert pb_utils.using_decoupled_model_transaction_policy(json.loads(args["model_config"]))
        assert args["model_instance_kind"] == "MODEL"
        with open(os.path.join(pb_utils.get_model_dir(), "model.json")) as file:
            self.arguments = json.load(file)
        assert os.path.isfile(os.path.join(self.arguments["model"], "model.safetensors"))

    def execute(self, requests):
        for request in requests:
            self.answer(request)

    def answer(self, request):
        def given(name):
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            return None if tensor is None else tensor.as_numpy()[0]

        sampling = json.loads(given("sampling_parameters").decode())
        words = [*given("text_input").decode().split(), json.dumps({**sampling, **self.arguments})]
        sender, n = request.get_response_sender(), sampling.get("n", 1)
        for place, word in enumerate(words):
            last = place == len(words) - 1
            tensors = [pb_utils.Tensor("text_output", np.asarray([word.encode()] * n, dtype=object))]
            if given("return_finish_reason"):
                tensors.append(pb_utils.Tensor("finish_reason", np.asarray(["stop" if last else "None"] * n, object)))
            if given("return_num_input_tokens"):
                tensors.append(pb_utils.Tensor("num_input_tokens", np.asarray(7, dtype=np.uint32)))
            if given("return_num_output_tokens"):
                tensors.append(pb_utils.Tensor("num_output_tokens", np.asarray([1] * n, dtype=np.uint32)))
            if given("return_logprobs"):
                told = json.dumps([{5: {"logprob": -0.5, "rank": 1, "decoded_token": word}}])
                tensors.append(pb_utils.Tensor("logprobs", np.asarray([told.encode()] * n, dtype=object)))
            sender.send(pb_utils.InferenceResponse(tensors),
                        pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if last else 0)
'''


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A small decoder, exported for vLLM as `writer`."""
    folder = tmp_path_factory.mktemp("vllm")
    checkpoint = build_decoder(folder / "checkpoint", "qwen2")
    request = GeneratorRequest(Checkpoint(checkpoint, f"path:{checkpoint}", None), folder / "repository", "writer",
                               "vllm", "bf16")
    return export_vllm(request, VllmOptions(gpu_memory_fraction=0.8))


@pytest.fixture(scope="module")
def gateway(version, tmp_path_factory):
    """A Triton with the stand-in as its backend `vllm`, which has loaded the version as the control plane does."""
    folder = tmp_path_factory.mktemp("triton")
    distribution, ports = find_distribution(), free_ports(3)
    backends = lay_out_backends(distribution, folder / "backends")
    (backends / "vllm").mkdir()
    (backends / "vllm" / "model.py").write_text(BACKEND)
    options = ServerOptions(version.parents[1], backends, "127.0.0.1", *ports, secret="known")
    process = start_child(server_command(distribution, options), server_environment(distribution), folder / "log")
    found = TritonGateway(f"127.0.0.1:{ports[1]}", "known", 20, 60)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not found.is_live():
        assert process.poll() is None, Path(folder / "log").read_text()
        assert time.monotonic() < deadline, Path(folder / "log").read_text()
        time.sleep(0.1)
    config = (version.parents[0] / CONFIG_FILE).read_text(encoding="utf-8")
    found.load("writer", load_config(config, Placement("writer", (1,))))
    yield found
    process.terminate()
    process.wait(30)


def test_a_conversation_is_answered_and_the_engine_was_given_its_arguments(gateway, version):
    manifest = read_manifest(version)
    template = (version / "chat_template.jinja").read_text(encoding="utf-8")
    request = GenerationRequest(messages=[{"role": "user", "content": "今年 财运"}], sampling={
        "n": 2, "logprobs": 0, "guided_decoding": {"regex": "a+"}})
    pieces = list(gateway.generate("writer", request_for_vllm(request, manifest, template), 1, "id", 20))
    texts = ["".join(piece.text for piece in pieces if piece.index == index) for index in (0, 1)]
    assert texts[0] == texts[1]
    assert texts[0].startswith("<|im_start|>user今年财运<|im_end|><|im_start|>assistant{")
    said = json.loads(pieces[-1].text)
    assert (said["model"], said["gpu_memory_utilization"], said["dtype"]) == (str(version), 0.8, "bfloat16")
    assert json.loads(said["structured_outputs"]) == {"regex": "a+"}
    assert said["stop_token_ids"] == list(manifest.stop_token_ids)
    ends = [piece for piece in pieces if piece.finish_reason]
    assert [(end.index, end.finish_reason, end.prompt_tokens, end.completion_tokens) for end in ends] == [
        (0, "stop", 7, 5), (1, "stop", 7, 5)]
    assert {piece.token_ids for piece in pieces} == {(5,)}


def test_a_version_without_a_golden_answer_proves_that_it_generates(gateway, version):
    prove(gateway, read_manifest(version))
