"""Bundles on the Hugging Face hub: download into the hub's cache, and upload in one commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.detector.bundle import Bundle, bundle_files
from pipeline.detector.bundle_card import BUNDLE, ENCODER, MODEL_CARD, NETWORK, SCORER
from pipeline.runtime.errors import BundleError, reason

FETCHED = [BUNDLE, NETWORK, SCORER, MODEL_CARD, f"{ENCODER}/*"]


def fetch_bundle(repo_id: str, revision: str | None, token: str | None) -> Path:
    """Fetch the files of a bundle and return their folder in the hub's cache; raises BundleError."""
    import huggingface_hub

    advice = "Check the path or id, the revision and the network; `hf auth login` gives access to private bundles."
    with _raising_bundle_error(repo_id, "a folder, or a bundle on the Hugging Face hub", advice):
        return Path(huggingface_hub.snapshot_download(repo_id, revision=revision, token=token, allow_patterns=FETCHED))


def push_bundle(
    bundle: Bundle, repo_id: str, *, private: bool | None, revision: str | None, token: str | None, message: str
) -> str:
    """Upload a bundle to a hub repository in one commit, and return the address of the commit.

    The repository is created if needed. Files of an older bundle in the encoder's folder are deleted. Raises
    BundleError.
    """
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token)
    advice = "Check the id, the network and that your token may write (`hf auth login`); no partial bundle is left."
    with _raising_bundle_error(repo_id, "a repository on the hub that can be written", advice):
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=bundle.folder,
            allow_patterns=bundle_files(bundle),
            delete_patterns=f"{ENCODER}/*",
            commit_message=message,
            revision=revision,
        )
    return commit.commit_url


@contextmanager
def _raising_bundle_error(repo_id: str, wanted: str, advice: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # connection errors come from whichever package the hub's client uses
        raise BundleError(repo_id, reason(error), wanted, advice) from error
