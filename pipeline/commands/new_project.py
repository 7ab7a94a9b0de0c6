"""Make a new project for a folder of photographs: a clone of this repository with parameters that fit the images."""

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

from pipeline.commands.compose import preset_text
from pipeline.images.image_set import ImageSet
from pipeline.images.layout import SPLITS
from pipeline.images.sources.folder import FolderImagesSource, FolderSource
from pipeline.params.all_params import load_all
from pipeline.params.sets import ID_SETS
from pipeline.runtime.errors import ImageFileError, ProjectError
from pipeline.runtime.files import printable, require_new, whole_or_absent
from pipeline.schema.reader import parse_yaml, validate
from pipeline.schema.text import dump_yaml, load_yaml

PRESET, PHOTOS = "presets/imagefolder.yaml", "photos"
LINKS = Path("data/images")
"""The folder of links to the folders of images. No stage writes there, so the links can have any name."""
PARTS = ("train", "validation", "test")
SIZES = (32, 64)
"""The image sizes to choose from; larger sizes are for pretrained autoencoders."""
MEASURED = 100
"""About how many pictures are measured to choose the image size."""
PICTURES_SEEN = 24_000
"""Training pictures of the autoencoder over all epochs: 24 epochs of 1,000 pictures, or fewer epochs of more."""
Group = Literal["near", "far"]


@dataclass(frozen=True)
class Photos:
    """A folder of labelled photographs, with its splits."""

    source: dict[str, Any]  # the parameters of the source
    parts: Mapping[str, ImageSet]

    def pictures(self, part: str) -> dict[str, int]:
        """Return the number of images of each class in a part."""
        images = self.parts[part]
        counts = Counter(images.labels.tolist())
        return {name: counts[label] for label, name in enumerate(images.class_names)}


@dataclass(frozen=True)
class OodFolder:
    """A folder of OOD images."""

    folder: Path
    group: Group
    images: ImageSet


def new_project(target: Path, images: Path, near: Sequence[Path], far: Sequence[Path], console: Console) -> None:
    """Scan the folders of images, make the project atomically at `target`, and print a summary.

    The project is a git repository; its remote `upstream` is the origin of the code. The folders of images are not
    copied: `data/images/` has links to them, which git tracks, since DVC copies only what git tracks when it runs an
    experiment in a folder of its own. Raises OverwriteError when `target` exists, ImageFileError when a folder
    cannot be used, and ProjectError when there is no repository to clone.
    """
    require_new(target)
    checkout = _checkout()
    params = load_yaml(preset_text(checkout / PRESET))
    template = params["data"]["sources"][PHOTOS]
    photos = _photos(images, template)
    ood_folders = _ood_folders(near, far, template)
    _fit(params, photos, ood_folders)
    with whole_or_absent(target) as unfinished:
        _clone(checkout, unfinished)
        (unfinished / "params.yaml").write_text(dump_yaml(params), encoding="utf-8")
        load_all(unfinished / "params.yaml")
        (unfinished / LINKS).mkdir(parents=True)
        folders = {PHOTOS: images} | {name: ood_folder.folder for name, ood_folder in ood_folders.items()}
        for name, folder in folders.items():
            (unfinished / LINKS / name).symlink_to(folder.resolve(), target_is_directory=True)
        _git(unfinished, "add", "--force", LINKS.as_posix())
    _print_summary(target, photos, ood_folders, params, console)


def _checkout() -> Path:
    """Return the root of the repository that this code runs from."""
    root = Path(__file__).resolve().parents[2]
    if not ((root / ".git").exists() and (root / "dvc.yaml").is_file()):
        advice = "Clone latent-outliers, and run this after `make install` there."
        raise ProjectError(root, "code without its repository", "a git clone to make a project from", advice)
    return root


def _photos(folder: Path, template: Mapping[str, Any]) -> Photos:
    """Return the photographs in `folder`.

    Where it has a subfolder for training and another split, such as `train` and `test`, these splits are used.
    """
    if not folder.is_dir():
        wanted = "a folder with a subfolder of images per class"
        raise ImageFileError(folder, "no folder", wanted, "Name another folder.")
    splits = {SPLITS[entry.name] for entry in folder.iterdir() if entry.is_dir() and entry.name in SPLITS}
    source = {**template, "path": str(folder)}
    if "train" in splits and len(splits) > 1:
        source |= {"test": None, "validation": None if "validation" in splits else source["validation"]}
    folder_source = validate(folder, FolderSource, _plain(source))
    parts = {part: folder_source.open(part) for part in PARTS}
    return Photos(source, parts)


