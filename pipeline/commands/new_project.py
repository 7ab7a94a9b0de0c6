"""Make a new project for a folder of photographs: a clone of this repository with parameters that fit the images."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rich.table import Table
from ruamel.yaml.comments import CommentedMap

from pipeline.commands.compose import preset_text
from pipeline.commands.encoder_choice import EncoderChoice, choose_encoder
from pipeline.commands.encoder_speed import Amount, estimate, measured_speed
from pipeline.commands.needs import neighbours
from pipeline.commands.photo_folders import (
    PARTS,
    PHOTOS,
    ImageFolders,
    OodFolder,
    Photos,
    open_ood_folders,
    open_photos,
    require_apart,
)
from pipeline.commands.project_readme import MATTER_MOST, project_readme
from pipeline.commands.rival_speed import rival_seconds, rival_sentence
from pipeline.commands.whole_run import whole_run_sentence
from pipeline.images.image_set import ImageSet
from pipeline.params.all_params import AllParams, load_all
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.errors import ProjectError
from pipeline.runtime.files import require_new, whole_or_absent
from pipeline.runtime.text.terminal import Console
from pipeline.schema.reader import parse_yaml, validate
from pipeline.schema.text import dump_yaml, load_yaml

PRESET = "presets/imagefolder.yaml"
README = "README.md"
LINKS = Path("data/images")
"""The folder of links to the folders of images. No stage writes there, so the links can have any name."""
SIZES = (32, 64)
"""The image sizes to choose from; larger sizes are for pretrained encoders."""
NOBODY = ["-c", "user.name=latent-outliers", "-c", "user.email=latent-outliers@localhost"]
"""Who commits where git does not know the user."""
MEASURED = 100
"""About how many pictures are measured to choose the image size."""
PICTURES_SEEN = {"trained": 24_000, "supervised": 90_000}
"""Training pictures of an encoder over all epochs, by kind: for instance 60 epochs of 1,500 pictures."""


def new_project(
    target: Path,
    folders: ImageFolders,
    console: Console,
    *,
    encoder: str | None = None,
    leave_out_small: bool = False,
) -> None:
    """Scan the folders of images, choose an encoder, make the project atomically at `target`, and print a summary.

    The project is a git repository; its remote `upstream` is the origin of the code. The folders of images are not
    copied: `data/images/` has links to them, which git tracks, since DVC copies only what git tracks when it runs an
    experiment in a folder of its own. Parameters, links and a README of the project are its first commit.

    Raises OverwriteError when `target` exists, ImageFileError when a folder cannot be used, ModelError when a backbone
    that is asked for cannot, and ProjectError when there is no repository to clone.

    encoder: as `choose_encoder` takes it; without one the best that is at hand.
    leave_out_small: hold out the classes with too few images, and say so.
    """
    require_new(target)
    checkout = _checkout()
    params = load_yaml(preset_text(checkout / PRESET))
    template = params["data"]["sources"][PHOTOS]
    require_apart([folders.photos, *folders.near, *folders.far])
    photos = open_photos(folders.photos, template, leave_out_small=leave_out_small)
    ood_folders = open_ood_folders(folders, template)
    choice, side = choose_encoder(encoder), _median_side(photos.parts["train"])
    _fit(params, photos, ood_folders, side)
    choice.set_in(params)
    summary = [*choice.lines(side), *_costs(params, choice, photos, ood_folders)]
    with whole_or_absent(target) as unfinished:
        _clone(checkout, unfinished)
        (unfinished / "params.yaml").write_text(dump_yaml(params), encoding="utf-8")
        all_params = load_all(unfinished / "params.yaml")
        (unfinished / LINKS).mkdir(parents=True)
        linked = {PHOTOS: folders.photos} | {name: ood_folder.folder for name, ood_folder in ood_folders.items()}
        for name, folder in linked.items():
            (unfinished / LINKS / name).symlink_to(folder.resolve(), target_is_directory=True)
        readme = project_readme(
            target.name, all_params, photos.parts["train"].class_names, _git(unfinished, "rev-parse", "HEAD")
        )
        (unfinished / README).write_text(readme, encoding="utf-8")
        _commit(unfinished, f"New project of the photographs in {folders.photos.name}")
    _print_summary(photos, ood_folders, all_params, console)
    matter = f"in params.yaml these matter most, the rest can stay: {', '.join(MATTER_MOST)}"
    for line in (*summary, matter, f"{target}: made; edit its params.yaml, then run `dvc repro` there"):
        console.print(line, soft_wrap=True)


def _checkout() -> Path:
    """Return the root of the repository that this code runs from."""
    root = Path(__file__).resolve().parents[2]
    if not ((root / ".git").exists() and (root / "dvc.yaml").is_file()):
        advice = "Clone latent-outliers, and run this after `make install` there."
        raise ProjectError(root, "code without its repository", "a git clone to make a project from", advice)
    return root


def _fit(params: CommentedMap, photos: Photos, ood_folders: Mapping[str, OodFolder], side: float) -> None:
    """Set the parameters that depend on the images: classes, splits, image size, epochs, neighbours, OOD sets.

    side: median of the photographs' shorter sides.
    """
    data = params["data"]
    sources, sets = data["sources"], data["sets"]
    for name in ("held_out", "validation", "test"):
        sources[PHOTOS][name] = photos.source[name]
    train = photos.parts["train"]
    data["image_size"] = max((size for size in SIZES if size <= side), default=SIZES[0])
    for kind, seen in PICTURES_SEEN.items():
        training = params["encoder"][kind]
        training["epochs"] = max(1, min(training["epochs"], round(seen / len(train))))
    _fit_neighbours(params, photos.pictures("train"))
    keys = ("on_bad_image", "largest_pixels", "seed")
    for index, (name, ood_folder) in enumerate(ood_folders.items()):
        source = {"kind": "folder_images", "path": (LINKS / name).as_posix(), "images": None}
        sources.insert(index, name, CommentedMap({**source, **{key: sources[PHOTOS][key] for key in keys}}))
        entry = CommentedMap({"group": ood_folder.group, "source": name, "part": "all"})
        entry.fa.set_flow_style()
        sets.insert(index, name, entry)


def _fit_neighbours(params: CommentedMap, sizes: Mapping[str, int]) -> None:
    """Lower every number of neighbours to what the smallest class has beside each of its images."""
    for section in (params["synthesize"]["perturb"], params["quality"]):
        section["neighbours"] = min(section["neighbours"], min(sizes.values()) - 1)
    params["infer"]["knn_neighbours"] = min(params["infer"]["knn_neighbours"], sum(sizes.values()))


def _median_side(images: ImageSet) -> float:
    """Return the median of the shorter sides of the pictures, in pixels."""
    step = -(-len(images) // MEASURED)
    return median(min(images.read(index).size) for index in range(0, len(images), step))


def _costs(
    params: CommentedMap, choice: EncoderChoice, photos: Photos, ood_folders: Mapping[str, OodFolder]
) -> list[str]:
    """Return the sizes that follow from the images, and how long the encoder's work will take on this machine."""
    fitted = validate(PARAMS_FILE, AllParams, parse_yaml(PARAMS_FILE, dump_yaml(params).encode()))
    sizes = {part: len(photos.parts[part]) for part in PARTS}
    others = (sizes["validation"], *(len(entry.images) for entry in ood_folders.values()))
    model = None if choice.backbone is None else choice.backbone.model
    amount, train = Amount(sizes["train"], sizes["test"], others), photos.parts["train"]
    speed, rival = measured_speed(fitted, model, train), rival_seconds(fitted, train)
    times = [
        estimate(fitted, speed, amount),
        rival_sentence(fitted, rival),
        whole_run_sentence(fitted, speed, amount, len(train.class_names), rival),
    ]
    if choice.backbone is not None:
        return times
    epochs = f"encoder.{choice.kind}.epochs {params['encoder'][choice.kind]['epochs']}"
    return [f"image_size {fitted.data.image_size}, {epochs}, views.count {fitted.views.count}", *times]


