"""Turns a request for text into one that NVIDIA's vLLM backend understands. Calls nobody.

Our own backend knows chat templates, the checkpoint's sampling defaults and all of its stop tokens; NVIDIA's hands on
prompt and sampling parameters as they come.
"""

import json
from dataclasses import replace

from control_plane.errors import InferenceRejectedError, InvalidRequestError
from control_plane.generation.request import DROPPABLE, GenerationRequest
from control_plane.generation.template_messages import message_for_template
from control_plane.vllm.chat_template import render_chat
from export.manifest import GeneratorManifest

# Of generation_config.json, what is a sampling parameter; our own backend takes the same.
_DEFAULTS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def request_for_vllm(request: GenerationRequest, manifest: GeneratorManifest,
                     template: str | None) -> GenerationRequest:
    """Return the request with a prompt and vLLM's own sampling parameters.

    `template` is the version's chat template. Raises InferenceRejectedError where there is none or it refuses, and
    InvalidRequestError for a parameter that cannot be handed on.
    """
    sampling = _sampling(request.sampling, manifest)
    if request.messages is None:
        return replace(request, sampling=sampling, is_for_vllm=True)
    if template is None:
        raise InferenceRejectedError("this model has no chat template; ask it for a completion of a prompt instead")
    messages = [{key: value for key, value in message_for_template(message).items() if key != DROPPABLE}
                for message in request.messages]
    prompt = render_chat(template, manifest.special_tokens, messages, request.tools)
    # vLLM puts these before every prompt, and a template mostly has done so already.
    prompt = prompt.removeprefix(manifest.prompt_prefix)
    return replace(request, messages=None, tools=None, prompt=prompt, sampling=sampling, is_for_vllm=True)


def _sampling(given: dict, manifest: GeneratorManifest) -> dict:
    if given.get("logit_bias"):
        # The backend reads JSON, whose keys are strings, and vLLM wants numbers.
        raise InvalidRequestError("logit_bias", "a model on vLLM cannot take it; leave it out")
    defaults = {name: value for name, value in manifest.generation_defaults.items() if name in _DEFAULTS}
    sampling = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    if not sampling.get("ignore_eos"):
        sampling["stop_token_ids"] = sorted({*manifest.stop_token_ids, *sampling.get("stop_token_ids", ())})
    constraint = sampling.pop("guided_decoding", None)
    # By the name that vLLM has given it since 0.11; the backend wants it as JSON within the JSON.
    return {**sampling, **({"structured_outputs": json.dumps(constraint)} if constraint else {})}

