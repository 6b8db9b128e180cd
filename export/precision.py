"""Which engine and precision an export may ask for, and the best one that this machine can prove."""

from pathlib import Path

from export.errors import UnsupportedModelError

# int8 is ONNX Runtime's dynamic quantisation; bf16 is computed by OpenVINO from the float32 graph.
SUPPORTED = {"openvino": ("fp32", "bf16"), "onnxruntime": ("fp32", "int8")}
ENGINES = tuple(SUPPORTED)
PRECISIONS = ("fp32", "bf16", "int8")
DEFAULT_ENGINE = "openvino"
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPUINFO = Path("/proc/cpuinfo")


def choose_precision(engine: str, precision: str | None, cpuinfo: Path = _CPUINFO) -> str:
    """Return `precision` checked against the engine; None means bf16 where engine and processor have it, else fp32.

    Raises UnsupportedModelError naming the combinations that exist.
    """
    if precision is None:
        return "bf16" if "bf16" in SUPPORTED[engine] and _BF16_FLAGS & _processor_flags(cpuinfo) else "fp32"
    if precision not in SUPPORTED[engine]:
        known = "; ".join(f"{name}: {', '.join(values)}" for name, values in SUPPORTED.items())
        raise UnsupportedModelError(f"engine {engine} has no precision {precision}; supported are {known}")
    return precision


def _processor_flags(cpuinfo: Path) -> set[str]:
    """Return the processor's feature flags; empty where the file does not exist."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
