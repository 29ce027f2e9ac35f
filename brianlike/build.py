"""`Source -> callable`: compile, cache, load. The only file that runs a compiler or executes generated text.

Compiled kernels are cached per kernel, in a folder private to the user, under a key of everything that their machine code depends on. All kernels that
are missing at a time are compiled together, as one module. A cached module is loaded only if its bytes are those that were written; anything else in
the folder (half a file, a foreign file) counts as missing. Loading from the cache imports neither Cython nor setuptools.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import json
import linecache
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from codegen.emit import cython
from codegen.ir import Source

CACHE_BYTES = 256 * 1024 * 1024
DIRECTIVES = {"language_level": 3, "binding": False, "emit_code_comments": False, "cdivision": True, "boundscheck": False, "wraparound": False} | {
    "embedsignature": False,
    "auto_pickle": False,
}
_lock = threading.RLock()
_loaded: dict[str, NativeKernel] = {}


class CompilerUnavailable(RuntimeError):
    """No compiled kernels on this machine: no compiler, no Cython, no headers of Python. Simulations can run on numpy instead."""


@dataclass(frozen=True, slots=True)
class NativeKernel:
    """A compiled kernel: where it is, and what it takes (see `codegen.emit.cython`)."""

    name: str
    address: int
    signature: str


# ----------------------------------------------------------------------------------------------------------------------------------------- numpy text
def build_python(source: Source) -> Callable[..., Any]:
    """The function that a Source of `emit.python` or `emit.torch` defines; its text shows in tracebacks."""
    return _function(source.language, source.name, source.text)


@lru_cache(maxsize=4096)
def _function(language: str, name: str, text: str) -> Callable[..., Any]:
    filename = f"<brianlike {name} {_hash(text)[:12]}>"
    namespace: dict[str, object] = {**prelude(language)}
    exec(compile(text, filename, "exec"), namespace)  # noqa: S102  the compiler's own text, never the user's
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    function = namespace[name]
    assert callable(function)
    return function


@cache
def prelude(language: str) -> dict[str, Any]:
    """The definitions that generated text of a language (python, torch) calls, by name."""
    text = import_module(f"codegen.emit.{language}").PRELUDE
    namespace: dict[str, Any] = {}  # without a __name__: torch.compile would look for a module of that name
    exec(compile(text, f"<brianlike {language} prelude>", "exec"), namespace)  # noqa: S102  a constant of the compiler
    return namespace


# ---------------------------------------------------------------------------------------------------------------------------------- compiler and flags
@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: the words that call it, what it says it is, and the flags for kernels."""

    command: tuple[str, ...]
    identity: str
    flags: tuple[str, ...]
    libraries: tuple[str, ...]


def find_compiler() -> Compiler:
    """The compiler of `CC`, else the one that built Python, else cc, gcc or clang; CompilerUnavailable if there is none."""
    return _describe(os.environ.get("CC", ""), os.environ.get("PATH", ""))


@cache
def _describe(wanted: str, path: str) -> Compiler:
    candidates = [wanted] if wanted else [str(sysconfig.get_config_var("CC") or ""), "cc", "gcc", "clang"]
    for candidate in candidates:
        words = shlex.split(candidate)
        found = shutil.which(words[0], path=path) if words else None
        if found is not None:
            identity = _identify(found)
            family = "clang" if "clang" in identity.lower() else "gcc"
            return Compiler((found, *words[1:]), identity, *_flags(family))
    raise CompilerUnavailable(f"no C compiler: looked for {', '.join(c for c in candidates if c)}. Install one, or name one in the environment variable CC.")


def _identify(path: str) -> str:
    """The version line of a compiler; asked once for each state of its file, and remembered in the cache folder."""
    real = Path(path).resolve()
    status = real.stat()
    note = cache_folder() / "compilers" / (_hash(f"{path}\n{real}\n{status.st_mtime_ns}\n{status.st_size}") + ".txt")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if text := note.read_text(encoding="utf-8"):
            return text
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        raise CompilerUnavailable(f"{path} --version failed: {error}") from None
    text = (answer.stdout.splitlines() or ["unknown"])[0]
    with contextlib.suppress(OSError):
        _write_whole(note, text.encode())
    return text


