"""Runs a transformer body on packed rows: several texts one after another, each seeing only itself.

What differs between the families is how a body takes positions and an attention mask of its own. Knows nothing of
pooling or ONNX.
"""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel

PackedForward = Callable[[PreTrainedModel, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def run_packed(body: PreTrainedModel, input_ids: torch.Tensor, position_ids: torch.Tensor,
               segment_ids: torch.Tensor) -> torch.Tensor:
    """Return the last hidden states, float32 [rows, row_tokens, hidden]; the inputs are int64 [rows, row_tokens].

    A token attends to the tokens with its own segment number. Padding has a number of its own, so no row of the mask is
    empty, which would give NaN.
    """
    mask = (segment_ids[:, :, None] == segment_ids[:, None, :]).to(torch.int64)  # [rows, row_tokens, row_tokens]
    return _FORWARDS[body.config.model_type](body, input_ids, position_ids, mask)


def _from_zero(body: PreTrainedModel, input_ids: torch.Tensor, positions: torch.Tensor,
               mask: torch.Tensor) -> torch.Tensor:
    # By itself a body takes as many zeros as it has positions, but a row of several texts may be longer.
    token_types = torch.zeros(1, 1, dtype=torch.int64)
    return body(input_ids=input_ids, attention_mask=mask, token_type_ids=token_types,
                position_ids=positions).last_hidden_state


def _after_padding_index(body: PreTrainedModel, input_ids: torch.Tensor, positions: torch.Tensor,
                         mask: torch.Tensor) -> torch.Tensor:
    """RoBERTa and its relatives count positions from the padding index on (transformers: create_position_ids)."""
    return _from_zero(body, input_ids, positions + body.embeddings.padding_idx + 1, mask)


def _mpnet(body: PreTrainedModel, input_ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """MPNet counts as RoBERTa does and has no token types; its bias of distances is right wherever a text begins."""
    return body(input_ids=input_ids, attention_mask=mask,
                position_ids=positions + body.embeddings.padding_idx + 1).last_hidden_state


def _distilbert(body: PreTrainedModel, input_ids: torch.Tensor, positions: torch.Tensor,
                mask: torch.Tensor) -> torch.Tensor:
    """DistilBERT takes neither positions nor a three-dimensional mask, so its two halves are called one by one."""
    embeddings = body.embeddings
    hidden = embeddings.LayerNorm(embeddings.word_embeddings(input_ids) + embeddings.position_embeddings(positions))
    additive = (1.0 - mask[:, None].to(hidden.dtype)) * torch.finfo(hidden.dtype).min  # [rows, 1, tokens, tokens]
    heads = [None] * body.config.num_hidden_layers
    return body.transformer(x=hidden, attn_mask=additive, head_mask=heads, return_dict=True).last_hidden_state


_FORWARDS: dict[str, PackedForward] = {
    "bert": _from_zero,
    "distilbert": _distilbert,
    "mpnet": _mpnet,
    "roberta": _after_padding_index,
    "xlm-roberta": _after_padding_index,
}
FAMILIES = tuple(_FORWARDS)
