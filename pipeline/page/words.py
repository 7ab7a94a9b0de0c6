"""Say in sentences what the metrics say in numbers, and no more than they say."""

from typing import Any, NamedTuple

from pipeline.probe.names import PROBES
from pipeline.stand_in import STAND_IN

Json = dict[str, Any]
GROUPS = ("near", "far", STAND_IN)
GROUP_NAMES = {STAND_IN: "stand-in"}
STAND_INS = "There are no OOD images: synthetic outliers stand in for them, and their figures are optimistic."
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
PERCENT = f"{SPACE}%"
CLAIMS = {"better": "is better than", "worse": "is worse than", "undecided": "is not shown to differ from"}
SECOND_CLAIMS = {"better": "better", "worse": "worse", "undecided": "not shown to differ"}
SCORE_NAMES = {
    "msp": "MSP",
    "max_logit": "max logit",
    "energy": "energy",
    "gen": "GEN",
    "cosine": "cosine",
    "knn": "k-NN",
    "mahalanobis": "Mahalanobis",
    "relative_mahalanobis": "relative Mahalanobis",
    "mahalanobis_pp": "Mahalanobis++",
    "vim": "ViM",
    "combined": "combined",
}

LOSS_NAMES = {"info_nce": "InfoNCE", "club": "CLUB"}


class Entry(NamedTuple):
    """The values of a group of OOD sets, or of one set."""

    title: str
    values: Json  # by score
    is_group: bool


def score_name(name: str) -> str:
    """Return a score's usual name."""
    return SCORE_NAMES.get(name, name.replace("_", " "))


def group_name(name: str) -> str:
    """Return what outliers of a group are called."""
    return GROUP_NAMES.get(name, name)


def set_title(metrics: Json, name: str) -> str:
    """Return the name of an image set; of one that stands in for OOD images also whether its kind was trained on."""
    trained_on = metrics.get(STAND_IN, {}).get("trained_on", {})
    return f"{name} ({'trained' if trained_on[name] else 'new'} kind)" if name in trained_on else name


def loss_name(name: str) -> str:
    """Return a loss's usual name."""
    return LOSS_NAMES.get(name, name.replace("_", " "))


