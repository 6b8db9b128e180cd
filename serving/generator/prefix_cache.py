"""Finds the longest prompt prefix that was computed already. Moves nothing.

What counts is computed to the last bit alike however it is cut into chunks: prompts, and answers where the session is
exact. So a request gets the same text whatever ran before it.
"""

from collections.abc import Sequence

import numpy as np

# ONNX Runtime computes a chunk of one token with the kernels of the answer, see above.
MIN_COMPUTED_TOKENS = 2
# Below this, copying and looking after it cost more than computing.
MIN_REUSED_TOKENS = 4


def longest_prefix(prompt: np.ndarray, computed: Sequence[np.ndarray]) -> tuple[int, int]:
    """Return the place of the prompt that shares most tokens and how many may be reused, 0 where it is not worth it.

    `prompt` and each of `computed` are int64 [tokens].
    """
    shared = [_common_tokens(prompt, other) for other in computed]
    best = int(np.argmax(shared))
    usable = min(shared[best], len(prompt) - MIN_COMPUTED_TOKENS)
    return best, usable if usable >= MIN_REUSED_TOKENS else 0


def _common_tokens(one: np.ndarray, other: np.ndarray) -> int:
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if len(different) else length
