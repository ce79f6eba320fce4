"""`python -m tests.dovecot.differential`: the long form, with a table at its end; status 1 on a failure."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from itertools import product
from string import ascii_lowercase

from testing import executables
from testing.versions import VERSIONS, Version
from tests.dovecot.differential import campaign
from tests.dovecot.differential.compare import CHANGED, RULES, SAME, UNEXPLAINED, WHY_CHANGED
from tests.dovecot.differential.stores import STORES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.dovecot.differential", description=__doc__)
    parser.add_argument("--versions", default=",".join(VERSIONS), help="the Dovecots to ask, with commas between")
    parser.add_argument(
        "--stores", default=",".join(STORES), help="the mail stores to ask about, with commas between"
    )
    parser.add_argument("--seed", type=int, action="append", help="may be given more than once; 1 if it is not")
    parser.add_argument("--count", type=int, default=20_000, help="questions for each version, store and seed")
    options = parser.parse_args()
    for word, names, known in (("version", options.versions, VERSIONS), ("store", options.stores, STORES)):
        for name in names.split(","):
            if name not in known:
                parser.error(f"no {word} is called {name!r}; there are {', '.join(known)}")
    if os.geteuid() != 0:
        parser.error("Dovecot's master runs as root")
    outcomes: list[campaign.Outcome] = []
    try:
        for name in options.versions.split(","):
            _run(VERSIONS[name], options, outcomes)
    finally:
        _print_table(outcomes)
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _run(version: Version, options: argparse.Namespace, outcomes: list[campaign.Outcome]) -> None:
    """Ask one Dovecot about those of the stores that it has; each outcome is added when it is there."""
    installation = executables.install(version, version.folder())
    stores = [STORES[name] for name in options.stores.split(",")]
    stores = [store for store in stores if store.is_for(version)]
    try:
        for store, seed in product(stores, options.seed or (1,)):
            outcomes.append(campaign.run(version, installation, seed, options.count, store, progress=True))
            _print_findings(outcomes[-1])
    finally:
        shutil.rmtree(installation.outside.parent)


def _print_findings(outcome: campaign.Outcome) -> None:
    for report in outcome.reports:
        print(f"\n--- {outcome.name}\n{report}", flush=True)
    for note in outcome.notes:
        print(f"\n--- {outcome.name}, {CHANGED}\n{note}", flush=True)
    if outcome.changes:
        print(f"\n--- {outcome.name}, the writer: {dict(outcome.changes)}", flush=True)
    if outcome.writer_failed:
        print(f"\n--- {outcome.name}, the writer stopped: {outcome.writer_failed}", flush=True)
    for complaint in outcome.complaints[:20]:
        print(f"--- {outcome.name}, our log: {complaint}", flush=True)


def _print_table(outcomes: list[campaign.Outcome]) -> None:
    """One row for each campaign, one column for each rule that explained something; their letters below."""
    used = [rule for rule in RULES if any(outcome.counts[rule.name] for outcome in outcomes)]
    letters = dict(zip((rule.name for rule in used), ascii_lowercase))
    heading = [SAME, *letters.values(), CHANGED, UNEXPLAINED, "changes meanwhile", "seconds"]
    rows = [["version/store/seed", *heading]]
    for outcome in outcomes:
        counted = (outcome.counts[name] for name in (SAME, *letters, CHANGED, UNEXPLAINED))
        rows.append([outcome.name, *map(str, counted), str(outcome.changes.total()), f"{outcome.seconds:.0f}"])
    print()
    for row in rows:
        print("| " + " | ".join(row) + " |")
        if row is rows[0]:
            print("|---" * len(row) + "|")
    print()
    for rule in used:
        print(f"{letters[rule.name]}: {rule.name}: {rule.why}")
    print(f"{CHANGED}: {WHY_CHANGED}")


if __name__ == "__main__":
    sys.exit(main())
