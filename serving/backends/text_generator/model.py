"""Triton Python-based backend that serves every text generator (Triton: python_backend, "Decoupled mode").

Requests go to the engine, which batches by itself; its events come back through one thread. Knows nothing of the
control plane.
"""

import json
from functools import partial
from pathlib import Path

import triton_python_backend_utils as pb_utils

from export.contract import ConchError
from serving.backends.text_encoder.threads import threads_per_instance
from serving.backends.text_generator.generation_metrics import GenerationMetrics
from serving.backends.text_generator.replies import StreamedReply, WholeReply
from serving.backends.text_generator.request_inputs import Call, RequestInputs, read_call, read_inputs
from serving.backends.text_generator.response_thread import ResponseThread
from serving.cores import available_cores
from serving.generator.events import GenerationRequest
from serving.generator.generator import TextGenerator
from serving.generator.limits import MIB, read_settings
from serving.processes import exit_when_orphaned


class TritonPythonModel:
    """One instance of one version; Triton calls it from a single thread."""

    def initialize(self, args: dict[str, str]) -> None:
        """Verify, load and warm the version, and say what it has room for."""
        # Triton's stub notices that its server was killed, but now and then hangs in its own clean-up.
        exit_when_orphaned()
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config.get("parameters", {}).items()}
        version_dir = Path(args["model_repository"]) / args["model_version"]
        try:
            threads = threads_per_instance(config, available_cores())
            self._generator = TextGenerator.load(version_dir, read_settings(parameters), threads)
            self._generator.warm()
        except ConchError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        limits = self._generator.limits
        pb_utils.Logger.log_info(
            f"{args['model_name']} {args['model_version']}: {limits.slots} slots of {limits.context_tokens} tokens, "
            f"{limits.cache_bytes / MIB:.0f} MiB for their keys and values, computed by "
            f"{self._generator.computed_by}")
        metrics = GenerationMetrics(pb_utils, args["model_name"], args["model_version"], limits.slots)
        self._responses = ResponseThread(pb_utils, self._generator, metrics)

    def execute(self, requests: list) -> None:
        """Hand the requests to the engine; each is answered through its own sender."""
        for request in requests:
            call = read_call(request)
            if call.cancels is not None:
                self._responses.cancel(call)
                continue
            try:
                self._begin(read_inputs(request, pb_utils), call)
            # Whatever is wrong with one request is that request's error; the model goes on.
            except Exception as error:
                self._responses.refuse(call, error)

    def finalize(self) -> None:
        """End what runs; Triton waits for running requests before it calls this."""
        self._generator.close()
        self._responses.close()

    def _begin(self, inputs: RequestInputs, call: Call) -> None:
        is_chat = inputs.messages is not None
        prompt, dropped = inputs.prompt, 0
        if is_chat:
            prompt, dropped = self._generator.render_to_fit(inputs.messages, inputs.tools, inputs.sampling)
        request = self._generator.prepare(prompt, inputs.sampling, self._responses.add, is_chat)
        self._responses.open(request, call, self._reply_to(request, inputs, prompt, dropped))
        try:
            self._generator.submit(request)
        except ConchError as error:
            self._responses.refuse(call, error, request)

    def _reply_to(self, request: GenerationRequest, inputs: RequestInputs, prompt: str,
                  dropped: int) -> StreamedReply | WholeReply:
        make = partial(StreamedReply, inputs) if inputs.streams else partial(
            WholeReply, prompt if inputs.includes_prompt else "")
        return make(len(request.prompt), dropped, request.parameters.logprobs is not None, request.parameters.n,
                    self._generator.token_text)
