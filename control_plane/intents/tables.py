"""Tables of the keyword rules: the rules, what was done to them, and the number that grows with every change."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Double, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import MYSQL_OPTIONS, Base, UtcDateTime, utc_now
from control_plane.intents.keyword_rules import KEYWORD_MAX_CHARS

PROPOSED, SHADOW, ACTIVE, RETIRED = RULE_STATES = ("proposed", "shadow", "active", "retired")
MANUAL, EXTRACTED = ORIGINS = ("manual", "extracted")
INTENT_MAX_CHARS = 64
ACTOR_MAX_CHARS = 191


class KeywordRuleRow(Base):
    """One rule. Shadow rules are matched and counted but speak for nothing."""

    __tablename__ = "intent_keyword_rules"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    keyword: Mapped[str] = mapped_column(String(KEYWORD_MAX_CHARS))   # normalised
    intent: Mapped[str] = mapped_column(String(INTENT_MAX_CHARS))
    confidence_boost: Mapped[float] = mapped_column(Double)          # above 0, below 1
    usage_count: Mapped[int] = mapped_column(BigInteger, default=0)    # questions that it matched
    success_count: Mapped[int] = mapped_column(BigInteger, default=0)  # those of them that had its intent
    state: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str] = mapped_column(String(16))
    admission: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))  # figures that it was judged by
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    __table_args__ = (UniqueConstraint("keyword", "intent"), Index("ix_intent_keyword_rules_state_id", "state", "id"),
                      Index("ix_intent_keyword_rules_intent_id", "intent", "id"), MYSQL_OPTIONS)


class KeywordRuleChangeRow(Base):
    """One change of one rule. Rows are only ever added."""

    __tablename__ = "intent_keyword_rule_changes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    rule_id: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    actor: Mapped[str] = mapped_column(String(ACTOR_MAX_CHARS))
    state: Mapped[str] = mapped_column(String(16))                    # after the change, as is the boost
    confidence_boost: Mapped[float] = mapped_column(Double)
    reason: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_intent_keyword_rule_changes_rule_id_id", "rule_id", "id"), MYSQL_OPTIONS)


class KeywordRulesRevisionRow(Base):
    """The one row whose number grows with every change of a rule; whoever changes one holds it."""

    __tablename__ = "intent_keyword_rules_revision"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger)
