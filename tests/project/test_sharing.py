"""Outlier shards shared like code: one story per kind of remote, from a first push to a mended remote."""

import json
import re
import shutil

import pytest

from pipeline.store.reader import Store
from tests.helpers.make import changed, tiny_params, write_params
from tests.helpers.project import call, commit, make_repository, stages_run
from tests.helpers.remotes import configure, open_remote, use

pytestmark = pytest.mark.slow

MIXUP = "data/outliers/mixup"
SHARD = f"{MIXUP}/latent/c/0/0/0/0"


@pytest.fixture
def alice(made, tmp_path):
    """Whoever ran the pipeline first."""
    folder = tmp_path / "alice"
    shutil.copytree(made[0], folder, symlinks=True)
    commit(folder, "the first run")
    return folder


def clone(source, folder, remote):
    call(source.parent, "git", "clone", "--quiet", source, folder)
    configure(remote, folder)
    return folder


def said(folder, *arguments):
    return json.loads(call(folder, "latent-outliers", "inspect", *arguments, "--json"))


def md5_of(folder, file):
    """Return where DVC keeps a file of a store on a remote."""
    out, name = file.split("/", 3)[:3], file.split("/", 3)[3]
    lock = (folder / "dvc.lock").read_text()
    listing = re.search(rf"path: {'/'.join(out)}\n\s+hash: md5\n\s+md5: (\w+)\.dir", lock)[1]
    entries = json.loads((folder / f".dvc/cache/files/md5/{listing[:2]}/{listing[2:]}.dir").read_text())
    md5 = next(entry["md5"] for entry in entries if entry["relpath"] == name)
    return f"files/md5/{md5[:2]}/{md5[2:]}"


@pytest.mark.parametrize("kind", ["local", "s3", "ssh"])
def test_the_story_of_a_team(kind, alice, tmp_path, monkeypatch, tell):
    with open_remote(kind, tmp_path, monkeypatch) as remote:
        use(remote, alice)
        call(alice, "dvc", "push")
        commit(alice, "share the first version")
        call(alice, "git", "tag", "v1")
        first = Store(alice / MIXUP).digest
        a_colleague_trains_on_shared_shards(clone(alice, tmp_path / "bob", remote))
        told = one_changed_parameter_sends_one_store(alice, remote)
        dave = clone(alice, tmp_path / "dave", remote)
        assert said(dave, MIXUP, "--rev", "v1")["manifest_sha256"] == first  # straight from the remote
        assert not (dave / MIXUP).exists()
        a_damaged_object_is_named_refused_and_mended(alice, dave, remote)
        tell(f"sharing over {kind}: {told}")


def test_another_project_trains_on_imported_shards(alice, tmp_path):
    """Her images and encoder are the same; the first run is in her cache, the outliers of alice are not."""
    call(alice, "git", "tag", "v1")
    write_params(alice, changed(tiny_params(), synthesize__mixup__lam_min=0.35))
    call(alice, "dvc", "repro", "synthesize@mixup")
    commit(alice, "other shares")
    carol = tmp_path / "carol"
    shutil.copytree(alice, carol, ignore=shutil.ignore_patterns(".git", "mixup", "perturb"))
    make_repository(carol)
    commit(carol, "her own project")
    call(carol, "dvc", "import", alice, MIXUP, "--rev", "v1", "--out", "data/outliers/alice_mixup")
    call(carol, "dvc", "get", alice, MIXUP, "--rev", "main", "--out", "data/outliers/got_mixup")
    mine = {"synthesize__methods": ["shuffle"], "synthesize__imported": ["alice_mixup", "got_mixup"]}
    write_params(carol, changed(tiny_params(), **mine))
    assert stages_run(call(carol, "dvc", "repro", "train")) == ["train"]
    write_params(carol, changed(tiny_params(), **mine | {"synthesize__methods": []}))
    assert stages_run(call(carol, "dvc", "repro", "quality", "train")) == ["quality", "train"]
    for name, lam_min in (("alice_mixup", 0.3), ("got_mixup", 0.35)):
        assert Store(carol / "data/outliers" / name).header.provenance["params"]["lam_min"] == lam_min
    seen = call(carol, "git", "status", "--porcelain", "--untracked-files=all").split("\n")
    assert "?? data/outliers/alice_mixup.dvc" in seen
    assert not any("got_mixup" in line or ".gitignore" in line for line in seen)


def a_colleague_trains_on_shared_shards(bob):
    latents = ("encode@id_train", "encode@id_validation", "views")
    call(bob, "dvc", "pull", *latents, "teacher", "pretrained_teacher", "synthesize")
    assert "whole; 300 rows" in call(bob, "latent-outliers", "verify", MIXUP)
    write_params(bob, changed(tiny_params(), train__micl__info_nce__weight=0.25))
    assert stages_run(call(bob, "dvc", "repro", "--single-item", "train")) == ["train"]
    assert {path.name for path in (bob / "data/latents").iterdir()} == {"id_train", "id_validation"}
    assert {path.name for path in (bob / "models").iterdir()} == {
        "teacher",
        "pretrained_teacher",
        "detector",
    }


def one_changed_parameter_sends_one_store(alice, remote):
    before, whole = remote.objects(), Store(alice / MIXUP)
    write_params(alice, changed(tiny_params(), synthesize__mixup__lam_min=0.35))
    assert stages_run(call(alice, "dvc", "repro", "synthesize@mixup")) == ["synthesize@mixup"]
    call(alice, "dvc", "push", "synthesize@mixup")
    commit(alice, "other shares")
    sent = {name: size for name, size in remote.objects().items() if name not in before}
    changed_files = [
        (alice / MIXUP / name).stat().st_size
        for name, entry in Store(alice / MIXUP).manifest.files.items()
        if entry != whole.manifest.files[name]
    ]
    manifest = (alice / MIXUP / "manifest.json").stat().st_size
    listing = sum(size for name, size in sent.items() if name.endswith(".dir"))
    assert sorted(sent.values()) == sorted([*changed_files, manifest, listing])
    return f"one changed parameter sent {sum(sent.values()):,} bytes in {len(sent)} objects of {sum(before.values()):,}"


def a_damaged_object_is_named_refused_and_mended(alice, dave, remote):
    name = md5_of(alice, SHARD)
    remote.flip(name, 77)
    told = call(alice, "latent-outliers", "remote-check", code=1)
    assert f"altered: {SHARD}" in told
    call(dave, "dvc", "pull", "synthesize@mixup", code=1)
    assert not (dave / SHARD).exists()
    for url in re.findall(r"^delete: (.+)$", told, re.MULTILINE):
        remote.delete(url)
    call(alice, "dvc", "push")
    assert "every object is whole" in call(alice, "latent-outliers", "remote-check")
    call(dave, "dvc", "pull", "synthesize@mixup")
    call(dave, "latent-outliers", "verify", MIXUP)
