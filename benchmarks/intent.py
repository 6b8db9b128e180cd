"""Measures intent classification on public question sets and writes INTENT.md beside this file.

    python -m benchmarks.intent --clinc FILE --english ENCODER --work FOLDER
    python -m benchmarks.intent --smp FILE --multilingual ENCODER --work FOLDER

FILE is CLINC150's data_full.json, or SMP2017-ECDT task 1 as a list of {"split", "text", "label"}; ENCODER is what
`conch download` printed. Figures of a set that is not given stay as they were measured last. A run that was stopped
goes on where it was when it is given the same folder.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.intent_page import render_page
from benchmarks.machine import describe_machine
from export.intent_export import export_intent
from training.dataset import TEST, TRAIN, Dataset, Example, read_dataset, write_dataset
from training.encoder import Encoder
from training.gate import GateRules, Scored, judge
from training.head import first_head
from training.plan import FULL, HEAD, TrainingPlan
from training.progress import Progress
from training.recipes.head import choose_head
from training.recipes.recipe import Part, Task
from training.report import write_report
from training.run import Base, train
from training.saved_state import SavedState
from training.scoring import IntentClassifier

HERE = Path(__file__).resolve().parent
RESULTS_FILE = HERE / "intent_results.json"
NEW_QUESTIONS, EMBEDDED_QUESTIONS = 100, 5000
# The champion is what a platform begins with, a head on a frozen encoder; the batch after it fine-tunes all.
CHAMPION_PLAN = TrainingPlan(recipe=HEAD, prompt_name="query")
UPDATE_PLAN = TrainingPlan(recipe=FULL, epochs=3)


@click.command()
@click.option("--clinc", type=click.Path(exists=True, path_type=Path), help="CLINC150 with out-of-scope questions.")
@click.option("--smp", type=click.Path(exists=True, path_type=Path), help="SMP2017-ECDT task 1.")
@click.option("--english", type=click.Path(exists=True, path_type=Path), help="Directory of all-MiniLM-L6-v2.")
@click.option("--multilingual", type=click.Path(exists=True, path_type=Path), help="That of multilingual-e5-small.")
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for snapshots and checkpoints.")
@click.option("--recipe", "recipes", type=click.Choice([HEAD, FULL]), multiple=True, default=(HEAD, FULL))
@click.option("--cores", type=click.IntRange(1), help="Cores to train with; all by default.")
def main(clinc: Path | None, smp: Path | None, english: Path | None, multilingual: Path | None, work: Path,
         recipes: Sequence[str], cores: int | None) -> None:
    """Train and measure on the sets that are given."""
    if clinc:
        write_dataset(work / "clinc", *read_clinc(clinc))
        for recipe in recipes:
            _record("clinc", recipe, _measure(work, "clinc", english, TrainingPlan(recipe=recipe), cores))
        _record("clinc", "embedded", {"fit_5000_s": _time_head(read_dataset(work / "clinc"), english)})
    if smp:
        write_dataset(work / "smp", *read_smp(smp))
        for recipe in recipes:
            plan = TrainingPlan(recipe=recipe, prompt_name="query")
            _record("smp", recipe, _measure(work, "smp", multilingual, plan, cores))
        if FULL in recipes:
            _record("smp", "update", _update(work, multilingual, cores))
    (HERE / "INTENT.md").write_text(render_page(json.loads(RESULTS_FILE.read_text())), encoding="utf-8")


def read_clinc(file: Path) -> tuple[list[str], list[Example]]:
    """Return the labels and examples; the set's own validation part joins training, which cuts its own."""
    parts = json.loads(file.read_text(encoding="utf-8"))
    rows = [(text, () if part.startswith("oos") else (label,), TEST if part.endswith("test") else TRAIN)
            for part, pairs in parts.items() for text, label in pairs]
    return _snapshot(rows)


def read_smp(file: Path) -> tuple[list[str], list[Example]]:
    """Return the labels and examples; the set's own development part joins training, which cuts its own."""
    rows = [(row["text"], (row["label"],), TEST if row["split"] == "test" else TRAIN)
            for row in json.loads(file.read_text(encoding="utf-8"))]
    return _snapshot(rows)


def _snapshot(rows: Sequence[tuple[str, tuple[str, ...], str]]) -> tuple[list[str], list[Example]]:
    labels = sorted({label for _, found, _ in rows for label in found})
    return labels, [Example(str(number), *row, "seed") for number, row in enumerate(rows)]


def _measure(work: Path, name: str, encoder: Path, plan: TrainingPlan, cores: int | None) -> dict:
    """Train on a snapshot and measure on its test set."""
    started, out = time.monotonic(), work / f"{name}-{plan.recipe}"
    card = train(work / name, out, plan, _print, Base(encoder, f"path:{encoder.name}", None), cores=cores)
    seconds = time.monotonic() - started
    figures = figures_of(*score_test_set(out, read_dataset(work / name)))
    record = json.loads((out / "training.json").read_text(encoding="utf-8"))
    return {**figures, **card.metrics, "temperature": card.temperature, "roles": record["roles"],
            "epochs": len(record["history"]), "seconds": seconds, "machine": describe_machine(),
            "packages": record["facts"]["packages"], "cores": record["facts"]["cores"]}


