"""Change values in a parameter file and keep its text: comments, order and layout stay as they were."""

import io
from typing import cast

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

LONGEST_LINE = 1_000  # nothing is wrapped


def load_yaml(text: str) -> CommentedMap:
    """Return the content of a parameter file with its comments, to be changed in place."""
    return cast("CommentedMap", _yaml().load(text))


def dump_yaml(content: object) -> str:
    """Return the text of a parameter file; the same as was loaded where nothing has been changed."""
    stream = io.StringIO()
    _yaml().dump(content, stream)
    return stream.getvalue()


def _yaml() -> YAML:
    """Return what reads and writes YAML as parameter files here are spelled."""
    yaml = YAML()
    yaml.width = LONGEST_LINE
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml
