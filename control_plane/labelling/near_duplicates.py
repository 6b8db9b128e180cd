"""Groups texts that say nearly the same, by the characters they share. Pure; knows no table.

MinHash (A. Broder, "On the resemblance and containment of documents", 1997): the share of equal numbers in two
signatures estimates the Jaccard similarity of the texts' character n-grams.
"""

from collections.abc import Sequence

import numpy as np

NGRAM_CHARS = 2   # most Chinese words have two characters
SIGNATURE = 64    # numbers for each text; the estimate's standard error is below 1/16
SIMILAR = 0.6     # least Jaccard similarity of two texts in one group
_PRIME = np.uint64((1 << 31) - 1)
# Chosen once and kept, so that the same texts always make the same groups.
_RANDOM = np.random.default_rng(20240229)
_FACTORS = _RANDOM.integers(1, int(_PRIME), SIGNATURE, dtype=np.uint64)
_OFFSETS = _RANDOM.integers(0, int(_PRIME), SIGNATURE, dtype=np.uint64)
_MAX_CHARS = 200  # A longer text is judged by its beginning, so that one cannot hold up the queue.


def group_near_duplicates(texts: Sequence[str]) -> list[list[int]]:
    """Return the rows of `texts` in groups, the biggest first, rows and groups of one size in their order.

    Quadratic in the number of texts (128 take some milliseconds); give it a window, not a table.
    """
    if not texts:
        return []
    signatures = _signatures(texts)
    groups: dict[int, list[int]] = {}
    for row, root in enumerate(_connect(signatures)):
        groups.setdefault(root, []).append(row)
    return sorted(groups.values(), key=len, reverse=True)


def _signatures(texts: Sequence[str]) -> np.ndarray:
    """Return uint32 [texts, SIGNATURE]; each n-gram is hashed once, in however many texts it is."""
    ngrams = [_ngrams(text) for text in texts]
    distinct, places = np.unique(np.concatenate(ngrams), return_inverse=True)
    hashed = ((distinct % _PRIME)[:, None] * _FACTORS + _OFFSETS) % _PRIME
    begins = np.cumsum([0, *map(len, ngrams[:-1])])
    return np.minimum.reduceat(hashed.astype(np.uint32)[places], begins, axis=0)


def _ngrams(text: str) -> np.ndarray:
    """Return the n-grams as numbers, uint64, one at least."""
    codes = np.frombuffer(text[:_MAX_CHARS].casefold().encode("utf-32-le", "replace"), dtype=np.uint32)
    codes = codes.astype(np.uint64)
    ngrams = codes if len(codes) < NGRAM_CHARS else codes[:-1] * np.uint64(0x110000) + codes[1:]
    return ngrams if len(ngrams) else np.zeros(1, dtype=np.uint64)


def _connect(signatures: np.ndarray) -> list[int]:
    """Return for each row the first row that it is connected with, directly or through others."""
    roots = list(range(len(signatures)))

    def find(row: int) -> int:
        while roots[row] != row:
            roots[row] = row = roots[roots[row]]
        return row

    alike = np.count_nonzero(signatures[:, None] == signatures[None], axis=2) >= SIMILAR * SIGNATURE
    for row, other in np.argwhere(np.tril(alike, -1)).tolist():
        first, second = sorted((find(other), find(row)))
        roots[second] = first
    return [find(row) for row in range(len(signatures))]
