"""The services of the tuning loop, put together from settings: questions, their recognition, labels and rules."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from control_plane.database.database import Database
from control_plane.database.leases import Leases
from control_plane.database.schema import utc_now
from control_plane.experiments.arm_counter import ArmCounter
from control_plane.experiments.experiment_service import ExperimentService
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.live_experiment import LiveExperiment
from control_plane.experiments.shadow import Shadow
from control_plane.experiments.traffic import ExperimentTraffic
from control_plane.generation.generation_service import GenerationService
from control_plane.intents.live_rules import LiveRules
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.rule_success import RuleSuccess
from control_plane.intents.rule_usage import UsageCounter
from control_plane.intents.time_intent import today_in
from control_plane.jobs.job_service import JobService
from control_plane.labelling.annotations import Annotations
from control_plane.labelling.label_import import LabelImport
from control_plane.labelling.label_reports import LabelReports
from control_plane.labelling.queue import LabelQueue
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.store import ModelStore
from control_plane.privacy.fingerprints import read_privacy_key, subject_digest
from control_plane.privacy.masking import mask_personal_data
from control_plane.questions.question_log import QuestionLog
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.spool import Spool
from control_plane.recognition.cascade import Cascade
from control_plane.recognition.intent_model import IntentModel
from control_plane.recognition.llm import IntentLlm
from control_plane.recognition.recognition_service import RecognitionService
from control_plane.settings import Settings
from control_plane.tuning.batch_service import BatchService
from control_plane.tuning.batch_store import BatchStore
from control_plane.tuning.deployment import Deployment
from control_plane.tuning.statistics import TuningStatistics


@dataclass(frozen=True)
class TuningServices:
    """What the routes of the tuning loop call."""

    recognition: RecognitionService
    questions: QuestionStore
    taxonomy: Taxonomy
    annotations: Annotations
    label_queue: LabelQueue
    label_import: LabelImport
    label_reports: LabelReports
    rules: RuleStore
    rule_usage: UsageCounter
    batch_store: BatchStore
    batches: BatchService
    deployment: Deployment
    statistics: TuningStatistics
    erase_subject: Callable[[str], int]  # what QuestionStore.erase_subject does, by the subject itself
    experiment_store: ExperimentStore
    experiments: ExperimentService


def build_tuning(settings: Settings, database: Database, model: IntentModel, generation: GenerationService,
                 jobs: JobService, lifecycle: Lifecycle,
                 note_lost_question: Callable[[], None]) -> TuningServices:
    """Put the services together; connects to nothing yet."""
    rules, taxonomy = RuleStore(database), Taxonomy(database)
    usage, batches, live_rules = UsageCounter(rules), BatchStore(database), LiveRules(rules)
    questions, success = QuestionStore(database), RuleSuccess(live_rules, usage)
    cascade = Cascade(model.score, live_rules, settings.intent_rule_threshold,
                      _intent_llm(settings, generation, taxonomy))
    privacy_key = read_privacy_key(settings)
    log = QuestionLog(Spool(settings.question_spool), privacy_key, note_lost_question)
    trials, models, leases = ExperimentStore(database), ModelStore(database), Leases(database)
    recognition = RecognitionService(cascade, log, live_rules, usage, lambda: _today(settings),
                                     _experiment_traffic(trials, model, settings.intent_model))
    deployment = Deployment(batches, models, lifecycle, settings.intent_model)
    return TuningServices(recognition, questions, taxonomy, Annotations(database, note_label=success.note_label),
                          LabelQueue(database), LabelImport(database, privacy_key, success.note_label),
                          LabelReports(database), rules, usage, batches,
                          BatchService(batches, jobs, leases), deployment,
                          TuningStatistics(database),
                          lambda subject: questions.erase_subject(subject_digest(subject, privacy_key)), trials,
                          ExperimentService(trials, models, lifecycle, deployment, leases, settings.intent_model))


def _experiment_traffic(store: ExperimentStore, model: IntentModel, name: str) -> ExperimentTraffic:
    counter = ArmCounter(store)
    return ExperimentTraffic(LiveExperiment(store, name), counter, Shadow(model.score, counter))


def _today(settings: Settings) -> date:
    return today_in(settings.time_zone, utc_now())


def _intent_llm(settings: Settings, generation: GenerationService, taxonomy: Taxonomy):
    """Return what asks the language model, None where none is set. It may live elsewhere: it sees masked questions."""
    if settings.intent_llm is None:
        return None
    llm = IntentLlm(generation, settings.intent_llm, settings.intent_llm_timeout_s)

    def ask(question: str) -> list[str]:
        snapshot = taxonomy.snapshot()
        active = [intent for intent in snapshot.intents if intent.name in snapshot.labels]
        return llm.ask(mask_personal_data(question).text, active)

    return ask
