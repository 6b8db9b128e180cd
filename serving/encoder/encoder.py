"""Embeds or classifies texts with one loaded version: tokenise, cut, run, scatter. Knows nothing of Triton."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from export.contract import NORMALIZE_PARAMETER, RAW_EMBEDDING, SCORES, UNIT_EMBEDDING
from export.manifest import EncoderManifest, IntentManifest, ManifestError, read_manifest, verify_files
from serving.encoder.engine import Engine, load_engine
from serving.encoder.options import DEFAULT_OPTIONS, EncodeOptions
from serving.encoder.packing import MicroBatch, assemble, plan_micro_batches
from serving.encoder.tokenization import TextTokenizer, TokenRow
from serving.errors import EncodeError, InvalidOptionError, VersionLoadError

_WARM_LENGTHS = (1, 8, 32, 128)  # words; one short run each so that the first user does not pay for compilation


@dataclass(frozen=True)
class EncodedTexts:
    """The result of one batch; rows whose text failed are zero and stand in `errors`."""

    vectors: np.ndarray       # float32 [texts, dimension], or an intent model's scores, float32 [texts, labels]
    token_counts: np.ndarray  # int32 [texts]
    padded_tokens: int        # tokens that the engine computed, padding included
    errors: dict[int, EncodeError] = field(default_factory=dict)  # by position of the text


class TextEncoder:
    """One version of an embedding or intent model, ready to take texts from one thread."""

    def __init__(self, manifest: EncoderManifest, tokenizer: TextTokenizer, engine: Engine) -> None:
        self.manifest = manifest
        self._tokenizer = tokenizer
        self._engine = engine
        self._has_scores = isinstance(manifest, IntentManifest)
        self._width = len(manifest.labels) if self._has_scores else manifest.dimension

    @classmethod
    def load(cls, version_dir: Path, threads: int) -> "TextEncoder":
        """Verify and load a version directory; raises VersionLoadError with the file and the reason."""
        try:
            manifest = read_manifest(version_dir)
            verify_files(version_dir, manifest)
        except ManifestError as error:
            raise VersionLoadError(str(error)) from error
        if not isinstance(manifest, EncoderManifest):
            raise VersionLoadError(f"{version_dir} does {manifest.task}, which this backend does not serve; export it "
                                   "again, so that config.pbtxt names the right one")
        tokenizer = TextTokenizer(version_dir, manifest)
        outputs = (SCORES,) if isinstance(manifest, IntentManifest) else (RAW_EMBEDDING, UNIT_EMBEDDING)
        engine = load_engine(version_dir, manifest.engine, manifest.precision, threads, outputs)
        return cls(manifest, tokenizer, engine)

    def warm(self) -> None:
        """Run a few texts of different lengths through every stream."""
        for words in _WARM_LENGTHS:
            self.encode(["warm " * words] * self._engine.streams)

    def encode(self, texts: Sequence[str], options: Sequence[EncodeOptions] | None = None) -> EncodedTexts:
        """Embed or classify `texts`, each with its own options; a text that cannot be taken fails alone."""
        options = options or [DEFAULT_OPTIONS] * len(texts)
        tokenized = self._tokenize(texts, options)
        errors = {position: row for position, row in enumerate(tokenized) if isinstance(row, EncodeError)}
        good = [position for position, row in enumerate(tokenized) if isinstance(row, TokenRow)]
        rows = [tokenized[position] for position in good]
        vectors = np.zeros((len(texts), self._width), dtype=np.float32)
        token_counts = np.zeros(len(texts), dtype=np.int32)
        batches = self._cut(rows)
        for batch, outputs in zip(batches, self._engine.run(batches), strict=True):
            for row, position in enumerate(batch.positions):
                target = good[position]
                vectors[target] = outputs[self._wanted_output(options[target])][row]
                token_counts[target] = len(rows[position].ids)
        return EncodedTexts(vectors, token_counts, sum(batch.padded_tokens for batch in batches), errors)

    def _tokenize(self, texts: Sequence[str], options: Sequence[EncodeOptions]) -> list[TokenRow | EncodeError]:
        rows = self._tokenizer.tokenize(texts, options)
        if not self._has_scores:
            return rows
        return [row if option.normalize is None else InvalidOptionError(
            f"parameter {NORMALIZE_PARAMETER!r} means nothing to an intent model; leave it out")
            for row, option in zip(rows, options, strict=True)]

    def _cut(self, rows: list[TokenRow]) -> list[MicroBatch]:
        groups = plan_micro_batches([len(row.ids) for row in rows], self._engine.streams)
        return [assemble(rows, group, self.manifest.pad_token_id) for group in groups]

    def _wanted_output(self, options: EncodeOptions) -> str:
        if self._has_scores:
            return SCORES
        wants_unit = self.manifest.normalized if options.normalize is None else options.normalize
        return UNIT_EMBEDDING if wants_unit else RAW_EMBEDDING
