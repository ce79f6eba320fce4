"""The bill of materials names what requirements.lock does, by the same hashes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dovecot_urlauth.admin import VERSION
from testing import sbom
from tests.packaging.conftest import CHECKOUT


def test_it_is_written_alike_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        assert sbom.main(str(tmp_path / "dist" / name)) == 0
    one, two = ((tmp_path / "dist" / name).read_bytes() for name in ("one", "two"))
    assert one == two
    assert json.loads(one)["bomFormat"] == "CycloneDX"


def test_it_names_what_is_locked_and_what_may_be_used() -> None:
    bill = sbom.bill(CHECKOUT)
    assert bill["metadata"]["component"]["version"] == VERSION
    by_name = {component["name"]: component for component in bill["components"]}
    lock = (CHECKOUT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", lock, re.M))
    assert {name: by_name[name]["version"] for name in locked} == locked
    assert {name for name, one in by_name.items() if one["scope"] == "optional"} == set(by_name) - set(locked)
    hashes = {
        digest["content"]
        for component in bill["components"]
        for reference in component.get("externalReferences", ())
        for digest in reference["hashes"]
    }
    assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", lock))
    assert len(hashes) > 1
    [whole] = bill["dependencies"]
    assert sorted(whole["dependsOn"]) == sorted(component["bom-ref"] for component in bill["components"])
