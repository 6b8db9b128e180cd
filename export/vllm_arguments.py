"""The arguments of vLLM's engine that a version states in model.json. Knows no checkpoint; standard library only.

Names are those of vLLM's EngineArgs (vLLM: "Engine Arguments"). NVIDIA's backend hands the file to the engine as it is,
so what is not in it cannot be set, neither in config.pbtxt nor when the model is loaded.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from export.contract import VLLM_ARGUMENTS_FILE

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True)
class VllmOptions:
    """What an administrator may choose; None leaves it to vLLM."""

    gpu_memory_fraction: float | None = None  # of each GPU's memory, weights and keys and values together
    context_tokens: int | None = None         # prompt and answer together; at most the model's
    gpus: int = 1                             # that share the weights (tensor parallelism)

    @property
    def of_the_model(self) -> bool:
        """Whether anything was chosen for one model; the fraction is the platform's."""
        return self.context_tokens is not None or self.gpus != 1


NO_OPTIONS = VllmOptions()


def write_engine_arguments(folder: Path, version_dir: Path, precision: str, context_tokens: int,
                           options: VllmOptions) -> None:
    """Write model.json into `folder`, for a version that will lie at `version_dir` when Triton reads it.

    The path is absolute: vLLM would look for a relative one from wherever Triton was started, and then on the hub.
    """
    arguments = {
        "model": str(version_dir.absolute()),
        "load_format": "safetensors",  # never a pickle
        "trust_remote_code": False,
        "dtype": DTYPES[precision],
        "max_model_len": context_tokens,
        "tensor_parallel_size": options.gpus,
    }
    if options.gpu_memory_fraction is not None:
        arguments["gpu_memory_utilization"] = options.gpu_memory_fraction
    text = json.dumps(arguments, indent=2)
    (folder / VLLM_ARGUMENTS_FILE).write_text(text + "\n", encoding="utf-8")