def percent(share: float) -> str:
    """Return a share in percent with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def spread(value: Json) -> str:
    """Return mean and, if known, standard deviation over the seeds, in percent."""
    return percent(value["mean"]) + ("" if value["std"] is None else f" ± {percent(value['std'])}")


def signed(share: float) -> str:
    """Return a difference in points with its sign; what rounds to nothing has none."""
    points = round(100 * share, 1)
    return "0.0" if points == 0 else f"{'+' if points > 0 else MINUS}{abs(points):.1f}"


def interval(difference: Json) -> str:
    """Return the 95 % interval of a difference in points."""
    low, high = difference["ci95"]
    return f"[{signed(low)},{SPACE}{signed(high)}]"


def listing(words: list[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def verdict(metrics: Json) -> str:
    """Return in one sentence whether the detector tells outliers better than its baseline, by the headline score.

    An interval that holds zero is no finding either way, and is never called 'the same'.
    """
    headline = metrics["score"]
    found = {
        name: metrics["groups"][name][headline]["difference"]["auroc"] for name in GROUPS if name in metrics["groups"]
    }
    if not found:
        return f"No image set of outliers was scored, so nothing is known of the detector; {_accuracy(metrics)}."
    notes = [_worth(metrics[STAND_IN]["trained_on"])] if STAND_IN in found else []
    notes += ["a single seed decides nothing"] if len(metrics["seeds"]) == 1 else []
    told = "; ".join([_claims(found), *notes, _accuracy(metrics)])
    return f"By the {score_name(headline)} score the detector {told}."


def _claims(found: dict[str, Json]) -> str:
    """Return what holds of each group, with its gain; the claim is said once where both groups share it."""
    (first, gain), *others = found.items()
    told = f"{CLAIMS[gain['verdict']]} its baseline on {group_name(first)} outliers ({_gain(gain, ' points of AUROC')})"
    for name, other in others:
        if other["verdict"] == gain["verdict"]:
            link = "or" if gain["verdict"] == "undecided" else "and"
        else:
            link = f"but {SECOND_CLAIMS[other['verdict']]}"
        told += f" {link} on {name} ones ({_gain(other)})"
    return told


def _worth(trained_on: dict[str, bool]) -> str:
    """Return what a gain on stand-ins is worth."""
    kinds = f"it was trained on {sum(trained_on.values())} of their {len(trained_on)} kinds"
    return f"these are synthetic, {kinds}, and nothing is promised for real OOD images"


def _gain(gain: Json, unit: str = "") -> str:
    return f"{signed(gain['mean'])}{unit} {interval(gain)}"


def _accuracy(metrics: Json) -> str:
    before, after = (metrics["id_accuracy"][side] for side in ("baseline", "detector"))
    if percent(before["mean"]) == percent(after["mean"]):
        return f"ID accuracy stays at {percent(after['mean'])}{PERCENT}"
    return f"ID accuracy goes from {spread(before)} to {spread(after)}{PERCENT}"


def threshold(metrics: Json) -> str:
    """Return what the threshold does on images it was not fitted on."""
    found = metrics["threshold"]
    caught = [f"{percent(share)}{PERCENT} of {name}" for name, share in found["ood_detected"].items()]
    target = _short(100 * found["id_rejection_target"])
    return (
        f"The threshold is fitted to reject at most {target}{PERCENT} of the ID validation images. It rejects "
        f"{percent(found['id_rejection_test'])}{PERCENT} of the ID test images"
        + (f" and detects {listing(caught)}." if caught else ".")
    )


def files_of_folders(guard: Json) -> list[str]:
    """Return one sentence or two on each source that is a folder: what became of every file found there."""
    return [_files_of_one(source, found) for source, found in guard["files"].items()]


def _files_of_one(source: str, found: Json) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in found["skipped"].items())
    parts = [f"{count:,} in {name}" for name, count in found["sets"].items()]
    parts += [f"{found[key]:,} {key.replace('_', ' ')}" for key in ("beyond_limits", "in_no_set") if found[key]]
    parts.append(f"{sum(found['skipped'].values()):,} skipped{f' ({reasons})' if reasons else ''}")
    told = f"Folder of {source}: {found['found']:,} files = {' + '.join(parts)}."
    copies = found["repeated"]
    return told + (f" {_images(copies)} {_are(copies)} a copy of another." if copies else "")


def shared(guard: Json) -> list[str]:
    """Return one sentence on each pair of image sets that have images in common, or a single one that none has."""
    found = [one for one in guard["shared"] if one["images"]]
    if not found:
        return [f"No image is in two of the {len(guard['sets'])} image sets."]
    return [f"{_images(one['images'])} of {one['b']} {_are(one['images'])} in {one['a']} too." for one in found]


def repeated(guard: Json) -> list[str]:
    """Return one sentence on the image sets that hold an image twice, if there are such sets."""
    found = {name: one for name, one in guard["sets"].items() if one["duplicates_within"]}
    if not found:
        return ["No image set holds an image twice."]
    counts = [f"{name} ({one['duplicates_within']} of {one['images']})" for name, one in found.items()]
    return [f"Images that repeat one of the same set: {listing(counts)}."]


def near_duplicates(guard: Json) -> list[str]:
    """Return one sentence on each image set with images very close to an ID training image, or a single one."""
    near = guard["near_duplicates"]
    limit = _short(near["limit"])
    found = {name: one for name, one in near["sets"].items() if one["images"]}
    if not found:
        return [f"No image of another set is a near-duplicate of an ID training image (latent distance below {limit})."]
    return [
        f"{_images(one['images'])} of {name} {_are(one['images'])} closer than {limit} to an ID training image; the "
        f"nearest is {_short(one['nearest'])} away."
        for name, one in found.items()
    ]


def artefacts(metrics: Json) -> str:
    """Return in two sentences how far the headline score gives away images that were only handled differently."""
    headline = metrics["score"]
    found = {name: one[headline]["detector"]["auroc"]["mean"] for name, one in metrics["artefacts"].items()}
    told = [f"{percent(auroc)} for ID test images {PROBES.get(name, name)}" for name, auroc in found.items()]
    return (
        f"An image that was only handled differently still shows the same thing, so its score should not change: the "
        f"AUROC between both should be 50. By the detector's {score_name(headline)} score it is {listing(told)}."
    )


def entries(metrics: Json) -> list[Entry]:
    """Return what the tables have a line of and the figures a panel of: the groups, then the sets.

    A set that is all of its group has the group's values and is not told twice.
    """
    groups = {name: metrics["groups"][name] for name in GROUPS if name in metrics["groups"]}
    alone = {group: name for group, values in groups.items() for name, one in metrics["sets"].items() if one == values}
    titles = {
        name: f"{name}: {set_title(metrics, alone[name])}" if name in alone else f"{name} (mean)" for name in groups
    }
    rest = {name: values for name, values in metrics["sets"].items() if name not in alone.values()}
    return [
        *(Entry(titles[name], values, is_group=True) for name, values in groups.items()),
        *(Entry(set_title(metrics, name), values, is_group=False) for name, values in rest.items()),
    ]


def three_digits(value: float) -> str:
    """Return a score with three significant digits."""
    return f"{value:#.3g}".rstrip(".")


def _images(count: int) -> str:
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _short(value: float) -> str:
    return f"{value:.3g}"
