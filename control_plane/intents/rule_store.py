"""Keyword rules in the database: add, change, list, count. Knows nothing of matching nor of requests."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.errors import DuplicateRowError, InvalidRequestError
from control_plane.intents.keyword_rules import KeywordRule, normalise_keyword
from control_plane.intents.tables import (
    ACTIVE,
    INTENT_MAX_CHARS,
    MANUAL,
    ORIGINS,
    PROPOSED,
    RETIRED,
    SHADOW,
    KeywordRuleChangeRow,
    KeywordRuleRow,
    KeywordRulesRevisionRow,
)
from control_plane.jobs.tables import storable
from control_plane.tuning_errors import RuleExistsError, RuleNotFoundError, RuleStateError

REASON_MAX_CHARS = 2000
# What a person may begin with; a proposal goes live through the shadow only.
FIRST_STATES = (PROPOSED, SHADOW, ACTIVE)
NEXT_STATES = {PROPOSED: (SHADOW, RETIRED), SHADOW: (ACTIVE, RETIRED), ACTIVE: (RETIRED,), RETIRED: (PROPOSED,)}
_THE_ONE = 1


@dataclass(frozen=True)
class LoadedRules:
    """The rules that are matched, as of a revision: those that speak for intents, and those that are only counted."""

    revision: int
    active: tuple[KeywordRule, ...]
    shadow: tuple[KeywordRule, ...]


class RuleStore:
    """The rules by id, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, keyword: str, intent: str, boost: float, actor: str, state: str = PROPOSED, origin: str = MANUAL,
            reason: str = "", admission: dict | None = None) -> KeywordRuleRow:
        """Add a rule and return it.

        Raises InvalidRequestError naming the field that is wrong, and RuleExistsError when the keyword speaks for that
        intent already, be it as a retired rule.
        """
        rule = KeywordRuleRow(keyword=normalise_keyword(keyword), intent=_check_intent(intent),
                              confidence_boost=_check_boost(boost), state=_check_word("state", state, FIRST_STATES),
                              origin=_check_word("origin", origin, ORIGINS), admission=admission)
        try:
            with self._database.write() as session:
                _count_change(session)
                session.add(rule)
                session.flush()
                session.add(_change(rule, actor, reason))
        except DuplicateRowError:
            raise RuleExistsError(rule.keyword, intent) from None
        return rule

    def update(self, rule_id: int, actor: str, state: str | None = None, boost: float | None = None,
               reason: str = "", admission: dict | None = None) -> KeywordRuleRow:
        """Change a rule's state, boost or figures of admission and return it; None leaves what is there.

        Raises RuleNotFoundError, InvalidRequestError, and RuleStateError where the state cannot follow (NEXT_STATES).
        """
        with self._database.write() as session:
            _count_change(session)
            rule = _get(session, rule_id, locks=True)
            if state is not None and state != rule.state:
                if state not in NEXT_STATES[rule.state]:
                    raise RuleStateError(rule_id, rule.state, state, NEXT_STATES[rule.state])
                rule.state = state
            rule.confidence_boost = rule.confidence_boost if boost is None else _check_boost(boost)
            rule.admission = rule.admission if admission is None else admission
            rule.updated_at = utc_now()
            session.add(_change(rule, actor, reason))
            return rule

    def find(self, rule_id: int) -> KeywordRuleRow:
        """Return a rule; raises RuleNotFoundError."""
        with self._database.read() as session:
            return _get(session, rule_id)

    def page(self, limit: int, after: int = 0, state: str | None = None,
             intent: str | None = None) -> list[KeywordRuleRow]:
        """Return the oldest rules, of a state and an intent where they are given, that came after the rule `after`."""
        query = select(KeywordRuleRow).where(KeywordRuleRow.id > after).order_by(KeywordRuleRow.id).limit(limit)
        for column, value in ((KeywordRuleRow.state, state), (KeywordRuleRow.intent, intent)):
            if value is not None:
                query = query.where(column == value)
        with self._database.read() as session:
            return list(session.scalars(query))

    def changes(self, rule_id: int, limit: int) -> list[KeywordRuleChangeRow]:
        """Return the last changes of a rule, newest first."""
        with self._database.read() as session:
            return list(session.scalars(select(KeywordRuleChangeRow).where(KeywordRuleChangeRow.rule_id == rule_id)
                                        .order_by(KeywordRuleChangeRow.id.desc()).limit(limit)))

    def revision(self) -> int:
        """Return the number that grows with every change of a rule, but not with its counts; 0 before the first."""
        with self._database.read() as session:
            return _revision(session)

    def load(self) -> LoadedRules:
        """Return the active and the shadow rules."""
        with self._database.read() as session:
            # The number first: should a change come between, the next look finds a newer number and reads again.
            revision = _revision(session)
            rows = session.execute(select(KeywordRuleRow).where(KeywordRuleRow.state.in_((ACTIVE, SHADOW)))
                                   .order_by(KeywordRuleRow.id)).scalars()
            by_state: dict[str, list[KeywordRule]] = {ACTIVE: [], SHADOW: []}
            for row in rows:
                by_state[row.state].append(_rule(row))
            return LoadedRules(revision, tuple(by_state[ACTIVE]), tuple(by_state[SHADOW]))

    def standing(self) -> list[KeywordRule]:
        """Return every rule that is not retired, by id."""
        query = select(KeywordRuleRow).where(KeywordRuleRow.state.in_((PROPOSED, SHADOW, ACTIVE)))
        with self._database.read() as session:
            return [_rule(row) for row in session.scalars(query.order_by(KeywordRuleRow.id))]

    def add_counts(self, counts: Mapping[int, tuple[int, int]]) -> None:
        """Add {rule id: (uses, successes)}, all or, when an exception is raised, nothing; unknown ids do not matter."""
        with self._database.write() as session:
            # Always in the same order: two workers that lock rows crosswise would wait for each other for ever.
            for rule_id, (uses, successes) in sorted(counts.items()):
                session.execute(update(KeywordRuleRow).where(KeywordRuleRow.id == rule_id).values(
                    usage_count=KeywordRuleRow.usage_count + uses,
                    success_count=KeywordRuleRow.success_count + successes))