def _time_head(dataset: Dataset, encoder: Path) -> float:
    """Return the seconds that the recipe `head` takes on EMBEDDED_QUESTIONS questions once they are embedded."""
    plan = TrainingPlan(recipe=HEAD)
    rows = np.random.default_rng(0).permutation(len(dataset.examples))[:EMBEDDED_QUESTIONS]
    part = Part(tuple(dataset.examples[row].text for row in rows), torch.from_numpy(dataset.targets()[rows]))
    loaded = Encoder(encoder, plan.prompt_name, plan.max_tokens, plan.precision)
    embeddings = loaded.embed(part.texts)
    with tempfile.TemporaryDirectory() as folder:
        task = Task(loaded, plan, part, part, first_head(dataset.labels, loaded.dimension, {}), Progress(_print, 0, 1),
                    SavedState(Path(folder), "benchmark"))
        started = time.monotonic()
        choose_head(task, embeddings, _print)
        return time.monotonic() - started


def _update(work: Path, encoder: Path, cores: int | None) -> dict:
    """Measure what NEW_QUESTIONS labelled questions cost: train on top of a champion, gate, export."""
    dataset = read_dataset(work / "smp")
    fitted = [example for example in dataset.examples if example.split == TRAIN]
    new = fitted[::len(fitted) // NEW_QUESTIONS][:NEW_QUESTIONS]
    known = [replace(example, origin="replay") for example in dataset.examples if example not in new]
    write_dataset(work / "smp-before", dataset.labels, known)
    write_dataset(work / "smp-after", dataset.labels, [*known, *new])
    champion, challenger = work / "smp-champion", work / "smp-challenger"
    base = Base(encoder, f"path:{encoder.name}", None)
    train(work / "smp-before", champion, CHAMPION_PLAN, _print, base, cores=cores)
    started = time.monotonic()
    train(work / "smp-after", challenger, UPDATE_PLAN, _print, base, champion, cores=cores)
    trained = time.monotonic()
    (ours, truth), (theirs, _) = (score_test_set(folder, dataset) for folder in (challenger, champion))
    verdict = judge(truth, ours, theirs, GateRules())
    write_report(challenger, "challenger over champion", verdict, ours, truth)
    gated = time.monotonic()
    export_intent(challenger, "intent", work / "model_repository")
    ended = time.monotonic()
    return {"verdict": verdict.verdict, "train_s": trained - started, "gate_s": gated - trained,
            "export_s": ended - gated, "seconds": ended - started, "machine": describe_machine()}


def score_test_set(checkpoint: Path, dataset: Dataset) -> tuple[Scored, list[tuple[str, ...]]]:
    """Return a checkpoint's scores and the true labels of a snapshot's test set."""
    tested = [example for example in dataset.examples if example.split == TEST]
    classifier = IntentClassifier(checkpoint)
    scores = classifier.score([example.text for example in tested])
    return Scored(classifier.labels, classifier.thresholds, scores), [example.labels for example in tested]


def figures_of(scored: Scored, truth_labels: Sequence[tuple[str, ...]]) -> dict[str, float]:
    """Return the figures that the literature states, of questions with one intent or none.

    Accuracy and macro-F1 are of the best label of in-scope questions, without a threshold. `oos_recall_at_0.95` is
    measured at the highest score threshold at which 95 % of in-scope questions still get their right intent.
    """
    inside = np.array([bool(labels) for labels in truth_labels])
    best = scored.scores.argmax(axis=1)
    true = np.array([scored.labels.index(labels[0]) if labels else -1 for labels in truth_labels])
    right = inside & (best == true)
    hits, met, decided = (np.bincount(values, minlength=len(scored.labels))
                          for values in (true[right], true[inside], best[inside]))
    figures = {"accuracy": float(right.sum() / inside.sum()),
               "best_label_macro_f1": float((2 * hits / np.maximum(met + decided, 1))[met > 0].mean())}
    needed = int(np.ceil(0.95 * inside.sum()))
    highest = scored.scores.max(axis=1)
    if (~inside).any() and right.sum() >= needed:
        threshold = np.sort(highest[right])[-needed]
        figures["oos_recall_at_0.95"] = float((highest[~inside] < threshold).mean())
    return figures


def _print(fraction: float, text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {fraction:.3f} {text}", flush=True)


def _record(data: str, what: str, figures: dict) -> None:
    results = json.loads(RESULTS_FILE.read_text()) if RESULTS_FILE.exists() else {}
    results.setdefault(data, {})[what] = figures
    RESULTS_FILE.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
