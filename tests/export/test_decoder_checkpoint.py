"""What the export reads from a decoder checkpoint, and what it refuses before any weight is loaded."""

import pytest

from export import decoder_checkpoint
from export.decoder_checkpoint import check_resources, is_decoder, open_checkpoint
from export.errors import UnsupportedModelError
from tests.export.checkpoints import edit_json
from tests.export.decoders import build_decoder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small Qwen3, whose heads are wider than its hidden size has room for."""
    return build_decoder(tmp_path_factory.mktemp("checkpoint") / "qwen3", "qwen3")


def test_a_checkpoint_tells_its_shape_and_how_it_stops(checkpoint, tmp_path):
    found = open_checkpoint(checkpoint, tmp_path)
    assert found.heads == (2, 32)
    assert found.stop_token_ids == (0, 2)  # <|endoftext|> and <|im_end|>
    assert found.generation_defaults == {"do_sample": True, "temperature": 0.7, "top_p": 0.8}


def test_decoders_are_told_from_encoders(checkpoint, small_checkpoint):
    assert is_decoder(checkpoint)
    assert not is_decoder(small_checkpoint)


@pytest.mark.parametrize(("change", "words"), [
    ({"auto_map": {"AutoConfig": "evil.Config"}}, "remote code"), ({"model_type": "bert"}, "model_type 'bert'"),
    ({"quantization_config": {"quant_method": "gptq"}}, "quantised already"),
    ({"use_sliding_window": True}, "use_sliding_window"),
    ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling 'yarn'")])
def test_what_the_export_does_not_know_is_refused_by_name(tmp_path, change, words):
    checkpoint = build_decoder(tmp_path / "checkpoint", "qwen3")
    edit_json(checkpoint / "config.json", **change)
    with pytest.raises(UnsupportedModelError, match=words):
        open_checkpoint(checkpoint, tmp_path / "scratch")


def test_a_damaged_configuration_is_named(tmp_path):
    checkpoint = build_decoder(tmp_path / "checkpoint")
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(UnsupportedModelError, match=r"config.json cannot be read"):
        open_checkpoint(checkpoint, tmp_path / "scratch")


def test_too_little_memory_ends_the_export_with_the_figures(checkpoint, tmp_path, monkeypatch):
    check_resources(checkpoint, tmp_path)
    monkeypatch.setattr(decoder_checkpoint, "_available_memory", lambda: 1000)
    with pytest.raises(UnsupportedModelError, match=r"needs 0\.6 GB of memory .* but 0\.0 GB are free"):
        check_resources(checkpoint, tmp_path)


def test_a_containers_limit_counts_where_it_is_lower(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder_checkpoint, "_CGROUP", tmp_path)
    free = decoder_checkpoint._available_memory()
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.stat").write_text("anon 2000\nfile 9000\n")
    assert decoder_checkpoint._available_memory() == 3000 < free
