"""The line that installs an extra: in a clone at the pinned versions, elsewhere from wherever the package came from."""

from pathlib import Path

PINS = "constraints.txt"
CODE = Path(__file__).parents[3]


def install_line(extra: str) -> str:
    """Return a command for the user's shell."""
    if (CODE / PINS).is_file():
        return f"pip install -c {PINS} -e '.[{extra}]'"
    return f"pip install 'latent-outliers[{extra}]'"
