"""Make a project of one's own from a folder of photographs: a clone of this one, with parameters that fit them."""

import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from ruamel.yaml.comments import CommentedMap

from pipeline.config import parse_yaml, validate
from pipeline.errors import ImageFileError, ProjectError
from pipeline.files import printable, require_new, whole_or_absent
from pipeline.images.folder import folder_images, labelled_folder
from pipeline.images.folder_params import FolderImagesSource, FolderSource
from pipeline.images.image_set import ImageSet
from pipeline.images.layout import SPLITS
from pipeline.images.params import ID_SETS
from pipeline.params_text import dump_yaml, load_yaml
from pipeline.schema import load_all

PRESET, PHOTOS = "presets/imagefolder.yaml", "photos"
LINKS = Path("data/images")
"""Where a project has links to the folders of images. No stage writes there, whatever the folders are called."""
PARTS = ("train", "validation", "test")
SIZES = (32, 64)
"""Image sizes to choose from; larger ones are for pretrained autoencoders."""
MEASURED = 100
"""Pictures that are looked at to choose a size."""
PICTURES_SEEN = 24_000
"""What the autoencoder is trained on in all: 24 epochs of 1,000 pictures, or fewer of more."""
Group = Literal["near", "far"]


@dataclass(frozen=True)
class Photos:
    """A folder of labelled photographs as it was found."""

    source: dict[str, Any]  # its parameters
    parts: Mapping[str, ImageSet]

    def pictures(self, part: str) -> dict[str, int]:
        """Return how many images of each class are in a part."""
        images = self.parts[part]
        found = Counter(images.labels.tolist())
        return {name: found[label] for label, name in enumerate(images.class_names)}


@dataclass(frozen=True)
class Others:
    """A folder of images of other things."""

    folder: Path
    group: Group
    images: ImageSet


def new_project(target: Path, images: Path, near: Sequence[Path], far: Sequence[Path], console: Console) -> None:
    """Look through the folders, make the project and print what is in it; `target` is there whole or not at all.

    The project is a git repository whose remote `upstream` is where its code comes from. The folders of images stay
    where they are: `data/images/` has links to them. Raises OverwriteError when `target` is there, ImageFileError when
    a folder cannot be used, and ProjectError when there is nothing to clone.
    """
    require_new(target)
    checkout = _checkout()
    params = load_yaml((checkout / PRESET).read_text(encoding="utf-8"))
    template = params["data"]["sources"][PHOTOS]
    photos = _photos(images, template)
    others = _others(near, far, template)
    _fit(params, photos, others)
    with whole_or_absent(target) as unfinished:
        _clone(checkout, unfinished)
        (unfinished / "params.yaml").write_text(dump_yaml(params), encoding="utf-8")
        load_all(unfinished / "params.yaml")
        (unfinished / LINKS).mkdir(parents=True)
        for name, folder in {PHOTOS: images, **{name: other.folder for name, other in others.items()}}.items():
            (unfinished / LINKS / name).symlink_to(folder.resolve(), target_is_directory=True)
    _print_summary(target, photos, others, params, console)


def _checkout() -> Path:
    """Return the repository that this code runs from."""
    root = Path(__file__).resolve().parents[1]
    if not ((root / ".git").exists() and (root / "dvc.yaml").is_file()):
        advice = "Clone latent-outliers, and run this after `make install` there."
        raise ProjectError(root, "code without its repository", "a git clone to make a project from", advice)
    return root


def _photos(folder: Path, template: Mapping[str, Any]) -> Photos:
    """Return the photographs below `folder`, in splits of their own where there are folders of such names."""
    if not folder.is_dir():
        raise ImageFileError(folder, "no folder", "one with a subfolder of images per class", "Name another.")
    found = {SPLITS[entry.name] for entry in folder.iterdir() if entry.is_dir() and entry.name in SPLITS}
    source = {**template, "path": str(folder)}
    if "train" in found and len(found) > 1:
        source |= {"test": None, "validation": None if "validation" in found else source["validation"]}
    checked = validate(folder, FolderSource, _plain(source))
    parts = {part: labelled_folder(checked, part) for part in PARTS}
    return Photos(source, parts)


