"""The job `tune`: labelled questions become a trained, exported and judged version of the intent model."""

import json
from dataclasses import asdict
from pathlib import Path

from conch.jobs.tuning_gate import judge_version
from conch.jobs.tuning_keywords import propose_keywords
from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.intents.rule_store import RuleStore
from control_plane.jobs.kinds import TuneArguments
from control_plane.jobs.worker import Report
from control_plane.lifecycle.store import ModelStore
from control_plane.settings import Settings, load_settings
from control_plane.tuning.batch_store import BatchStore
from control_plane.tuning.tables import ModelVersionRow, TrainingBatchRow
from control_plane.tuning.training_data import TrainingData
from export.catalog import load_catalog
from export.contract import ConchError
from export.intent_export import export_intent
from export.manifest import read_manifest
from export.sources.fetch import entry_for, fetch_checkpoint
from training.dataset import DATASET_FILE, TEST, Dataset, Example, read_dataset, write_dataset
from training.encoder import Encoder
from training.keyword_extraction import LabelledQuestion
from training.out_of_fold import score_dataset
from training.plan import TrainingPlan
from training.run import Base, train
from training.splits import SPLITS_FILE

# Shares of the whole, as the progress tells them.
_TRAINED, _EXPORTED, _JUDGED = 0.75, 0.9, 0.97


def run(arguments: TuneArguments, report: Report) -> dict:
    """Run a batch to its end; returns the version and the gate's verdict. Raises ConchError, which the batch keeps."""
    settings = load_settings()
    database = Database(settings.database_address)
    try:
        return _Run(settings, database, arguments, report).run()
    except ConchError as error:
        BatchStore(database).fail(arguments.batch_id, str(error))
        raise
    finally:
        database.dispose()


class _Run:
    """One attempt at a batch. What an earlier attempt finished is taken up, and not done again."""

    def __init__(self, settings: Settings, database: Database, arguments: TuneArguments, report: Report) -> None:
        self._settings, self._database, self._arguments, self._report = settings, database, arguments, report
        self._store = BatchStore(database)
        self._folder = settings.tuning_dir / arguments.batch_id

    def run(self) -> dict:
        batch = self._store.find(self._arguments.batch_id)
        self._store.begin(batch.batch_id)
        self._report(0.0, "taking a snapshot of the labelled questions")
        dataset = self._snapshot(batch)
        base = self._base()
        champion = self._champion()
        checkpoint = self._folder / "checkpoint"
        plan = TrainingPlan(recipe=batch.recipe, prompt_name=_query_prompt(base.path))
        train(self._folder / "dataset", checkpoint, plan,
              lambda done, text: self._report(done * _TRAINED, text), base, champion and Path(champion.model_path))
        version_dir = self._export(checkpoint)
        self._report(_EXPORTED, "judging the version on the frozen test set")
        splits = _read_splits(checkpoint / SPLITS_FILE)
        verdict, metrics = judge_version(version_dir, dataset, splits, champion, self._folder / "gate")
        self._report(_JUDGED, "looking for labels that the model contradicts")
        manifest = read_manifest(version_dir)
        version = ModelVersionRow(
            version=f"{manifest.model}-{manifest.version}", triton_version=manifest.version,
            model_path=str(checkpoint.resolve()), training_batch_id=batch.batch_id, is_active=False, metrics=metrics,
            verdict=verdict.verdict, gate=asdict(verdict), champion_version=champion and champion.version,
            created_at=utc_now())
        self._store.finish(batch.batch_id, version, splits, _out_of_fold(dataset, base), [
            example.id for example in dataset.examples])
        keywords = self._keywords(dataset, splits) if self._arguments.auto_extract_keywords else None
        return {"model_version": version.version, "triton_version": manifest.version, "verdict": verdict.verdict,
                "metrics": metrics, "keywords_proposed": keywords}

    def _snapshot(self, batch: TrainingBatchRow) -> Dataset:
        """Write what is labelled now, or read what an earlier attempt wrote: a batch has one dataset."""
        folder = self._folder / "dataset"
        if (folder / DATASET_FILE).exists():
            return read_dataset(folder)
        data = self._store.read_training_data()
        dataset = write_dataset(folder, data.labels, _examples(data))
        self._store.change(batch.batch_id, taxonomy_revision=data.taxonomy_revision,
                           question_count=len(dataset.examples), data_hash=dataset.sha256,
                           model_path=str((self._folder / "checkpoint").resolve()))
        return dataset

    def _base(self) -> Base:
        settings = self._settings
        checkpoint = fetch_checkpoint(entry_for(settings.intent_base, load_catalog(settings.catalog_path)),
                                      settings.checkpoint_dir)
        return Base(checkpoint.path, checkpoint.source, checkpoint.revision)

    def _champion(self) -> ModelVersionRow | None:
        """Return the version that answers now, where a batch brought it forth."""
        active = ModelStore(self._database).find(self._settings.intent_model).active_version
        known = [row for row in self._store.versions(1000) if row.triton_version == active]
        return known[0] if known and Path(known[0].model_path).exists() else None

    def _export(self, checkpoint: Path) -> Path:
        """Export the checkpoint, unless an earlier attempt has: the version's directory is written down beside it."""
        note = self._folder / "version_dir"
        if note.exists() and Path(note.read_text(encoding="utf-8")).exists():
            return Path(note.read_text(encoding="utf-8"))
        version_dir = export_intent(checkpoint, self._settings.intent_model, self._settings.model_repository,
                                    on_step=lambda step: self._report(_TRAINED, f"export: {step}"))
        note.write_text(str(version_dir.resolve()), encoding="utf-8")
        return version_dir

    def _keywords(self, dataset: Dataset, splits: dict[str, str]) -> int:
        """Propose keywords by what is not in the test set, which has to stay unseen."""
        self._report(_JUDGED, "looking for keywords")
        return propose_keywords(RuleStore(self._database), [
            LabelledQuestion(example.id, example.text, example.labels) for example in dataset.examples
            if splits.get(example.id) != TEST])


def _examples(data: TrainingData) -> list[Example]:
    return [Example(item.id, item.text, item.labels, item.split, item.origin) for item in data.examples]


def _query_prompt(encoder: Path) -> str | None:
    """Return the prompt that the encoder wants before questions, where it has one of that name (the E5 family does)."""
    file = encoder / "config_sentence_transformers.json"
    prompts = json.loads(file.read_text(encoding="utf-8")).get("prompts", {}) if file.exists() else {}
    return "query" if prompts.get("query") else None


def _read_splits(file: Path) -> dict[str, str]:
    """Return {example: split} for those that have one."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {line["id"]: line["split"] for line in lines if line["split"]}


def _out_of_fold(dataset: Dataset, base: Base) -> dict[str, dict[str, float]]:
    scores = score_dataset(dataset, Encoder(base.path, _query_prompt(base.path), None, "auto"))
    return {example.id: dict(zip(dataset.labels, row.round(6).tolist(), strict=True))
            for example, row in zip(dataset.examples, scores, strict=True)}
