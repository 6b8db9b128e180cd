"""Gives a new platform an intent model to begin with: the seed's questions and rules, and a first training."""

import contextlib
from collections.abc import Callable

from conch.jobs.tune import run as run_batch
from control_plane.database import migration
from control_plane.database.database import Database
from control_plane.database.leases import Leases
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.tables import ACTIVE
from control_plane.jobs.kinds import TuneArguments
from control_plane.labelling.import_rows import ImportRow
from control_plane.labelling.label_import import LabelImport
from control_plane.labelling.tables import SEED
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.privacy.fingerprints import read_privacy_key
from control_plane.settings import Settings
from control_plane.tuning.batch_service import LEASE
from control_plane.tuning.batch_store import BatchStore
from control_plane.tuning_errors import RuleExistsError
from export.contract import version_numbers
from training.plan import HEAD
from training.seed.seed_files import read_keyword_rules, read_questions, read_taxonomy

_ACTOR = "seed"


def seed_intents(settings: Settings, report: Callable[[float, str], None],
                 go_live: Callable[[Database, int], None]) -> dict | None:
    """Fill the database with the seed and train the first version of the intent model; returns what the batch made.

    `go_live` is then given the version's number. Does nothing, and returns None, where the model has a version already.
    A taxonomy with other intents than the seed's is trained on as it is. Raises ConchError.
    """
    if version_numbers(settings.model_repository / settings.intent_model):
        return None
    database = Database(settings.database_address)
    try:
        if settings.database_url is None and migration.is_older(database):
            migration.upgrade(database)
        migration.check_schema(database)
        with Leases(database).hold(LEASE):  # So many new labels would begin a batch by themselves.
            fill(database, read_privacy_key(settings))
            batch = BatchStore(database).add("the questions that Conch brings along", HEAD, _ACTOR)
            made = run_batch(TuneArguments(batch_id=batch.batch_id), report)
        go_live(database, made["triton_version"])
        return made
    finally:
        database.dispose()


def fill(database: Database, privacy_key: str) -> None:
    """Put the seed's intents, questions and rules into the database.

    What is there already, of a fill that was killed or of somebody's own taxonomy, stays as it is.
    """
    taxonomy, rules = Taxonomy(database), RuleStore(database)
    seed, known = read_taxonomy(), set(taxonomy.snapshot().by_name)
    if not known <= {intent.name for intent in seed}:
        return
    for intent in seed:
        if intent.name not in known:
            taxonomy.add(intent.name, intent.display_name, intent.description, _ACTOR)
    rows = [ImportRow(number, None, question.text, question.labels, None, None)
            for number, question in enumerate(read_questions(), start=1)]
    LabelImport(database, privacy_key).run(rows, _ACTOR, SEED, keeps_rest=False)
    for rule in read_keyword_rules():
        with contextlib.suppress(RuleExistsError):
            rules.add(rule.keyword, rule.intent, rule.boost, _ACTOR, state=ACTIVE)
