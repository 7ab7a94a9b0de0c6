"""Names and files of stand-ins: fresh outliers that are scored if a run has no OOD images."""

STAND_IN = "stand_in"
"""Group of these sets in the reports, and the folder of their stores next to the table of scores."""
REPORT = f"{STAND_IN}/report.json"
STAND_IN_FORMAT = "latent-outliers-stand-in/1"


def set_name(kind: str) -> str:
    """Return the name of the image set for one kind of stand-ins."""
    return f"{STAND_IN}/{kind}"


def stands_in(image_set: str) -> bool:
    """Return whether an image set consists of stand-ins."""
    return image_set.startswith(f"{STAND_IN}/")
