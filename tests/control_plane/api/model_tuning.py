"""Logged questions for tests of the routes under /api/v1/model-tuning."""

from sqlalchemy import delete, or_, update

from control_plane.database.schema import utc_now
from control_plane.experiments.tables import ABORTED, RUNNING, ExperimentRow
from control_plane.intents.tables import KeywordRuleChangeRow, KeywordRuleRow
from control_plane.jobs.store import new_job_id
from control_plane.jobs.tables import JobRow
from control_plane.labelling import tables
from control_plane.lifecycle.store import Change
from control_plane.privacy.fingerprints import fingerprint, read_privacy_key
from control_plane.questions.tables import LOCAL_MODEL, QuestionRow
from control_plane.services import Services
from control_plane.tuning.tables import CREATED, PASS, ModelVersionRow, TrainingBatchRow

TUNING = "/api/v1/model-tuning"
EXAMPLE_ID = "0193d1c8f0d77c0fb1c3e9a4d2b86f10"  # the one of the OpenAPI document
EXAMPLE_RULE_ID, EXAMPLE_KEYWORD = 1, "财运"


def ask(services: Services, *questions: str, subject_digest: str | None = None) -> list[str]:
    """Log questions as they are and return their ids, the doubtful ones first."""
    key = read_privacy_key(services.settings)
    rows = [QuestionRow(
        id=new_job_id(), question=question, intents=["wealth"], confidence=0.8, method=LOCAL_MODEL, model_version="3",
        scores={"wealth": 0.8, "love": 0.1}, latency_ms=5.0, has_consent=True, asked_at=utc_now(),
        uncertainty=number / len(questions), random_key=number / len(questions), subject_digest=subject_digest,
        fingerprint=fingerprint(question, key)) for number, question in enumerate(questions)]
    with services.database.write() as session:
        session.add_all(rows)
    return [row.id for row in rows]


def add_intents(services: Services, *names: str) -> None:
    """Put intents into the taxonomy."""
    for name in names:
        services.tuning.taxonomy.add(name, name.title(), "", "test")


def begin_anew(services: Services, path: str) -> None:
    """Have intents, question and rule of the document's examples, such that what `path` does can be done once.

    What else was made by its own route stays: who made it may look for it.
    """
    with services.database.write() as session:
        for table in (tables.AnnotationRow, tables.ResolutionRow, tables.LabelLeaseRow, QuestionRow):
            session.execute(delete(table))
        session.add(QuestionRow(
            id=EXAMPLE_ID, question="我今年财运怎么样", intents=["wealth"], confidence=0.8, method=LOCAL_MODEL,
            model_version="3", scores={"wealth": 0.8}, latency_ms=5.0, has_consent=True, asked_at=utc_now(),
            uncertainty=0.1, random_key=0.1))
    add_intents(services, *({"wealth", "general"} - set(services.tuning.taxonomy.snapshot().by_name)))
    state = tables.RETIRED if path.endswith("/restore") else tables.ACTIVE
    with services.database.write() as session:
        session.execute(update(tables.IntentRow).where(tables.IntentRow.name.in_(("wealth", "general")))
                        .values(state=tables.ACTIVE, merged_into=None))
        session.execute(update(tables.IntentRow).where(tables.IntentRow.name == "wealth").values(state=state))
    if path.startswith(f"{TUNING}/keywords"):
        begin_rule(services)
    begin_experiment(services, path)
    begin_batch(services, path)
    if path.endswith("/undo"):
        services.tuning.annotations.label(EXAMPLE_ID, ["wealth"], None, "admin")


def begin_rule(services: Services) -> None:
    """Have the document's rule."""
    with services.database.write() as session:
        session.execute(delete(KeywordRuleRow).where(
            or_(KeywordRuleRow.id == EXAMPLE_RULE_ID, KeywordRuleRow.keyword == EXAMPLE_KEYWORD)))
        session.execute(delete(KeywordRuleChangeRow).where(KeywordRuleChangeRow.rule_id == EXAMPLE_RULE_ID))
    rule = services.tuning.rules.add(EXAMPLE_KEYWORD, "wealth", 0.8, "test")
    with services.database.write() as session:
        session.execute(update(KeywordRuleRow).where(KeywordRuleRow.id == rule.id).values(id=EXAMPLE_RULE_ID))
        session.execute(update(KeywordRuleChangeRow).where(KeywordRuleChangeRow.rule_id == rule.id)
                        .values(rule_id=EXAMPLE_RULE_ID))


def begin_batch(services: Services, path: str) -> None:
    """Have the document's batch with its report, the version that it brought forth, and one to roll back to."""
    report = services.settings.tuning_dir / EXAMPLE_ID / "gate" / "gate.html"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text("<!DOCTYPE html>", encoding="utf-8")
    with services.database.write() as session:
        # The batch of before may have run. There are many jobs, and few of them have a key.
        session.execute(update(JobRow).where(JobRow.idempotency_key.is_not(None)).values(idempotency_key=None))
        session.execute(delete(ModelVersionRow))
        session.execute(delete(TrainingBatchRow).where(TrainingBatchRow.batch_id == EXAMPLE_ID))
        session.execute(update(TrainingBatchRow)
                        .where(or_(TrainingBatchRow.training_status != CREATED, TrainingBatchRow.job_id.is_not(None)))
                        .values(training_status=CREATED, job_id=None))  # One runs at a time.
        session.add(TrainingBatchRow(batch_id=EXAMPLE_ID, description="", recipe="head", created_by="test",
                                     created_at=utc_now()))
        session.flush()
        session.add(ModelVersionRow(
            version="intent-2", triton_version=2, model_path="", training_batch_id=EXAMPLE_ID, metrics={}, gate={},
            verdict=PASS, created_at=utc_now()))
    if path.endswith("/batches"):
        services.tuning.annotations.label(EXAMPLE_ID, ["wealth"], None, "admin")
    if path.endswith("/rollback") and services.store.find("intent").previous_version is None:
        services.lifecycle.activate("intent", 2, Change("test"))


def begin_experiment(services: Services, path: str) -> None:
    """Have the document's experiment run, or none where `path` starts one."""
    with services.database.write() as session:
        session.execute(delete(ExperimentRow).where(ExperimentRow.id == EXAMPLE_ID))
        session.execute(update(ExperimentRow).where(ExperimentRow.running_model.is_not(None))
                        .values(running_model=None, state=ABORTED))  # One runs at a time.
        if not path.endswith("/experiments"):
            session.add(ExperimentRow(
                id=EXAMPLE_ID, name="", model="intent", running_model="intent", kind="ab", control_version=1,
                treatment_version=2, share=0.5, state=RUNNING, max_error_share=0.02, min_samples=100,
                min_difference=0.02, created_by="test", created_at=utc_now()))
