"""Turn the numbers of the reports into sentences that claim no more than the numbers show."""

from typing import Any, NamedTuple

from pipeline.outliers.stand_ins.names import STAND_IN
from pipeline.params.infer import SCORES, score_title
from pipeline.params.probe import PROBES

Json = dict[str, Any]
GROUPS = ("near", "far", STAND_IN)
GROUP_NAMES = {STAND_IN: "stand-in"}
STAND_INS_SENTENCE = "There are no OOD images: synthetic outliers stand in for them, and their figures are optimistic."
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
PERCENT = f"{SPACE}%"
CLAIMS = {"better": "is better than", "worse": "is worse than", "undecided": "is not shown to differ from"}
SECOND_CLAIMS = {"better": "better", "worse": "worse", "undecided": "not shown to differ"}
LOSS_NAMES = {"info_nce": "InfoNCE", "club": "CLUB"}


class Entry(NamedTuple):
    """The values of a group of OOD sets, or of one set."""

    title: str
    values: Json  # by score
    is_group: bool


def score_name(name: str) -> str:
    """Return the usual name of a score."""
    return score_title(name) if name in SCORES else name.replace("_", " ")


def group_name(name: str) -> str:
    """Return the word for the outliers of a group."""
    return GROUP_NAMES.get(name, name)


def set_title(metrics: Json, name: str) -> str:
    """Return the name of an image set; for a stand-in, also whether the detector was trained on its kind."""
    trained_on = metrics.get(STAND_IN, {}).get("trained_on", {})
    return f"{name} ({'trained' if trained_on[name] else 'new'} kind)" if name in trained_on else name


def loss_name(name: str) -> str:
    """Return the usual name of a loss."""
    return LOSS_NAMES.get(name, name.replace("_", " "))


