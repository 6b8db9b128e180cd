"""The seed data is whole: ids, labels, counts, and no question written twice."""

from collections import Counter, defaultdict

import pytest

from control_plane.intents.keyword_rules import KeywordMatcher, KeywordRule, normalise_keyword, score_intents
from training.seed.seed_files import read_keyword_rules, read_questions, read_taxonomy, read_templates

QUESTIONS = read_questions()
INTENTS = [intent.name for intent in read_taxonomy()]
MOST_ALIKE = 0.8


def test_the_taxonomy_has_the_intents_of_the_domain_with_what_people_read():
    assert INTENTS == ["wealth", "career", "marriage", "love", "health", "study", "family", "travel", "general"]
    assert all(intent.display_name and len(intent.description) > 10 for intent in read_taxonomy())
    assert len({intent.display_name for intent in read_taxonomy()}) == len(INTENTS)


def test_ids_and_texts_are_there_once():
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question.text for question in QUESTIONS}) == len(QUESTIONS)
    assert all(question.text == question.text.strip() != "" for question in QUESTIONS)


def test_labels_are_intents_in_their_order_each_once():
    for question in QUESTIONS:
        assert list(question.labels) == sorted(set(question.labels), key=INTENTS.index), question.id


def test_there_are_enough_questions_of_every_kind():
    assert len(QUESTIONS) >= 600
    assert sum(len(question.labels) == 2 for question in QUESTIONS) >= 60
    assert sum(not question.labels for question in QUESTIONS) >= 100
    alone = Counter(question.labels[0] for question in QUESTIONS if len(question.labels) == 1)
    assert min(alone[intent] for intent in INTENTS) >= 40


def test_no_two_questions_are_nearly_the_same():
    """Jaccard of character 3-grams, over the pairs that share one."""
    grams = [{question.text[at:at + 3] for at in range(max(len(question.text) - 2, 1))} for question in QUESTIONS]
    having = defaultdict(list)
    for number, own in enumerate(grams):
        shared = Counter(other for gram in own for other in having[gram])
        for other, count in shared.items():
            alike = count / (len(own) + len(grams[other]) - count)
            assert alike < MOST_ALIKE, (QUESTIONS[number].text, QUESTIONS[other].text)
        for gram in own:
            having[gram].append(number)


def test_rules_are_as_the_store_keeps_them_and_speak_for_intents_of_the_taxonomy():
    rules = read_keyword_rules()
    assert len({(rule.keyword, rule.intent) for rule in rules}) == len(rules)
    assert {rule.intent for rule in rules} == set(INTENTS)
    for rule in rules:
        assert rule.keyword == normalise_keyword(rule.keyword)
        assert 0 < rule.boost < 1


def test_rules_are_mostly_right_where_they_speak():
    """They are written for these questions, so this guards against a wrong list and measures nothing."""
    matcher = KeywordMatcher(KeywordRule(number, rule.keyword, rule.intent, rule.boost)
                             for number, rule in enumerate(read_keyword_rules()))
    said = [(intent, question) for question in QUESTIONS
            for intent, score in score_intents(matcher.match(question.text)).items() if score >= 0.5]
    assert len(said) > 250
    assert sum(intent in question.labels for intent, question in said) / len(said) > 0.85


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_has_its_slots(intent):
    slots = read_templates().slots
    assert all(len(set(slots[f"{part}_{intent}"])) == len(slots[f"{part}_{intent}"]) >= 6
               for part in ("noun", "event", "worry"))
