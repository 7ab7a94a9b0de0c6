"""Account for every file in the folders that images come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.runtime.errors import ImageFileError
from pipeline.store.format import Header


def account_for_files(
    latents: Path,
    headers: Mapping[str, Header],  # by image set
    sources: Mapping[str, str],  # name of each set's source
) -> dict[str, dict[str, Any]]:
    """Return by source how its files were used: files = those in sets + beyond limits + in no set + skipped.

    Sources that are not folders are left out. Raises ImageFileError when two sets were made from different states of
    the same folder, because their parts are then not from the same split.
    """
    accounts: dict[str, dict[str, Any]] = {}
    first: dict[str, str] = {}
    for name, header in headers.items():
        if (files := header.provenance.get("files")) is None:
            continue
        source, part = sources[name], header.provenance["part"]
        before = headers[first.setdefault(source, name)].provenance["files"]["digest"]
        if files["digest"] != before:
            wanted = f"the files of {first[source]} and {name} to be those of the same folder at the same time"
            advice = f"The folder of source {source!r} has changed: run `dvc repro --force` to use it as it is now."
            raise ImageFileError(latents, "two states of a folder", wanted, advice)
        entry = accounts.setdefault(source, _entry(files))
        entry["sets"][name] = header.rows
        entry["beyond_limits"] += files["parts"][part] - header.rows
        entry["in_no_set"] -= files["parts"][part]
    return accounts


def _entry(files: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a source before any set is subtracted."""
    return {
        "found": files["found"],
        "sets": {},
        "beyond_limits": 0,
        "in_no_set": sum(files["parts"].values()),
        "skipped": files["skipped"],
        "repeated": files["repeated"],
        **{key: files[key] for key in ("faint", "unit") if key in files},
    }
