"""Where a process gets its settings: from the config process, else by running doveconf.

The socket gives exactly the running configuration; doveconf parses the files as they are now.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.ask import ConfigRefused, ConfigUnreachable, ask_for_file, ask_for_values
from dovecot_urlauth.config.plugins import with_rights
from dovecot_urlauth.config.settings import LISTS, Settings, SettingsError
from dovecot_urlauth.dialect.dialect import ConfigSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.config.wanted import Wanted
    from dovecot_urlauth.service.environment import Environment
    from dovecot_urlauth.wire.config_binary import FilteredSettings

DEFAULT_CONFIG_FILE = b"/etc/dovecot/dovecot.conf"


class LayoutUnknown(SettingsError):
    """2.4: the parsed configuration is not written as we know it, as in a Dovecot that is newer than we are."""


def _say_nothing(text: str) -> None:
    """Nobody wants to know."""


def read_settings(
    environment: Environment,
    source: ConfigSource,
    wanted: Wanted,
    warn: Callable[[str], None] = _say_nothing,
) -> Settings:
    """Read one stage's settings, in at most 10 seconds for each service asked for; needs root.

    ``warn`` is told when they had to be read in another way.  Raises :class:`SettingsError`.
    """
    if source is ConfigSource.TEXT_SOCKET:
        return _read_text(environment, wanted)
    fd = receive_config_fd(environment)
    try:
        return read_config_file(fd, source, wanted)
    except LayoutUnknown as error:
        return read_printed(environment, wanted, error, warn)
    finally:
        os.close(fd)


def read_printed(
    environment: Environment, wanted: Wanted, unknown: LayoutUnknown, warn: Callable[[str], None]
) -> Settings:
    """2.4: the explicit settings as doveconf prints them, without drivers' and lists' defaults.

    Raises :class:`SettingsError`, that of the unknown layout where doveconf is of no help either.
    """
    from dovecot_urlauth.config.run_doveconf import print_blocks
    from dovecot_urlauth.wire.config_blocks import read_blocks
    from dovecot_urlauth.wire.config_filter import ConfigFileError

    try:
        blocks = read_blocks(print_blocks(_config_file(environment)), LISTS)
        settings = _flatten(blocks, wanted)
    except ConfigFileError as error:
        raise SettingsError(f"{unknown.text} - Also failed to read what doveconf prints: {error.text}") from None
    except SettingsError as error:
        raise SettingsError(f"{unknown.text} - Also failed to run doveconf: {error.text}") from None
    warn(f"{unknown.text} - Using what doveconf prints instead")
    return settings


def receive_config_fd(environment: Environment) -> int:
    """2.4: an fd of the parsed configuration, which the caller owns.  Raises :class:`SettingsError`.

    Dovecot's own programs take such an fd in DOVECOT_CONFIG_FD.
    """
    if environment.config_socket is None:
        return _dump_file(environment)
    try:
        return ask_for_file(environment.config_socket)
    except ConfigRefused as refused:
        raise SettingsError(refused.text) from None
    except ConfigUnreachable as unreachable:
        try:
            return _dump_file(environment)
        except SettingsError as error:
            raise _both_failed(unreachable, error) from None


def read_config_file(fd: int, source: ConfigSource, wanted: Wanted) -> Settings:
    """2.4: one stage's settings from the parsed configuration; leaves the fd's offset alone.

    Raises :class:`SettingsError`, :class:`LayoutUnknown`.
    """
    from dovecot_urlauth.wire.config_binary import BIG_ENDIAN, NATIVE, read_config
    from dovecot_urlauth.wire.config_filter import ConfigFileError

    def read(size: int, offset: int) -> bytes:
        return os.pread(fd, size, offset)

    byte_order = BIG_ENDIAN if source is ConfigSource.BINARY_BIG_ENDIAN else NATIVE
    try:
        blocks = read_config(read, wanted.blocks, byte_order, LISTS)
    except ConfigFileError as error:
        raise LayoutUnknown(f"Failed to parse config from fd {fd}: {error.text}") from None
    except OSError as error:
        raise SettingsError(f"Failed to read config: pread() failed: {error.strerror}") from None
    try:
        return _flatten(blocks, wanted)
    except ConfigFileError as error:
        raise SettingsError(f"Failed to parse config from fd {fd}: {error.text}") from None


def _flatten(blocks: Mapping[str, tuple[FilteredSettings, ...]], wanted: Wanted) -> Settings:
    """Raises ConfigFileError."""
    from dovecot_urlauth.config.flatten import flatten

    settings = Settings(flatten(blocks, wanted.protocol, wanted.service))
    if wanted.rights_from:
        others = flatten(blocks, wanted.rights_from, wanted.rights_from)
        return with_rights(settings, Settings(others))
    return settings


def _read_text(environment: Environment, wanted: Wanted) -> Settings:
    settings = _read_service(environment, wanted)
    if wanted.rights_from:
        return with_rights(settings, _read_service(environment, wanted.for_service(wanted.rights_from)))
    return settings


def _read_service(environment: Environment, wanted: Wanted) -> Settings:
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
            raise _both_failed(unreachable, error) from None


def _both_failed(unreachable: ConfigUnreachable, error: SettingsError) -> SettingsError:
    return SettingsError(f"{unreachable.text} - Also failed to read config by executing doveconf: {error.text}")


def _dump_file(environment: Environment) -> int:
    from dovecot_urlauth.config.run_doveconf import dump_file

    return dump_file(_config_file(environment))


def _print_text(environment: Environment, wanted: Wanted) -> Settings:
    from dovecot_urlauth.config.run_doveconf import print_values

    return Settings(print_values(_config_file(environment), wanted))


def _config_file(environment: Environment) -> bytes:
    """The main configuration file; 2.3's master names only the socket, but links the file beside it."""
    if environment.config_file is not None:
        return environment.config_file
    if environment.config_socket is not None:
        return environment.config_socket.rpartition(b"/")[0] + b"/dovecot.conf"
    return DEFAULT_CONFIG_FILE
