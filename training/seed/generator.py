"""Makes any number of labelled questions from templates, the same ones for the same seed.

They are for volume: for trying the pipeline at size, and to fill up intents that people asked little about. What is
measured on them says nothing about real questions.
"""

import random
import re
from itertools import combinations

from training.seed.seed_files import SeedQuestion, Templates, read_taxonomy, read_templates

# Shares of questions without an intent and with two; the rest has one.
OUT_SHARE, PAIR_SHARE = 0.2, 0.12
# It goes with any other intent, and so is no pair with one.
_ANY_INTENT = "general"
_SLOT = re.compile(r"\{(\w+)\}")
_PARTS = re.compile(r"\{(noun|event|worry)\}")
_PARTS_OF_PAIR = re.compile(r"\{(noun|event|worry)_([ab])\}")
_MOST_REPEATS = 1000


def generate(count: int, seed: int) -> list[SeedQuestion]:
    """Return `count` questions, no two of the same text.

    Raises ValueError where the templates do not have that many.
    """
    chance = random.Random(seed)  # noqa: S311 - questions are no secrets
    templates, intents = read_templates(), [intent.name for intent in read_taxonomy()]
    pairs = list(combinations([intent for intent in intents if intent != _ANY_INTENT], 2))
    questions: dict[str, tuple[str, ...]] = {}
    repeats = 0
    while len(questions) < count:
        labels = _choose_labels(chance, intents, pairs)
        text = _fill(chance, templates, _choose_template(chance, templates, labels))
        repeats = repeats + 1 if text in questions else 0
        if repeats == _MOST_REPEATS:
            raise ValueError(f"the templates do not give {count} different questions; they gave {len(questions)}")
        questions.setdefault(text, labels)
    return [SeedQuestion(f"generated-{seed}-{number:06d}", text, labels)
            for number, (text, labels) in enumerate(questions.items(), start=1)]


def _choose_labels(chance: random.Random, intents: list[str], pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    draw = chance.random()
    if draw < OUT_SHARE:
        return ()
    return chance.choice(pairs) if draw < OUT_SHARE + PAIR_SHARE else (chance.choice(intents),)


def _choose_template(chance: random.Random, templates: Templates, labels: tuple[str, ...]) -> str:
    """Return a template for these intents, its parts named as the slots are: {noun_wealth}."""
    if not labels:
        return chance.choice(templates.out)
    if len(labels) == 1:
        return _PARTS.sub(rf"{{\1_{labels[0]}}}", chance.choice(templates.single))
    return _PARTS_OF_PAIR.sub(lambda match: f"{{{match[1]}_{labels['ab'.index(match[2])]}}}",
                              chance.choice(templates.pair))


def _fill(chance: random.Random, templates: Templates, text: str) -> str:
    """Replace slots until none is left; entries may have slots of their own."""
    while _SLOT.search(text):
        text = _SLOT.sub(lambda match: chance.choice(templates.slots[match[1]]), text)
    return text
