"""Whether every class has enough rows for a number of neighbours."""

from collections.abc import Mapping


def too_few_neighbours(sizes: Mapping[str, int], neighbours: int, parameter: str) -> str | None:
    """Return what is wrong where a class has too few rows for each of them to have `neighbours` others, or None.

    sizes: number of rows by class name; parameter: name in params.yaml of the number of neighbours.
    """
    small = sorted((size, name) for name, size in sizes.items() if size <= neighbours)
    if not small:
        return None
    found = ", ".join(f"class {name!r} has {size}" for size, name in small)
    most = small[0][0] - 1
    lower = f"lower it to {most} or less" if most else "leave out classes with fewer than 2"
    return (
        f"{parameter} is {neighbours}, which wants {neighbours + 1} images of every class, but {found}: "
        f"{lower}, or add images"
    )
