"""Turns a model's config.pbtxt and what the administrator wants of it into the configuration of a load request.

Knows nothing of servers and databases.
"""

import hashlib

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from control_plane.errors import ModelLoadError
from control_plane.lifecycle.placement import Placement

# A parameter of the loaded model that tells which placement it is. It also makes every change a reload: Triton applies
# a change of nothing but instance_group to the running model without telling the instances that are there, and they
# would go on with a share of the cores that is no longer theirs.
PLACEMENT_PARAMETER = "conch_placement"


def placement_digest(text: str, placement: Placement) -> str:
    """Return what tells one placement of a model from another; `text` is its config.pbtxt."""
    stated = f"{text}\0{placement.versions}\0{sorted(placement.configuration.items())}"
    return hashlib.sha256(stated.encode()).hexdigest()[:16]


def load_config(text: str, placement: Placement) -> str:
    """Return the JSON for Triton's load request (Triton: model configuration and model repository extension).

    Raises ModelLoadError when `text` is no config.pbtxt.
    """
    try:
        config = text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ModelLoadError(placement.model, f"config.pbtxt cannot be read: {error}") from error
    _apply(config, placement.configuration)
    config.version_policy.specific.versions[:] = placement.versions
    config.parameters[PLACEMENT_PARAMETER].string_value = placement_digest(text, placement)
    return json_format.MessageToJson(config, preserving_proto_field_name=True)


def _apply(config: model_config_pb2.ModelConfig, configuration: dict) -> None:
    """Put the administrator's values (control_plane.lifecycle.configuration) over those of the file."""
    batching = config.dynamic_batching
    if "instances" in configuration:
        for group in config.instance_group:
            group.count = configuration["instances"]
    if "max_batch_size" in configuration:
        config.max_batch_size = configuration["max_batch_size"]
    if "queue_delay_us" in configuration:
        batching.max_queue_delay_microseconds = configuration["queue_delay_us"]
    if "max_queue_size" in configuration:
        batching.default_queue_policy.max_queue_size = configuration["max_queue_size"]
    if "queue_timeout_ms" in configuration:
        batching.default_queue_policy.default_timeout_microseconds = configuration["queue_timeout_ms"] * 1000
    if "priority_levels" in configuration:
        batching.priority_levels = configuration["priority_levels"]
        batching.default_priority_level = (configuration["priority_levels"] + 1) // 2