def _flags(family: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Flags and libraries. Never -ffast-math: NaN keeps its meaning, sums keep their order."""
    intel = platform.machine().lower() in ("x86_64", "amd64")
    flags = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fPIC", "-g0", "-w", "-fvisibility=hidden"]
    flags.append("-mcpu=native" if family == "clang" and not intel else "-march=native")
    if intel and "avx512f" in _processor():
        flags.append("-mprefer-vector-width=512")
    if intel and family == "gcc":  # chains of arithmetic side by side, as far as registers reach; elsewhere that is what compilers do anyway
        flags += ["-fschedule-insns", "-fsched-pressure"]
    flags += ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    glibc = sys.platform == "linux" and "glibc" in _glibc()
    return tuple(flags), ("-lmvec", "-lm") if glibc and intel and family == "gcc" else ("-lm",)


def _glibc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return ""


@cache
def _processor() -> str:
    """The processor's model and features: machine code made with -march=native belongs to them."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0].splitlines()
        wanted = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part", "CPU implementer")
        return "\n".join(line for line in lines if line.split(":")[0].strip() in wanted)
    return f"{platform.machine()} {platform.processor()}"


def _fingerprint(compiler: Compiler) -> str:
    """All that machine code depends on beside the kernel's text."""
    try:
        translator = version("Cython")
    except PackageNotFoundError:
        translator = "none"
    parts = [str(cython.VERSION), _hash(cython.PRELUDE), sys.version, str(sysconfig.get_config_var("EXT_SUFFIX")), translator, *compiler.command]
    parts += [compiler.identity, *compiler.flags, *compiler.libraries, _processor(), _glibc(), json.dumps(DIRECTIVES)]
    return _hash("\n".join(parts))


# ---------------------------------------------------------------------------------------------------------------------------------------------- folder
def cache_folder() -> Path:
    """The folder of the cache: `BRIANLIKE_CACHE_DIR`, else the user's cache folder; a fresh private folder if that one cannot be trusted."""
    return _trusted(os.environ.get("BRIANLIKE_CACHE_DIR", ""))


@cache
def _trusted(wanted: str) -> Path:
    if wanted:
        folder = Path(wanted).absolute()
    else:
        from platformdirs import user_cache_dir

        folder = Path(user_cache_dir("brianlike", appauthor=False))
    folder = folder / "kernels-1"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder if _is_private(folder) else _private_folder()


def _is_private(folder: Path) -> bool:
    """Whether the folder is ours and nobody else can write to it; permissions that are too wide are narrowed."""
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode):
            return False
        if os.name == "nt":
            return True
        if status.st_uid != os.getuid():
            return False
        if status.st_mode & 0o077:
            empty_cache(folder)  # others may have written into it
            folder.chmod(0o700)
        return not folder.lstat().st_mode & 0o077
    except OSError:
        return False


def empty_cache(folder: Path) -> None:
    """Delete everything in the folder of the cache."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@cache
def _private_folder() -> Path:
    """A folder that lives as long as this process."""
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="brianlike-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder


def _write_whole(path: Path, data: bytes) -> None:
    """All of the file or nothing, whoever else writes it at the same time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _one_process(folder: Path, key: str) -> Iterator[None]:
    """Let one process compile and the others wait; without the lock they would only do the same work twice."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "locks" / f"{key[:32]}.lock", timeout=120)
    try:
        (folder / "locks").mkdir(mode=0o700, exist_ok=True)
        lock.acquire()
    except (OSError, Timeout, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()


# ---------------------------------------------------------------------------------------------------------------------------------------------- cython
def build_cython(sources: Sequence[Source]) -> dict[str, NativeKernel]:
    """The compiled kernels by `Source.name`; CompilerUnavailable where they can be neither loaded nor compiled."""
    distinct = {source.name: source for source in sources}
    compiler = find_compiler()
    fingerprint = _fingerprint(compiler)
    with _lock:
        keys = {name: _hash(fingerprint + "\n" + source.text) for name, source in distinct.items()}
        missing = {name: key for name, key in keys.items() if key not in _loaded and not _load_cached(cache_folder(), name, key)}
        if missing:
            _compile_missing(compiler, {name: distinct[name] for name in missing}, missing)
        return {name: _loaded[key] for name, key in keys.items()}


def _compile_missing(compiler: Compiler, sources: Mapping[str, Source], keys: Mapping[str, str]) -> None:
    module = "_brianlike_" + _hash("\n".join(sorted(keys.values())))[:24]
    folder = cache_folder() if os.access(cache_folder(), os.W_OK) else _private_folder()
    with _one_process(folder, module):
        left = {name: source for name, source in sources.items() if not _load_cached(folder, name, keys[name])}
        if not left:
            return
        module = "_brianlike_" + _hash("\n".join(sorted(keys[name] for name in left)))[:24]
        text = cython.render_module(list(left.values()))
        try:
            binary = _compile(compiler, module, text, folder)
        except OSError:
            if folder == _private_folder():
                raise
            folder = _private_folder()
            binary = _compile(compiler, module, text, folder)
        path = _store(folder, module, binary, {name: keys[name] for name in left})
    _import(module, path, {name: keys[name] for name in left})


def _compile(compiler: Compiler, module: str, text: str, folder: Path) -> bytes:
    """The machine code of a module, made in a temporary folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as place:
        source = Path(place) / f"{module}.pyx"
        source.write_text(text, encoding="utf-8")
        code, binary = _translate(source), Path(place) / f"{module}.so"
        include = dict.fromkeys(sysconfig.get_path(kind) for kind in ("include", "platinclude"))
        command = [*compiler.command, *compiler.flags, *(f"-I{path}" for path in include), str(code), "-o", str(binary), *compiler.libraries]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        except OSError as error:
            raise CompilerUnavailable(f"{compiler.command[0]} cannot run: {error}") from None
        if answer.returncode or not binary.exists():
            report = "\n".join((answer.stderr or answer.stdout).splitlines()[:12])
            raise CompilerUnavailable(f"{compiler.command[0]} ({compiler.identity}) failed:\n{report}")
        return binary.read_bytes()


