"""Fused self-attention gives the hidden states of a family's own modules, and is gone when its context ends."""

import pytest
import torch
import transformers

from export.fused_attention import FusedSelfAttention, fused_attention
from export.packed_body import FAMILIES, run_packed
from tests.export.checkpoints import build_body
from tests.tolerances import FP32_RELATIVE_ERROR
from tests.versions import relative_error

FUSED = {"bert", "roberta", "xlm-roberta"}


@pytest.fixture(scope="module", params=FAMILIES)
def body(request, tmp_path_factory):
    torch.manual_seed(0)
    path = build_body(tmp_path_factory.mktemp("bodies") / request.param, request.param)
    return transformers.AutoModel.from_pretrained(path, local_files_only=True).eval()


def test_hidden_states_are_those_of_the_familys_own_modules(body):
    own = _hidden(body)
    with fused_attention(body):
        assert _is_fused(body) == (body.config.model_type in FUSED)
        fused = _hidden(body)
    assert relative_error(fused.numpy(), own.numpy()) < FP32_RELATIVE_ERROR
    assert not _is_fused(body)
    assert torch.equal(_hidden(body), own)


def test_the_familys_own_modules_are_back_after_an_error(body):
    with pytest.raises(ZeroDivisionError), fused_attention(body):
        raise ZeroDivisionError
    assert not _is_fused(body)


def _is_fused(body: transformers.PreTrainedModel) -> bool:
    return any(isinstance(module, FusedSelfAttention) for module in body.modules())


def _hidden(body: transformers.PreTrainedModel) -> torch.Tensor:
    """Hidden states of two rows, of which one has two texts and padding."""
    torch.manual_seed(1)
    ids = torch.randint(5, body.config.vocab_size, (2, 9))
    positions = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8]])
    segments = torch.tensor([[0, 0, 0, 0, 0, 1, 1, -1, -1], [0] * 9])
    with torch.no_grad():
        return run_packed(body, ids, positions, segments)
