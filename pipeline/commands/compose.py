"""Make the complete parameter file of a preset: the text of the base with the values and comments of the preset.

A preset contains only what differs from the base, and the section `data` in full. Elsewhere, mappings are merged key by
key. Any other value, such as `[32, 64]` or `{kind: linear}`, replaces that of the base. A comment of the base stays
unless the preset has its own comment there. Order and layout are those of the base: lines that a preset does not touch
are the text of the base, byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from pipeline.params.all_params import AllParams
from pipeline.runtime.errors import ParamsError
from pipeline.schema.reader import parse_yaml, read_yaml, validate
from pipeline.schema.spelling import nearest_name
from pipeline.schema.text import yaml_nodes

BASE, IN_FULL = "digits", "data"


def preset_text(preset: Path) -> str:
    """Return the complete parameter file of a preset, not validated; the file of the base is in the same folder.

    The first paragraph of the leading comment describes the base; the comment of the preset replaces it.
    Raises ParamsError when a file cannot be read, or with all problems when the preset does not fit the base.
    """
    preset_file = _Text(preset)
    if preset.stem == BASE:
        return preset_file.text
    base_file, problems = _Text(preset.with_name(f"{BASE}.yaml")), list[str]()
    if IN_FULL not in preset_file.entries:
        problems.append(f"{IN_FULL} is missing; a preset says it in full")
    entries = _merged(base_file.entries, preset_file.entries, "", problems)
    if problems:
        raise ParamsError(preset, problems)
    header = base_file.header
    shared_header = header[header.index("#") :] if "#" in header else []
    body = [line for entry in entries.values() for line in entry.lines()]
    return "\n".join([*preset_file.header, *shared_header, *base_file.gap, *body]) + "\n"


def load_preset(preset: Path) -> AllParams:
    """Return the parameters of a preset; raises ParamsError, which lists every problem found."""
    return validate(preset, AllParams, parse_yaml(preset, preset_text(preset).encode()))


@dataclass(frozen=True)
class _Entry:
    """A key with its value, as lines of text."""

    indent: int
    value: Node
    above: list[str]  # comment lines above the key, in its column
    key_lines: list[str]  # the key, with a value that is not in block style; without the comment of the last line
    comment: list[str]  # behind the last key line (may be empty), then lines that continue it
    column: int  # where the comment behind the last key line begins
    below: list[str]  # a value in block style
    keys: Mapping[str, "_Entry"]  # the entries of a mapping in block style
    blank: list[str]  # empty lines at the end

    def lines(self) -> list[str]:
        """Return the lines of the entry."""
        *first, last = self.key_lines
        same_line, *further = self.comment or [""]
        last = f"{last:<{self.column - 1}} {same_line}" if same_line else last
        below = [line for entry in self.keys.values() for line in entry.lines()] if self.keys else self.below
        return [*self.above, *first, last, *further, *below, *self.blank]


class _Text:
    """A parameter file in parts: its leading comment, the gap after it, and the sections."""

    def __init__(self, path: Path) -> None:
        read_yaml(path)  # raises ParamsError when it holds no sections
        self.text = path.read_text(encoding="utf-8")
        self._lines = self.text.splitlines()
        root = cast("MappingNode", yaml_nodes(self.text))
        if root.flow_style:
            raise ParamsError(path, ["its sections are in braces, wanted each on lines of its own"])
        header_end = next(index for index, line in enumerate(self._lines) if not line.startswith("#"))
        self.header = self._lines[:header_end]
        self.gap = self._lines[header_end : self._start(root.value[0][0])] if root.value else []
        self.entries = self._entries(root, len(self._lines))

    def _entries(self, mapping: MappingNode, end: int) -> dict[str, _Entry]:
        """Return the entries of a mapping in block style, the last of which ends before line `end`."""
        starts = [self._start(key) for key, _ in mapping.value]
        stops = [*starts[1:], end]
        return {
            str(key.value): self._entry(key, value, start, stop)
            for (key, value), start, stop in zip(mapping.value, starts, stops, strict=True)
        }

    def _start(self, key: Node) -> int:
        """Return the number of the first line of an entry: its key, or the comment lines directly above."""
        line: int = key.start_mark.line
        comment = " " * key.start_mark.column + "#"
        while line > len(self.header) and self._lines[line - 1].startswith(comment):
            line -= 1
        return line

    def _entry(self, key: Node, value: Node, start: int, stop: int) -> _Entry:
        """Return the entry of one key, which is on lines `start` to `stop`."""
        end = stop
        while not self._lines[end - 1].strip():
            end -= 1
        first, block = key.start_mark.line, _is_block(value)
        mark = key.end_mark if block else value.end_mark
        last, after = mark.line, self._lines[mark.line][mark.column :].lstrip(": ")
        column = len(self._lines[last]) - (len(after) if after.startswith("#") else 0)
        keys = self._entries(value, end) if block and isinstance(value, MappingNode) else {}
        inner = end if not block else self._start(value.value[0][0]) if keys else last + 1
        comment = [self._lines[last][column:], *self._lines[last + 1 : inner]]
        return _Entry(
            indent=key.start_mark.column,
            value=value,
            above=self._lines[start:first],
            key_lines=[*self._lines[first:last], self._lines[last][:column].rstrip()],
            comment=comment if any(comment) else [],
            column=column,
            below=self._lines[inner:end],
            keys=keys,
            blank=self._lines[end:stop],
        )


def _is_block(value: Node) -> bool:
    """Return whether a value is written on the lines below its key."""
    if isinstance(value, CollectionNode):
        return not value.flow_style
    return isinstance(value, ScalarNode) and value.style in ("|", ">")


def _merged(
    base: Mapping[str, _Entry], preset: Mapping[str, _Entry], prefix: str, problems: list[str]
) -> dict[str, _Entry]:
    """Return the entries of the base, replaced by those of the preset, and append to `problems` what does not fit."""
    unexpected = [name for name in preset if name not in base]
    problems += [f"{prefix}{name} is not a parameter; {nearest_name(name, [*base])}" for name in unexpected]
    return {
        name: _merged_entry(entry, preset[name], f"{prefix}{name}", problems) if name in preset else entry
        for name, entry in base.items()
    }


def _merged_entry(base: _Entry, preset: _Entry, name: str, problems: list[str]) -> _Entry:
    """Return the entry that replaces `base`; comments of the base stay where the preset has none."""
    if preset.indent != base.indent:
        problems.append(f"{name} has {preset.indent} spaces before it, wanted {base.indent} as in {BASE}")
    merge_keys = name != IN_FULL and base.keys and isinstance(preset.value, MappingNode)
    if merge_keys and not _is_block(preset.value):
        problems.append(f"{name} is in braces, wanted a line for each key as in {BASE}")
    return replace(
        base if merge_keys else preset,
        keys=_merged(base.keys, preset.keys, f"{name}.", problems) if merge_keys else preset.keys,
        above=preset.above or base.above,
        comment=preset.comment or base.comment,
        column=preset.column if preset.comment else base.column,
        blank=base.blank,
    )