def move_rules(session: Session, intent: str, into: str, actor: str, reason: str) -> int:
    """Let the rules of one intent speak for another in an open transaction; returns how many there were.

    A keyword speaks for an intent once: where the other has it already, be it retired, its own rule decides, and the
    one that would have come is retired under the old name.
    """
    _count_change(session)
    rules = session.scalars(select(KeywordRuleRow).where(KeywordRuleRow.intent.in_((intent, into)))
                            .order_by(KeywordRuleRow.id).with_for_update()).all()
    taken = {rule.keyword: rule.id for rule in rules if rule.intent == into}
    moving = [rule for rule in rules if rule.intent == intent]
    for rule in moving:
        if rule.keyword in taken:
            rule.state, why = RETIRED, f"rule {taken[rule.keyword]} says the same of {into!r}, which {intent!r} became"
        else:
            rule.intent, why = into, f"{intent!r} became {into!r}"
        rule.updated_at = utc_now()
        session.add(_change(rule, actor, f"{why}: {reason}" if reason else why))
    return len(moving)


def _count_change(session: Session) -> None:
    """Make the revision one larger. The row stays locked until the change is committed, so that numbers come in order.
    """
    first = {"id": _THE_ONE, "revision": 1}
    grown = {"revision": KeywordRulesRevisionRow.revision + 1}
    if session.get_bind().dialect.name == "sqlite":
        statement = sqlite.insert(KeywordRulesRevisionRow).values(first).on_conflict_do_update(
            index_elements=["id"], set_=grown)
    else:
        statement = mysql.insert(KeywordRulesRevisionRow).values(first).on_duplicate_key_update(grown)
    session.execute(statement)


def _revision(session: Session) -> int:
    return session.scalar(select(KeywordRulesRevisionRow.revision).where(KeywordRulesRevisionRow.id == _THE_ONE)) or 0


def _rule(row: KeywordRuleRow) -> KeywordRule:
    return KeywordRule(row.id, row.keyword, row.intent, row.confidence_boost)


def _get(session: Session, rule_id: int, locks: bool = False) -> KeywordRuleRow:
    rule = session.get(KeywordRuleRow, rule_id, with_for_update=locks or None)
    if rule is None:
        raise RuleNotFoundError(rule_id)
    return rule


def _change(rule: KeywordRuleRow, actor: str, reason: str) -> KeywordRuleChangeRow:
    return KeywordRuleChangeRow(rule_id=rule.id, actor=actor, state=rule.state,
                                confidence_boost=rule.confidence_boost, reason=storable(reason, REASON_MAX_CHARS))


def _check_intent(intent: str) -> str:
    if not intent or len(intent) > INTENT_MAX_CHARS:
        raise InvalidRequestError("intent", f"must be a name of 1 to {INTENT_MAX_CHARS} characters")
    return intent


def _check_boost(boost: float) -> float:
    if not 0 < boost < 1:
        raise InvalidRequestError("confidence_boost", f"must be above 0 and below 1, and is {boost}")
    return boost


def _check_word(field: str, word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise InvalidRequestError(field, f"must be one of {', '.join(known)}, and is {word!r}")
    return word
