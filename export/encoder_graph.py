"""A sentence-transformers model to one ONNX graph, from packed token ids to embeddings or to the scores of a head.
Knows nothing of tokenisers or files around the graph.

After the body the graph is traced from sentence-transformers' own modules, so pooling in every mode, Dense layers and
normalisation are inside it and mean what they mean there.
"""

import warnings
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from export.contract import (
    INPUT_IDS,
    POOLING_MASK,
    POSITION_IDS,
    RAW_EMBEDDING,
    SCORES,
    SEGMENT_IDS,
    TOKEN_INDEX,
    UNIT_EMBEDDING,
)
from export.fused_attention import fused_attention
from export.packed_body import run_packed

_OPSET = 17
_ROW_INPUTS = (INPUT_IDS, POSITION_IDS, SEGMENT_IDS)
_TEXT_INPUTS = (TOKEN_INDEX, POOLING_MASK)


class EncoderGraph(torch.nn.Module):
    """Packed rows to a raw and a unit embedding of each text, or to what `head` makes of the unit embedding.

    export.contract describes the tensors.
    """

    def __init__(self, model: SentenceTransformer, head: torch.nn.Module | None = None) -> None:
        super().__init__()
        transformer, *modules = model
        if isinstance(modules[-1], Normalize):
            modules = modules[:-1]  # Both forms are outputs, so that a request can choose.
        self.body = transformer.auto_model
        self.modules_in_order = torch.nn.ModuleList(modules)
        self.head = head

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, segment_ids: torch.Tensor,
                token_index: torch.Tensor, pooling_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the body on the rows, lay the texts out one under another, then run the other modules."""
        hidden = run_packed(self.body, input_ids, position_ids, segment_ids)  # [rows, row_tokens, hidden]
        flat = hidden.reshape(-1, hidden.shape[-1])
        features = {"token_embeddings": flat[token_index],  # [texts, text_tokens, hidden]
                    "attention_mask": pooling_mask}
        for module in self.modules_in_order:
            features = module(features)
        raw = features["sentence_embedding"]
        unit = torch.nn.functional.normalize(raw, p=2, dim=1)
        return (raw, unit) if self.head is None else (self.head(unit),)


def export_graph(model: SentenceTransformer, path: Path, head: torch.nn.Module | None = None) -> None:
    """Trace `model`, with a `head` after it where there is one, and write `path`; all inputs stay dynamic.

    `head` takes unit embeddings, float32 [texts, dimension], and gives scores, float32 [texts, labels].
    """
    outputs = (RAW_EMBEDDING, UNIT_EMBEDDING) if head is None else (SCORES,)
    axes = {name: {0: "rows", 1: "row_tokens"} for name in _ROW_INPUTS}
    axes |= {name: {0: "texts", 1: "text_tokens"} for name in _TEXT_INPUTS}
    axes |= {name: {0: "texts"} for name in outputs}
    with torch.no_grad(), fused_attention(model[0].auto_model), warnings.catch_warnings():
        # The tracer warns of every shape it reads as a constant; the parity gate, which varies all of them, is the
        # check that none of them matters.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            EncoderGraph(model, head).eval(), _example(), str(path), input_names=[*_ROW_INPUTS, *_TEXT_INPUTS],
            output_names=list(outputs), dynamic_axes=axes, opset_version=_OPSET, dynamo=False)


def pools_prompt(model: SentenceTransformer) -> bool:
    """Return whether the tokens of the prompt take part in the pooling."""
    return all(module.include_prompt for module in model if isinstance(module, Pooling))


def _example() -> tuple[torch.Tensor, ...]:
    """Three texts of 5, 4 and 3 tokens in two rows of 9, so that no dimension is 1 and every mask matters."""
    positions = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2, 3], [0, 1, 2, 0, 0, 0, 0, 0, 0]])
    segments = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, -1, -1, -1, -1, -1, -1]])
    index = torch.tensor([[0, 1, 2, 3, 4], [5, 6, 7, 8, 0], [9, 10, 11, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])
    return torch.arange(18).reshape(2, 9) + 5, positions, segments, index, mask
