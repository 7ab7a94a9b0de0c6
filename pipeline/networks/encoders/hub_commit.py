"""Find the commit of a model that is at hand: on the hub, or in the hub's cache on this machine."""

from typing import NamedTuple

from pipeline.runtime.errors import reason

PATIENCE = 5.0
"""Seconds to wait for the hub."""


class HubCommit(NamedTuple):
    """Which commit of a model is at hand."""

    commit: str | None  # None where none is
    problem: str  # why the hub named none; empty where it did


def commit_at_hand(model_id: str, revision: str | None) -> HubCommit:
    """Return the commit that the hub names for a revision (by default its main branch), else the cached one.

    HF_HUB_OFFLINE is respected: then only the cache is looked at.
    """
    import huggingface_hub

    try:
        commit = huggingface_hub.HfApi().model_info(model_id, revision=revision, timeout=PATIENCE).sha
    except Exception as error:  # noqa: BLE001  # connection errors come from whichever package the hub's client uses
        return HubCommit(_cached(model_id, revision), reason(error))
    return HubCommit(commit, "" if commit else "the hub names no commit")


def _cached(model_id: str, revision: str | None) -> str | None:
    """Return the cached commit of a revision that has weights; None where there is none.

    Without a revision it is that of the branch `main` where the cache knows it, else the one that was fetched last.
    """
    import huggingface_hub

    try:
        cache = huggingface_hub.scan_cache_dir(huggingface_hub.constants.HF_HUB_CACHE)
    except (huggingface_hub.CacheNotFound, OSError, ValueError):
        return None
    found = [
        cached
        for repository in cache.repos
        if repository.repo_type == "model" and repository.repo_id == model_id
        for cached in repository.revisions
        if any(file.file_name.endswith(".safetensors") for file in cached.files)
        and revision in (None, cached.commit_hash, *cached.refs)
    ]
    found.sort(key=lambda cached: ("main" in cached.refs, cached.last_modified), reverse=True)
    return found[0].commit_hash if found else None
