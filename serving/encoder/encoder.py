"""Embeds texts with one loaded version: tokenise, cut, run, scatter. Knows nothing of Triton."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from export.manifest import EncoderManifest, ManifestError, read_manifest, verify_files
from serving.encoder.engine import Engine, load_engine
from serving.encoder.options import DEFAULT_OPTIONS, EncodeOptions
from serving.encoder.packing import MicroBatch, assemble, plan_micro_batches
from serving.encoder.tokenization import TextTokenizer, TokenRow
from serving.errors import EncodeError, VersionLoadError

_WARM_LENGTHS = (1, 8, 32, 128)  # words; one short run each so that the first user does not pay for compilation


@dataclass(frozen=True)
class EncodedTexts:
    """The result of one batch; rows whose text failed are zero and stand in `errors`."""

    embeddings: np.ndarray    # float32 [texts, dimension]
    token_counts: np.ndarray  # int32 [texts]
    padded_tokens: int        # tokens that the engine computed, padding included
    errors: dict[int, EncodeError] = field(default_factory=dict)  # by position of the text


class TextEncoder:
    """One version of an embedding model, ready to embed texts from one thread."""

    def __init__(self, manifest: EncoderManifest, tokenizer: TextTokenizer, engine: Engine) -> None:
        self.manifest = manifest
        self._tokenizer = tokenizer
        self._engine = engine

    @classmethod
    def load(cls, version_dir: Path, threads: int) -> "TextEncoder":
        """Verify and load a version directory; raises VersionLoadError with the file and the reason."""
        try:
            manifest = read_manifest(version_dir)
            verify_files(version_dir, manifest)
        except ManifestError as error:
            raise VersionLoadError(str(error)) from error
        tokenizer = TextTokenizer(version_dir, manifest)
        engine = load_engine(version_dir, manifest.engine, manifest.precision, threads)
        return cls(manifest, tokenizer, engine)

    def warm(self) -> None:
        """Run a few texts of different lengths through every stream."""
        for words in _WARM_LENGTHS:
            self.encode(["warm " * words] * self._engine.streams)

    def encode(self, texts: Sequence[str], options: Sequence[EncodeOptions] | None = None) -> EncodedTexts:
        """Embed `texts`, each with its own options; a text that cannot be embedded fails alone."""
        options = options or [DEFAULT_OPTIONS] * len(texts)
        tokenized = self._tokenizer.tokenize(texts, options)
        errors = {position: row for position, row in enumerate(tokenized) if isinstance(row, EncodeError)}
        good = [position for position, row in enumerate(tokenized) if isinstance(row, TokenRow)]
        rows = [tokenized[position] for position in good]
        embeddings = np.zeros((len(texts), self.manifest.dimension), dtype=np.float32)
        token_counts = np.zeros(len(texts), dtype=np.int32)
        batches = self._cut(rows)
        for batch, (raw, unit) in zip(batches, self._engine.run(batches), strict=True):
            for row, position in enumerate(batch.positions):
                target = good[position]
                embeddings[target] = unit[row] if self._wants_unit(options[target]) else raw[row]
                token_counts[target] = len(rows[position].ids)
        return EncodedTexts(embeddings, token_counts, sum(batch.padded_tokens for batch in batches), errors)

    def _cut(self, rows: list[TokenRow]) -> list[MicroBatch]:
        groups = plan_micro_batches([len(row.ids) for row in rows], self._engine.streams)
        return [assemble(rows, group, self.manifest.pad_token_id) for group in groups]

    def _wants_unit(self, options: EncodeOptions) -> bool:
        return self.manifest.normalized if options.normalize is None else options.normalize
