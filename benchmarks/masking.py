"""`python -m benchmarks.masking`: measures what masking finds and what it takes for personal data, writes MASKING.md.

Planted items are made by rule (masking_sentences.py), so that recall is of forms somebody thought of. Needs nothing
running.
"""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.machine import describe_machine
from benchmarks.masking_sentences import Planted, make_clean, make_planted
from benchmarks.masking_weak_spots import WEAK_SPOTS
from control_plane.privacy.masking import mask_personal_data

HERE = Path(__file__).resolve().parent


@click.command()
@click.option("--sentences", type=click.IntRange(1), default=15_000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(sentences: int, seed: int) -> None:
    """Measure recall and precision of masking, by kind and disguise."""
    planted, clean = list(make_planted(sentences, seed)), list(make_clean(sentences, seed))
    report = "\n\n".join([
        "# Masking of personal data", _introduction(sentences, seed), _recall(planted), _precision(planted, clean),
        _time(planted, clean), _weak_spots()]) + "\n"
    (HERE / "MASKING.md").write_text(report, encoding="utf-8")
    click.echo(report)


def _introduction(sentences: int, seed: int) -> str:
    return (f"Written by `python -m benchmarks.masking --sentences {sentences} --seed {seed}`: {sentences} generated "
            f"sentences with one planted item each and {sentences} clean ones with look-alikes. Items and sentences "
            "are made by the same hands as the detectors, so that these figures say that the rules do what they are "
            "meant to, and not how people write. [docs/privacy.md](../docs/privacy.md) says what is masked and why.")


def _recall(planted: Sequence[Planted]) -> str:
    total, gone, typed = Counter(), Counter(), Counter()
    for one in planted:
        form = one.kind, one.disguise
        counts = mask_personal_data(one.sentence).counts
        total[form] += 1
        gone[form] += bool(counts)
        typed[form] += one.kind.partition(",")[0] in counts
    rows = [f"| {kind} | {disguise} | {count} | {gone[kind, disguise] / count:.4f} | "
            f"{typed[kind, disguise] / count:.4f} |" for (kind, disguise), count in total.items()]
    return "\n".join([
        "## Recall\n", "Masked counts any placeholder, right kind the one that the item was planted as.\n",
        "| kind | disguise | planted | masked | right kind |", "|---|---|---|---|---|", *rows])


def _precision(planted: Sequence[Planted], clean: Sequence[str]) -> str:
    """A find is right where it is of the planted kind; two in one sentence, or any in a clean one, are wrong."""
    right, wrong = Counter(), Counter()
    for one in planted:
        counts = Counter(mask_personal_data(one.sentence).counts)
        right[one.kind.partition(",")[0]] += min(1, counts[one.kind.partition(",")[0]])
        counts[one.kind.partition(",")[0]] -= 1
        wrong += counts
    masked_clean = [mask_personal_data(sentence).counts for sentence in clean]
    for counts in masked_clean:
        wrong += Counter(counts)
    rows = [f"| {kind} | {right[kind]} | {wrong[kind]} | {right[kind] / (right[kind] + wrong[kind]):.4f} |"
            for kind in {**right, **wrong} if right[kind] + wrong[kind]]
    return "\n".join([
        "## Precision\n", f"Clean sentences in which something was masked: {sum(map(bool, masked_clean))} of "
        f"{len(clean)}.\n", "| kind | right | wrong | precision |", "|---|---|---|---|", *rows])


def _time(planted: Sequence[Planted], clean: Sequence[str]) -> str:
    texts = [*(one.sentence for one in planted), *clean]
    started = time.process_time()
    for text in texts:
        mask_personal_data(text)
    spent_us = (time.process_time() - started) / len(texts) * 1e6
    machine = ", ".join(f"{name.lower()}: {value}" for name, value in describe_machine().items())
    return (f"## Cost\n\n{spent_us:.0f} µs of one core for a sentence of {sum(map(len, texts)) / len(texts):.0f} "
            f"characters on average.\n\nMachine: {machine}.")


def _weak_spots() -> str:
    rows = [f"| {spot.what} | `{spot.example}` | `{mask_personal_data(spot.example).text}` |" for spot in WEAK_SPOTS]
    return "\n".join(["## Weak spots\n", "What is not found, and what is taken for personal data and is none. The last "
                      "column is what masking made of the example when this page was written.\n",
                      "| what | example | masked |", "|---|---|---|", *rows])


if __name__ == "__main__":
    main()
