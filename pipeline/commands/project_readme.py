"""The README of a new project: what it is, how it is run, which parameters matter, how the tool in it is updated."""

from collections.abc import Mapping

from pipeline.params.all_params import AllParams
from pipeline.runtime.text.user_text import markdown_text

MATTER_MOST: Mapping[str, str] = {
    "bundle.title": "what the detector is called; `bundle.licence` beside it is yours to choose",
    "score.id_rejection": "share of known images that it may reject: a larger one flags more of everything else",
    "seeds": "networks that are trained: one for a first look, three or more for a verdict, five for a claim",
    "views.count": "changed copies of every training image: more are more accurate, and each costs time",
    "data.sources.photos.held_out": "classes that are kept from training and tested as unknown ones",
}
"""The parameters that a user of photographs sets first; all others can stay as they are."""
TEXT = """# {name}

A classifier of photographs that can say "I don't know". It knows {classes}. The photographs are linked from
`data/images/photos`. This project was made by `latent-outliers new-project` at commit {commit} of latent-outliers.

## Run it

```console
$ dvc repro                                  # everything that is out of date; Ctrl-C loses nothing that is finished
$ latent-outliers results                    # what came out; reports/report.html has pictures
$ latent-outliers predict models/bundle/0 ../new --out answers.csv
```

On another machine, `make repro` installs what is needed into `.venv` first. Commit `dvc.lock` after a run: a commit
knows its run by that file.

## What to set first

These parameters in `params.yaml` matter most; all others can stay as they are.

| parameter | now | what it is |
|---|---|---|
{parameters}

## Update the tool

`params.yaml`, `data/images/` and this file are this project's own. All else is latent-outliers
([its documents](docs/README.md)) and comes from the remote `upstream`:

```console
$ git fetch upstream HEAD && git merge FETCH_HEAD
$ git checkout --ours README.md params.yaml  # only where git reports conflicts in them; then commit
$ latent-outliers check                      # names parameters that are new
```
"""


def project_readme(name: str, params: AllParams, classes: tuple[str, ...], commit: str) -> str:
    """Return the content of README.md. name: of the folder; commit: of the code, in full."""
    values = params.model_dump(mode="json")
    rows = [f"| `{path}` | {_shown(values, path)} | {meaning} |" for path, meaning in MATTER_MOST.items()]
    known = f"{len(classes)} classes: {', '.join(map(markdown_text, classes))}"
    return TEXT.format(name=markdown_text(name), classes=known, commit=commit[:12], parameters="\n".join(rows))


def _shown(values: object, path: str) -> str:
    """Return the value of a parameter, as text of a table."""
    for key in path.split("."):
        values = values[key] if isinstance(values, dict) else values
    return markdown_text(", ".join(map(str, values)) or "none" if isinstance(values, list) else str(values))
