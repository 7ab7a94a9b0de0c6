"""The commands that share stores."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.stores import Repository, Revision
from pipeline.runtime.text.terminal import Console, say

PANEL = "Share it"
"""What these commands are for: their group in `--help`."""

VerifiedStore = Annotated[Path | None, typer.Argument(help="A store; by default every output of the project.")]
commands = typer.Typer()


@commands.command(
    rich_help_panel=PANEL, epilog="Example: latent-outliers verify data/outliers/perturb --repo ../theirs --rev v2"
)
def verify(path: VerifiedStore = None, repo: Repository = None, rev: Revision = None) -> None:
    """Check every byte of a store against its manifest; without a path, of every output of the project."""
    if path is None:
        if repo is not None or rev is not None:
            raise typer.BadParameter("wants the path of a store in it", param_hint="--repo or --rev")
        from pipeline.commands.verify import verify_project

        verify_project(Console())
        return
    import time

    from pipeline.runtime.progress import progress
    from pipeline.sharing.revision import open_store

    began = time.perf_counter()
    store = open_store(path, repo, rev)
    with progress(f"verifying {store.source}, bytes", store.total_bytes) as advance:
        store.verify(advance)
    seconds, size = time.perf_counter() - began, store.total_bytes
    say(
        f"{store.source}: whole; {store.rows} rows of {store.header.kind} in {store.manifest.shards} shards, "
        f"{size:,} bytes in {len(store.manifest.files)} files, {seconds:.2f} s, {seconds * 2**30 / size:.2f} s per GiB"
    )


@commands.command(rich_help_panel=PANEL, epilog="Example: latent-outliers remote-check data/outliers/perturb")
def remote_check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Outputs to check; by default all.")] = None,
    remote: Annotated[str | None, typer.Option(help="DVC remote; by default the default one.")] = None,
) -> None:
    """Compare every object of all outputs with the remote, byte by byte; `dvc push` checks only the listings."""
    from pipeline.sharing.remote import check_remote, print_remote_report

    print_remote_report(check_remote(remote, paths or [Path()]), Console())
