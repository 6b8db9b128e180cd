"""Finds questions that say the same in nearly the same characters, so that they never lie on both sides of a split.

MinHash signatures in bands propose pairs (Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4),
and the real Jaccard similarity of their character n-grams decides. Knows nothing of labels or splits.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

MIN_SIMILARITY = 0.7
# 32 bands of 4 rows find a pair of similarity 0.7 with probability 1 - (1 - 0.7^4)^32 = 0.9998.
_BANDS, _ROWS = 32, 4
# A Chinese question has few characters and a character says much, so pairs of them are compared there.
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_NOT_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class NearDuplicates:
    """Texts that are equal but for case, width, space and punctuation share a form."""

    forms: tuple[str, ...]                 # without duplicates
    form_of: np.ndarray                    # int64 [texts], index into forms
    near: tuple[tuple[int, ...], ...]      # for each form, the others of at least MIN_SIMILARITY

    def groups(self, members: Sequence[int]) -> list[list[int]]:
        """Return the connected groups among the forms `members`, each ascending, ordered by their first."""
        waiting, groups = dict.fromkeys(sorted(members)), []
        while waiting:
            group, front = [], [next(iter(waiting))]
            del waiting[front[0]]
            while front:
                group.append(front.pop())
                reached = [form for form in self.near[group[-1]] if form in waiting]
                for form in reached:
                    del waiting[form]
                front += reached
            groups.append(sorted(group))
        return groups


def find_near_duplicates(texts: Sequence[str]) -> NearDuplicates:
    """Compare every text with every other; slow only where thousands are near-duplicates of each other."""
    numbers: dict[str, int] = {}
    form_of = np.array([numbers.setdefault(normalise(text), len(numbers)) for text in texts], np.int64)
    forms = tuple(numbers)
    shingles = [_shingles(form) for form in forms]
    near: list[list[int]] = [[] for _ in forms]
    for first, second in sorted(_candidates(shingles)):
        if _jaccard(shingles[first], shingles[second]) >= MIN_SIMILARITY:
            near[first].append(second)
            near[second].append(first)
    return NearDuplicates(forms, form_of, tuple(map(tuple, near)))


def normalise(text: str) -> str:
    """Return the text without case, width, space and punctuation, or as it is where nothing else is in it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORDS.sub("", folded) or folded.strip()


def _shingles(form: str) -> frozenset[int]:
    """Return hashes of the character n-grams, those at both ends marked."""
    size = 2 if _CHINESE.search(form) else 3
    marked = f"^{form}$"
    return frozenset(zlib.crc32(marked[start:start + size].encode("utf-8", "surrogatepass"))
                     for start in range(max(1, len(marked) - size + 1)))


def _jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    common = len(first & second)
    return common / (len(first) + len(second) - common)


def _candidates(shingles: Sequence[frozenset[int]]) -> set[tuple[int, int]]:
    """Return pairs whose signatures agree in a band, the smaller index first."""
    if not shingles:
        return set()
    return {pair for band in _bands(shingles) for bucket in _buckets(band) for pair in _pairs(bucket)}


def _bands(shingles: Sequence[frozenset[int]]) -> Iterator[np.ndarray]:
    """Yield, for each band, one key a text; uint64 [texts]."""
    values = np.fromiter((value for shingle in shingles for value in sorted(shingle)), np.uint64)
    starts = np.cumsum([0, *(len(shingle) for shingle in shingles[:-1])])
    random = np.random.default_rng(0)
    for _ in range(_BANDS):
        key = np.zeros(len(shingles), np.uint64)
        for _ in range(_ROWS):
            # Multiply-shift hashing (Dietzfelbinger 1997): odd multiplier, the upper bits of the wrapped product.
            factor, offset = random.integers(1, 2**63, size=2, dtype=np.uint64)
            hashed = (values * (factor | np.uint64(1)) + offset) >> np.uint64(32)
            key = key * np.uint64(0x9E3779B97F4A7C15) + np.minimum.reduceat(hashed, starts)
        yield key


def _buckets(key: np.ndarray) -> Iterator[list[int]]:
    """Yield the indices of texts with the same key, where there are several."""
    order = np.argsort(key, kind="stable")
    for bucket in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if len(bucket) > 1:
            yield bucket.tolist()


def _pairs(bucket: list[int]) -> Iterator[tuple[int, int]]:
    for position, first in enumerate(bucket):
        for second in bucket[position + 1:]:
            yield first, second
