"""The options that a request may give for its texts. Knows nothing of Triton's request objects."""

from collections.abc import Mapping
from dataclasses import dataclass

from export.contract import NORMALIZE_PARAMETER, PROMPT_NAME_PARAMETER, TRUNCATE_PARAMETER
from serving.errors import InvalidOptionError

_TYPES = {PROMPT_NAME_PARAMETER: str, TRUNCATE_PARAMETER: bool, NORMALIZE_PARAMETER: bool}
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class EncodeOptions:
    """How to embed a text; None means what the model's manifest says."""

    prompt_name: str | None = None
    truncate: bool = True
    normalize: bool | None = None


DEFAULT_OPTIONS = EncodeOptions()


def options_from_parameters(parameters: Mapping[str, object]) -> EncodeOptions:
    """Build the options from a request's KServe parameters; parameters that are not ours are left alone.

    Raises InvalidOptionError naming the parameter when its type is wrong. The strings "true" and "false" stand for
    booleans, because perf_analyzer and some clients can only send strings.
    """
    given = {}
    for name, kind in _TYPES.items():
        if name not in parameters:
            continue
        value = parameters[name]
        if kind is bool and isinstance(value, str):
            value = _FLAGS.get(value.lower(), value)
        if not isinstance(value, kind):
            raise InvalidOptionError(f"parameter {name!r} must be a {kind.__name__}, not {value!r}")
        given[name] = value
    return EncodeOptions(**given)
