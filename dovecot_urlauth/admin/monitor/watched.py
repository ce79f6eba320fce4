"""Which Dovecot is watched, and what its configuration says of the processes that one sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.check_running import compare
from dovecot_urlauth.admin.check_services import SERVICES, Limits, limits_of
from dovecot_urlauth.admin.doveconf import read_configuration
from dovecot_urlauth.admin.master import Master, MasterUnknown, NoMaster
from dovecot_urlauth.admin.monitor.sample import take_sample

if TYPE_CHECKING:
    from dovecot_urlauth.admin.doveconf import Configuration
    from dovecot_urlauth.admin.monitor.sample import Sample


@dataclass(frozen=True)
class Watched:
    """A Dovecot by its base_dir, or every one; with its configuration where that was named."""

    base_dir: str | None = None
    configuration: Configuration | None = None
    master: Master | None = None
    """Remembers what root has read of it, where root is given up later."""

    @classmethod
    def find(cls, base_dir: str | None, file: str | None) -> Watched:
        """By the configuration, where a ``file`` is named. Raises DoveconfError."""
        if file is None:
            return cls(base_dir, None, Master(base_dir) if base_dir else None)
        configuration = read_configuration(file)
        place = base_dir or configuration.base_dir
        return cls(place, configuration, Master(place))

    def prepare(self) -> None:
        """Look for its master while that may be known. Raises MasterUnknown."""
        try:
            if self.master is not None:
                self.master.pid()
        except MasterUnknown:
            raise
        except NoMaster:
            pass  # it may start later

    def sample(self) -> Sample:
        """Look at its processes now. Raises NoMaster."""
        return take_sample(self.master or self.base_dir)

    def warnings(self, sample: Sample) -> list[str]:
        """Which processes are not those of the configuration; without one, which are Dovecot's own."""
        if self.configuration is None:
            return sample.warnings()
        found = [compare(self.configuration, name, sample.of(name), sample.taken) for name in SERVICES]
        return [finding.text for findings in found for finding in findings]

    def limits(self) -> dict[str, Limits]:
        """How many processes and sessions each service may have, where the configuration is known."""
        if self.configuration is None:
            return {}
        return {name: limits_of(self.configuration, name) for name in SERVICES}
