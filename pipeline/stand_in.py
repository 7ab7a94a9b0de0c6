"""Where outliers synthesized anew stand in for OOD images that a run does not have, and what they are called."""

STAND_IN = "stand_in"
"""Group of these sets in the reports, and the folder of their stores beside the table of scores."""
REPORT = f"{STAND_IN}/report.json"
STAND_IN_FORMAT = "latent-outliers-stand-in/1"


def set_name(kind: str) -> str:
    """Return the name of the image set of one kind of outliers."""
    return f"{STAND_IN}/{kind}"


def stands_in(image_set: str) -> bool:
    """Say whether an image set is one of these."""
    return image_set.startswith(f"{STAND_IN}/")
