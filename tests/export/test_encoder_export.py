"""A whole export: what is published embeds exactly as sentence-transformers does, and what fails publishes nothing."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize, Pooling

from export.catalog import CatalogEntry
from export.contract import CONFIG_FILE, MODEL_FILE, TOKENIZER_FILE, version_numbers
from export.encoder_export import STEPS
from export.errors import ParityError, UnsupportedModelError
from export.golden import GOLDEN_TEXT
from export.manifest import read_manifest, verify_files
from export.parity import MIN_COSINE
from export.triton_config import encoder_config
from serving.encoder.encoder import TextEncoder
from serving.encoder.options import EncodeOptions
from tests.export.checkpoints import BODIES, HIDDEN, MAX_TOKENS, build_body, build_checkpoint, edit_json, export_to
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import change_weights, read_tree, relative_error

TEXTS = (
    "", "a", "好", "Да", "🙂", "Hello!", "  spaces around  ", "UPPER lower ÀÉ ｆｕｌｌ",
    "我今年财运怎么样？请问从上海到北京的高铁最早一班是几点发车？",
    "Как изменить адрес доставки, если заказ ещё не отправлен?",
    "👩‍💻 deploying on Friday 🚀", "one question about the model server and another about the query",
    "far beyond every limit " * 30, "超过最大长度的文本" * 30,
)
PROMPTS = {"query": "query: ", "文": "查询："}
ALL_MODES = Pooling.POOLING_MODES


def dense(activation: torch.nn.Module):
    return lambda dimension: Dense(dimension, 24, activation_function=activation)


# What a checkpoint may consist of: name -> arguments of build_checkpoint. One graph with all six pooling modes side by
# side proves each of them; single modes and pairs are other code in sentence-transformers.
CHECKPOINTS = {
    **{f"{body}, every pooling": {"body": body, "pooling": ALL_MODES} for body in BODIES},
    **{f"{body}, no pooled prompt": {"body": body, "pooling": ALL_MODES, "include_prompt": False, "prompts": PROMPTS,
                                     "default_prompt": "query"} for body in ("bert", "roberta", "xlm-roberta")},
    **{f"{mode} normalised": {"pooling": mode, "heads": [Normalize]} for mode in ALL_MODES},
    "two poolings": {"body": "mpnet", "pooling": ("cls", "mean"), "heads": [Normalize]},
    "prompts": {"body": "distilbert", "prompts": PROMPTS, "heads": [Normalize]},
    "default prompt": {"body": "roberta", "prompts": PROMPTS, "default_prompt": "文"},
    "dense tanh": {"body": "mpnet", "heads": [dense(torch.nn.Tanh()), Normalize]},
    "dense identity": {"body": "distilbert", "heads": [dense(torch.nn.Identity())]},
    "dense relu": {"body": "roberta", "heads": [dense(torch.nn.ReLU())]},
    "dense gelu": {"body": "xlm-roberta", "heads": [dense(torch.nn.GELU()), Normalize]},
    "layer norm": {"body": "mpnet", "heads": [LayerNorm, Normalize]},
    "layer norm, dense": {"heads": [LayerNorm, dense(torch.nn.SiLU()), Normalize]},
    "few tokens": {"body": "xlm-roberta", "max_tokens": 7, "heads": [Normalize]},
    "cased": {"lowercase": False},
    **{f"{body}, do_lower_case": {"body": body, "lowercase": False, "do_lower_case": True}
       for body in ("bert", "roberta", "xlm-roberta")},
}


@pytest.mark.parametrize("options", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_an_export_embeds_as_sentence_transformers_does_with_both_engines(tmp_path, options):
    checkpoint = build_checkpoint(tmp_path, **options)
    original = SentenceTransformer(str(checkpoint), device="cpu", local_files_only=True)
    modes = options.get("pooling", "mean") if not options.get("heads") else "all in one"
    parts = len(modes) if isinstance(modes, tuple) else 1
    for engine in ("openvino", "onnxruntime"):
        encoder = TextEncoder.load(export_to(tmp_path / "repository", checkpoint, engine), threads=2)
        _assert_same(original, encoder, parts)


@pytest.mark.parametrize("legacy", [{"max_seq_length": 9}, {"do_lower_case": True}])
def test_settings_in_the_older_file_are_honoured(tmp_path, legacy):
    checkpoint = build_checkpoint(tmp_path, lowercase=False)
    edit_json(checkpoint / "sentence_bert_config.json", **legacy)
    original = SentenceTransformer(str(checkpoint), device="cpu", local_files_only=True)
    encoder = TextEncoder.load(export_to(tmp_path / "repository", checkpoint), threads=1)
    assert encoder.manifest.max_tokens == legacy.get("max_seq_length", MAX_TOKENS)
    _assert_same(original, encoder)


def test_a_checkpoint_without_modules_embeds_as_sentence_transformers_would(tmp_path):
    body = build_body(tmp_path / "plain", "mpnet")
    encoder = TextEncoder.load(export_to(tmp_path / "repository", body), threads=1)
    assert (encoder.manifest.pooling, encoder.manifest.normalized) == (("mean",), False)
    _assert_same(SentenceTransformer(str(body), device="cpu", local_files_only=True), encoder)


def test_the_small_checkpoints_tell_texts_apart(tmp_path):
    """Without this every comparison here could pass on embeddings that are all alike."""
    for body in BODIES:
        model = SentenceTransformer(str(build_checkpoint(tmp_path / body, body, heads=[Normalize])), device="cpu")
        embeddings = model.encode(list(TEXTS))
        cosines = embeddings @ embeddings.T - 2 * np.eye(len(TEXTS))
        assert cosines.max() < 0.999, body


def test_a_version_says_what_it_is_where_it_came_from_and_how_it_was_proven(tmp_path):
    checkpoint = build_checkpoint(tmp_path, "mpnet", pooling=("cls", "mean"), include_prompt=False, prompts=PROMPTS,
                                  default_prompt="query", max_tokens=21)
    version = export_to(tmp_path / "repository", checkpoint, "onnxruntime", name="mine")
    manifest = read_manifest(version)
    verify_files(version, manifest)
    assert version == tmp_path / "repository" / "mine" / "1"
    assert (manifest.model, manifest.version, manifest.task) == ("mine", 1, "embedding")
    assert (manifest.source, manifest.revision) == (f"path:{checkpoint}", "r1")
    assert (manifest.engine, manifest.precision) == ("onnxruntime", "fp32")
    assert (manifest.dimension, manifest.max_tokens, manifest.pad_token_id) == (2 * HIDDEN, 21, 1)
    assert (manifest.pooling, manifest.pools_prompt, manifest.normalized) == (("cls", "mean"), False, False)
    assert (manifest.prompts["文"], manifest.default_prompt) == ("查询：", "query")
    assert set(manifest.files) == {MODEL_FILE, TOKENIZER_FILE}
    assert {"torch", "sentence-transformers", "onnxruntime", "openvino"} <= set(manifest.built_with)
    assert MIN_COSINE <= manifest.parity["min_cosine"] < 1.0001
    assert manifest.parity["rows"] > manifest.parity["batches"] > 0
    assert (version.parent / CONFIG_FILE).read_text() == encoder_config("mine", 2 * HIDDEN)


@pytest.mark.parametrize("options", [{"heads": [Normalize]}, {"prompts": PROMPTS, "default_prompt": "query"}])
def test_a_version_knows_the_answer_of_sentence_transformers_to_its_golden_text(tmp_path, options):
    checkpoint = build_checkpoint(tmp_path, **options)
    version = export_to(tmp_path / "repository", checkpoint)
    manifest = read_manifest(version)
    assert manifest.golden_text == GOLDEN_TEXT
    original = SentenceTransformer(str(checkpoint), device="cpu", local_files_only=True)
    expected = original.encode(GOLDEN_TEXT)
    assert np.allclose(manifest.golden_embedding, expected, atol=1e-6)
    served = TextEncoder.load(version, threads=1).encode([GOLDEN_TEXT]).vectors[0]
    assert served @ expected / np.linalg.norm(served) / np.linalg.norm(expected) > MIN_COSINE


def test_the_catalogs_prompts_serve_a_checkpoint_that_brings_none(tmp_path):
    entry = CatalogEntry("e5", prompts={"query": "query: "}, default_prompt="query")
    manifest = read_manifest(export_to(tmp_path / "repository", build_checkpoint(tmp_path), entry=entry))
    assert (manifest.prompts, manifest.default_prompt) == ({"query": "query: "}, "query")


def test_the_checkpoints_own_prompts_win_over_the_catalogs(tmp_path):
    entry = CatalogEntry("e5", prompts={"query": "ask: "}, default_prompt="query")
    checkpoint = build_checkpoint(tmp_path, prompts=PROMPTS)
    manifest = read_manifest(export_to(tmp_path / "repository", checkpoint, entry=entry))
    assert manifest.prompts["query"] == "query: "
    assert manifest.default_prompt is None


def test_steps_are_announced_in_their_order(small_checkpoint, tmp_path):
    heard = []
    export_to(tmp_path, small_checkpoint, on_step=heard.append)
    assert tuple(heard) == STEPS


def test_bf16_is_published_with_its_precision(small_checkpoint, tmp_path):
    # The small random checkpoint is far rougher in bf16 than a trained model; what counts here is that it serves.
    version = export_to(tmp_path, small_checkpoint, "openvino", "bf16", min_cosine=0.9)
    assert read_manifest(version).precision == "bf16"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("change", [
    lambda matrix: matrix * 1.1,
    lambda matrix: np.full_like(matrix, np.nan),
], ids=["perturbed", "NaN"])
def test_a_wrong_graph_is_refused_and_the_repository_stays_byte_for_byte(small_checkpoint, tmp_path, engine, change):
    export_to(tmp_path, small_checkpoint, engine)
    before = read_tree(tmp_path)

    def damage(step: str) -> None:
        if step == "prove parity":
            change_weights(_staging(tmp_path), change)

    with pytest.raises(ParityError, match="repository is unchanged"):
        export_to(tmp_path, small_checkpoint, engine, on_step=damage)
    assert read_tree(tmp_path) == before
    assert version_numbers(tmp_path / "small") == [1]


def test_a_wrong_tokeniser_is_refused_and_a_new_model_is_not_created(small_checkpoint, tmp_path):
    cased = build_checkpoint(tmp_path / "cased", lowercase=False)
    repository = tmp_path / "repository"

    def damage(step: str) -> None:
        if step == "prove parity":
            shutil.copy(cased / TOKENIZER_FILE, _staging(repository) / TOKENIZER_FILE)

    with pytest.raises(ParityError):
        export_to(repository, small_checkpoint, on_step=damage)
    assert not (repository / "small").exists()


def test_a_checkpoint_of_another_dimension_is_refused_for_the_same_name(small_checkpoint, tmp_path):
    narrow = build_checkpoint(tmp_path / "narrow", heads=[dense(torch.nn.Tanh())])
    export_to(tmp_path / "repository", small_checkpoint)
    before = read_tree(tmp_path / "repository")
    with pytest.raises(UnsupportedModelError, match=r"32 dimensions and this checkpoint 24.*--name"):
        export_to(tmp_path / "repository", narrow)
    assert read_tree(tmp_path / "repository") == before


def test_a_config_left_by_deleted_versions_of_another_dimension_is_named(small_checkpoint, tmp_path):
    narrow = build_checkpoint(tmp_path / "narrow", heads=[dense(torch.nn.Tanh())])
    shutil.rmtree(export_to(tmp_path / "repository", small_checkpoint))
    with pytest.raises(UnsupportedModelError, match=r"config\.pbtxt says 32 dimensions and this checkpoint has 24"):
        export_to(tmp_path / "repository", narrow)
    (tmp_path / "repository" / "small" / CONFIG_FILE).unlink()
    assert read_manifest(export_to(tmp_path / "repository", narrow)).dimension == 24


# Exports once, so that everything is loaded, then forks a child for each moment and kills it there: at the beginning
# of each step, and after delays that fall anywhere between.
_KILLER = """
import os, signal, sys, time
from pathlib import Path
from export.encoder_export import STEPS
from tests.export.checkpoints import export_to

