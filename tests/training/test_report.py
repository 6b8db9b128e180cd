import json
from html.parser import HTMLParser

import numpy as np

from training.gate import GateRules, Scored, judge
from training.report import JSON_FILE, PAGE_FILE, write_report

TRUTH = [("财运",) if number % 2 else ("<love>",) for number in range(80)]


class Page(HTMLParser):
    """Collects a page's text and what it would load."""

    def __init__(self):
        """Begin empty."""
        super().__init__()
        self.text, self.loads = "", []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def scored(right):
    """Return scores of which so many are right."""
    labels = ("财运", "<love>")
    scores = np.full((len(TRUTH), 2), 0.01)
    for number, (label,) in enumerate(TRUTH):
        scores[number, labels.index(label) if number < right else 1 - labels.index(label)] = 0.97
    return Scored(labels, np.full(2, 0.5), scores, 10.0)


def test_json_and_page_say_the_verdict_the_figures_and_the_intents(tmp_path):
    challenger = scored(78)
    verdict = judge(TRUTH, challenger, scored(50), GateRules(min_examples=50))
    write_report(tmp_path, "intent 2 & 1", verdict, challenger, TRUTH)
    document = json.loads((tmp_path / JSON_FILE).read_text(encoding="utf-8"))
    assert document["verdict"] == verdict.verdict == "pass"
    assert document["challenger"] == verdict.challenger
    assert set(document["label_gains"]) == {"财运", "<love>"}
    page = Page()
    page.feed((tmp_path / PAGE_FILE).read_text(encoding="utf-8"))
    for expected in ("intent 2 & 1", "财运", "<love>", "Reliability", "macro-F1 gain", *(
            check.measured for check in verdict.checks)):
        assert expected in page.text
    assert page.loads == []


def test_a_first_version_has_a_page_without_gains(tmp_path):
    challenger = scored(78)
    verdict = judge(TRUTH, challenger, None, GateRules(min_examples=50))
    write_report(tmp_path, "intent 1", verdict, challenger, TRUTH)
    assert "challenger minus champion" not in (tmp_path / PAGE_FILE).read_text(encoding="utf-8")


def test_many_intents_are_cut_to_those_with_mistakes(tmp_path):
    labels = tuple(f"intent{number}" for number in range(50))
    truth = [(labels[number % 50],) for number in range(100)]
    scores = np.eye(50)[np.arange(100) % 50] * 0.9
    scores[0] = np.eye(50)[7] * 0.9
    challenger = Scored(labels, np.full(50, 0.5), scores)
    write_report(tmp_path, "many", judge(truth, challenger, None, GateRules()), challenger, truth)
    page = (tmp_path / PAGE_FILE).read_text(encoding="utf-8")
    assert "The 30 of 51 with the most mistakes." in page
    assert "intent0 decided as intent7: 1" in page
