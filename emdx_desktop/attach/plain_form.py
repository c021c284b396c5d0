"""Frozen dataclasses as plain JSON values and back, by their annotations."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_plain(content: object) -> Any:
    """A value made of what JSON knows."""
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return {name: to_plain(getattr(content, name)) for name in _field_types(type(content))}
    if isinstance(content, Enum):
        return content.value
    if isinstance(content, Fraction):
        return str(content)
    if isinstance(content, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in content.items()}
    if isinstance(content, tuple | list):
        return [to_plain(item) for item in content]
    return content


def from_plain(kind: type[T], plain: Any) -> T:
    """The value again.

    Raises:
        ValueError, KeyError, TypeError: The plain value is of another form.
    """
    built: T = _build(kind, plain)
    return built


@cache
def _field_types(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _build(kind: Any, plain: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if plain is None:
            return None
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return _build(kind, plain)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_build(arguments[0], item) for item in plain)
        return tuple(_build(argument, item) for argument, item in zip(arguments, plain, strict=True))
    if origin is Mapping:
        return {_build(arguments[0], key): _build(arguments[1], item) for key, item in plain.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return kind(**{name: _build(field, plain[name]) for name, field in _field_types(kind).items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if kind is Fraction:
        return Fraction(plain)
    kind = getattr(kind, "__supertype__", kind)  # NewType
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if not isinstance(plain, kind):
        raise TypeError(f"{plain!r} is no {kind.__name__}")
    return plain
