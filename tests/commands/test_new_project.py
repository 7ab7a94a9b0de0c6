"""One command makes a project whose parameters fit a folder of photographs, or makes nothing."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands import new_project as module
from pipeline.commands.compose import preset_text
from pipeline.commands.new_project import new_project
from pipeline.commands.photo_folders import ImageFolders
from pipeline.commands.project_readme import MATTER_MOST
from pipeline.images.image_set import ImageSet
from pipeline.params.all_params import load_all
from pipeline.params.data import DataParams
from pipeline.runtime.errors import ImageFileError, OverwriteError, ProjectError
from pipeline.runtime.text.terminal import Console
from pipeline.schema.reader import parse_yaml, read_yaml
from pipeline.schema.text import dump_yaml, load_yaml, plain_yaml
from tests.helpers.make import ROOT, section
from tests.helpers.project import call
from tests.images.odd import picture
from tests.stages.test_stages import ENVIRONMENT

PROJECT = Path("owls")


def pictures(folder, classes, count, size=(40, 50), first=0):
    for number, name in enumerate(classes):
        (Path(folder) / name).mkdir(parents=True)
        for index in range(count):
            picture(first + number * count + index, size).save(Path(folder) / name / f"{index}.png")
    return Path(folder)


def make(images, near=(), far=(), **options):
    printed = io.StringIO()
    folders = ImageFolders(images, list(near), list(far))
    new_project(PROJECT, folders, Console(file=printed, width=200), **options)
    return printed.getvalue()


def data():
    return read_yaml(PROJECT / "params.yaml")["data"]


def test_the_parameters_are_the_preset_but_for_what_the_images_say(photos):
    make(photos)
    preset = parse_yaml("preset", preset_text(ROOT / module.PRESET).encode())
    preset["data"]["image_size"] = 32
    preset["synthesize"]["perturb"]["neighbours"] = preset["quality"]["neighbours"] = 5  # each class trains on 6
    assert read_yaml(PROJECT / "params.yaml") == preset
    assert load_all(PROJECT / "params.yaml").bundle.title == "Photographs"


def test_comments_and_layout_stay(photos):
    make(photos)
    before = preset_text(ROOT / module.PRESET).splitlines()
    after = (PROJECT / "params.yaml").read_text().splitlines()
    changes = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [(old.split("#")[1], new.split("#")[0].strip()) for old, new in changes] == [
        (" pixels a side, up- or down-sampled to; latents have an eighth of it", "image_size: 32"),
        (" k of the k-NN distance that says how far out a latent is", "neighbours: 5"),
        (" k of the k-NN distance that says how far a row is from a class", "neighbours: 5"),
    ]


def test_a_file_in_which_nothing_changed_is_written_as_it_was_read():
    text = preset_text(ROOT / module.PRESET)
    assert dump_yaml(load_yaml(text)) == text


def test_the_images_of_a_project_are_those_of_the_folder(photos, monkeypatch):
    make(photos)
    monkeypatch.chdir(PROJECT)
    images = section(DataParams, read_yaml(Path("params.yaml"))["data"]).open("id_train")
    assert images.class_names == ("barn", "eagle", "snowy")
    assert len(images) == 3 * 6  # 10 less 2 for validation and 2 for testing
    assert images.read(0).size == (40, 50)


def test_every_class_and_every_skipped_file_is_told(photos):
    (photos / "barn" / "notes.txt").write_text("no picture")
    (photos / "eagle" / "empty.png").touch()
    told = " ".join(make(photos).split())
    assert "class train validation test barn 6 2 2 eagle 6 2 2 snowy 6 2 2" in told
    assert "photos: 32 files, 2 skipped: 1 empty (eagle/empty.png); 1 no image (barn/notes.txt)" in told
    assert "quality.neighbours 5, synthesize.perturb.neighbours 5: lowered, as the smallest class has 6 images" in told
    assert "image_size 32, encoder.supervised.epochs 150, views.count 8 training the encoder will take" in told
    assert told.endswith("owls: made; edit its params.yaml, then run `dvc repro` there")


def test_names_that_look_like_markup_are_told_as_they_are():
    images = pictures("photos", ["[red]fox", "cat [old]", ":owl:"], 10)
    (images / "cat [old]/note[").mkdir()
    (images / "cat [old]/note[/b].png").write_bytes(b"no image")
    printed = make(images)
    assert all(name in printed for name in ("[red]fox ", "cat [old] ", ":owl: ", "(cat [old]/note[/b].png)"))


def test_other_things_become_sets_of_their_group(photos, monkeypatch):
    near, far = pictures("Other birds", ["."], 3, first=100), pictures("cars", ["a", "b"], 2, first=200)
    make(photos, [near], [far])
    found = data()["sets"]
    assert found["other_birds"] == {"group": "near", "source": "other_birds", "part": "all"}
    assert found["cars"] == {"group": "far", "source": "cars", "part": "all"}
    monkeypatch.chdir(PROJECT)
    params = load_all(Path("params.yaml")).data
    assert params.ood_sets() == {"other_birds": "near", "cars": "far"}
    assert [len(params.open(name)) for name in ("other_birds", "cars")] == [3, 4]


def test_no_stage_writes_where_the_images_are_linked(photos):
    names = {path.split("/")[1] for path in re.findall(r"\bdata/\w+", (ROOT / "dvc.yaml").read_text())}
    assert {"latents", "outliers", "probes", "scores"} <= names
    make(photos, far=[pictures(f"more/{name}", ["."], 2, first=100 * place) for place, name in enumerate(names, 1)])
    assert [path.name for path in (PROJECT / "data").iterdir()] == ["images"]
    assert {path.name for path in (PROJECT / "data/images").iterdir()} == {"photos", *names}
    assert {data()["sources"][name]["path"] for name in names} == {f"data/images/{name}" for name in names}
    assert "images" not in names


@pytest.mark.parametrize(("side", "size"), [(8, 32), (63, 32), (64, 64), (90, 64)])
def test_the_size_is_the_largest_that_the_pictures_have_pixels_for(side, size):
    make(pictures("photos", ["barn", "eagle"], 10, (side + 30, side)))
    assert data()["image_size"] == size


def test_of_many_pictures_some_are_measured():
    read = []
    images = ImageSet(range(300), (), lambda index: read.append(index) or picture(0, (130, 100)))
    assert module._median_side(images) == 100
    assert read == [*range(0, 300, 3)]


def test_many_pictures_are_seen_fewer_times(photos, monkeypatch):
    monkeypatch.setattr(module, "PICTURES_SEEN", {"trained": 18 * 3, "supervised": 18 * 5})
    make(photos)
    encoder = read_yaml(PROJECT / "params.yaml")["encoder"]
    assert (encoder["trained"]["epochs"], encoder["supervised"]["epochs"]) == (3, 5)


def test_the_project_is_a_repository_that_knows_where_its_code_is_from(photos):
    make(photos)
    here = PROJECT.resolve()
    assert call(here, "git", "branch", "--show-current") == "main\n"
    assert call(here, "git", "remote") == "upstream\n"
    assert call(here, "git", "status", "--short") == ""


def test_what_is_of_the_project_is_its_first_commit(photos):
    make(photos)
    changed = call(PROJECT, "git", "show", "--name-only", "--format=%s").split("\n")
    assert changed == [
        "New project of the photographs in photos",
        "",
        "README.md",
        "data/images/photos",
        "params.yaml",
        "",
    ]
    assert call(PROJECT, "git", "rev-parse", "HEAD^") == call(ROOT, "git", "rev-parse", "HEAD")


def test_where_git_knows_nobody_the_program_commits(photos, monkeypatch):
    monkeypatch.setenv("HOME", str(Path("nobody").absolute()))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in (
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "GIT_CONFIG_GLOBAL",
    ):
        monkeypatch.delenv(name, raising=False)
    make(photos)
    assert call(PROJECT, "git", "log", "-1", "--format=%an").strip() == "latent-outliers"


def test_the_readme_is_about_the_project_and_says_what_matters_and_how_to_update(photos):
    make(photos)
    text = (PROJECT / "README.md").read_text()
    assert text.startswith("# owls\n")
    assert call(ROOT, "git", "rev-parse", "HEAD")[:12] in text
    for path in MATTER_MOST:
        assert f"| `{path}` | " in text
    assert "| `views.count` | 8 |" in text
    assert "| `data.sources.photos.held_out` | none |" in text
    assert "git fetch upstream HEAD && git merge FETCH_HEAD" in text


def test_an_update_of_the_code_goes_into_a_project(photos):
    make(photos)
    upstream = Path("upstream").absolute()
    call(ROOT, "git", "clone", "--quiet", ".", str(upstream))
    for path, text in (("README.md", "Another readme.\n"), ("new.txt", "new\n")):
        (upstream / path).write_text(text)
    call(upstream, "git", "add", "--all")
    call(upstream, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "More")
    call(PROJECT, "git", "remote", "set-url", "upstream", str(upstream))
    call(PROJECT, "git", "fetch", "--quiet", "upstream", "HEAD")
    merge = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "merge", "FETCH_HEAD"]
    subprocess.run(merge, cwd=PROJECT, check=False, capture_output=True)
    call(PROJECT, "git", "checkout", "--quiet", "--ours", "README.md")
    assert (PROJECT / "README.md").read_text().startswith("# owls\n")
    assert (PROJECT / "new.txt").read_text() == "new\n"


def test_a_model_has_no_licence_that_nobody_chose(photos):
    make(photos)
    assert read_yaml(PROJECT / "params.yaml")["bundle"]["licence"] is None


def test_what_is_there_is_not_overwritten(photos):
    PROJECT.mkdir()
    with pytest.raises(OverwriteError, match="owls: found an existing file or folder, wanted a new folder"):
        make(photos)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (shutil.rmtree, "photos: found no folder"),
        (lambda photos: [shutil.rmtree(photos / name) for name in ("barn", "eagle")], "1 class to train on"),
        (lambda photos: [(photos / f"barn/{index}.png").unlink() for index in range(9)], "none of them for"),
    ],
)
def test_a_folder_that_cannot_be_learnt_from_leaves_nothing_behind(photos, spoil, found):
    spoil(photos)
    with pytest.raises(ImageFileError, match=found):
        make(photos)
    assert [path.name for path in Path().iterdir() if path.name.startswith("owls")] == []


def test_code_outside_a_repository_is_no_start(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site-packages/pipeline/commands/new_project.py"))
    with pytest.raises(ProjectError, match="found code without its repository, wanted a git clone"):
        make(photos)


def test_what_git_complains_of_is_one_line_and_leaves_nothing_behind(photos, monkeypatch):
    monkeypatch.setattr(module, "_checkout", lambda: ROOT)
    monkeypatch.setattr(module, "_clone", lambda _, folder: module._git(folder, "clone", "nowhere", "x"))
    with pytest.raises(ProjectError, match=r"found `git clone` fails \(fatal: repository 'nowhere' does not exist\)"):
        make(photos)
    assert not list(Path().glob("owls*"))


def test_the_command_says_what_it_made(photos):
    script = Path(sys.executable).with_name("latent-outliers")
    command = [script, "new-project", "owls", "--images", photos]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "owls: made; edit its params.yaml, then run `dvc repro` there",
    )
    again = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    params = plain_yaml(Path("owls/params.yaml").read_text())
    assert params["data"]["sources"]["photos"]["path"] == "data/images/photos"


def test_the_links_are_there_in_an_experiment_in_a_folder_of_its_own(photos):
    """DVC takes along what git tracks; --copy-paths is for what it does not."""
    make(photos, far=[pictures("things", ["cup"], 3, first=90)])
    assert call(PROJECT, "git", "ls-files", "data/images").split() == ["data/images/photos", "data/images/things"]
    call(PROJECT, "git", "worktree", "add", "--quiet", "--detach", "../elsewhere", "HEAD")
    assert Path("elsewhere/data/images/photos").resolve() == photos.resolve()
