"""What the package is called and needs.  Tool settings: pyproject.toml; installation: install.py"""

import ast
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

#: the one place of the version number, read without importing it
VERSION_FILE = HERE / "dovecot_urlauth" / "admin" / "__init__.py"
[VERSION] = [
    ast.literal_eval(line.partition(" = ")[2])
    for line in VERSION_FILE.read_text(encoding="utf-8").splitlines()
    if line.startswith("VERSION = ")
]

setup(
    name="dovecot-urlauth",
    version=VERSION,
    description="Dovecot's imap-urlauth services in Python: URLAUTH (RFC 4467) across users, and safely",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["dovecot_urlauth", "dovecot_urlauth.*"]),
    python_requires=">=3.11",
    install_requires=(HERE / "requirements.txt").read_text(encoding="utf-8").split(),
    extras_require={"stores": (HERE / "requirements-stores.txt").read_text(encoding="utf-8").split()},
)