def _translate(source: Path) -> Path:
    """`.pyx -> .c`, in this process."""
    try:
        from Cython.Compiler.Errors import CompileError
        from Cython.Compiler.Main import compile_single
        from Cython.Compiler.Options import CompilationOptions, default_options
    except ImportError as error:
        raise CompilerUnavailable(f"Cython cannot be imported: {error}") from None
    options = CompilationOptions(default_options, compiler_directives=DIRECTIVES, output_file=str(source.with_suffix(".c")), show_version=False)
    report = _Report()
    try:
        with contextlib.redirect_stderr(report):
            result = compile_single(str(source), options=options, full_module_name=source.stem)
    except CompileError as error:
        raise RuntimeError(f"Cython rejected generated code, which is a bug: {error}\n{report.text[:2000]}") from None
    if result.num_errors:
        raise RuntimeError(f"Cython rejected generated code, which is a bug:\n{report.text[:2000]}")
    return source.with_suffix(".c")


class _Report:
    """What Cython writes to the error stream."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def _store(folder: Path, module: str, binary: bytes, keys: Mapping[str, str]) -> Path:
    """Put a module and the entries of its kernels into the cache; elsewhere, if the cache cannot be written."""
    path = folder / "modules" / f"{module}.so"
    entry = json.dumps({"module": module, "sha256": hashlib.sha256(binary).hexdigest()}).encode()
    try:
        _write_whole(path, binary)
        for key in keys.values():
            _write_whole(folder / "entries" / f"{key}.json", entry)
        _trim(folder, keep=module)
        return path
    except OSError:
        if folder == _private_folder():
            raise
        return _store(_private_folder(), module, binary, keys)


def _load_cached(folder: Path, name: str, key: str) -> bool:
    """Load the module that holds a kernel, if the cache has it whole."""
    if key in _loaded:
        return True
    try:
        entry = json.loads((folder / "entries" / f"{key}.json").read_bytes())
        module, digest = entry["module"], entry["sha256"]
        path = folder / "modules" / f"{module}.so"
        if not (isinstance(module, str) and module.isidentifier()) or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return False
        with contextlib.suppress(OSError):
            os.utime(path)  # used just now: the oldest go first
        _import(module, path, {name: key})
    except (OSError, ValueError, KeyError, TypeError, ImportError):
        return False
    return key in _loaded


_modules: dict[str, Mapping[str, tuple[int, str]]] = {}


def _import(module: str, path: Path, keys: Mapping[str, str]) -> None:
    """Load an extension module and note its kernels."""
    if module not in _modules:
        loader = importlib.machinery.ExtensionFileLoader(module, str(path))
        spec = importlib.util.spec_from_file_location(module, path, loader=loader)
        assert spec is not None
        loaded = importlib.util.module_from_spec(spec)
        loader.exec_module(loaded)
        _check_context(loaded.context_size)
        _modules[module] = loaded.kernels
    for name, key in keys.items():
        address, signature = _modules[module][name]
        _loaded[key] = NativeKernel(name, address, signature)


def _check_context(size: int) -> None:
    """The driver and the kernels must mean the same by a KernelContext."""
    try:
        from ._runtime import context_size
    except ImportError:
        return
    if size != context_size:
        raise CompilerUnavailable("brianlike._runtime was built from other sources than these; install brianlike again")


def _trim(folder: Path, keep: str) -> None:
    """Remove the modules that were used longest ago, down to CACHE_BYTES; entries that point to nothing, and old leftovers, go with them."""
    files = []
    for path in (folder / "modules").iterdir():
        with contextlib.suppress(OSError):
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    if total <= CACHE_BYTES:
        return
    for _, size, path in sorted(files):
        if total <= 0.75 * CACHE_BYTES:
            break
        if path.stem != keep:
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
    for entry in (folder / "entries").iterdir():
        with contextlib.suppress(OSError, ValueError, KeyError):
            if not (folder / "modules" / f"{json.loads(entry.read_bytes())['module']}.so").exists():
                entry.unlink()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
