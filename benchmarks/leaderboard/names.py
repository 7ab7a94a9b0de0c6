"""Options of benchmarks whose values are names."""

from collections.abc import Sequence

from pipeline.runtime.errors import PipelineError
from pipeline.schema.spelling import nearest_name


def known(asked: Sequence[str] | None, names: Sequence[str], what: str) -> list[str]:
    """Return what is asked for in the order of all names, or all; raises PipelineError for what is none of them."""
    for name in asked or ():
        if name not in names:
            raise PipelineError(f"{name!r} is no {what}; {nearest_name(name, names)}")
    return [name for name in names if name in (asked or names)]
