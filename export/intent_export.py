"""Exports a trained intent checkpoint as a version in the model repository, as export.encoder_export does an encoder.

Knows nothing of how it was trained.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from export.contract import INTENT, SCORES_OUTPUT
from export.encoder_export import STEPS, describe_encoder, write_encoder
from export.golden import GOLDEN_TEXT
from export.intent_checkpoint import load_intent_checkpoint
from export.intent_parity import prove_score_parity
from export.manifest import IntentManifest
from export.precision import DEFAULT_ENGINE, choose_precision
from export.publish import publish_version, stage_version
from export.succession import check_task
from export.triton_config import intent_config


def export_intent(checkpoint_dir: Path, name: str, repository: Path, engine: str = DEFAULT_ENGINE,
                  precision: str | None = None, on_step: Callable[[str], None] = lambda step: None) -> Path:
    """Export the trained checkpoint as the next version of `name` and return the version's directory.

    `on_step` hears the steps of export.encoder_export.STEPS as they begin; without a precision it is the best that this
    machine can prove. Raises IntentCheckpointError, UnsupportedModelError or ParityError; the repository is then what
    it was.
    """
    precision = choose_precision(engine, precision)
    on_step(STEPS[0])
    checkpoint = load_intent_checkpoint(checkpoint_dir)
    model = checkpoint.model
    with stage_version(repository, name) as (staging, version):
        check_task(repository / name, INTENT, SCORES_OUTPUT)
        write_encoder(model, staging, engine, precision, on_step, checkpoint.head)
        manifest = IntentManifest(
            model=name, version=version, task=INTENT, source=checkpoint.source, revision=checkpoint.revision,
            engine=engine, precision=precision, labels=checkpoint.labels, thresholds=checkpoint.thresholds,
            temperature=checkpoint.head.temperature, dataset_sha256=checkpoint.dataset_sha256,
            metrics=checkpoint.metrics, **describe_encoder(model, staging))
        manifest.write(staging)
        on_step(STEPS[4])
        figures = prove_score_parity(checkpoint, staging)
        golden_scores = tuple(round(float(score), 6) for score in checkpoint.scores([GOLDEN_TEXT])[0])
        dataclasses.replace(manifest, parity=dataclasses.asdict(figures), golden_text=GOLDEN_TEXT,
                            golden_scores=golden_scores).write(staging)
        on_step(STEPS[5])
        return publish_version(staging, version, intent_config(name))
