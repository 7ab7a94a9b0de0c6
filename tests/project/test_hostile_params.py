"""A stranger's params.yaml with plain DVC: no name reaches a shell, and nothing outside its own place is deleted."""

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo

from tests.helpers.make import tiny_params, write_params
from tests.helpers.project import call, make_project

OUTSIDE = (
    "../images", "../images/photos", "..", ".", "", "a/b", "/etc", "../../../outside", "../../outside",
    "x/../../images", "../../../project/x", "../../.git/refs/heads",
)  # fmt: skip
"""Names that lead away from the folder of stores."""
IN_A_SHELL = (
    "$(touch X)", "`touch X`", ";touch X;", "&& touch X", "|touch X", "a\ntouch X\n", "x\\' ; touch X ; '",
    "--help", "$X", "it's", 'a "b"', "> X", "\u00fc n",
)  # fmt: skip
"""Names that a shell would act on."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with files that are not of any stage, inside and beside it; the encoder is there, but empty."""
    folder = tmp_path_factory.mktemp("hostile") / "project"
    make_project(folder)
    for name in ("data/images/photos/cat", "../outside/precious", "models/encoder/x"):
        file = folder / name
        file.parent.mkdir(parents=True)
        file.touch()
    return folder


def with_sets(*names):
    """Return parameters in which sets have these names."""
    params = tiny_params()
    near = params["data"]["sets"].pop("held_out")
    params["data"]["sets"] = {name: dict(near) for name in names} | params["data"]["sets"]
    return params


def with_methods(*names):
    return tiny_params(synthesize__methods=[*names])


def files(project):
    """Return what is in the project and beside it, without what DVC, git and Python keep for themselves."""
    every = (path.relative_to(project.parent) for path in project.parent.rglob("*"))
    return {path for path in every if not {".dvc", "objects", "__pycache__", "home", "tmp"} & set(path.parts)}


@pytest.mark.parametrize("options", [("--single-item",), ("--downstream",), ("--single-item", "--force"), ()])
@pytest.mark.parametrize("with_names", [with_sets, with_methods])
def test_dvc_stops_before_anything_whichever_way_it_is_started(project, with_names, options):
    write_params(project, with_names("../../../outside"))
    before = files(project)
    stage = "encode" if with_names is with_sets else "denoiser"
    assert "'../../../params.yaml' does not exist" in call(project, "dvc", "repro", *options, stage, code=255)
    assert files(project) == before


def deletes_nothing(project, name):
    """Return whether DVC, told to encode a set of this name without anything before it, stops and leaves all files."""
    write_params(project, with_sets(name))
    before = files(project)
    with Repo(str(project)) as repo, pytest.raises((DvcException, AssertionError)):
        repo.reproduce(["encode"], single_item=True, force=True)
    return files(project) == before


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_elsewhere_deletes_nothing(project, name, monkeypatch):
    monkeypatch.chdir(project)
    assert deletes_nothing(project, name)


def test_a_folder_with_parameters_of_another_project_is_no_way_out(project, monkeypatch):
    monkeypatch.chdir(project)
    (project.parent / "params.yaml").write_text("lr: 0.1\n")
    assert deletes_nothing(project, "../outside")


def test_an_experiment_stops_as_well(project):
    write_params(project, tiny_params())
    before = files(project)
    setting = "synthesize.methods=['../../../outside']"
    assert "failed to parse stage" in call(project, "dvc", "exp", "run", "--set-param", setting, code=255)
    assert files(project) == before


def test_no_shell_reads_a_name(project):
    params = with_sets(*IN_A_SHELL)
    write_params(project, params)
    before = files(project)
    printed = call(project, "dvc", "repro", "--single-item", "--keep-going", "encode", code=255)
    assert printed.count("error: params.yaml: ") == len(params["data"]["sets"])  # every one was started
    assert files(project) == before
