"""Finds questions that wait for a label, each slice by an index of its own. Reads only; leases are queue's.

- uncertain: the predictions closest to a threshold, from which a model learns most;
- diverse: one of each group of near-duplicates among the next by random key, big groups first;
- random: the smallest random keys. Whoever labels by them labels a uniform sample: of all questions below the smallest
  key that still waits, every one has its label, whichever slice gave it out. Only they estimate accuracy without bias.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from sqlalchemy import ColumnElement, Row, Select, false, func, select, true
from sqlalchemy.orm import Session, aliased

from control_plane.labelling.near_duplicates import group_near_duplicates
from control_plane.labelling.tables import DIVERSE, RANDOM, UNCERTAIN, LabelLeaseRow, ResolutionRow
from control_plane.questions.tables import PENDING, QuestionRow

RANDOM_SHARE = 0.2   # of a page; so many that a page of 100 a day gives 600 a month, an accuracy to within ±4 %
DIVERSE_SHARE = 0.2  # the rest is uncertain
DIVERSE_WINDOW = 128  # the most questions that it is chosen from
_CHOICE = 8           # of so many, one
_WINDOW_CHARS = 200
_ROUNDS = 4          # windows that one slice looks at, where many are duplicates


@dataclass(frozen=True)
class Pick:
    """A question that may be given out."""

    question_id: str
    fingerprint: str | None
    slice: str | None
    is_blind: bool = False


class Sampler:
    """Picks for one page; no question and no wording twice. Notes the words in `decided` that should not wait."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen_ids: set[str] = set()
        self._seen_words: set[str] = set()
        self.decided: set[str] = set()  # fingerprints of questions that wait though a duplicate is decided
        self.picks: list[Pick] = []

    def pick(self, count: int) -> None:
        """Pick up to `count` questions: the random slice first, so that the others do not thin it out."""
        randoms = draw_count(count * RANDOM_SHARE)
        diverse = min(draw_count(count * DIVERSE_SHARE), count - randoms)
        if randoms or diverse:
            self._take_by_random_key(randoms, diverse)
        rest = count - sum(not pick.is_blind for pick in self.picks)
        if rest > 0:
            self._take(UNCERTAIN, chain.from_iterable(self._windows(QuestionRow.uncertainty, 2 * rest + 20)), rest)

    def pick_for_second_opinion(self, labeler: str, count: int) -> None:
        """Pick questions that somebody else has labelled and a second person is to label, the oldest label first."""
        if count <= 0:
            return
        rows = self._session.execute(
            select(ResolutionRow.question_id, ResolutionRow.fingerprint, ResolutionRow.slice)
            .join(QuestionRow, QuestionRow.id == ResolutionRow.question_id)
            .where(ResolutionRow.wants_second == true(), ResolutionRow.first_labeler != labeler,
                   QuestionRow.erased_at.is_(None), ~_is_leased(ResolutionRow))
            .order_by(ResolutionRow.resolved_at).limit(count + len(self.picks))).all()
        new = [row for row in rows if self._is_new(row.question_id, row.fingerprint)]
        for question_id, fingerprint, slice_name in new[:count]:
            self._add(Pick(question_id, fingerprint, slice_name, is_blind=True))

    def _take_by_random_key(self, randoms: int, diverse: int) -> None:
        """Take both slices out of the same windows; texts of the first rows are compared."""
        choice = min(DIVERSE_WINDOW, _CHOICE * diverse + randoms)
        windows = self._windows(QuestionRow.random_key, max(choice, 2 * randoms + 20))
        first = next(windows, [])
        while len(first) < choice // 2 and (window := next(windows, [])):
            first += window
        self._take(RANDOM, chain(first, chain.from_iterable(windows)), randoms)
        if diverse:
            texts = self._texts(first[:choice])
            rows = [row for row in first if row.id in texts]
            groups = group_near_duplicates([texts[row.id] for row in rows])
            self._take(DIVERSE, (rows[group[0]] for group in groups), diverse)

    def _texts(self, rows: Sequence[Row]) -> dict[str, str]:
        """Return by id how the questions begin; by a query of its own, since the windows' index alone answers them."""
        return dict(self._session.execute(
            select(QuestionRow.id, func.substr(QuestionRow.question, 1, _WINDOW_CHARS))
            .where(QuestionRow.id.in_([row.id for row in rows]))).all())

    def _take(self, slice_name: str, found: Iterable[Row], count: int) -> None:
        found = iter(found)
        while count > 0 and (row := next(found, None)) is not None:
            if self._is_new(row.id, row.fingerprint):
                self._add(Pick(row.id, row.fingerprint, slice_name))
                count -= 1

    def _windows(self, key: ColumnElement[float], size: int) -> Iterator[list[Row]]:
        """Yield undecided questions in windows by a key, one of each wording; of those picked before, none."""
        least, words = None, set(self._seen_words)
        for _ in range(_ROUNDS):
            query = _waiting(key).order_by(key).limit(size)
            if least is not None:
                query = query.where(key >= least)
            if words:
                query = query.where(QuestionRow.fingerprint.is_(None) | QuestionRow.fingerprint.not_in(words))
            rows = self._session.execute(query).all()
            self.decided |= {row.fingerprint for row in rows if row.is_decided}
            yield [row for row in _one_of_each_wording(rows) if not row.is_decided]
            if len(rows) < size:
                return
            least = rows[-1][2]
            words |= {row.fingerprint for row in rows if row.fingerprint is not None}

    def _is_new(self, question_id: str, fingerprint: str | None) -> bool:
        return question_id not in self._seen_ids and fingerprint not in self._seen_words

    def _add(self, pick: Pick) -> None:
        self.picks.append(pick)
        self._seen_ids.add(pick.question_id)
        if pick.fingerprint is not None:
            self._seen_words.add(pick.fingerprint)


def _one_of_each_wording(rows: Sequence[Row]) -> list[Row]:
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.fingerprint or row.id, row)
    return list(first.values())


@cache
def _waiting(key: ColumnElement[float]) -> Select:
    """Return the query for questions that wait for a label and that nobody has. It is kept: to build it takes 0.8 ms.

    Its first two conditions begin the two indexes, and stand as MySQL needs them for that (= false, not IS false).
    """
    return select(QuestionRow.id, QuestionRow.fingerprint, key, _is_decided().label("is_decided")).where(
        QuestionRow.is_labeled == false(), QuestionRow.training_status == PENDING, ~_is_leased(QuestionRow))


def _is_decided() -> ColumnElement[bool]:
    """Of an exact duplicate, as `decided_words` has it. Among the columns, since MariaDB would not do it by row."""
    decided = aliased(QuestionRow)
    return select(ResolutionRow.question_id).join(decided, decided.id == ResolutionRow.question_id).where(
        ResolutionRow.fingerprint == QuestionRow.fingerprint, decided.erased_at.is_(None)).exists()


def _is_leased(table: type[QuestionRow] | type[ResolutionRow]) -> ColumnElement[bool]:
    """By the words alone, which every logged question has: whoever has one of duplicates has them all."""
    return select(LabelLeaseRow.id).where(LabelLeaseRow.fingerprint == table.fingerprint).exists()


def draw_count(expected: float) -> int:
    """Return a whole number whose mean is `expected`, so that pages of one question are mixed too."""
    return int(expected + random.random())  # noqa: S311 - which questions are sampled is no secret
