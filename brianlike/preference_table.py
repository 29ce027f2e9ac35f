"""Every preference there is: Brian's names, with what each means here, and ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["PREFERENCES", "BrianPreference"]

_SLOTS = ["start", "groups", "thresholds", "synapses", "resets", "end"]


@dataclass(frozen=True, slots=True)
class Preference:
    """One setting: `convert` returns the value in its normal form, or raises ValueError with what would be accepted."""

    default: object
    convert: Callable[[object], object]
    doc: str


class BrianPreference:
    """A preference of the user's own, to be given to `prefs.register_preferences`.

    Parameters
    ----------
    default
        Its value until it is set; without `validator` other values must have the same type.
    docs : str
        What it is for.
    validator : function, optional
        From a value to whether it can be taken.
    representor : function
        From a value to text that makes it again.

    Examples
    --------
    >>> from brianlike import prefs
    >>> prefs.register_preferences("mine", "Settings of my scripts", trials=BrianPreference(10, "how many trials to run"))
    >>> prefs.mine.trials
    10
    """

    def __init__(self, default: object, docs: str, validator: Callable[[object], object] | None = None, representor: Callable[[object], str] = repr):
        self.default, self.docs, self.validator, self.representor = default, docs, validator, representor

    def convert(self, value: object) -> object:
        """`value`, or ValueError with what would be accepted."""
        if self.validator is None:
            if not isinstance(value, type(self.default)):
                raise ValueError(f"values of type {type(self.default).__name__}")
        elif not self.validator(value):
            raise ValueError("only what its validator accepts")
        return value

    @property
    def doc(self) -> str:
        """What it is for."""
        return self.docs


# --------------------------------------------------------------------------------------------------------------------------------- what is accepted
def _one_of(*accepted: str) -> Callable[[object], object]:
    def convert(value: object) -> object:
        if not isinstance(value, str) or value not in accepted:
            raise ValueError(" or ".join(map(repr, accepted)))
        return value

    return convert


def _count(value: object) -> object:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError("a whole number from 1")
    return int(value)


def _float_type(value: object) -> object:
    for accepted in (np.float64, np.float32):
        # None would be float64 for numpy.
        if value is accepted or (value is not None and value in (accepted.__name__, np.dtype(accepted))):
            return accepted
    raise ValueError("numpy.float64 or numpy.float32")


def _integer_type(value: object) -> object:
    for accepted in (np.int32, np.int64):
        if value is accepted or (value is not None and value in (accepted.__name__, np.dtype(accepted))):
            return accepted
    raise ValueError("numpy.int32 or numpy.int64")


def checked_schedule(value: object) -> list[str]:
    """The slots of a step as a list, or ValueError with what would be accepted."""
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(slot, str) and slot.isidentifier() for slot in value):
        raise ValueError(f"a list of slots such as {_SLOTS}")
    prefixed = [slot for slot in value if slot.startswith(("before_", "after_"))]
    if prefixed or len(set(value)) < len(value):
        raise ValueError("a list of different slots; before_ and after_ each slot are there by themselves")
    return list(value)


def _only_false(value: object) -> object:
    if value is not False:
        raise ValueError("False only: refractoriness is counted in whole steps, as in Brian since version 2.2")
    return value


def _level(value: object) -> object:
    levels = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "DIAGNOSTIC")
    if not isinstance(value, str) or value.upper() not in levels:
        raise ValueError(" or ".join(map(repr, levels)))
    return value.upper()


def _of(*kinds: type, what: str) -> Callable[[object], object]:
    def convert(value: object) -> object:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(what)
        return value

    return convert


_SWITCH = _of(bool, np.bool_, what="True or False")
_LIST = _of(list, tuple, what="a list")
_LIST_OR_NONE = _of(list, tuple, type(None), what="a list or None")
_TEXT = _of(str, what="text")
_TEXT_OR_NONE = _of(str, type(None), what="text or None")
_NUMBER = _of(int, float, np.number, what="a number")


# ------------------------------------------------------------------------------------------------------------------------------------------ the table
def _unused(default: object, convert: Callable[[object], object], instead: str) -> Preference:
    """A setting of Brian's that scripts may make and that changes nothing here."""
    return Preference(default, convert, f"accepted, without effect: {instead}")


_FLAGS = "the compiler's options are chosen so that results do not depend on the machine's vector width"
_STANDALONE = "no separate program is built; simulations run in this process"
_NO_FILE = "no log file is written"