def _others(near: Sequence[Path], far: Sequence[Path], template: Mapping[str, Any]) -> dict[str, Others]:
    """Return the folders of other things by the name of their set, which is that of the folder."""
    others: dict[str, Others] = {}
    shared = {name: template[name] for name in ("on_bad_image", "largest_pixels", "seed")}
    groups: list[tuple[Path, Group]] = [*((folder, "near") for folder in near), *((folder, "far") for folder in far)]
    for folder, group in groups:
        name = re.sub(r"[^a-z0-9]+", "_", folder.absolute().name.lower()).strip("_")
        if not name or name in (PHOTOS, *ID_SETS, *others):
            found, advice = f"a folder whose set would be called {name!r}", "Rename it, or name a link to it."
            raise ImageFileError(folder, found, "a name that no other set has", advice)
        source = {"kind": "folder_images", "path": str(folder), "images": None, **shared}
        others[name] = Others(folder, group, folder_images(validate(folder, FolderImagesSource, _plain(source))))
    return others


def _fit(params: CommentedMap, photos: Photos, others: Mapping[str, Others]) -> None:
    """Change what depends on the images: splits, size, length of the autoencoder's training, sets of other things."""
    data = params["data"]
    sources, sets = data["sources"], data["sets"]
    for name in ("validation", "test"):
        sources[PHOTOS][name] = photos.source[name]
    train = photos.parts["train"]
    data["image_size"] = _image_size(train)
    training = params["autoencoder"]["training"]
    training["epochs"] = max(1, min(training["epochs"], round(PICTURES_SEEN / len(train))))
    keys = ("on_bad_image", "largest_pixels", "seed")
    for place, (name, other) in enumerate(others.items()):
        source = {"kind": "folder_images", "path": (LINKS / name).as_posix(), "images": None}
        sources.insert(place, name, CommentedMap({**source, **{key: sources[PHOTOS][key] for key in keys}}))
        entry = CommentedMap({"group": other.group, "source": name, "part": "all"})
        entry.fa.set_flow_style()
        sets.insert(place, name, entry)


def _image_size(images: ImageSet) -> int:
    """Return the largest size that the pictures have pixels for, going by the median of their shorter sides."""
    step = -(-len(images) // MEASURED)
    side = median(min(images.read(index).size) for index in range(0, len(images), step))
    return max((size for size in SIZES if size <= side), default=SIZES[0])


def _clone(checkout: Path, folder: Path) -> None:
    """Clone what is committed, on a branch `main`; the remote is that of the checkout, where it has one."""
    _git(checkout, "clone", "--quiet", "--no-hardlinks", "--origin", "upstream", str(checkout), str(folder.resolve()))
    _git(folder, "checkout", "--quiet", "-B", "main")
    if remote := _git(checkout, "config", "--default", "", "--get", "remote.origin.url"):
        _git(folder, "remote", "set-url", "upstream", remote)


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints in a folder; what it complains of becomes one line."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise ProjectError(folder, "no git", "git on the path", "Install git.") from error
    if done.returncode:
        found = f"`git {arguments[0]}` fails ({' '.join(done.stderr.split())})"
        raise ProjectError(folder, found, "a new project", "Put that right, and try again.")
    return done.stdout.strip()


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as the strict models take them."""
    return parse_yaml("source", dump_yaml(dict(source)).encode())


def _print_summary(
    target: Path, photos: Photos, others: Mapping[str, Others], params: Mapping[str, Any], console: Console
) -> None:
    """Print which images there are, which were left out and why, and what to do next."""
    table = Table("class", *PARTS, box=None, pad_edge=False)
    counts = {part: photos.pictures(part) for part in PARTS}
    for name in photos.parts["train"].class_names:
        table.add_row(name, *(f"{counts[part][name]:,}" for part in PARTS))
    console.print(table, highlight=False)
    for name, images in {
        PHOTOS: photos.parts["train"],
        **{name: other.images for name, other in others.items()},
    }.items():
        console.print(_counted(name, images), highlight=False, soft_wrap=True)
    size, epochs = params["data"]["image_size"], params["autoencoder"]["training"]["epochs"]
    console.print(f"image_size {size}, autoencoder.training.epochs {epochs}", highlight=False)
    console.print(f"{target}: made; edit its params.yaml, then run `dvc repro` there", highlight=False, soft_wrap=True)


def _counted(name: str, images: ImageSet) -> str:
    """Return one line on the files of a folder, with those that were left out by reason."""
    files = images.files or {}
    told = f"{name}: {files['found']:,} files, {sum(files['skipped'].values()):,} skipped"
    reasons = [
        f"{count} {reason} ({printable(files['skipped_files'][reason][0])}{', ...' * (count > 1)})"
        for reason, count in files["skipped"].items()
    ]
    return f"{told}: {'; '.join(reasons)}" if reasons else told
