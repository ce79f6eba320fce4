"""Where a process gets its settings: from the config process, else by running doveconf.

The socket gives exactly the running configuration; doveconf parses the files as they are now.
"""

from __future__ import annotations

from dovecot_urlauth.dialect.dialect import ConfigSource
from dovecot_urlauth.service.settings import Settings, SettingsError
from dovecot_urlauth.service.settings_socket import ConfigRefused, ConfigUnreachable, ask_for_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.environment import Environment
    from dovecot_urlauth.service.settings_wanted import Wanted

DEFAULT_CONFIG_FILE = b"/etc/dovecot/dovecot.conf"


def read_settings(environment: Environment, source: ConfigSource, wanted: Wanted) -> Settings:
    """Read one stage's settings, in at most 10 seconds; needs root.  Raises :class:`SettingsError`."""
    if source is not ConfigSource.TEXT_SOCKET:
        raise SettingsError("Unsupported configuration source")
    return _read_text(environment, wanted)


def _read_text(environment: Environment, wanted: Wanted) -> Settings:
    if environment.config_socket is None:
        return _print_text(environment, wanted)
    try:
        return Settings(ask_for_values(environment.config_socket, wanted))
    except ConfigRefused as refused:
        raise SettingsError(refused.text) from None
    except ConfigUnreachable as unreachable:
        try:
            return _print_text(environment, wanted)
        except SettingsError as error:
            also = f"{unreachable.text} - Also failed to read config by executing doveconf: {error.text}"
            raise SettingsError(also) from None


def _print_text(environment: Environment, wanted: Wanted) -> Settings:
    from dovecot_urlauth.service.settings_doveconf import print_values

    return Settings(print_values(_config_file(environment), wanted))


def _config_file(environment: Environment) -> bytes:
    """The main configuration file; 2.3's master names only the socket, but links the file beside it."""
    if environment.config_file is not None:
        return environment.config_file
    if environment.config_socket is not None:
        return environment.config_socket.rpartition(b"/")[0] + b"/dovecot.conf"
    return DEFAULT_CONFIG_FILE
