"""Arguments of commands that read a store."""

from typing import Annotated

import typer

STORE = "A store: data/outliers/<method> or data/latents/<set>"
Repository = Annotated[str | None, typer.Option("--repo", help="Git repository, path or URL, whose store is meant.")]
Revision = Annotated[str | None, typer.Option("--rev", help="Commit, branch or tag; read without checking it out.")]
