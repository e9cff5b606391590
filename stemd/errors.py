"""The exceptions, the exit codes, and nothing else.

Messages read *where: got what, expected what*, so that a person can act on one line.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_CRASH = 1  # a mistake of ours: a traceback was printed
EXIT_USAGE = 2  # the command line made no sense
EXIT_CONFIG = 101  # the configuration was refused
EXIT_FAILED = 102  # the daemon ran and gave up; the reason was printed
EXIT_FORCED = 103  # a second SIGINT or SIGTERM cut the orderly shutdown short
EXIT_MODEL = 104  # the model was refused
EXIT_DEVICE = 105  # an audio device or file could not be opened
EXIT_NO_DAEMON = 106  # a client verb found no daemon to talk to


class StemdError(Exception):
    """Base of every error stemd raises on purpose; `exit_code` is what a command ends with."""

    exit_code = EXIT_FAILED


class ConfigError(StemdError, ValueError):
    """A configuration value was refused."""

    exit_code = EXIT_CONFIG


class ModelError(StemdError):
    """A model was refused at the door."""

    exit_code = EXIT_MODEL


class DeviceError(StemdError):
    """An audio device, file or stream could not be opened or read."""

    exit_code = EXIT_DEVICE


class ProtocolError(StemdError, ValueError):
    """A message was not one of ours."""

    exit_code = EXIT_NO_DAEMON
