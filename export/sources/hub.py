"""Fetches checkpoints from the Hugging Face hub, or a mirror of it that HF_ENDPOINT names. No other module talks to it.

Only data is fetched, at the commit that the revision resolves to; every file is checked against the hub's listing.
"""

import os
import shutil
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo, RepoSibling

from export.catalog import SourceSpec
from export.errors import SourceError
from export.sources.checkpoint import check_relative, check_weights, digest_file, select_files
from export.sources.store import Staging

DEFAULT_ENDPOINT = "https://huggingface.co"
# The first question decides whether there is a hub at all; a site without one must not wait for minutes.
CONNECT_TIMEOUT_S = 5.0


def fetch_from_hub(spec: SourceSpec, staging: Staging) -> str:
    """Fetch `spec` into `staging.files`, going on where an earlier download stopped; return the commit.

    Raises SourceError with what to do about it, UnsupportedModelError when the repository has no usable weights.
    """
    # huggingface_hub reads the variable once, when it is imported.
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
    try:
        info = HfApi(endpoint=endpoint).model_info(
            spec.location, revision=spec.revision, files_metadata=True, timeout=CONNECT_TIMEOUT_S)
        wanted = _select_siblings(info, spec)
        snapshot_download(
            spec.location, revision=info.sha, endpoint=endpoint, local_dir=staging.files, max_workers=4,
            allow_patterns=[_literal_pattern(sibling.rfilename) for sibling in wanted], etag_timeout=CONNECT_TIMEOUT_S)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise SourceError(_explain(error, spec, endpoint)) from error
    for sibling in wanted:
        _check_file(staging.files / sibling.rfilename, sibling, endpoint)
    shutil.rmtree(staging.files / ".cache", ignore_errors=True)  # the hub client's bookkeeping for resuming
    staging.keep_only(sibling.rfilename for sibling in wanted)
    return info.sha


def _select_siblings(info: ModelInfo, spec: SourceSpec) -> list[RepoSibling]:
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or []}
    for name in siblings:
        check_relative(name, spec.name)
    selected = select_files(siblings)
    check_weights(selected, spec.name)
    return [siblings[name] for name in selected]


def _literal_pattern(name: str) -> str:
    """Escape the wildcards of fnmatch, which the hub client matches names with."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _check_file(file: Path, sibling: RepoSibling, endpoint: str) -> None:
    # When the hub falls silent after the first question, the client logs it and returns the directory as it is.
    if not file.is_file() or sibling.size not in (None, file.stat().st_size):
        raise SourceError(f"{endpoint} stopped answering before {sibling.rfilename} was complete; run it again")
    if sibling.lfs is not None and digest_file(file) != sibling.lfs.sha256:
        file.unlink()
        raise SourceError(f"{sibling.rfilename} does not have the sha256 that {endpoint} lists; it was removed")


def _explain(error: Exception, spec: SourceSpec, endpoint: str) -> str:
    repository = f"{endpoint}/{spec.location}"
    if isinstance(error, GatedRepoError):
        return f"{repository} is gated: accept its terms there, then set HF_TOKEN to a token of that account"
    if isinstance(error, RepositoryNotFoundError):
        return f"{repository} does not exist, or is private: then set HF_TOKEN to a token that may read it"
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no revision {spec.revision!r}"
    if isinstance(error, HFValidationError):
        return f"{spec.location!r} is no hub id"
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return f"{repository} answered {error.response.status_code}: {error.server_message or error.response.reason}"
    return f"{endpoint} does not answer ({type(error).__name__}); a mirror is set with HF_ENDPOINT"
