import json
import shutil

import pytest
import torch
from sentence_transformers import SentenceTransformer

from training.encoder import Encoder
from training.errors import CheckpointError

TEXTS = ["the model", "a much longer question 我今年财运怎么样 of the server", "x"]


def encoder(path, prompt_name=None, max_tokens=None):
    """Load an encoder in float32."""
    return Encoder(path, prompt_name, max_tokens, "fp32")


@pytest.mark.parametrize("prompt", [None, "query"])
def test_embeddings_are_those_of_sentence_transformers_in_the_order_of_the_texts(small_checkpoint, prompt):
    expected = SentenceTransformer(str(small_checkpoint), device="cpu").encode(
        TEXTS, prompt_name=prompt, normalize_embeddings=True)
    found = encoder(small_checkpoint, prompt).embed(TEXTS, batch_size=2)
    assert found.numpy() == pytest.approx(expected, abs=1e-5)


def test_texts_are_cut_while_training_and_the_saved_encoder_has_its_own_limit(small_checkpoint, tmp_path):
    cut = encoder(small_checkpoint, max_tokens=8)
    assert cut.token_counts(TEXTS).max() == 8
    cut.save(tmp_path / "saved")
    assert SentenceTransformer(str(tmp_path / "saved"), device="cpu").max_seq_length == 40
    assert cut.token_counts(TEXTS).max() == 8


def test_the_fraction_done_rises_to_one(small_checkpoint):
    told = []
    encoder(small_checkpoint).embed(TEXTS * 3, batch_size=4, on_batch=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_gradients_reach_the_encoder(small_checkpoint):
    trained = encoder(small_checkpoint)
    trained.forward(TEXTS)[:, 0].sum().backward()
    gradients = [parameter.grad for parameter in trained.model.parameters() if parameter.grad is not None]
    assert any(torch.count_nonzero(gradient) for gradient in gradients)


def test_a_prompt_that_the_checkpoint_lacks_is_refused_with_those_it_has(small_checkpoint):
    with pytest.raises(CheckpointError, match=r"no prompt 'question'.*passage.*query"):
        encoder(small_checkpoint, "question")


def test_code_of_its_own_is_never_run(small_checkpoint, tmp_path):
    copy = shutil.copytree(small_checkpoint, tmp_path / "copy")
    modules = json.loads((copy / "modules.json").read_text())
    modules[1]["type"] = "os.system"
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match=r"needs code of its own \(os\.system\)"):
        encoder(copy)


def test_a_damaged_checkpoint_is_refused(small_checkpoint, tmp_path):
    copy = shutil.copytree(small_checkpoint, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        encoder(copy)
