"""A sentence-transformers model to one ONNX graph, from token ids to embeddings. Knows nothing of tokenisers or files
around the graph.

The graph is traced from sentence-transformers' own modules, so pooling in every mode, Dense layers and normalisation
are inside it and mean what they mean there.
"""

import warnings
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from export.contract import ATTENTION_MASK, INPUT_IDS, POOLING_MASK, RAW_EMBEDDING, UNIT_EMBEDDING

_OPSET = 17


class EncoderGraph(torch.nn.Module):
    """Token ids and masks to a raw and a unit embedding, each float32 [rows, dimension]."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        modules = list(model)
        if isinstance(modules[-1], Normalize):
            modules = modules[:-1]  # Both forms are outputs, so that a request can choose.
        self.modules_in_order = torch.nn.ModuleList(modules)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor,
                pooling_mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the modules; `pooling_mask` replaces the attention mask from the pooling on, all int64 [rows, tokens]."""
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        for module in self.modules_in_order:
            if pooling_mask is not None and isinstance(module, Pooling):
                features["attention_mask"] = pooling_mask
            features = module(features)
        raw = features["sentence_embedding"]
        return raw, torch.nn.functional.normalize(raw, p=2, dim=1)


def export_graph(model: SentenceTransformer, path: Path) -> None:
    """Trace `model` and write `path`; rows and tokens stay dynamic."""
    inputs = [INPUT_IDS, ATTENTION_MASK]
    if not pools_prompt(model):
        inputs.append(POOLING_MASK)
    axes = {name: {0: "rows", 1: "tokens"} for name in inputs}
    axes |= {name: {0: "rows"} for name in (RAW_EMBEDDING, UNIT_EMBEDDING)}
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every shape it reads as a constant; the parity gate, which varies all of them, is the
        # check that none of them matters.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            EncoderGraph(model).eval(), _example(inputs), str(path), input_names=inputs,
            output_names=[RAW_EMBEDDING, UNIT_EMBEDDING], dynamic_axes=axes, opset_version=_OPSET, dynamo=False)


def pools_prompt(model: SentenceTransformer) -> bool:
    """Return whether the tokens of the prompt take part in the pooling."""
    return all(module.include_prompt for module in model if isinstance(module, Pooling))


def _example(inputs: list[str]) -> tuple[torch.Tensor, ...]:
    """Two rows of nine tokens, the second one padded, so that no dimension is 1 and the mask matters."""
    ids = torch.arange(18).reshape(2, 9) + 5  # [rows, tokens]
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    return (ids, *[mask] * (len(inputs) - 1))
