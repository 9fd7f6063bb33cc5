"""YAML from people who may mean harm: plain values alone, in time linear to its length."""

from __future__ import annotations

from typing import Any, Final

import yaml

# Longer ones are read in time that grows with the square of their length.
_MOST_DIGITS: Final = 100
# Pairs that `<<` may take over from elsewhere: aliases make a short file a long one.
_MOST_MERGED: Final = 100_000
_MERGE: Final = "tag:yaml.org,2002:merge"
_NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(yaml.CSafeLoader):
    """As PyYAML's safe one; parsed by libyaml, which is fast and bounds how deep things nest."""

    _merged = 0

    def construct_scalar(self, node: Any) -> Any:
        if node.tag in _NUMBERS and len(node.value) > _MOST_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"a number has at most {_MOST_DIGITS} characters", node.start_mark
            )
        return super().construct_scalar(node)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, value in node.value:
            if key.tag == _MERGE:
                several = isinstance(value, yaml.SequenceNode)
                self._merged += sum(
                    len(each.value) for each in (value.value if several else [value])
                )
        if self._merged > _MOST_MERGED:
            raise yaml.constructor.ConstructorError(
                None, None, f"<< takes over more than {_MOST_MERGED} pairs", node.start_mark
            )
        super().flatten_mapping(node)


def yaml_read(text: str) -> Any:
    """The document of a text. Raises `yaml.YAMLError`, and `ValueError` where a value is not what
    its tag says."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it makes plain values alone
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        # PyYAML looks at some values only as far as it needs, and then breaks.
        raise ValueError(f"a value is not what its tag says ({error})") from None
