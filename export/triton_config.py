"""Writes config.pbtxt, the part of a model that Triton reads. Knows nothing of weights."""

import re
from collections.abc import Sequence

from export.contract import (
    CUMULATIVE_LOGPROB_OUTPUT,
    DROPPED_OUTPUT,
    EMBEDDING_OUTPUT,
    EXCLUDE_PROMPT_INPUT,
    FINISH_REASON_OUTPUT,
    INDEX_OUTPUT,
    INPUT_TOKENS_OUTPUT,
    LABELS_OUTPUT,
    LOGPROBS_OUTPUT,
    MAX_BATCH_SIZE,
    MESSAGES_INPUT,
    OUTPUT_TOKENS_OUTPUT,
    PROMPT_INPUT,
    RETURN_CUMULATIVE_LOGPROB_INPUT,
    RETURN_FINISH_REASON_INPUT,
    RETURN_INPUT_TOKENS_INPUT,
    RETURN_LOGPROBS_INPUT,
    RETURN_OUTPUT_TOKENS_INPUT,
    SAMPLING_INPUT,
    SCORES_OUTPUT,
    STREAM_INPUT,
    TEXT_ENCODER_BACKEND,
    TEXT_GENERATOR_BACKEND,
    TEXT_INPUT,
    TEXT_OUTPUT,
    TOKEN_COUNT_OUTPUT,
    TOOLS_INPUT,
    VLLM_BACKEND,
)

_ENCODER = """\
name: "{name}"
backend: "{backend}"
max_batch_size: {max_batch_size}
input [ {{ name: "{text}" data_type: TYPE_STRING dims: [ 1 ] }} ]
output [
{outputs}
  {{ name: "{token_count}" data_type: TYPE_INT32 dims: [ 1 ] }}
]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
# No queue delay: while one batch runs the next one fills up by itself, and a lone request does not wait.
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
"""

_GENERATOR = """\
name: "{name}"
backend: "{backend}"
max_batch_size: 0
# One request has many responses: a piece of text each.
model_transaction_policy {{ decoupled: true }}
input [
{inputs}
]
output [
{outputs}
]
instance_group [ {{ count: 1 kind: {kind} }} ]
"""
_PARAMETERS = """\
# parameters (docs/generation.md): slots, context_tokens, memory_mb, queue_length, queue_timeout_s,
# prefill_chunk_tokens, spin_us, native
"""
_GENERATOR_INPUTS = {
    PROMPT_INPUT: "TYPE_STRING", MESSAGES_INPUT: "TYPE_STRING", TOOLS_INPUT: "TYPE_STRING",
    SAMPLING_INPUT: "TYPE_STRING", STREAM_INPUT: "TYPE_BOOL", EXCLUDE_PROMPT_INPUT: "TYPE_BOOL",
    RETURN_FINISH_REASON_INPUT: "TYPE_BOOL", RETURN_CUMULATIVE_LOGPROB_INPUT: "TYPE_BOOL",
    RETURN_LOGPROBS_INPUT: "TYPE_BOOL", RETURN_INPUT_TOKENS_INPUT: "TYPE_BOOL",
    RETURN_OUTPUT_TOKENS_INPUT: "TYPE_BOOL",
}
_GENERATOR_OUTPUTS = {
    TEXT_OUTPUT: "TYPE_STRING", FINISH_REASON_OUTPUT: "TYPE_STRING", INPUT_TOKENS_OUTPUT: "TYPE_UINT32",
    OUTPUT_TOKENS_OUTPUT: "TYPE_UINT32", CUMULATIVE_LOGPROB_OUTPUT: "TYPE_FP32", LOGPROBS_OUTPUT: "TYPE_STRING",
    INDEX_OUTPUT: "TYPE_INT32", DROPPED_OUTPUT: "TYPE_UINT32",
}

_OURS = (MESSAGES_INPUT, TOOLS_INPUT, INDEX_OUTPUT, DROPPED_OUTPUT)  # tensors that vLLM's backend lacks


def vllm_config(name: str) -> str:
    """Return the config.pbtxt of a text generator that NVIDIA's vLLM backend serves.

    The tensors are those of its auto_complete_config, for which Triton is told not to ask.
    """
    inputs = [_tensor(tensor, kind, 1, "" if tensor == PROMPT_INPUT else " optional: true")
              for tensor, kind in _GENERATOR_INPUTS.items() if tensor not in _OURS]
    outputs = [_tensor(tensor, kind, 1 if tensor == INPUT_TOKENS_OUTPUT else -1)
               for tensor, kind in _GENERATOR_OUTPUTS.items() if tensor not in _OURS]
    # KIND_MODEL leaves the choice of devices to vLLM.
    return _generator_config(name, VLLM_BACKEND, "KIND_MODEL", inputs, outputs)


def generator_config(name: str) -> str:
    """Return the config.pbtxt of a text generator; its tensors are those of Triton's vLLM backend and more."""
    inputs = [_tensor(tensor, kind, 1, " optional: true") for tensor, kind in _GENERATOR_INPUTS.items()]
    outputs = [_tensor(tensor, kind, -1) for tensor, kind in _GENERATOR_OUTPUTS.items()]
    return _generator_config(name, TEXT_GENERATOR_BACKEND, "KIND_CPU", inputs, outputs) + _PARAMETERS


def encoder_config(name: str, dimension: int) -> str:
    """Return the config.pbtxt of an embedding model (source: Triton's model configuration page)."""
    return _text_encoder_config(name, _output(EMBEDDING_OUTPUT, "TYPE_FP32", dimension))


def intent_config(name: str) -> str:
    """Return the config.pbtxt of an intent model; its versions may differ in how many labels they have."""
    return _text_encoder_config(name, _output(SCORES_OUTPUT, "TYPE_FP32", -1),
                                _output(LABELS_OUTPUT, "TYPE_STRING", -1))


def states_output(config: str, name: str) -> bool:
    """Return whether a config.pbtxt has an output of that name."""
    return re.search(rf'\{{[^{{}}]*name:\s*"{name}"', config) is not None  # in braces: the model has a name as well


def stated_backend(config: str) -> str | None:
    """Return the backend that a config.pbtxt names, None where it names none."""
    backend = re.search(r'(?<!\w)backend:\s*"([^"]*)"', config)
    return backend.group(1) if backend else None


def embedding_dimension(config: str) -> int | None:
    """Return the dimension that a config.pbtxt gives the embedding, None where it gives none."""
    output = re.search(rf'name:\s*"{EMBEDDING_OUTPUT}"[^}}]*?dims:\s*\[\s*(\d+)\s*\]', config)
    return int(output.group(1)) if output else None


def _generator_config(name: str, backend: str, kind: str, inputs: Sequence[str], outputs: Sequence[str]) -> str:
    return _GENERATOR.format(name=name, backend=backend, kind=kind, inputs=",\n".join(inputs),
                             outputs=",\n".join(outputs))


def _text_encoder_config(name: str, *outputs: str) -> str:
    return _ENCODER.format(name=name, backend=TEXT_ENCODER_BACKEND, max_batch_size=MAX_BATCH_SIZE, text=TEXT_INPUT,
                           outputs="\n".join(outputs), token_count=TOKEN_COUNT_OUTPUT)


def _tensor(name: str, data_type: str, size: int, more: str = "") -> str:
    return f'  {{ name: "{name}" data_type: {data_type} dims: [ {size} ]{more} }}'


def _output(name: str, data_type: str, size: int) -> str:
    return f"{_tensor(name, data_type, size)},"
