"""What a request may ask of sampling, in the names of vLLM's SamplingParams. Samples nothing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from serving.errors import InvalidGenerationError

MAX_STOP_STRINGS = 64
MAX_STOP_CHARS = 256
MAX_LOGPROBS = 20
MAX_SEQUENCES = 16
MAX_GRAMMAR_CHARS = 100_000
MAX_BIASED_TOKENS = 1024
MAX_BIAS = 100                        # OpenAI's API reference, "logit_bias"
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class SamplingParameters:
    """How to choose tokens and when to stop; defaults are vLLM's."""

    n: int = 1
    temperature: float = 1.0          # 0 takes the likeliest token
    top_k: int = 0                    # 0 or -1: all
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    max_tokens: int = 16
    min_tokens: int = 0               # before these nothing ends an answer but a finished grammar
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    logit_bias: tuple[tuple[int, float], ...] = ()  # token ids and what is added to their logits
    logprobs: int | None = None       # likeliest tokens to tell of, besides the chosen one
    skip_special_tokens: bool = True
    truncate_prompt_tokens: int | None = None
    json_schema: str | None = None    # guided_decoding.json
    regex: str | None = None          # guided_decoding.regex


def parse_sampling_parameters(given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None,
                              ) -> SamplingParameters:
    """Check and convert; raises InvalidGenerationError that names the parameter and what it may be.

    Numbers and switches may be strings, as vLLM's own example client sends them. `defaults` are the checkpoint's; those
    that are no parameters are left out.
    """
    unknown = sorted(set(given) - set(_READERS))
    if unknown:
        raise InvalidGenerationError(f"unknown sampling parameter {unknown[0]!r}; known: {', '.join(sorted(_READERS))}")
    known = {name: value for name, value in (defaults or {}).items() if name in _FIELDS}
    values: dict[str, Any] = {}
    for name, value in {**known, **given}.items():
        if value is not None:
            values.update(_READERS[name](name, value))
    parameters = SamplingParameters(**values)
    if parameters.min_tokens > parameters.max_tokens:
        raise InvalidGenerationError(f"min_tokens is {parameters.min_tokens} but max_tokens is "
                                     f"{parameters.max_tokens}; give at most as many")
    return parameters


def _number(low: float, high: float) -> Callable[[str, Any], dict]:
    def read(name: str, value: Any) -> dict:
        number = _float(value)
        if number is None or not low <= number <= high:
            raise InvalidGenerationError(f"{name} is {_shown(value)}; give a number from {low:g} to {high:g}")
        return {name: number}
    return read


def _integer(low: int, high: int) -> Callable[[str, Any], dict]:
    def read(name: str, value: Any) -> dict:
        number = _int(value)
        if number is None or not low <= number <= high:
            raise InvalidGenerationError(f"{name} is {_shown(value)}; give a whole number from {low} to {high}")
        return {name: number}
    return read


def _switch(name: str, value: Any) -> dict:
    value = _WORDS.get(value.lower(), value) if isinstance(value, str) else value
    if not isinstance(value, bool):
        raise InvalidGenerationError(f"{name} is {_shown(value)}; give true or false")
    return {name: value}


def _stop(name: str, value: Any) -> dict:
    strings = [value] if isinstance(value, str) else value
    if not isinstance(strings, list) or not all(isinstance(item, str) and item for item in strings):
        raise InvalidGenerationError(f"{name} is {_shown(value)}; give a string or a list of strings, none empty")
    if len(strings) > MAX_STOP_STRINGS or any(len(item) > MAX_STOP_CHARS for item in strings):
        raise InvalidGenerationError(f"{name} has {len(strings)} strings; give at most {MAX_STOP_STRINGS}, each of at "
                                     f"most {MAX_STOP_CHARS} characters")
    return {name: tuple(strings)}


def _token_ids(name: str, value: Any) -> dict:
    ids = [_int(item) for item in value] if isinstance(value, list) else None
    if ids is None or None in ids or len(ids) > MAX_STOP_STRINGS:
        raise InvalidGenerationError(f"{name} is {_shown(value)}; give at most {MAX_STOP_STRINGS} token ids")
    return {name: tuple(ids)}


def _logit_bias(name: str, value: Any) -> dict:
    if not isinstance(value, dict) or len(value) > MAX_BIASED_TOKENS:
        raise InvalidGenerationError(f"{name} is {_shown(value)}; give an object of at most {MAX_BIASED_TOKENS} token "
                                     f"ids, each with a number from -{MAX_BIAS} to {MAX_BIAS}")
    biases = {_int(token): _float(bias) for token, bias in value.items()}
    if None in biases or not all(bias is not None and abs(bias) <= MAX_BIAS for bias in biases.values()):
        raise InvalidGenerationError(f"{name} is {_shown(value)}; give token ids, each with a number from -{MAX_BIAS} "
                                     f"to {MAX_BIAS}")
    return {name: tuple(biases.items())}


def _guided(name: str, value: Any) -> dict:
    if not isinstance(value, dict) or len(value) != 1 or not set(value) <= {"json", "regex"}:
        raise InvalidGenerationError(f'{name} is {_shown(value)}; give {{"json": SCHEMA}} or {{"regex": PATTERN}}')
    [(kind, grammar)] = value.items()
    if kind == "json" and isinstance(grammar, dict):
        grammar = json.dumps(grammar, ensure_ascii=False)
    if not isinstance(grammar, str) or len(grammar) > MAX_GRAMMAR_CHARS:
        raise InvalidGenerationError(f"{name}.{kind} must be a string of at most {MAX_GRAMMAR_CHARS} characters; a "
                                     "schema may be an object too")
    return {"json_schema" if kind == "json" else "regex": grammar}


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _int(value: Any) -> int | None:
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) <= 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


_READERS: dict[str, Callable[[str, Any], dict]] = {
    "n": _integer(1, MAX_SEQUENCES), "temperature": _number(0, 100), "top_k": _integer(-1, 1 << 31),
    "top_p": _number(1e-9, 1), "min_p": _number(0, 1), "repetition_penalty": _number(0.01, 100),
    "presence_penalty": _number(-2, 2), "frequency_penalty": _number(-2, 2),
    "seed": _integer(-(1 << 63), (1 << 63) - 1), "max_tokens": _integer(1, 1 << 31),
    "min_tokens": _integer(0, 1 << 31), "stop": _stop,
    "stop_token_ids": _token_ids, "include_stop_str_in_output": _switch, "ignore_eos": _switch,
    "logit_bias": _logit_bias,
    "logprobs": _integer(0, MAX_LOGPROBS), "skip_special_tokens": _switch,
    "truncate_prompt_tokens": _integer(1, 1 << 31), "guided_decoding": _guided,
}
_FIELDS = {item.name for item in fields(SamplingParameters)} & set(_READERS)