checkpoint, target, delays = Path(sys.argv[1]), Path(sys.argv[2]), [float(delay) for delay in sys.argv[3:]]

def die_at(fatal):
    def on_step(step):
        if step == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    return on_step

for moment in (*STEPS, *delays):
    child = os.fork()
    if child == 0:
        export_to(target / str(moment), checkpoint, "onnxruntime", on_step=die_at(moment))
        os._exit(0)
    if isinstance(moment, float):
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert isinstance(moment, float) or os.WTERMSIG(status) == signal.SIGKILL, f"survived {moment}"
"""


def test_an_export_killed_at_any_moment_leaves_no_version_or_a_whole_one_and_the_next_works(small_checkpoint, tmp_path):
    started = time.monotonic()
    export_to(tmp_path / "timed", small_checkpoint, "onnxruntime")
    duration = time.monotonic() - started
    delays = [f"{duration * share:.3f}" for share in (0.5, 0.9, 1.1)]
    subprocess.run([sys.executable, "-W", "ignore", "-c", _KILLER, str(small_checkpoint), str(tmp_path), *delays],
                   check=True, cwd=Path(__file__).parents[2])
    for moment in (*STEPS, *map(float, delays)):
        model_dir = tmp_path / str(moment) / "small"
        versions = version_numbers(model_dir)
        assert versions in ([], [1])
        if moment in STEPS:
            assert versions == [], "killed before it was published"
        for number in versions:
            verify_files(model_dir / str(number), read_manifest(model_dir / str(number)))
        version = export_to(tmp_path / str(moment), small_checkpoint, "onnxruntime")
        verify_files(version, read_manifest(version))
        assert not list(model_dir.glob(".staging-*"))


def _assert_same(original: SentenceTransformer, encoder: TextEncoder, parts: int = 1) -> None:
    """Compare every text, alone and in mixed batches, with every prompt; each of `parts` of the row by itself."""
    for prompt_name in (None, *(name for name, prompt in original.prompts.items() if prompt)):
        expected = original.encode(list(TEXTS), prompt_name=prompt_name, batch_size=1, show_progress_bar=False)
        option = EncodeOptions(prompt_name=prompt_name)
        alone = np.concatenate([encoder.encode([text], [option]).vectors for text in TEXTS])
        together = encoder.encode(TEXTS, [option] * len(TEXTS)).vectors
        turned = encoder.encode(TEXTS[::-1], [option] * len(TEXTS)).vectors[::-1]
        for found in (alone, together, turned):
            for found_part, part in zip(np.split(found, parts, axis=1), np.split(expected, parts, axis=1), strict=True):
                assert relative_error(found_part, part) < FP32_RELATIVE_ERROR


def _staging(repository: Path) -> Path:
    return next((repository / "small").glob(".staging-*"))
