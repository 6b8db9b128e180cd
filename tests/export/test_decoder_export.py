"""A whole export of a decoder: what is published predicts as transformers does, and what fails publishes nothing."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from transformers import AutoModelForCausalLM, AutoTokenizer

from export import decoder_export
from export.contract import CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE, version_numbers
from export.decoder_export import CHAT_TEMPLATE_FILE, STEPS, GeneratorRequest, export_decoder
from export.errors import QualityError, UnsupportedModelError
from export.golden import GOLDEN_TEXT
from export.manifest import GeneratorManifest, read_manifest, verify_files
from export.sources.checkpoint import Checkpoint
from export.triton_config import generator_config
from serving.decode import GraphRow
from serving.generator.chat import ChatTemplate
from tests.export.checkpoints import edit_json
from tests.export.decoders import CHAT_TEMPLATE, CONTEXT, FAMILIES, VOCABULARY, build_decoder
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import read_tree

PROMPT = list(range(5, 45))


def export_to(repository, checkpoint, precision="fp32", engine="onnxruntime", name="mine", forced=False,
              on_step=lambda step: None, calibration=None):
    request = GeneratorRequest(Checkpoint(checkpoint, f"path:{checkpoint}", "r1"), repository, name, engine, precision,
                               forced, calibration)
    return export_decoder(request, on_step)


def original_logits(checkpoint, token_ids) -> np.ndarray:
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, local_files_only=True).eval()
    with torch.inference_mode():
        return model(torch.tensor([token_ids])).logits[0].numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One checkpoint, exported in float32."""
    home = tmp_path_factory.mktemp("decoder")
    checkpoint = build_decoder(home / "checkpoint")
    steps = []
    return checkpoint, export_to(home / "repository", checkpoint, on_step=steps.append), steps


@pytest.fixture
def build_once(monkeypatch, float32_graph):
    """Return a function after which exports copy the graph of a family that another test may have built already."""
    def copy_graphs_of(family: str) -> None:
        def copy(checkpoint, folder, precision, device):
            assert (precision, device) == ("fp32", "cpu")
            built = float32_graph(family)
            return shutil.copytree(built.parent, folder) / built.name

        monkeypatch.setattr(decoder_export, "build_graph", copy)

    return copy_graphs_of


@pytest.mark.parametrize("family", FAMILIES)
def test_a_float32_export_predicts_as_transformers_does_in_one_piece_in_chunks_and_token_by_token(
        tmp_path, build_once, family):
    build_once(family)
    checkpoint = build_decoder(tmp_path / "checkpoint", family)
    graph = GraphRow(export_to(tmp_path / "repository", checkpoint) / MODEL_FILE)
    expected = original_logits(checkpoint, PROMPT)
    assert expected.std() > 0.5, "predictions that are all alike would prove nothing"
    for sizes in ([40], [13, 20, 7], [30] + [1] * 10):
        graph.reset()
        ends = np.cumsum(sizes)
        found = np.concatenate([graph.append(PROMPT[end - size:end]) for size, end in zip(sizes, ends, strict=True)])
        assert np.max(np.abs(found - expected)) <= FP32_RELATIVE_ERROR * np.max(np.abs(expected)), (family, sizes)


def test_a_version_says_what_it_is_where_it_came_from_and_how_close_it_is(exported):
    checkpoint, version, steps = exported
    manifest = read_manifest(version)
    verify_files(version, manifest)
    assert isinstance(manifest, GeneratorManifest)
    assert steps == list(STEPS)
    assert {path.name for path in version.iterdir()} == {*manifest.files, "manifest.json"}
    assert set(manifest.files) == {MODEL_FILE, f"{MODEL_FILE}.data", TOKENIZER_FILE, CHAT_TEMPLATE_FILE}
    assert (manifest.source, manifest.revision) == (f"path:{checkpoint}", "r1")
    assert (manifest.engine, manifest.precision, manifest.kv_type) == ("onnxruntime", "fp32", "float32")
    assert (manifest.layers, manifest.kv_heads, manifest.head_dim) == (2, 4, 16)
    assert (manifest.vocab_size, manifest.max_tokens) == (VOCABULARY, CONTEXT)
    assert manifest.stop_token_ids == (0, 2)
    assert manifest.generation_defaults == {"do_sample": True, "temperature": 0.7, "top_p": 0.8}
    assert manifest.quality["agreement"] == 1
    assert manifest.quality["forced"] is False
    assert manifest.quality["positions"] > 300
    assert (version / CHAT_TEMPLATE_FILE).read_text() == CHAT_TEMPLATE
    assert (version.parent / CONFIG_FILE).read_text() == generator_config("mine")


def test_a_version_renders_conversations_as_the_checkpoints_tokenizer_does(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint")
    edit_json(checkpoint / "tokenizer_config.json", additional_special_tokens=["<|endoftext|>"])
    (checkpoint / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
        "{{ additional_special_tokens | join }}{{ tools | tojson }}")
    version = export_to(tmp_path / "repository", checkpoint)
    messages, tools = [{"role": "user", "content": "今年财运怎么样"}], [{"name": "天气", "about": "<b>"}]
    expected = AutoTokenizer.from_pretrained(checkpoint).apply_chat_template(
        messages, tools, tokenize=False, add_generation_prompt=True)
    assert expected.startswith("<|im_start|>")
    assert "<|im_end|>" in expected
    assert ChatTemplate.load(version, read_manifest(version).special_tokens).render(messages, tools) == expected


def test_a_version_knows_how_its_golden_text_goes_on(exported):
    checkpoint, version, _ = exported
    manifest = read_manifest(version)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, local_files_only=True)
    tokens = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)(GOLDEN_TEXT)["input_ids"]
    expected = list(tokens)
    for _ in range(16):
        expected.append(int(model(torch.tensor([expected])).logits[0, -1].argmax()))
    assert manifest.golden_text == GOLDEN_TEXT
    assert list(manifest.golden_token_ids) == expected[len(tokens):]


