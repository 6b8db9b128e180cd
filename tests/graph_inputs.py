"""Lists of tokens to the inputs of an encoder's graph, by the code that serves. Knows nothing of checkpoints."""

from collections.abc import Sequence

import numpy as np

from serving.encoder.engine import engine_inputs
from serving.encoder.packing import PackedRow, assemble
from serving.encoder.tokenization import TokenRow


def random_texts(lengths: Sequence[int], vocabulary: int) -> list[list[int]]:
    """Return the ids of texts with so many tokens each, none of them a special token."""
    numbers = np.random.default_rng(0)
    return [numbers.integers(5, vocabulary, length).tolist() for length in lengths]


def graph_inputs(texts: Sequence[Sequence[int]], rows: Sequence[PackedRow] | None = None, pad_token_id: int = 0,
                 prompt_tokens: int = 0) -> dict[str, np.ndarray]:
    """Return the graph's inputs for `texts` laid out as `rows`, by default each in a row of its own.

    The outputs come in the order in which `rows` names the texts.
    """
    tokenized = [TokenRow(list(text), prompt_tokens) for text in texts]
    return engine_inputs(assemble(tokenized, rows or [[text] for text in range(len(texts))], pad_token_id))