def _ood_folders(near: Sequence[Path], far: Sequence[Path], template: Mapping[str, Any]) -> dict[str, OodFolder]:
    """Return the OOD folders by the name of their image set, which is made from the name of the folder."""
    ood_folders: dict[str, OodFolder] = {}
    shared_params = {name: template[name] for name in ("on_bad_image", "largest_pixels", "seed")}
    groups: list[tuple[Path, Group]] = [*((folder, "near") for folder in near), *((folder, "far") for folder in far)]
    for folder, group in groups:
        name = re.sub(r"[^a-z0-9]+", "_", folder.absolute().name.lower()).strip("_")
        if not name or name in (PHOTOS, *ID_SETS, *ood_folders):
            found, advice = f"a folder whose set would be called {name!r}", "Rename it, or name a link to it."
            raise ImageFileError(folder, found, "a name that no other set has", advice)
        source = {"kind": "folder_images", "path": str(folder), "images": None, **shared_params}
        ood_folders[name] = OodFolder(folder, group, validate(folder, FolderImagesSource, _plain(source)).open("all"))
    return ood_folders


def _fit(params: CommentedMap, photos: Photos, ood_folders: Mapping[str, OodFolder]) -> None:
    """Set the parameters that depend on the images: splits, image size, epochs of the autoencoder, OOD sets."""
    data = params["data"]
    sources, sets = data["sources"], data["sets"]
    for name in ("validation", "test"):
        sources[PHOTOS][name] = photos.source[name]
    train = photos.parts["train"]
    data["image_size"] = _image_size(train)
    training = params["autoencoder"]["training"]
    training["epochs"] = max(1, min(training["epochs"], round(PICTURES_SEEN / len(train))))
    keys = ("on_bad_image", "largest_pixels", "seed")
    for index, (name, ood_folder) in enumerate(ood_folders.items()):
        source = {"kind": "folder_images", "path": (LINKS / name).as_posix(), "images": None}
        sources.insert(index, name, CommentedMap({**source, **{key: sources[PHOTOS][key] for key in keys}}))
        entry = CommentedMap({"group": ood_folder.group, "source": name, "part": "all"})
        entry.fa.set_flow_style()
        sets.insert(index, name, entry)


def _image_size(images: ImageSet) -> int:
    """Return the largest size that is at most the median of the shorter sides of the pictures."""
    step = -(-len(images) // MEASURED)
    side = median(min(images.read(index).size) for index in range(0, len(images), step))
    return max((size for size in SIZES if size <= side), default=SIZES[0])


def _clone(checkout: Path, folder: Path) -> None:
    """Clone the last commit onto a branch `main`; the remote is that of the checkout, if it has one."""
    _git(checkout, "clone", "--quiet", "--no-hardlinks", "--origin", "upstream", str(checkout), str(folder.resolve()))
    _git(folder, "checkout", "--quiet", "-B", "main")
    if remote := _git(checkout, "config", "--default", "", "--get", "remote.origin.url"):
        _git(folder, "remote", "set-url", "upstream", remote)


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output; a failure becomes a ProjectError of one line."""
    try:
        process = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise ProjectError(folder, "no git", "git on the path", "Install git.") from error
    if process.returncode:
        found = f"`git {arguments[0]}` fails ({' '.join(process.stderr.split())})"
        raise ProjectError(folder, found, "a new project", "Correct that, and run the command again.")
    return process.stdout.strip()


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as plain types, which the strict models accept."""
    return parse_yaml("source", dump_yaml(dict(source)).encode())


def _print_summary(
    target: Path, photos: Photos, ood_folders: Mapping[str, OodFolder], params: Mapping[str, Any], console: Console
) -> None:
    """Print the number of images per class, the skipped files with reasons, and the next step."""
    table = Table("class", *PARTS, box=None, pad_edge=False)
    counts = {part: photos.pictures(part) for part in PARTS}
    for name in photos.parts["train"].class_names:
        table.add_row(name, *(f"{counts[part][name]:,}" for part in PARTS))
    console.print(table, highlight=False)
    image_sets = {PHOTOS: photos.parts["train"]} | {name: entry.images for name, entry in ood_folders.items()}
    for name, images in image_sets.items():
        console.print(_file_summary(name, images), highlight=False, soft_wrap=True)
    size, epochs = params["data"]["image_size"], params["autoencoder"]["training"]["epochs"]
    console.print(f"image_size {size}, autoencoder.training.epochs {epochs}", highlight=False)
    console.print(f"{target}: made; edit its params.yaml, then run `dvc repro` there", highlight=False, soft_wrap=True)


def _file_summary(name: str, images: ImageSet) -> str:
    """Return one line on the files of a folder, with the skipped files by reason."""
    files = images.files or {}
    counts = f"{name}: {files['found']:,} files, {sum(files['skipped'].values()):,} skipped"
    reasons = [
        f"{count} {reason} ({printable(files['skipped_files'][reason][0])}{', ...' * (count > 1)})"
        for reason, count in files["skipped"].items()
    ]
    return f"{counts}: {'; '.join(reasons)}" if reasons else counts
