"""dovecot-urlauth.  An installation loads its modules from one file, the bundle.

Under stock service settings three interpreters start for each request.  To find one module in folders takes a
dozen system calls, and a service has 50 to 100, so ``install.py`` writes the byte code of all of them into one
file as well.  Like any byte code it belongs to one version of Python: ``__pycache__/bundle.cpython-311`` holds

    Python's magic number (4 bytes)
    the offset of the index (4 bytes, little-endian)
    each module's code object, marshalled by itself
    the index, marshalled: module -> (file in this folder, offset, size)

Without a bundle, as in a checkout, or with one that is not whole, all imports are left to Python.
"""

import marshal
import sys

try:
    import posix
    from _frozen_importlib_external import MAGIC_NUMBER
except ImportError:  # another Python than CPython 3.11 to 3.14; 7 ms more
    import os as posix  # type: ignore[no-redef]
    from importlib.util import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
else:
    ModuleSpec = type(__spec__)  # to import it takes as long as all of this

INDEX_AT = slice(4, 8)
MOST_BYTES = 1 << 20
"""The index is never as long as this; its end is the file's."""


class Bundle:
    """Finder and loader of the modules in a bundle, whose file stays open: it serves behind a chroot, too."""

    def __init__(self, folder: str, fd: int) -> None:
        """``folder`` is the package's, ``fd`` its bundle.  Raises ValueError, EOFError, TypeError, OSError."""
        self._folder = folder
        self._fd = fd
        header = posix.pread(fd, INDEX_AT.stop, 0)
        if not header.startswith(MAGIC_NUMBER):
            raise ValueError("byte code of another Python")
        index = posix.pread(fd, MOST_BYTES, int.from_bytes(header[INDEX_AT], "little"))
        self._index: dict[str, tuple[str, int, int]] = marshal.loads(index)  # noqa: S302

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Where a module's source is; None for a module that is not ours."""
        if name not in self._index:
            return None
        file = f"{self._folder}/{self._index[name][0]}"
        package = file.removesuffix("/__init__.py")
        spec = ModuleSpec(name, self, origin=file, is_package=package != file)  # type: ignore[arg-type]
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(package)
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """Python makes the module."""

    def exec_module(self, module: "ModuleType") -> None:
        """Fill the module."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102

    def get_code(self, name: str) -> "CodeType":
        """What the module runs when it is imported."""
        _, offset, size = self._index[name]
        code: CodeType = marshal.loads(posix.pread(self._fd, size, offset))  # noqa: S302
        return code


def _use_bundle(folder: str) -> None:
    path = f"{folder}/__pycache__/bundle.{sys.implementation.cache_tag}"
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return
    try:
        sys.meta_path.insert(0, Bundle(folder, fd))
    except (OSError, ValueError, EOFError, TypeError):
        posix.close(fd)


def is_bundled() -> bool:
    """Whether modules can be loaded behind a chroot, too."""
    return isinstance(sys.meta_path[0], Bundle)


_use_bundle(__path__[0])
