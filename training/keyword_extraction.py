"""Finds the words that tell an intent, in labelled questions. Knows nothing of rules in force and of databases.

One half of the questions proposes words: by the log-odds of their intent with an informative Dirichlet prior (Monroe,
Colaresi and Quinn 2008, "Fightin' Words", equations 16 to 22), at a false discovery rate over all pairs of word and
intent (Benjamini and Hochberg 1995). The other half judges them, by the lower bound of their precision (Wilson 1927).
"""

import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import rjieba

FALSE_DISCOVERY_RATE = 0.05
_PRIOR_QUESTIONS = 100      # weight of the prior, in questions: what all intents say together
_Z_95 = NormalDist().inv_cdf(0.975)
_MIN_CHARS, _MAX_CHARS = 2, 12
_MIN_MATCHES = 3            # in the half that proposes


@dataclass(frozen=True)
class LabelledQuestion:
    """One question with the intents that people gave it, none for out of scope."""

    id: str
    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class KeywordProposal:
    """A word that tells an intent, with the figures that admitted it."""

    keyword: str
    intent: str
    log_odds_z: float      # standard deviations above no association
    q_value: float         # false discovery rate at which the pair is still admitted
    matches: int           # questions of the judging half with the word
    hits: int              # those among them that have the intent
    precision: float
    precision_lower_bound: float  # 95 %, Wilson
    coverage: float        # share of the intent's questions in the judging half that have the word


def extract_keywords(questions: Sequence[LabelledQuestion], min_confidence: float) -> list[KeywordProposal]:
    """Return the words whose precision is at least `min_confidence` with 95 % certainty, the surest first.

    Empty where there are too few questions to be that sure of any word: a lower bound of 0.8 takes 16 matches.
    """
    proposing = [item for item in questions if _is_proposing(item.id)]
    judging = [item for item in questions if not _is_proposing(item.id)]
    scored = list(_associations(proposing))
    q_values = _benjamini_hochberg([_upper_tail(z) for _, _, z in scored])
    admitted = [(keyword, intent, z, q) for (keyword, intent, z), q in zip(scored, q_values, strict=True)
                if q <= FALSE_DISCOVERY_RATE]
    proposals = _judge(admitted, judging)
    sure = [item for item in proposals if item.precision_lower_bound >= min_confidence]
    return sorted(sure, key=lambda item: (-item.precision_lower_bound, -item.coverage, item.keyword, item.intent))


def wilson_lower_bound(hits: int, matches: int) -> float:
    """Return the lower end of the 95 % interval of hits / matches; 0 without matches (Wilson 1927)."""
    if not matches:
        return 0.0
    share, z2 = hits / matches, _Z_95 ** 2
    centre = share + z2 / (2 * matches)
    margin = _Z_95 * math.sqrt(share * (1 - share) / matches + z2 / (4 * matches ** 2))
    return max(0.0, (centre - margin) / (1 + z2 / matches))


def candidate_words(text: str) -> set[str]:
    """Return the words of a question, and pairs of neighbours, as rules match them: NFKC and without case."""
    tokens = rjieba.cut(unicodedata.normalize("NFKC", text).casefold())
    pairs = [first + second for first, second in pairwise(tokens)
             if _is_word(first) and _is_word(second) and not (first + second).isascii()]
    return {word for word in [*tokens, *pairs] if _is_word(word) and _MIN_CHARS <= len(word) <= _MAX_CHARS}


def _is_word(token: str) -> bool:
    return token.isalpha()  # neither numbers nor punctuation nor the brackets of placeholders


def _is_proposing(question_id: str) -> bool:
    return hashlib.sha256(question_id.encode()).digest()[0] % 2 == 0


def _associations(questions: Sequence[LabelledQuestion]) -> Iterator[tuple[str, str, float]]:
    """Yield (word, intent, z) for every pair that occurs often enough; a question counts a word once."""
    words = [candidate_words(item.text) for item in questions]
    everywhere = Counter(word for found in words for word in found)
    total = len(questions)
    for intent in sorted({label for item in questions for label in item.labels}):
        inside = Counter(word for item, found in zip(questions, words, strict=True) if intent in item.labels
                         for word in found)
        size = sum(intent in item.labels for item in questions)
        for word, count in inside.items():
            if count >= _MIN_MATCHES:
                prior = _PRIOR_QUESTIONS * everywhere[word] / total
                yield word, intent, _log_odds_z(count, size, everywhere[word] - count, total - size, prior)


def _log_odds_z(inside: int, inside_size: int, outside: int, outside_size: int, prior: float) -> float:
    def log_odds(count: int, size: int) -> float:
        return math.log((count + prior) / (size + _PRIOR_QUESTIONS - count - prior + 1e-9))

    variance = 1 / (inside + prior) + 1 / (outside + prior)
    return (log_odds(inside, inside_size) - log_odds(outside, outside_size)) / math.sqrt(variance)


def _upper_tail(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2


def _benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return the q-value of each p-value, in the same order."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    q_values, smallest = [0.0] * len(p_values), 1.0
    for rank in range(len(order), 0, -1):
        smallest = min(smallest, p_values[order[rank - 1]] * len(order) / rank)
        q_values[order[rank - 1]] = smallest
    return q_values


def _judge(admitted: Sequence[tuple[str, str, float, float]],
           questions: Sequence[LabelledQuestion]) -> Iterator[KeywordProposal]:
    words = [candidate_words(item.text) for item in questions]
    matches = Counter(word for found in words for word in found)
    hits = Counter((word, label) for item, found in zip(questions, words, strict=True)
                   for label in item.labels for word in found)
    sizes = Counter(label for item in questions for label in item.labels)
    for keyword, intent, z, q_value in admitted:
        found, hit = matches[keyword], hits[keyword, intent]
        if found:
            yield KeywordProposal(keyword, intent, round(z, 3), q_value, found, hit, hit / found,
                                  wilson_lower_bound(hit, found), hit / sizes[intent] if sizes[intent] else 0.0)