def percent(share: float) -> str:
    """Return a share in percent with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def mean_std(value: Json) -> str:
    """Return mean and standard deviation over the seeds, in percent; one seed has no deviation."""
    return percent(value["mean"]) + ("" if value["std"] is None else f" ± {percent(value['std'])}")


def signed(share: float) -> str:
    """Return a difference in points with its sign; a difference that rounds to zero has no sign."""
    points = round(100 * share, 1)
    return "0.0" if points == 0 else f"{'+' if points > 0 else MINUS}{abs(points):.1f}"


def interval(difference: Json) -> str:
    """Return the 95 % interval of a difference in points."""
    low, high = difference["ci95"]
    return f"[{signed(low)},{SPACE}{signed(high)}]"


def joined_words(words: list[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def verdict_sentence(metrics: Json) -> str:
    """Return one sentence on whether the detector beats its baseline, by the headline score.

    An interval that contains zero is no result either way, and is never called 'the same'.
    """
    headline = metrics["score"]
    gains = {
        name: metrics["groups"][name][headline]["difference"]["auroc"] for name in GROUPS if name in metrics["groups"]
    }
    if not gains:
        return f"No image set of outliers was scored, so nothing is known of the detector; {_accuracy_phrase(metrics)}."
    notes = [_stand_in_note(metrics[STAND_IN]["trained_on"])] if STAND_IN in gains else []
    notes += ["a single seed decides nothing"] if len(metrics["seeds"]) == 1 else []
    claims = "; ".join([claims_phrase(gains, "its baseline"), *notes, _accuracy_phrase(metrics)])
    return f"By the {score_name(headline)} score the detector {claims}."


def claims_phrase(gains: dict[str, Json], rival: str) -> str:
    """Return the claim about each group, with its gain; a claim that both groups share is stated once."""
    (first, gain), *other_groups = gains.items()
    phrase = f"{CLAIMS[gain['verdict']]} {rival} on {group_name(first)} outliers ({_gain(gain, ' points of AUROC')})"
    for name, other in other_groups:
        if other["verdict"] == gain["verdict"]:
            link = "or" if gain["verdict"] == "undecided" else "and"
        else:
            link = f"but {SECOND_CLAIMS[other['verdict']]}"
        phrase += f" {link} on {name} ones ({_gain(other)})"
    return phrase


def _stand_in_note(trained_on: dict[str, bool]) -> str:
    """Return the limits of a gain on stand-ins."""
    kinds = f"it was trained on {sum(trained_on.values())} of their {len(trained_on)} kinds"
    return f"these are synthetic, {kinds}, and nothing is promised for real OOD images"


def _gain(gain: Json, unit: str = "") -> str:
    return f"{signed(gain['mean'])}{unit} {interval(gain)}"


def _accuracy_phrase(metrics: Json) -> str:
    baseline, detector = (metrics["id_accuracy"][side] for side in ("baseline", "detector"))
    if percent(baseline["mean"]) == percent(detector["mean"]):
        return f"ID accuracy stays at {percent(detector['mean'])}{PERCENT}"
    return f"ID accuracy goes from {mean_std(baseline)} to {mean_std(detector)}{PERCENT}"


def threshold_sentence(metrics: Json) -> str:
    """Return two sentences on which shares of ID test and OOD images the threshold rejects."""
    threshold = metrics["threshold"]
    detected = [f"{percent(share)}{PERCENT} of {name}" for name, share in threshold["ood_detected"].items()]
    target = _short(100 * threshold["id_rejection_target"])
    return (
        f"The threshold is fitted to reject at most {target}{PERCENT} of the ID validation images. It rejects "
        f"{percent(threshold['id_rejection_test'])}{PERCENT} of the ID test images"
        + (f" and detects {joined_words(detected)}." if detected else ".")
    )


def folder_sentences(guard: Json) -> list[str]:
    """Return a few sentences per source with an account: how many files or rows are in which set, or skipped."""
    return [_folder_sentence(source, counts) for source, counts in guard["files"].items()]


def _folder_sentence(source: str, counts: Json) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts["skipped"].items())
    parts = [f"{count:,} in {name}" for name, count in counts["sets"].items()]
    parts += [f"{counts[key]:,} {key.replace('_', ' ')}" for key in ("beyond_limits", "in_no_set") if counts[key]]
    parts.append(f"{sum(counts['skipped'].values()):,} skipped{f' ({reasons})' if reasons else ''}")
    where, unit = ("Table", "rows") if counts.get("unit") == "rows" else ("Folder", "files")
    sentence = f"{where} of {source}: {counts['found']:,} {unit} = {' + '.join(parts)}."
    copies, faint = counts["repeated"], counts.get("faint", 0)
    sentence += f" {_images(copies)} {_are(copies)} a copy of another." if copies else ""
    return sentence + (f" {_images(faint)} {_are(faint)} faint: at most an eighth of 16 bits is used." if faint else "")


def shared_sentences(guard: Json) -> list[str]:
    """Return one sentence per pair of image sets with images in common, or one sentence that there is no such pair."""
    pairs = [pair for pair in guard["shared"] if pair["images"]]
    if not pairs:
        return [f"No image is in two of the {len(guard['sets'])} image sets."]
    return [f"{_images(pair['images'])} of {pair['b']} {_are(pair['images'])} in {pair['a']} too." for pair in pairs]


def repeated_sentences(guard: Json) -> list[str]:
    """Return one sentence on the image sets that hold an image twice."""
    repeating = {name: entry for name, entry in guard["sets"].items() if entry["duplicates_within"]}
    if not repeating:
        return ["No image set holds an image twice."]
    counts = [f"{name} ({entry['duplicates_within']} of {entry['images']})" for name, entry in repeating.items()]
    return [f"Images that repeat one of the same set: {joined_words(counts)}."]


def near_duplicate_sentences(guard: Json) -> list[str]:
    """Return one sentence per image set with images very close to an ID training image, or one if there is none."""
    near_duplicates = guard["near_duplicates"]
    limit = _short(near_duplicates["limit"])
    close_sets = {name: entry for name, entry in near_duplicates["sets"].items() if entry["images"]}
    if not close_sets:
        return [f"No image of another set is a near-duplicate of an ID training image (latent distance below {limit})."]
    return [
        f"{_images(entry['images'])} of {name} {_are(entry['images'])} closer than {limit} to an ID training image; "
        f"the nearest is {_short(entry['examples'][0][2])} away."
        for name, entry in close_sets.items()
    ]


def artefact_sentences(metrics: Json) -> str:
    """Return two sentences on how far the headline score separates images that were only handled differently."""
    headline = metrics["score"]
    aurocs = {name: scores[headline]["detector"]["auroc"]["mean"] for name, scores in metrics["artefacts"].items()}
    phrases = [f"{percent(auroc)} for ID test images {PROBES.get(name, name)}" for name, auroc in aurocs.items()]
    return (
        f"An image that was only handled differently still shows the same thing, so its score should not change: the "
        f"AUROC between both should be 50. By the detector's {score_name(headline)} score it is "
        f"{joined_words(phrases)}."
    )


def entries(metrics: Json) -> list[Entry]:
    """Return the entries of the tables and figures: the groups, then the sets.

    The only set of a group has the values of its group, so it has no entry of its own.
    """
    groups = {name: metrics["groups"][name] for name in GROUPS if name in metrics["groups"]}
    only_set = {
        group: name
        for group, values in groups.items()
        for name, set_values in metrics["sets"].items()
        if set_values == values
    }
    titles = {
        name: f"{name}: {set_title(metrics, only_set[name])}" if name in only_set else f"{name} (mean)"
        for name in groups
    }
    other_sets = {name: values for name, values in metrics["sets"].items() if name not in only_set.values()}
    return [
        *(Entry(titles[name], values, is_group=True) for name, values in groups.items()),
        *(Entry(set_title(metrics, name), values, is_group=False) for name, values in other_sets.items()),
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