PREFERENCES: dict[str, Preference | BrianPreference] = {
    "codegen.target": Preference("auto", _one_of("auto", "numpy", "cython"), "what runs a simulation; auto takes cython where a compiler works"),
    "core.default_float_dtype": Preference(np.float64, _float_type, "the type of floating point state, for objects created from now on"),
    "core.threads": Preference(1, _count, "how many threads a simulation uses; results do not depend on it"),
    "core.on_invalid": Preference("warn", _one_of("warn", "raise"), "what happens when a variable becomes NaN or overflows"),
    "core.network.default_schedule": Preference(_SLOTS, checked_schedule, "the slots of a step, for networks that do not set their own schedule"),
    "logging.console_log_level": Preference("INFO", _level, "the lowest level of messages shown, after BrianLogger.initialize()"),
    "legacy.refractory_timing": Preference(False, _only_false, "the refractoriness of Brian before 2.2, which is not available"),
    "core.default_integer_dtype": _unused(np.int32, _integer_type, "integer variables are int32 in every kernel, t_in_timesteps int64"),
    "core.outdated_dependency_error": _unused(True, _SWITCH, "the installer checks the versions of libraries"),
    "core.stop_on_keyboard_interrupt": _unused(True, _SWITCH, "Ctrl-C ends a run after the steps under way; a second one at once"),
    "codegen.string_expression_target": _unused("numpy", _one_of("auto", "numpy", "cython"), "expressions outside a run are evaluated by numpy"),
    "codegen.loop_invariant_optimisations": _unused(True, _SWITCH, "what is constant during a run is always computed before it"),
    "codegen.max_cache_dir_size": _unused(1000, _NUMBER, "the cache of compiled code is bounded by itself"),
    "codegen.runtime.cython.cache_dir": _unused(None, _TEXT_OR_NONE, "the cache lies in the user's own cache folder"),
    "codegen.runtime.cython.delete_source_files": _unused(True, _SWITCH, "sources are never kept"),
    "codegen.runtime.cython.multiprocess_safe": _unused(True, _SWITCH, "the cache is always safe for several processes"),
    "codegen.runtime.numpy.discard_units": _unused(False, _SWITCH, "give discard_units to implementation() instead"),
    "codegen.generators.cpp.restrict_keyword": _unused("__restrict", _TEXT, "pointers are always declared so"),
    "codegen.generators.cpp.flush_denormals": _unused(False, _SWITCH, "small numbers keep their value"),
    "codegen.cpp.compiler": _unused("", _TEXT, "set CC in the environment"),
    "codegen.cpp.define_macros": _unused([], _LIST, _FLAGS),
    "codegen.cpp.extra_compile_args": _unused(None, _LIST_OR_NONE, _FLAGS),
    "codegen.cpp.extra_compile_args_gcc": _unused([], _LIST, _FLAGS),
    "codegen.cpp.extra_compile_args_msvc": _unused([], _LIST, _FLAGS),
    "codegen.cpp.extra_link_args": _unused([], _LIST, _FLAGS),
    "codegen.cpp.headers": _unused([], _LIST, _FLAGS),
    "codegen.cpp.include_dirs": _unused([], _LIST, _FLAGS),
    "codegen.cpp.libraries": _unused([], _LIST, _FLAGS),
    "codegen.cpp.library_dirs": _unused([], _LIST, _FLAGS),
    "codegen.cpp.msvc_architecture": _unused("", _TEXT, _FLAGS),
    "codegen.cpp.msvc_vars_location": _unused("", _TEXT, _FLAGS),
    "codegen.cpp.runtime_library_dirs": _unused([], _LIST, _FLAGS),
    "devices.cpp_standalone.openmp_threads": _unused(0, _NUMBER, f"{_STANDALONE}, with core.threads threads"),
    "devices.cpp_standalone.openmp_spatialneuron_strategy": _unused(None, _TEXT_OR_NONE, _STANDALONE),
    "devices.cpp_standalone.make_cmd_unix": _unused("make", _TEXT, _STANDALONE),
    "devices.cpp_standalone.run_cmd_unix": _unused("./main", _of(str, list, tuple, what="text or a list"), _STANDALONE),
    "devices.cpp_standalone.extra_make_args_unix": _unused(["-j"], _LIST, _STANDALONE),
    "devices.cpp_standalone.extra_make_args_windows": _unused([], _LIST, _STANDALONE),
    "devices.cpp_standalone.run_environment_variables": _unused({}, _of(dict, what="a dict"), _STANDALONE),
    "GSL.directory": _unused(None, _TEXT_OR_NONE, "the GSL is not used"),
    "logging.delete_log_on_exit": _unused(True, _SWITCH, _NO_FILE),
    "logging.display_brian_error_message": _unused(True, _SWITCH, "errors say themselves what to do"),
    "logging.file_log": _unused(False, _SWITCH, _NO_FILE),
    "logging.file_log_level": _unused("DEBUG", _level, _NO_FILE),
    "logging.file_log_max_size": _unused(10_000_000, _NUMBER, _NO_FILE),
    "logging.save_script": _unused(False, _SWITCH, "scripts are not copied"),
    "logging.std_redirection": _unused(True, _SWITCH, "compilers are quiet by themselves"),
    "logging.std_redirection_to_file": _unused(True, _SWITCH, "compilers are quiet by themselves"),
}
"""The settings by full name; `prefs.register_preferences` adds the user's own."""