def test_quantised_exports_state_their_recipe_and_keep_the_tied_embedding_once(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint")
    sizes = {}
    for precision in ("fp32", "int8", "int4"):
        version = export_to(tmp_path / precision, checkpoint, precision, forced=precision == "int4")
        sizes[precision] = (version / f"{MODEL_FILE}.data").stat().st_size
        graph = onnx.load(version / MODEL_FILE, load_external_data=False).graph
        matrices = [node for node in graph.node if node.op_type in ("MatMul", "MatMulNBits")]
        assert {node.op_type for node in matrices} == {"MatMul" if precision == "fp32" else "MatMulNBits"}
        manifest = read_manifest(version)
        assert manifest.quality["agreement"] > (0.4 if precision == "int4" else 0.95)
        if precision != "fp32":
            assert f"{precision[3:]} bits" in manifest.quality["recipe"]
            assert "GatherBlockQuantized" in {node.op_type for node in graph.node}
    assert sizes["int4"] < sizes["int8"] < sizes["fp32"] / 3


def test_int8_is_fitted_to_texts_of_ours_or_of_the_users(tmp_path, build_once):
    build_once("llama")
    checkpoint = build_decoder(tmp_path / "checkpoint", "llama")
    (tmp_path / "texts.txt").write_text("今年财运怎么样\n", encoding="utf-8")
    codes = []
    for calibration in (None, tmp_path / "texts.txt"):
        version = export_to(tmp_path / "repository", checkpoint, "int8", forced=True, calibration=calibration)
        assert "rotated" in read_manifest(version).quality["recipe"]
        weights = onnx.load(version / MODEL_FILE).graph.initializer
        codes.append(numpy_helper.to_array(next(item for item in weights if item.name.endswith("_columns"))))
    assert codes[0].dtype == np.int8
    assert 0 < np.mean(codes[0] != codes[1]) < 0.5


def test_texts_are_refused_for_an_architecture_that_is_not_fitted_to_any(exported, tmp_path):
    checkpoint, _, _ = exported
    (tmp_path / "texts.txt").write_text("one", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match=r"not fitted to texts.*leave --calibration out"):
        export_to(tmp_path / "repository", checkpoint, "int8", calibration=tmp_path / "texts.txt")


def test_a_damaged_graph_is_refused_and_a_forced_one_is_marked(tmp_path, monkeypatch):
    checkpoint = build_decoder(tmp_path / "checkpoint")
    build_graph = decoder_export.build_graph

    def build_damaged(*arguments):
        path = build_graph(*arguments)
        model = onnx.load(path)
        weight = next(item for item in model.graph.initializer if item.name.endswith("down_proj.weight"))
        weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), weight.name))
        path.with_name(f"{path.name}.data").unlink()
        onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=1024)
        return path

    monkeypatch.setattr(decoder_export, "build_graph", build_damaged)
    with pytest.raises(QualityError, match=r"same most likely token at .* KL divergence .*; take a wider precision"):
        export_to(tmp_path / "repository", checkpoint)
    assert not (tmp_path / "repository" / "mine").exists()
    quality = read_manifest(export_to(tmp_path / "repository", checkpoint, forced=True)).quality
    assert quality["forced"] is True
    assert "same most likely token" in quality["shortfall"]
    assert quality["agreement"] < quality["min_agreement"]


def test_a_failed_export_leaves_the_versions_before_it_as_they_were(exported):
    _, version, _ = exported
    before = read_tree(version.parent)
    with pytest.raises(UnsupportedModelError, match=r"no safetensors, no pytorch_model\.bin"):
        export_to(version.parents[1], version)
    assert read_tree(version.parent) == before
    assert version_numbers(version.parent) == [1]


def test_what_only_a_gpu_can_prove_is_published_without_a_golden_answer_and_only_when_forced(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint", "qwen3")
    manifest = read_manifest(export_to(tmp_path / "repository", checkpoint, "fp16", "onnxruntime-cuda", forced=True))
    assert (manifest.kv_type, manifest.golden_text, manifest.golden_token_ids) == ("float16", "", ())
    assert manifest.quality["forced"] is True
    assert "has no CUDAExecutionProvider" in manifest.quality["shortfall"]


def test_gpt2_is_refused_for_cuda_with_the_reason(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint")
    with pytest.raises(UnsupportedModelError, match="GPT-2 is exported for CPUs only"):
        export_to(tmp_path / "repository", checkpoint, "fp16", "onnxruntime-cuda")


def test_pickled_weights_are_loaded_as_tensors_and_export_alike(tmp_path):
    safe, pickled = (build_decoder(tmp_path / kind, safe_serialization=kind == "safe") for kind in ("safe", "pickled"))
    assert list(pickled.glob("*.bin"))
    first, second = (export_to(tmp_path / f"{path.name}-repository", path) for path in (safe, pickled))
    assert read_manifest(first).golden_token_ids == read_manifest(second).golden_token_ids


def test_a_checkpoint_that_brings_its_own_code_is_refused(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint")
    edit_json(checkpoint / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    with pytest.raises(UnsupportedModelError, match="remote code"):
        export_to(tmp_path / "repository", checkpoint)
    assert json.loads((checkpoint / "config.json").read_text())["auto_map"]
