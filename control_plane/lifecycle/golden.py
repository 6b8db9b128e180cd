"""The golden request: proves that a loaded version computes what its export was proven to compute.

Each task has a function here that asks and compares. Knows nothing of who wants to know.
"""

from collections.abc import Callable
from itertools import zip_longest

import numpy as np

from control_plane.errors import WrongAnswerError
from control_plane.generation.request import GenerationRequest
from control_plane.triton_gateway import TritonGateway
from export.contract import EMBEDDING, INTENT, TEXT_GENERATION
from export.manifest import EncoderManifest, GeneratorManifest, IntentManifest, Manifest

# Below the parity that the export demanded: the manifest's numbers are rounded, and another processor rounds otherwise.
_TOLERANCE = 1e-4
# Of the golden tokens, from the first: where two tokens are as likely, another processor may take the other one.
_EQUAL_SHARE = 0.5
_GENERATION_TIMEOUT_S = 60.0
_ANY_TEXT = "ready?"  # for versions without a golden text


def prove(gateway: TritonGateway, manifest: Manifest) -> None:
    """Ask one target for the golden text and compare; raises WrongAnswerError when the answer is wrong.

    The errors of an inference pass through.
    """
    _PROOFS[manifest.task](gateway, manifest)


def _prove_embedding(gateway: TritonGateway, manifest: EncoderManifest) -> None:
    answer = gateway.embed(manifest.model, [manifest.golden_text or _ANY_TEXT], version=manifest.version).vectors[0]
    if answer.size != manifest.dimension or not np.isfinite(answer).all():
        raise _wrong(manifest, f"{answer.size} numbers came back and not {manifest.dimension} finite ones")
    if not manifest.golden_embedding:
        return
    expected = np.array(manifest.golden_embedding, dtype=np.float32)
    cosine = float(answer @ expected / (np.linalg.norm(answer) * np.linalg.norm(expected)))
    required = manifest.parity["required_cosine"] - _TOLERANCE
    if not cosine >= required:  # also catches NaN
        raise _wrong(manifest, f"cosine {cosine:.6f} to the golden embedding, {required:.6f} needed")


def _prove_scores(gateway: TritonGateway, manifest: IntentManifest) -> None:
    answer = gateway.classify(manifest.model, [manifest.golden_text], version=manifest.version)
    if answer.labels != manifest.labels or answer.scores.shape != (1, len(manifest.labels)):
        raise _wrong(manifest, f"{answer.scores.size} scores came back for the labels {', '.join(answer.labels)} and "
                               f"not one for each of {', '.join(manifest.labels)}")
    difference = float(np.abs(answer.scores[0] - np.array(manifest.golden_scores, dtype=np.float32)).max())
    allowed = manifest.parity["allowed_score_difference"] + _TOLERANCE
    if not difference <= allowed:  # also catches NaN
        raise _wrong(manifest, f"a score differs by {difference:.4f} from the golden one, {allowed:.4f} is allowed")


def _prove_tokens(gateway: TritonGateway, manifest: GeneratorManifest) -> None:
    expected = manifest.golden_token_ids
    # A version that only a GPU can run is published without an answer; it must still give a token.
    request = GenerationRequest(prompt=manifest.golden_text or _ANY_TEXT, sampling={
        "temperature": 0.0, "max_tokens": max(1, len(expected)), "ignore_eos": True, "logprobs": 0})
    events = gateway.generate(manifest.model, request, manifest.version, "", _GENERATION_TIMEOUT_S)
    found = [token for event in events for token in event.token_ids]
    unequal = (place for place, (one, other) in enumerate(zip_longest(found, expected)) if one != other)
    if not found or next(unequal, len(expected)) < len(expected) * _EQUAL_SHARE:
        raise _wrong(manifest, f"it continues the golden text with the tokens {found} and not with {list(expected)}")


def _wrong(manifest: Manifest, how: str) -> WrongAnswerError:
    return WrongAnswerError(manifest.model, manifest.version, how)


_PROOFS: dict[str, Callable[[TritonGateway, Manifest], None]] = {
    EMBEDDING: _prove_embedding,
    INTENT: _prove_scores,
    TEXT_GENERATION: _prove_tokens,
}
