"""Which engine and precision an export may ask for, and the best one that this machine can prove."""

from pathlib import Path

from export.contract import EMBEDDING, TEXT_GENERATION, VLLM_BACKEND
from export.errors import UnsupportedModelError

# bf16 is computed by OpenVINO from the float32 graph; int8 is made by export.encoder_int8 for OpenVINO and by ONNX
# Runtime's dynamic quantisation for itself.
SUPPORTED = {"openvino": ("fp32", "bf16", "int8"), "onnxruntime": ("fp32", "int8")}
DEFAULT_ENGINE = "openvino"
CALIBRATED = {EMBEDDING: ("openvino", "int8"), TEXT_GENERATION: ("onnxruntime", "int8")}  # what is fitted to texts
# Decoders: int8 and int4 are weights in blocks (MatMulNBits).
CUDA_ENGINE = "onnxruntime-cuda"
VLLM_ENGINE = VLLM_BACKEND
GENERATOR_SUPPORTED = {"onnxruntime": ("int8", "int4", "fp32"), CUDA_ENGINE: ("fp16", "bf16", "int4"),
                       VLLM_ENGINE: ("bf16", "fp16")}
ENGINES = tuple(dict.fromkeys((*SUPPORTED, *GENERATOR_SUPPORTED)))
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int4")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPUINFO = Path("/proc/cpuinfo")


def choose_precision(engine: str, precision: str | None, cpuinfo: Path = _CPUINFO) -> str:
    """Return `precision` checked against the engine; None means bf16 where engine and processor have it, else fp32.

    Raises UnsupportedModelError naming the combinations that exist.
    """
    if precision is None and engine in SUPPORTED:
        return "bf16" if "bf16" in SUPPORTED[engine] and _BF16_FLAGS & _processor_flags(cpuinfo) else "fp32"
    if precision not in SUPPORTED.get(engine, ()):
        raise _unsupported(engine, precision, SUPPORTED)
    return precision


def choose_format(task: str | None, engine: str | None, precision: str | None) -> tuple[str, str]:
    """Return engine and precision for a model of `task`, None standing for the default of the task.

    A decoder is int8 on CPUs, fp16 on CUDA and bf16 in vLLM by default. Raises UnsupportedModelError naming the
    combinations that exist.
    """
    if task != TEXT_GENERATION:
        engine = engine or DEFAULT_ENGINE
        return engine, choose_precision(engine, precision)
    engine = engine or "onnxruntime"
    known = GENERATOR_SUPPORTED.get(engine, ())
    if not known or precision not in (None, *known):
        raise _unsupported(engine, precision, GENERATOR_SUPPORTED)
    return engine, precision or known[0]


def _unsupported(engine: str, precision: str | None, supported: dict[str, tuple[str, ...]]) -> UnsupportedModelError:
    known = "; ".join(f"{name}: {', '.join(values)}" for name, values in supported.items())
    what = f"has no precision {precision}" if precision else "does not run this kind of model"
    return UnsupportedModelError(f"engine {engine} {what}; supported are {known}")


def _processor_flags(cpuinfo: Path) -> set[str]:
    """Return the processor's feature flags; empty where the file does not exist."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
