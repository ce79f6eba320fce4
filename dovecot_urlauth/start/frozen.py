"""Frozen values and enumerations that cost nothing to import.

Under stock service settings three interpreters start for each request, and ``import dataclasses``
takes longer than starting Python itself (19 ms against 10 ms; ``enum`` 4.5 ms).  Type checkers are
shown a dataclass and the real :class:`enum.Enum`; at run time the two small
classes below give the part of them that messages and states need.

A class of which many instances are made gets an ``__init__`` of its own, as a dataclass does, which is three times
as quick as the common one.  Compiling it takes as long as thirty instances do; the worker's parent has that behind
it before it forks, for all classes: each change of a class makes the interpreter forget what it knows of it.
"""

from __future__ import annotations

TYPE_CHECKING = False

MANY = 8
"""Instances after which a class has an ``__init__`` of its own."""

if TYPE_CHECKING:
    from enum import Enum
    from typing import TypeVar, dataclass_transform

    _Class = TypeVar("_Class")

    @dataclass_transform(frozen_default=True)
    def frozen(cls: type[_Class]) -> type[_Class]: ...

    def is_frozen(value: object) -> bool: ...

    def complete_classes() -> None: ...

else:
    _classes = []

    def frozen(cls):
        """Class decorator: an immutable value with the annotated fields, as a frozen dataclass with slots.

        Fields without a default come first, as in a dataclass; a base class's fields come before the class's own.
        """
        own = tuple(cls.__dict__.get("__annotations__", ()))  # noqa: RUF063  (inspect takes 10 ms to import)
        inherited = getattr(cls, "__match_args__", ())
        body = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
        defaults = dict(getattr(cls, "_defaults", ()))
        defaults.update((name, body.pop(name)) for name in own if name in body)
        body.update(__slots__=own, __match_args__=inherited + own, _defaults=defaults, _made=0)
        body.update(__init__=_init, __setattr__=_refuse, __delattr__=_refuse)
        body.update(__eq__=_equal, __hash__=_hash, __repr__=_repr)
        made = type(cls)(cls.__name__, cls.__bases__, body)
        # a slot's own setter passes by __setattr__, and is the quickest way to fill it
        made._setters = tuple(getattr(made, name).__set__ for name in made.__match_args__)
        _classes.append(made)
        return made

    def is_frozen(value):
        """Whether it is of a class that is decorated so."""
        return "_setters" in type(value).__dict__

    def complete_classes():
        """Give each class that there is an ``__init__`` of its own now."""
        for kind in _classes:
            if kind.__init__ is _init:
                kind.__init__ = _own_init(kind)
        _classes.clear()

    def _init(self, *values, **named):
        kind = type(self)
        if "_made" in kind.__dict__:
            kind._made += 1
            if kind._made == MANY:
                kind.__init__ = _own_init(kind)
        setters = self._setters
        for put, value in zip(setters, values):
            put(self, value)
        if len(values) != len(setters) or named:
            _fill(self, len(values), named)

    def _own_init(kind):
        """What ``_init`` does, for this class alone."""
        fields = kind.__match_args__
        parameters, lines = [], []
        for number, name in enumerate(fields):
            parameters.append(f"{name}=_defaults[{name!r}]" if name in kind._defaults else name)
            lines.append(f"    put{number}(self, {name})\n")
        text = f"def __init__(self, {', '.join(parameters)}):\n" + ("".join(lines) or "    pass\n")
        scope = {f"put{number}": put for number, put in enumerate(kind._setters)}
        scope["_defaults"] = kind._defaults
        exec(text, scope)  # noqa: S102 - names of our own classes' fields
        return scope["__init__"]

    def _fill(self, filled, named):
        """Set the fields behind the first ``filled`` ones, by name or by default."""
        fields = self.__match_args__
        if filled > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, got {filled}")
        defaults = self._defaults
        for put, name in zip(self._setters[filled:], fields[filled:]):
            if name in named:
                put(self, named.pop(name))
            elif name in defaults:
                put(self, defaults[name])
            else:
                raise TypeError(f"{type(self).__name__} needs {name}")
        if named:
            raise TypeError(f"{type(self).__name__} has no {', '.join(named)} to set")

    def _refuse(self, name, value=None):
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def _values(self):
        return tuple(getattr(self, name) for name in self.__match_args__)

    def _equal(self, other):
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def _hash(self):
        return hash((type(self).__name__, _values(self)))

    def _repr(self):
        pairs = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({pairs})"

    class _EnumType(type):
        """Turns a class body's plain values into its only instances."""

        def __new__(mcs, name, bases, body):
            members = {key: value for key, value in body.items() if not _is_method(key, value)}
            cls = super().__new__(mcs, name, bases, {k: v for k, v in body.items() if k not in members})
            cls._members = {}
            for key, value in members.items():
                member = object.__new__(cls)
                member.name, member.value = key, value
                cls._members[value] = member
                type.__setattr__(cls, key, member)
            return cls

        def __call__(cls, value):
            try:
                return cls._members[value]
            except KeyError:
                raise ValueError(f"{value!r} is not a valid {cls.__name__}") from None

        def __iter__(cls):
            return iter(cls._members.values())

        def __len__(cls):
            return len(cls._members)

        def __setattr__(cls, name, value):
            if not name.startswith("_"):
                raise AttributeError(f"{cls.__name__}.{name} is fixed")
            type.__setattr__(cls, name, value)

    def _is_method(name, value):
        return name.startswith("_") or hasattr(value, "__get__")

    class Enum(metaclass=_EnumType):
        """A closed set of named values, compared by identity."""

        def __repr__(self):
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"


__all__ = ["Enum", "frozen"]
