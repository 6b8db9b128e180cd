"""Lets a decoder read the calibration texts and notes what its norms give. Knows nothing of graphs and quantisation."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from export.calibration import read_calibration_texts

_NORM = "RMSNorm"
_SMALLEST = torch.finfo(torch.float32).tiny
_STREAM_AXES = 3   # [batch, tokens, hidden]; what norms of single heads read has one more


def calibration_rows(tokenizer: PreTrainedTokenizerFast, longest: int, path: Path | None = None) -> list[list[int]]:
    """Return the token ids of the texts in `path`, without it of ours, joined to rows of at most `longest` tokens.

    A short row takes as long as a long one, because it is reading the weights that takes time.
    """
    joined = [token for text in read_calibration_texts(path) for token in tokenizer(f"{text}\n")["input_ids"]]
    return [joined[start:start + longest] for start in range(0, len(joined), longest)]


@torch.inference_mode()
def observe_norms(model: PreTrainedModel, rows: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Return what each norm of the residual stream gives before its gain, in the order in which a token meets them.

    That is the sum of x xᵀ over all tokens, float32 [hidden, hidden]; each x has mean square 1.
    """
    grams: dict[torch.nn.Module, torch.Tensor] = {}

    def add(norm: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].ndim == _STREAM_AXES:
            tokens = inputs[0].flatten(0, 1)
            mean_squares = tokens.square().mean(dim=1, keepdim=True)
            tokens = tokens * mean_squares.clamp_min(_SMALLEST).rsqrt()  # A token may be embedded as nothing.
            grams[norm] = grams.get(norm, 0) + tokens.T @ tokens

    hooks = [norm.register_forward_pre_hook(add) for norm in _norms(model)]
    for row in rows:
        model(torch.tensor([row]), use_cache=False, logits_to_keep=1)
    for hook in hooks:
        hook.remove()
    return [gram.numpy() for gram in grams.values()]


def _norms(model: PreTrainedModel) -> Iterator[torch.nn.Module]:
    return (module for module in model.modules() if type(module).__name__.endswith(_NORM))
