"""The golden request: proves that a loaded version computes what its export was proven to compute."""

import numpy as np

from control_plane.errors import WrongAnswerError
from control_plane.triton_gateway import TritonGateway
from export.manifest import Manifest

# Below the parity that the export demanded: the manifest's vector is rounded, and another processor rounds otherwise.
_TOLERANCE = 1e-4
_ANY_TEXT = "ready?"  # for versions that were exported before there were golden texts


def prove(gateway: TritonGateway, manifest: Manifest) -> None:
    """Ask one target for the golden text and compare; raises WrongAnswerError when the answer is wrong.

    The errors of an inference pass through.
    """
    answer = gateway.embed(manifest.model, [manifest.golden_text or _ANY_TEXT], version=manifest.version).vectors[0]
    if answer.size != manifest.dimension or not np.isfinite(answer).all():
        raise WrongAnswerError(manifest.model, manifest.version,
                               f"{answer.size} numbers came back and not {manifest.dimension} finite ones")
    if manifest.golden_embedding:
        _compare(answer, manifest)


def _compare(answer: np.ndarray, manifest: Manifest) -> None:
    expected = np.array(manifest.golden_embedding, dtype=np.float32)
    cosine = float(answer @ expected / (np.linalg.norm(answer) * np.linalg.norm(expected)))
    required = manifest.parity["required_cosine"] - _TOLERANCE
    if not cosine >= required:  # also catches NaN
        raise WrongAnswerError(manifest.model, manifest.version,
                               f"cosine {cosine:.6f} to the golden embedding, {required:.6f} needed")
