"""Read and write YAML by the library that DVC uses, so that a file means the same to both."""

import io
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import Node

LONGEST_LINE = 1_000  # nothing is wrapped


def plain_reader() -> YAML:
    """Return a reader that makes plain values, as DVC reads parameters: YAML 1.2, in which a key may be said once."""
    return YAML(typ="safe", pure=True)


def plain_yaml(text: str) -> Any:
    """Return the content of a YAML file as plain values."""
    return plain_reader().load(text)


def yaml_nodes(text: str) -> Node:
    """Return the content of a YAML file as nodes, which say where in the text they are."""
    return cast("Node", plain_reader().compose(text))


def load_yaml(text: str) -> CommentedMap:
    """Return the content of a parameter file with its comments, to be changed in place."""
    return cast("CommentedMap", _editor().load(text))


def dump_yaml(content: object) -> str:
    """Return the text of a parameter file; the same as was loaded where nothing has been changed."""
    stream = io.StringIO()
    _editor().dump(content, stream)
    return stream.getvalue()


def _editor() -> YAML:
    """Return what changes YAML and keeps comments, order and layout as parameter files here have them."""
    yaml = YAML()
    yaml.width = LONGEST_LINE
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml
