"""Outlier shards shared like code: one story per kind of remote, from a first push to a mended remote."""

import json
import re
import shutil

import pytest

from pipeline.store.reader import Store
from tests.make import changed, tiny_params, write_params
from tests.project import call, commit, stages_run
from tests.remotes import configure, open_remote, use

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
        assert "every object is whole" in call(alice, "latent-outliers", "remote-check")
        bob = clone(alice, tmp_path / "bob", remote)
        a_colleague_trains_on_shared_shards(bob)
        told = one_changed_parameter_sends_one_store(alice, remote)
        revisions_are_read_without_a_checkout(alice, bob)
        another_project_trains_on_imported_shards(alice, tmp_path / "carol", remote)
        a_damaged_object_is_named_refused_and_mended(alice, tmp_path / "dave", remote)
        tell(f"sharing over {kind}: {told}")


def a_colleague_trains_on_shared_shards(bob):
    call(bob, "dvc", "pull", "encode@id_train", "teacher", "synthesize")
    assert "whole; 300 rows" in call(bob, "latent-outliers", "verify", MIXUP)
    write_params(bob, changed(tiny_params(), train__micl__weight=0.25))
    assert stages_run(call(bob, "dvc", "repro", "--single-item", "train")) == ["train"]
    assert {path.name for path in (bob / "data/latents").iterdir()} == {"id_train"}
    assert {path.name for path in (bob / "models").iterdir()} == {"teacher", "detector"}


def one_changed_parameter_sends_one_store(alice, remote):
    before, whole = remote.objects(), Store(alice / MIXUP)
    write_params(alice, changed(tiny_params(), synthesize__mixup__lam_min=0.4))
    assert stages_run(call(alice, "dvc", "repro", "synthesize@mixup")) == ["synthesize@mixup"]
    call(alice, "dvc", "push", "synthesize@mixup")
    commit(alice, "other shares")
    call(alice, "git", "tag", "v2")
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


def revisions_are_read_without_a_checkout(alice, bob):
    one, two = (said(bob, MIXUP, "--repo", alice, "--rev", rev) for rev in ("v1", "v2"))
    assert (one["provenance"]["params"]["lam_min"], two["provenance"]["params"]["lam_min"]) == (0.3, 0.4)
    assert two["manifest_sha256"] == Store(alice / MIXUP).digest != one["manifest_sha256"]
    assert "at v1: whole; 300 rows" in call(bob, "latent-outliers", "verify", MIXUP, "--repo", alice, "--rev", "v1")
    assert one["manifest_sha256"] == Store(bob / MIXUP).digest


def another_project_trains_on_imported_shards(alice, carol, remote):
    """Her images and autoencoder are the same; the first run is in her cache, the outliers of alice are not."""
    shutil.copytree(alice, carol, ignore=shutil.ignore_patterns(".git"))
    call(carol, "git", "init", "--quiet", "--initial-branch", "main")
    commit(carol, "her own project")
    call(carol, "dvc", "import", alice, MIXUP, "--rev", "v1", "--out", "data/outliers/alice_mixup")
    call(carol, "dvc", "get", alice, MIXUP, "--rev", "v2", "--out", "data/outliers/got_mixup")
    mine = {"synthesize__methods": ["shuffle"], "synthesize__imported": ["alice_mixup", "got_mixup"]}
    write_params(carol, changed(tiny_params(), **mine))
    for forgotten in ("mixup", "perturb"):
        shutil.rmtree(carol / "data/outliers" / forgotten)
    assert stages_run(call(carol, "dvc", "repro", "train")) == ["train"]
    assert Store(carol / "data/outliers/alice_mixup").header.provenance["params"]["lam_min"] == 0.3
    assert Store(carol / "data/outliers/got_mixup").header.provenance["params"]["lam_min"] == 0.4
    seen = call(carol, "git", "status", "--porcelain", "--untracked-files=all").split("\n")
    assert "?? data/outliers/alice_mixup.dvc" in seen
    assert not any("got_mixup" in line or ".gitignore" in line for line in seen)


def a_damaged_object_is_named_refused_and_mended(alice, dave, remote):
    name = md5_of(alice, SHARD)
    remote.flip(name, 77)
    told = call(alice, "latent-outliers", "remote-check", code=1)
    assert f"altered: {SHARD}" in told
    clone(alice, dave, remote)
    call(dave, "dvc", "pull", "synthesize@mixup", code=1)
    assert not (dave / SHARD).exists()
    for url in re.findall(r"^delete: (.+)$", told, re.MULTILINE):
        remote.delete(url)
    call(alice, "dvc", "push")
    assert "every object is whole" in call(alice, "latent-outliers", "remote-check")
    call(dave, "dvc", "pull", "synthesize@mixup")
    call(dave, "latent-outliers", "verify", MIXUP)
