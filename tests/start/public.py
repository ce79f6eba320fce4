"""A pytest plugin (``-p tests.start.public``) that hides CPython's private modules; before anything of ours."""

import builtins

from tests.start.hiding import import_public

builtins.__import__ = import_public
