"""model.json: what vLLM's engine is started with, and nothing that nobody chose."""

import json
from pathlib import Path

from export.contract import VLLM_ARGUMENTS_FILE
from export.vllm_arguments import NO_OPTIONS, VllmOptions, write_engine_arguments


def _written(folder, options, precision="bf16") -> dict:
    write_engine_arguments(folder, Path("models/writer/3"), precision, 4096, options)
    return json.loads((folder / VLLM_ARGUMENTS_FILE).read_text(encoding="utf-8"))


def test_the_version_is_named_by_its_absolute_path_and_neither_hub_nor_code_is_needed(tmp_path):
    assert _written(tmp_path, NO_OPTIONS) == {
        "model": str(Path("models/writer/3").absolute()), "load_format": "safetensors", "trust_remote_code": False,
        "dtype": "bfloat16", "max_model_len": 4096, "tensor_parallel_size": 1}


def test_what_was_chosen_goes_by_vllms_names(tmp_path):
    found = _written(tmp_path, VllmOptions(gpu_memory_fraction=0.8, gpus=2), "fp16")
    assert (found["gpu_memory_utilization"], found["tensor_parallel_size"], found["dtype"]) == (0.8, 2, "float16")


def test_the_fraction_is_the_platforms_and_the_rest_the_models():
    assert not VllmOptions(gpu_memory_fraction=0.5).of_the_model
    assert VllmOptions(context_tokens=16).of_the_model
    assert VllmOptions(gpus=2).of_the_model
