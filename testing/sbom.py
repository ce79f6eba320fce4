"""What a release is made of, as CycloneDX 1.5 JSON: `python -m testing.sbom dist/sbom.json`, as `make sbom` does.

It is made of the two places that say it: VERSION and requirements.lock.  Python and Dovecot themselves are the
distribution's.  The same sources give the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

from dovecot_urlauth.admin import VERSION
from dovecot_urlauth.admin.version import commit_of
from testing.executables import CHECKOUT

LOCKED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})+)", re.M)
NAMESPACE = uuid.UUID("6d7d4f0e-5b0a-4a2e-9f43-7c6f6a4a4d55")
"""Of the serial numbers, which must be UUIDs."""

#: what is used where it is there, and never installed by us
OPTIONAL = ("prometheus-client", "python-daemon")


def bill(folder: Path) -> dict[str, Any]:
    """The bill of materials of the checkout in `folder`."""
    locked = (folder / "requirements.lock").read_text().replace("\\\n", " ")
    required = [_library(found["name"], found["version"], found["hashes"]) for found in LOCKED.finditer(locked)]
    optional = [_library(name) | {"scope": "optional"} for name in OPTIONAL]
    ours = f"pkg:generic/dovecot-urlauth@{VERSION}"
    commit = commit_of(folder)
    properties = [{"name": "commit", "value": commit}] if commit else []
    libraries = sorted([*required, *optional], key=lambda library: str(library["bom-ref"]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, f'{VERSION} {commit}')}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": "dovecot-urlauth",
                "version": VERSION,
                "purl": ours,
                "licenses": [{"license": {"id": "MIT"}}],
                "properties": properties,
            }
        },
        "components": libraries,
        "dependencies": [{"ref": ours, "dependsOn": [library["bom-ref"] for library in libraries]}],
    }


def _library(name: str, version: str = "", hashes: str = "") -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}" if version else f"pkg:pypi/{name}"
    library: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "purl": purl, "scope": "required"}
    if version:
        library["version"] = version
    if hashes:
        # each of the files that pip may take, a wheel or the source
        references = [
            {"type": "distribution", "url": f"https://pypi.org/project/{name}/{version}/", "hashes": [digest]}
            for digest in ({"alg": "SHA-256", "content": one.partition(":")[2]} for one in hashes.split())
        ]
        library["externalReferences"] = references
    return library


def main(target: str) -> int:
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill(CHECKOUT), indent=2) + "\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
