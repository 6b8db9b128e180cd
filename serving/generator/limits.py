"""How many requests run at once, how long they may be and how many may wait. Knows no session."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from serving.errors import VersionLoadError

MIB = 1 << 20
MIN_CONTEXT_TOKENS = 16
_LEAST = {"spin_us": 0, "native": 0}  # what a setting may be at least, where that is not 1


@dataclass(frozen=True)
class EngineSettings:
    """What the administrator may set: the `parameters` of config.pbtxt, all of them whole numbers."""

    slots: int = 8                    # requests that are computed at once
    context_tokens: int = 2048        # of one slot, prompt and answer together; at most the model's
    memory_mb: int = 1024             # MiB for the keys and values of all slots
    queue_length: int = 64            # sequences that may wait for a slot
    queue_timeout_s: int = 60
    prefill_chunk_tokens: int = 16    # prompt tokens between two steps of the streams that run
    spin_us: int = 50                 # how long threads wait for each other awake while a step is computed; 0: not
    native: int = 1                   # 0: ONNX Runtime computes also what our machine code could


@dataclass(frozen=True)
class EngineLimits:
    """What the memory leaves of the settings."""

    slots: int
    context_tokens: int
    queue_length: int
    queue_timeout_s: int
    prefill_chunk_tokens: int
    cache_bytes: int                  # of the keys and values of all slots


def read_settings(parameters: Mapping[str, str]) -> EngineSettings:
    """Read the settings; raises VersionLoadError that names the parameter of config.pbtxt and what it may be."""
    known = {item.name for item in fields(EngineSettings)}
    return EngineSettings(**{name: _whole(name, value) for name, value in parameters.items() if name in known})


def plan_limits(settings: EngineSettings, model_tokens: int, token_bytes: int) -> EngineLimits:
    """Fit slots and context into the memory: fewer slots first, then a shorter context.

    `token_bytes` is what the keys and values of one token take. Raises VersionLoadError with the figures when not even
    one short slot fits.
    """
    context = min(settings.context_tokens, model_tokens)
    budget_tokens = settings.memory_mb * MIB // token_bytes
    slots = max(1, min(settings.slots, budget_tokens // context))
    context = min(context, budget_tokens)
    if context < MIN_CONTEXT_TOKENS:
        raise VersionLoadError(f"a context of {context} tokens is too short: memory_mb {settings.memory_mb} holds "
                               f"{budget_tokens} tokens of {token_bytes} bytes; set memory_mb or context_tokens higher")
    return EngineLimits(slots, context, settings.queue_length, settings.queue_timeout_s,
                        settings.prefill_chunk_tokens, slots * context * token_bytes)


def _whole(name: str, value: str) -> int:
    least = _LEAST.get(name, 1)
    if not value.isdecimal() or int(value) < least:
        raise VersionLoadError(
            f"parameter {name} of config.pbtxt is {value!r}; give a whole number of at least {least}")
    return int(value)
