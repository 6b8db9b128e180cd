"""An export for vLLM: the checkpoint's files as they are, an honest manifest, and nothing where it is refused."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

from export import vllm_export
from export.contract import CONFIG_FILE, version_numbers
from export.decoder_export import GeneratorRequest
from export.errors import UnsupportedModelError
from export.manifest import GeneratorManifest, read_manifest, verify_files
from export.sources.checkpoint import Checkpoint
from export.triton_config import generator_config, vllm_config
from export.vllm_arguments import NO_OPTIONS, VllmOptions
from export.vllm_export import STEPS, export_vllm
from tests.export.checkpoints import edit_json
from tests.export.decoders import CHAT_TEMPLATE, CONTEXT, build_decoder, build_tokenizer
from tests.versions import read_tree


def export_to(repository, checkpoint, precision="bf16", options=NO_OPTIONS, forced=False, on_step=lambda step: None):
    request = GeneratorRequest(Checkpoint(checkpoint, f"path:{checkpoint}", "r1"), repository, "mine", "vllm",
                               precision, forced)
    return export_vllm(request, options, on_step)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A checkpoint in bf16, with a program and a manifest of its own beside it."""
    path = build_decoder(tmp_path_factory.mktemp("stored") / "checkpoint", "qwen2")
    AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).save_pretrained(path)
    (path / "model.safetensors").chmod(0o644)  # as a download is; safetensors itself writes for its owner only
    (path / "modeling_mine.py").write_text("raise SystemExit")
    (path / "manifest.json").write_text("not ours")
    return path


@pytest.fixture(scope="module")
def exported(stored, tmp_path_factory):
    """That checkpoint, exported, and the steps that were told."""
    steps = []
    return export_to(tmp_path_factory.mktemp("models"), stored, on_step=steps.append), steps


def test_a_version_holds_the_checkpoints_own_files_without_a_copy_and_never_code(stored, exported):
    version, steps = exported
    assert steps == list(STEPS)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        assert (version / name).samefile(stored / name), name
    assert not (version / "modeling_mine.py").exists()
    assert (version / "chat_template.jinja").read_text(encoding="utf-8") == CHAT_TEMPLATE
    assert (version.parent / CONFIG_FILE).read_text() == vllm_config("mine")


def test_transformers_reads_the_version_as_it_reads_the_checkpoint(stored, exported):
    ids = torch.tensor([list(range(5, 25))])
    logits = [AutoModelForCausalLM.from_pretrained(path, local_files_only=True)(ids).logits
              for path in (stored, exported[0])]
    assert torch.equal(*logits)
    assert AutoTokenizer.from_pretrained(exported[0], local_files_only=True)("好")["input_ids"]


def test_the_manifest_states_what_is_known_and_no_figure_that_is_not(exported):
    version, _ = exported
    manifest = read_manifest(version)
    verify_files(version, manifest)
    assert {path.name for path in version.iterdir()} == {*manifest.files, "manifest.json"}
    assert isinstance(manifest, GeneratorManifest)
    assert (manifest.engine, manifest.precision, manifest.kv_type) == ("vllm", "bf16", "bfloat16")
    assert (manifest.max_tokens, manifest.layers, manifest.kv_heads) == (CONTEXT, 2, 2)
    assert manifest.quality == {"weights": "the checkpoint's own, bf16 as stored"}
    assert (manifest.golden_text, manifest.golden_token_ids) == ("", ())
    assert manifest.special_tokens["eos_token"] == "<|im_end|>"
    arguments = json.loads((version / "model.json").read_text())
    assert (arguments["model"], arguments["max_model_len"]) == (str(version), CONTEXT)


def test_weights_that_vllm_rounds_are_said_to_be_rounded(tmp_path, stored):
    manifest = read_manifest(export_to(tmp_path, stored, "fp16"))
    assert manifest.quality == {"weights": "the checkpoint's own, rounded from bf16 to fp16 when they are loaded"}


