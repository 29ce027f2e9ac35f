"""Messages of the library: one logger for each module, named `brianlike.<module>.<what the message is about>`, that users can silence by name.

>>> BrianLogger.suppress_name("no_such_message")
>>> with catch_logs() as messages:
...     get_logger("brianlike.example").warn("this is new", "novelty")
>>> messages
[('WARNING', 'brianlike.example.novelty', 'this is new')]

Messages go to Python's `logging`. Where a program has set that up, its handlers get them; elsewhere they are written to standard error.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .preferences import prefs

__all__ = ["BrianLogger", "catch_logs", "get_logger", "std_silent"]

DIAGNOSTIC = 5
_ROOT = "brianlike"
LEVELS = {name: getattr(logging, name) for name in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")} | {"DIAGNOSTIC": DIAGNOSTIC}
logging.addLevelName(DIAGNOSTIC, "DIAGNOSTIC")


class _Console(logging.Handler):
    """Standard error, for programs that have set up no logging of their own."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            sys.stderr.write(f"{record.levelname:10s} {self.format(record)} [{record.name}]\n")


class _Catch(logging.Handler):
    def __init__(self, caught: list[tuple[str, str, str]], level: int):
        super().__init__(level)
        self._caught = caught

    def emit(self, record: logging.LogRecord) -> None:
        self._caught.append((record.levelname, record.name, record.getMessage()))


_CONSOLE = _Console()
_LIBRARY = logging.getLogger(_ROOT)
_SUPPRESSED: list[Callable[[str], bool]] = []
_SAID: set[tuple[str, str]] = set()


class BrianLogger:
    """The messages of one module; its static methods choose what is shown.

    Parameters
    ----------
    name : str
        `brianlike.<module>`.
    """

    __slots__ = ("name",)
    tmp_log = None
    tmp_script = None

    def __init__(self, name: str):
        self.name = name

    def _log(self, level: int, message: str, name_suffix: str | None, once: bool) -> None:
        name = self.name if name_suffix is None else f"{self.name}.{name_suffix}"
        if any(suppressed(name) for suppressed in _SUPPRESSED) or (once and (name, message) in _SAID):
            return
        if once:
            _SAID.add((name, message))
        logging.getLogger(name).log(level, "%s", message)

    def diagnostic(self, msg: str, name_suffix: str | None = None, once: bool = False) -> None:
        """A message for those who develop the library."""
        self._log(DIAGNOSTIC, msg, name_suffix, once)

    def debug(self, msg: str, name_suffix: str | None = None, once: bool = False) -> None:
        """A message for those who look for a mistake."""
        self._log(logging.DEBUG, msg, name_suffix, once)

    def info(self, msg: str, name_suffix: str | None = None, once: bool = False) -> None:
        """Something worth knowing, such as a choice that was made."""
        self._log(logging.INFO, msg, name_suffix, once)

    def warn(self, msg: str, name_suffix: str | None = None, once: bool = False) -> None:
        """Something that may be a mistake; with `once`, the same words are said only once."""
        self._log(logging.WARNING, msg, name_suffix, once)

    warning = warn

    def error(self, msg: str, name_suffix: str | None = None, once: bool = False) -> None:
        """Something that went wrong where no exception can be raised."""
        self._log(logging.ERROR, msg, name_suffix, once)

    @staticmethod
    def initialize() -> None:
        """Show messages from the level `prefs.logging.console_log_level` on (the library does this when it is imported)."""
        if _CONSOLE not in _LIBRARY.handlers:
            _LIBRARY.addHandler(_CONSOLE)
        _show_from(LEVELS[prefs["logging.console_log_level"]])

    @staticmethod
    def suppress_hierarchy(name: str, filter_log_file: bool = False) -> None:
        """Silence all messages of `name` and of what is below it.

        Parameters
        ----------
        name : str
            Such as `brianlike.network`; a beginning `brian2` means this library.
        filter_log_file : bool
            Accepted and without effect: there is no log file.
        """
        ours = _ROOT + name[len("brian2") :] if name == "brian2" or name.startswith("brian2.") else name
        _SUPPRESSED.append(lambda given: given == ours or given.startswith(ours + "."))

    @staticmethod
    def suppress_name(name: str, filter_log_file: bool = False) -> None:
        """Silence all messages about `name`, whichever module they come from; the last part of a message's name.

        Parameters
        ----------
        name : str
            Such as `method_choice`.
        filter_log_file : bool
            Accepted and without effect: there is no log file.
        """
        _SUPPRESSED.append(lambda given: given.rpartition(".")[2] == name)

    @staticmethod
    def log_level_error() -> None:
        """Show errors only."""
        _show_from(logging.ERROR)

    @staticmethod
    def log_level_warn() -> None:
        """Show warnings and errors."""
        _show_from(logging.WARNING)

    @staticmethod
    def log_level_info() -> None:
        """Show what is worth knowing, too."""
        _show_from(logging.INFO)

    @staticmethod
    def log_level_debug() -> None:
        """Show what helps to find mistakes, too."""
        _show_from(logging.DEBUG)

    @staticmethod
    def log_level_diagnostic() -> None:
        """Show everything."""
        _show_from(DIAGNOSTIC)


def _show_from(level: int) -> None:
    _CONSOLE.setLevel(level)
    _LIBRARY.setLevel(min(level, logging.INFO))


def get_logger(module_name: str = _ROOT) -> BrianLogger:
    """The logger of a module.

    Examples
    --------
    >>> get_logger("brianlike.network").name
    'brianlike.network'
    """
    return BrianLogger(module_name if module_name == _ROOT or module_name.startswith(_ROOT + ".") else f"{_ROOT}.{module_name}")


@contextmanager
def catch_logs(log_level: int | str = logging.WARNING) -> Iterator[list[tuple[str, str, str]]]:
    """Collect messages instead of showing them: a list of (level, name, message).

    Parameters
    ----------
    log_level : int or str
        The lowest level that is collected, or its name; nothing is shown meanwhile.
    """
    lowest = LEVELS[log_level.upper()] if isinstance(log_level, str) else log_level
    caught: list[tuple[str, str, str]] = []
    handlers, level, propagate, said = _LIBRARY.handlers[:], _LIBRARY.level, _LIBRARY.propagate, _SAID.copy()
    _LIBRARY.handlers[:] = [_Catch(caught, lowest)]
    _LIBRARY.setLevel(min(lowest, logging.INFO))
    _LIBRARY.propagate = False
    _SAID.clear()
    try:
        yield caught
    finally:
        _LIBRARY.handlers[:], _LIBRARY.propagate = handlers, propagate
        _LIBRARY.setLevel(level)
        _SAID.clear()
        _SAID.update(said)


class std_silent:  # noqa: N801  (Brian's name)
    """A context that hides what compilers print; here they are quiet by themselves, so it does nothing."""

    dest_stdout = dest_stderr = None

    def __init__(self, alwaysprint: bool = False):
        self.alwaysprint = alwaysprint

    def __enter__(self) -> None:
        return

    def __exit__(self, *exception: object) -> None:
        return

    @classmethod
    def close(cls) -> None:
        """Nothing is open."""


BrianLogger.initialize()
