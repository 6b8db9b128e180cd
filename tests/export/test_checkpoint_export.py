"""A checkpoint is exported as what it is; whoever asks need not say."""

import dataclasses

import pytest

from export.catalog import CatalogEntry
from export.checkpoint_export import export_checkpoint, steps_of, task_of
from export.contract import EMBEDDING, INTENT, TEXT_GENERATION
from export.encoder_export import ExportRequest
from export.errors import UnsupportedModelError
from export.manifest import read_manifest
from export.sources.checkpoint import Checkpoint
from export.vllm_arguments import VllmOptions
from tests.export.checkpoints import build_intent_checkpoint
from tests.export.decoders import build_decoder


def _request(path, repository, min_cosine=None) -> ExportRequest:
    return ExportRequest(CatalogEntry("mine"), Checkpoint(path, f"path:{path}", None), repository, "mine",
                         "onnxruntime", "fp32", min_cosine)


def test_an_encoder_becomes_an_embedding_model_and_a_trained_classifier_an_intent_model(small_checkpoint, tmp_path):
    trained = build_intent_checkpoint(tmp_path / "trained")
    first = export_checkpoint(_request(small_checkpoint, tmp_path / "first"))
    second = export_checkpoint(_request(trained, tmp_path / "second"))
    assert (read_manifest(first).task, read_manifest(second).task) == (EMBEDDING, INTENT)


def test_a_cosine_is_no_proof_of_a_classifier(tmp_path):
    trained = build_intent_checkpoint(tmp_path / "trained")
    with pytest.raises(UnsupportedModelError, match=r"proven by its scores.*--min-cosine"):
        export_checkpoint(_request(trained, tmp_path / "repository", min_cosine=0.9))


def test_a_decoder_becomes_a_generator_and_a_waived_proof_is_for_decoders_only(small_checkpoint, tmp_path):
    decoder = build_decoder(tmp_path / "decoder")
    assert task_of(decoder) == TEXT_GENERATION
    with pytest.raises(UnsupportedModelError, match=r"proven by its predictions.*--min-cosine"):
        export_checkpoint(_request(decoder, tmp_path / "repository", min_cosine=0.9))
    with pytest.raises(UnsupportedModelError, match=r"never waived; leave --force out"):
        export_checkpoint(dataclasses.replace(_request(small_checkpoint, tmp_path / "repository"), forced=True))


def test_a_decoder_for_vllm_is_exported_in_the_steps_that_are_told(tmp_path):
    decoder, steps = build_decoder(tmp_path / "decoder"), []
    request = dataclasses.replace(_request(decoder, tmp_path / "repository"), engine="vllm", precision="bf16")
    assert read_manifest(export_checkpoint(request, steps.append)).engine == "vllm"
    assert tuple(steps) == steps_of(decoder, "vllm")


def test_what_only_vllm_has_is_refused_for_other_engines(small_checkpoint, tmp_path):
    for options in (VllmOptions(context_tokens=8), VllmOptions(gpus=2)):
        request = dataclasses.replace(_request(small_checkpoint, tmp_path / "repository"), vllm=options)
        with pytest.raises(UnsupportedModelError, match=r"leave --context-tokens and --gpus out"):
            export_checkpoint(request)


def test_texts_to_fit_to_are_refused_where_nothing_is_fitted(small_checkpoint, tmp_path):
    for engine, precision in (("onnxruntime", "int8"), ("openvino", "bf16")):
        request = dataclasses.replace(_request(small_checkpoint, tmp_path / "repository"), engine=engine,
                                      precision=precision, calibration=tmp_path / "texts.txt")
        with pytest.raises(UnsupportedModelError, match=r"openvino int8.*onnxruntime int8.*leave --calibration out"):
            export_checkpoint(request)
    assert not (tmp_path / "repository").exists()