def test_options_are_written_and_a_context_beyond_the_models_is_refused(tmp_path, stored):
    version = export_to(tmp_path, stored, options=VllmOptions(0.8, context_tokens=64, gpus=2))
    arguments = json.loads((version / "model.json").read_text())
    assert (arguments["gpu_memory_utilization"], arguments["max_model_len"], arguments["tensor_parallel_size"]) == (
        0.8, 64, 2)
    assert read_manifest(version).max_tokens == 64
    with pytest.raises(UnsupportedModelError, match=f"--context-tokens {CONTEXT + 1} is more than the {CONTEXT} "):
        export_to(tmp_path, stored, options=VllmOptions(context_tokens=CONTEXT + 1))


def test_pickled_weights_become_safetensors_and_the_checkpoint_stays_as_it_was(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint", safe_serialization=False)
    before = read_tree(checkpoint)
    version = export_to(tmp_path / "models", checkpoint)
    assert [path.name for path in version.glob("*.bin")] == []
    assert (version / "model.safetensors").is_file()
    assert "rounded from fp32 to bf16" in read_manifest(version).quality["weights"]
    assert read_tree(checkpoint) == before


def test_what_the_checkpoint_lacks_is_written_beside_its_files_and_not_into_them(tmp_path, stored):
    checkpoint = shutil.copytree(stored, tmp_path / "checkpoint")
    (checkpoint / "chat_template.jinja").unlink()
    edit_json(checkpoint / "tokenizer_config.json", chat_template=CHAT_TEMPLATE)
    before = read_tree(checkpoint)
    version = export_to(tmp_path / "models", checkpoint)
    assert (version / "chat_template.jinja").read_text(encoding="utf-8") == CHAT_TEMPLATE
    assert read_tree(checkpoint) == before


def test_files_on_another_file_system_are_copied_where_there_is_room(tmp_path, stored, monkeypatch):
    def refuse(*_):
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(vllm_export.os, "link", refuse)
    version = export_to(tmp_path, stored)
    verify_files(version, read_manifest(version))
    assert not (version / "model.safetensors").samefile(stored / "model.safetensors")
    monkeypatch.setattr(vllm_export.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(UnsupportedModelError, match=r"takes \d.* GB and 0\.0 GB are free"):
        export_to(tmp_path, stored)
    assert version_numbers(tmp_path / "mine") == [1]


def test_what_only_its_owner_may_read_is_copied_so_that_a_triton_of_another_user_can(tmp_path, stored):
    checkpoint = shutil.copytree(stored, tmp_path / "checkpoint")
    (checkpoint / "model.safetensors").chmod(0o600)
    weights = export_to(tmp_path / "models", checkpoint) / "model.safetensors"
    assert weights.stat().st_mode & 0o044 == 0o044
    assert (checkpoint / "model.safetensors").stat().st_mode & 0o777 == 0o600


def test_there_is_no_bound_to_waive(tmp_path, stored):
    with pytest.raises(UnsupportedModelError, match="leave --force out"):
        export_to(tmp_path, stored, forced=True)


def test_a_name_that_another_backend_serves_is_left_alone(tmp_path, stored):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / CONFIG_FILE).write_text(generator_config("mine"))
    with pytest.raises(UnsupportedModelError, match="export it under another --name"):
        export_to(tmp_path, stored)
    assert [path.name for path in (tmp_path / "mine").iterdir()] in ([], [CONFIG_FILE])


def test_what_the_tokenizer_puts_before_a_text_is_known(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint")
    assert read_manifest(export_to(tmp_path / "plain", checkpoint)).prompt_prefix == ""
    tokenizer = build_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<|im_start|> $A", None, [("<|im_start|>", 1)])
    tokenizer.save_pretrained(checkpoint)
    assert read_manifest(export_to(tmp_path / "with", checkpoint)).prompt_prefix == "<|im_start|>"
