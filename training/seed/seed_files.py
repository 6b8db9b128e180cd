"""Reads the seed data: questions, taxonomy, keyword rules. Knows nothing of what is done with them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SeedQuestion:
    """One question with the names of its intents in the order of the taxonomy; without any it is out of scope."""

    id: str
    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class SeedIntent:
    """One intent as people see it."""

    name: str
    display_name: str
    description: str


@dataclass(frozen=True)
class SeedRule:
    """A keyword that speaks for an intent with a boost above 0 and below 1."""

    keyword: str
    intent: str
    boost: float


@dataclass(frozen=True)
class Templates:
    """Templates of questions; a name in braces stands for any entry of that slot.

    In `single` ones {noun}, {event} and {worry} are those of the intent, in `pair` ones {noun_a} and the like those of
    either intent; `out` ones are out of scope.
    """

    slots: dict[str, list[str]]
    single: Sequence[str]
    pair: Sequence[str]
    out: Sequence[str]


def read_questions() -> list[SeedQuestion]:
    """Return the questions that were written by hand."""
    lines = (_FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [SeedQuestion(row["id"], row["text"], tuple(row["labels"])) for row in map(json.loads, lines)]


def read_taxonomy() -> list[SeedIntent]:
    """Return the intents in their order."""
    return [SeedIntent(**row) for row in _read("taxonomy.json")]


def read_keyword_rules() -> list[SeedRule]:
    """Return the keyword rules to begin with."""
    return [SeedRule(**row) for row in _read("keyword_rules.json")]


def read_templates() -> Templates:
    """Return the templates of the generator."""
    return Templates(**_read("templates.json"))


def _read(name: str) -> list[dict] | dict:
    return json.loads((_FOLDER / name).read_text(encoding="utf-8"))