def _clone(checkout: Path, folder: Path) -> None:
    """Clone the last commit onto a branch `main`; the remote is that of the checkout, if it has one."""
    _git(checkout, "clone", "--quiet", "--no-hardlinks", "--origin", "upstream", str(checkout), str(folder.resolve()))
    _git(folder, "checkout", "--quiet", "-B", "main")
    if remote := _git(checkout, "config", "--default", "", "--get", "remote.origin.url"):
        _git(folder, "remote", "set-url", "upstream", remote)


def _commit(folder: Path, message: str) -> None:
    """Commit what makes the clone a project of its own; where git knows nobody, under the name of this program."""
    _git(folder, "add", "--force", LINKS.as_posix(), PARAMS_FILE.name, README)
    known = all(_git(folder, "config", "--default", "", "--get", name) for name in ("user.name", "user.email"))
    _git(folder, *([] if known else NOBODY), "commit", "--quiet", "--no-verify", "--message", message)


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output; a failure becomes a ProjectError of one line."""
    try:
        process = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise ProjectError(folder, "no git", "git on the path", "Install git.") from error
    if process.returncode:
        found = f"`git {arguments[0]}` fails ({' '.join(process.stderr.decode(errors='backslashreplace').split())})"
        raise ProjectError(folder, found, "a new project", "Correct that, and run the command again.")
    return os.fsdecode(process.stdout).strip()


def _print_summary(photos: Photos, ood_folders: Mapping[str, OodFolder], params: AllParams, console: Console) -> None:
    """Print the number of images per class, the skipped files with reasons, and what was lowered for so few."""
    table = Table("class", *PARTS, box=None, pad_edge=False)
    counts = {part: photos.pictures(part) for part in PARTS}
    for name in photos.parts["train"].class_names:
        table.add_row(name, *(f"{counts[part][name]:,}" for part in PARTS))
    console.print(table)
    image_sets = {PHOTOS: photos.parts["train"]} | {name: entry.images for name, entry in ood_folders.items()}
    for name, images in image_sets.items():
        console.print(_file_summary(name, images), soft_wrap=True)
    for note in photos.notes:
        console.print(f"{PHOTOS}: {note}", soft_wrap=True)
    for name, entry in ood_folders.items():
        console.print(f"{name}: the {entry.group} set of {entry.folder}", soft_wrap=True)
    if lowered := _lowered(params, counts["train"]):
        console.print(lowered, soft_wrap=True)


def _lowered(params: AllParams, sizes: Mapping[str, int]) -> str:
    """Return which numbers of neighbours are as large as the images allow, and why; empty if none is."""
    smallest, total = min(sizes.values()), sum(sizes.values())
    fitted = {name: value for name, value in neighbours(params).items() if value == smallest - 1}
    if params.infer.knn_neighbours == total:
        fitted["infer.knn_neighbours"] = total
    values = ", ".join(f"{name} {value}" for name, value in fitted.items())
    return f"{values}: lowered, as the smallest class has {smallest} images to train on" if fitted else ""


def _file_summary(name: str, images: ImageSet) -> str:
    """Return one line on the files of a folder, with the skipped files by reason."""
    files = images.files or {}
    counts = f"{name}: {files['found']:,} files, {sum(files['skipped'].values()):,} skipped"
    reasons = [
        f"{count} {reason} ({files['skipped_files'][reason][0]}{', ...' * (count > 1)})"
        for reason, count in files["skipped"].items()
    ]
    return f"{counts}: {'; '.join(reasons)}" if reasons else counts
