"""Self-attention of the BERT family in few, large operations: one product gives queries, keys and values.

It is what the family's own modules compute, laid out for an engine that pays for each operation and for each pass over
its inputs. Knows nothing of graphs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

_FAMILIES = ("bert", "roberta", "xlm-roberta")


class FusedSelfAttention(torch.nn.Module):
    """Takes the place of BertSelfAttention and of its namesakes, with the weights of the one it is made from."""

    def __init__(self, own: torch.nn.Module) -> None:
        super().__init__()
        self._heads, self._size = own.num_attention_heads, own.attention_head_size
        scale = self._size ** -0.5
        self.projection = torch.nn.Linear(own.query.in_features, 3 * own.query.out_features)
        with torch.no_grad():
            self.projection.weight.copy_(torch.cat([own.query.weight * scale, own.key.weight, own.value.weight]))
            self.projection.bias.copy_(torch.cat([own.query.bias * scale, own.key.bias, own.value.bias]))

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor, *_: object,
                **__: object) -> tuple[torch.Tensor, None]:
        """Return the attended values, float [rows, tokens, hidden], of hidden states of that shape.

        The mask is added to the scores, float [rows, 1, tokens, tokens]; what else a body passes is None in an encoder.
        """
        projected = self.projection(hidden_states).view(*hidden_states.shape[:2], 3, self._heads, self._size)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)  # each [rows, heads, tokens, size]
        shares = (query @ key.transpose(-1, -2) + attention_mask).softmax(-1)
        return (shares @ value).transpose(1, 2).reshape(hidden_states.shape), None


@contextmanager
def fused_attention(body: PreTrainedModel) -> Iterator[None]:
    """Have `body` attend by FusedSelfAttention meanwhile; a body of another family stays as it is."""
    own = {}
    if body.config.model_type in _FAMILIES and body.config.position_embedding_type == "absolute":
        own = {layer.attention: layer.attention.self for layer in body.encoder.layer}
    try:
        for attention, module in own.items():
            attention.self = FusedSelfAttention(module).eval()
        yield
    finally:
        for attention, module in own.items():
            attention.self = module
