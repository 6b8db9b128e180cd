"""Writes config.pbtxt, the part of a model that Triton reads. Knows nothing of weights."""

import re

from export.contract import EMBEDDING_OUTPUT, MAX_BATCH_SIZE, TEXT_ENCODER_BACKEND, TEXT_INPUT, TOKEN_COUNT_OUTPUT

_ENCODER = """\
name: "{name}"
backend: "{backend}"
max_batch_size: {max_batch_size}
input [ {{ name: "{text}" data_type: TYPE_STRING dims: [ 1 ] }} ]
output [
  {{ name: "{embedding}" data_type: TYPE_FP32 dims: [ {dimension} ] }},
  {{ name: "{token_count}" data_type: TYPE_INT32 dims: [ 1 ] }}
]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
# No queue delay: while one batch runs the next one fills up by itself, and a lone request does not wait.
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
"""


def encoder_config(name: str, dimension: int) -> str:
    """Return the config.pbtxt of an embedding model (source: Triton's model configuration page)."""
    return _ENCODER.format(name=name, backend=TEXT_ENCODER_BACKEND, max_batch_size=MAX_BATCH_SIZE, text=TEXT_INPUT,
                           embedding=EMBEDDING_OUTPUT, token_count=TOKEN_COUNT_OUTPUT, dimension=dimension)


def embedding_dimension(config: str) -> int | None:
    """Return the dimension that a config.pbtxt gives the embedding, None where it gives none."""
    output = re.search(rf'name:\s*"{EMBEDDING_OUTPUT}"[^}}]*?dims:\s*\[\s*(\d+)\s*\]', config)
    return int(output.group(1)) if output else None
