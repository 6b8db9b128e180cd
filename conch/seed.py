"""Gives a new platform an intent model to begin with: the seed's questions and rules, and a first training."""

from collections.abc import Callable

from conch.jobs.tune import run as run_batch
from control_plane.database import migration
from control_plane.database.database import Database
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.tables import ACTIVE
from control_plane.jobs.kinds import TuneArguments
from control_plane.labelling.import_rows import ImportRow
from control_plane.labelling.label_import import LabelImport
from control_plane.labelling.tables import SEED
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.lifecycle.store import Change, ModelStore
from control_plane.lifecycle.tables import PRELOAD
from control_plane.privacy.fingerprints import read_privacy_key
from control_plane.settings import Settings
from control_plane.tuning.batch_store import BatchStore
from export.contract import version_numbers
from training.plan import HEAD
from training.seed.seed_files import read_keyword_rules, read_questions, read_taxonomy

_ACTOR = "seed"


def seed_intents(settings: Settings, report: Callable[[float, str], None]) -> dict | None:
    """Fill an empty taxonomy with the seed, train the first version and want it live; returns what the batch made.

    Does nothing, and returns None, where the intent model has a version already. A taxonomy that is not empty is left
    as it is. Raises ConchError.
    """
    if version_numbers(settings.model_repository / settings.intent_model):
        return None
    database = Database(settings.database_address)
    try:
        if settings.database_url is None and migration.is_older(database):
            migration.upgrade(database)
        migration.check_schema(database)
        if not Taxonomy(database).snapshot().intents:
            _fill(settings, database)
        batch = BatchStore(database).add("the questions that Conch brings along", HEAD, _ACTOR)
        made = run_batch(TuneArguments(batch_id=batch.batch_id), report)
        models = ModelStore(database)
        models.change(models.find(settings.intent_model), "load", Change(_ACTOR, "the first version"), is_wanted=True,
                      policy=PRELOAD, active_version=made["triton_version"])
        return made
    finally:
        database.dispose()


def _fill(settings: Settings, database: Database) -> None:
    taxonomy, rules = Taxonomy(database), RuleStore(database)
    for intent in read_taxonomy():
        taxonomy.add(intent.name, intent.display_name, intent.description, _ACTOR)
    rows = [ImportRow(number, None, question.text, question.labels, None, None)
            for number, question in enumerate(read_questions(), start=1)]
    LabelImport(database, read_privacy_key(settings)).run(rows, _ACTOR, SEED, keeps_rest=False)
    for rule in read_keyword_rules():
        rules.add(rule.keyword, rule.intent, rule.boost, _ACTOR, state=ACTIVE)
