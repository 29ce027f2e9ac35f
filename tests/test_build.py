"""The cache of compiled kernels: it may be missing, foreign, torn or shared, and never gives a wrong kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from brianlike import build
from codegen.expr import Binary, Call, DType, Index, Name, Number
from codegen.ir import Array, Let, Load, Map, Role, Source, Store

REPOSITORY = Path(build.__file__).parents[1]

try:
    build.find_compiler()
    MISSING = ""
except build.CompilerUnavailable as error:
    MISSING = str(error)

needs_compiler = pytest.mark.skipif(bool(MISSING), reason=f"compiled kernels need a C compiler: {MISSING}")


def source(constant: float = 1.0) -> Source:
    from codegen.emit.cython import render

    body = (Let("r", Binary("+", Call("exp", (Name("v"),)), Number(constant))),)
    kernel = Map("k", "g", (Load("v", "v", Index.SELF),), body, (Store("v", Index.SELF, "r"),))
    return render(kernel, {"v": Array("v", "g", Role.STATE, DType.FLOAT)})


# A process of its own: builds kernels, runs one on zeros, reports what it did.
PROBE = """
import json, sys, os
sys.path[:0] = [{repository!r}, {tests!r}]
from test_build import source
from brianlike import build
compiled = []
original = build._compile
build._compile = lambda *arguments: compiled.append(arguments[1]) or original(*arguments)
kernels = build.build_cython([source(c) for c in {constants!r}])
import ctypes
class Context(ctypes.Structure):
    _fields_ = [("begin", ctypes.c_ssize_t), ("end", ctypes.c_ssize_t), ("size", ctypes.c_ssize_t), ("rest", ctypes.c_char * 256)]
values = []
for c in {constants!r}:
    v = (ctypes.c_double * 16)()
    table = (ctypes.c_void_p * 1)(ctypes.addressof(v))
    context = Context(0, 16, 16)
    ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(kernels[source(c).name].address)(ctypes.addressof(table), ctypes.addressof(context))
    values.append(v[3])
heavy = [m for m in ("Cython", "setuptools", "sympy", "torch") if m in sys.modules]
print(json.dumps(dict(values=values, compiled=len(compiled), heavy=heavy, folder=str(build.cache_folder()))))
"""


def start(cache: Path, constants=(1.0, 2.0), **environment: str) -> subprocess.Popen[str]:
    text = PROBE.format(repository=str(REPOSITORY), tests=str(Path(__file__).parent), constants=list(constants))
    env = {**os.environ, "BRIANLIKE_CACHE_DIR": str(cache), **environment}
    return subprocess.Popen([sys.executable, "-c", text], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    answer = json.loads(out)
    constants = [value - 1.0 for value in answer["values"]]
    assert constants == [float(round(c)) for c in constants]
    return answer


def files(cache: Path, kind: str) -> list[Path]:
    return sorted((cache / "kernels-1" / kind).iterdir())


# --------------------------------------------------------------------------------------------------------------------------------------------- python
def test_build_python_and_its_traceback():
    function = build.build_python(Source("python", "f", "def f(x):\n    y = x + 1\n    return np.float64(1.0) / undefined\n"))
    with pytest.raises(NameError) as caught:
        function(1)
    assert "return np.float64(1.0) / undefined" in "".join(traceback.format_exception(caught.value))
    assert build.build_python(Source("python", "g", "def g(x):\n    return square(np.asarray(x))\n"))(3) == 9  # by its language's prelude


# --------------------------------------------------------------------------------------------------------------------------------------------- cython
@needs_compiler
def test_second_process_loads_and_imports_nothing_heavy(tmp_path):
    first = finish(start(tmp_path))
    assert first["compiled"] == 1 and len(files(tmp_path, "modules")) == 1 and len(files(tmp_path, "entries")) == 2
    second = finish(start(tmp_path))
    assert second == {**first, "compiled": 0, "heavy": []}
    third = finish(start(tmp_path, (2.0, 3.0)))  # one kernel is there already: only the other is compiled
    assert third["compiled"] == 1 and len(files(tmp_path, "entries")) == 3
    assert os.name == "nt" or (tmp_path / "kernels-1").stat().st_mode & 0o777 == 0o700


@needs_compiler
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "foreign", "entry", "entry_list", "entry_outside"])
def test_damaged_files_are_built_again(tmp_path, damage):
    finish(start(tmp_path))
    (module,), entries = files(tmp_path, "modules"), files(tmp_path, "entries")
    data = module.read_bytes()
    match damage:
        case "flip":
            module.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
        case "cut":
            module.write_bytes(data[: len(data) // 2])
        case "empty":
            module.write_bytes(b"")
        case "gone":
            module.unlink()
        case "foreign":
            module.write_text("#!/bin/sh\n")
        case "entry":
            entries[0].write_text('{"module": ')
        case "entry_list":
            entries[0].write_text("[1, 2]")
        case "entry_outside":
            entries[0].write_text('{"module": "../../etc/passwd", "sha256": "0"}')
    assert finish(start(tmp_path))["compiled"] == 1
    assert finish(start(tmp_path))["compiled"] == 0


@needs_compiler
def test_many_processes_on_an_empty_cache(tmp_path):
    answers = [finish(p) for p in [start(tmp_path) for _ in range(8)]]
    assert len({tuple(a["values"]) for a in answers}) == 1
    assert sum(a["compiled"] for a in answers) >= 1
    assert finish(start(tmp_path))["compiled"] == 0
    assert not [p for p in tmp_path.rglob(".*") if p.name.startswith((".new-", ".build-"))]


@needs_compiler
@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_that_are_too_wide_are_narrowed_and_the_contents_dropped(tmp_path):
    finish(start(tmp_path))
    (tmp_path / "kernels-1").chmod(0o777)
    answer = finish(start(tmp_path))
    assert answer["compiled"] == 1 and answer["folder"] == str(tmp_path / "kernels-1")
    assert (tmp_path / "kernels-1").stat().st_mode & 0o777 == 0o700


@needs_compiler
@pytest.mark.skipif(os.name == "nt", reason="links and owners of POSIX")
def test_a_folder_that_is_not_ours_is_not_used(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "kernels-1").symlink_to(elsewhere)
    answer = finish(start(tmp_path))
    assert answer["compiled"] == 1 and not answer["folder"].startswith(str(tmp_path)) and not list(elsewhere.iterdir())
    assert not Path(answer["folder"]).exists()  # private and gone with its process
    (tmp_path / "file").write_text("")
    assert finish(start(tmp_path / "file"))["compiled"] == 1
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert not build._is_private(elsewhere)


@needs_compiler
@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_read_only_cache(tmp_path):
    finish(start(tmp_path))
    folders = [p for p in tmp_path.rglob("*") if p.is_dir()]
    for folder in folders:
        folder.chmod(0o500)
    try:
        if os.access(folders[0], os.W_OK):
            pytest.skip("this user may write everywhere")
        assert finish(start(tmp_path))["compiled"] == 0
        assert finish(start(tmp_path, (7.0,)))["compiled"] == 1
    finally:
        for folder in folders:
            folder.chmod(0o700)


@needs_compiler
def test_a_cache_that_refuses_every_write(tmp_path, monkeypatch):
    """As a full or read-only disk does, whoever runs this test."""
    monkeypatch.setenv("BRIANLIKE_CACHE_DIR", str(tmp_path))
    original = build._write_whole

    def refuse(path: Path, data: bytes) -> None:
        if tmp_path in path.parents:
            raise OSError(30, "Read-only file system")
        original(path, data)

    monkeypatch.setattr(build, "_write_whole", refuse)
    kernel = build.build_cython([source(91.0)])[source(91.0).name]
    assert kernel.address and not (tmp_path / "kernels-1" / "modules").exists()


@needs_compiler
def test_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIANLIKE_CACHE_DIR", str(tmp_path))
    build.build_cython([source(50.0)])
    (first,) = files(tmp_path, "modules")
    os.utime(first, (1, 1))
    monkeypatch.setattr(build, "CACHE_BYTES", first.stat().st_size * 3 // 2)
    build.build_cython([source(51.0)])
    (second,) = files(tmp_path, "modules")
    assert second != first and len(files(tmp_path, "entries")) == 1


@needs_compiler
def test_unreadable_temporary_folder_of_an_earlier_crash_is_no_problem(tmp_path, monkeypatch):
    monkeypatch.setenv("BRIANLIKE_CACHE_DIR", str(tmp_path))
    (tmp_path / "kernels-1" / "locks").mkdir(parents=True, mode=0o700)
    (tmp_path / "kernels-1").chmod(0o700)
    (tmp_path / "kernels-1" / ".build-old").mkdir()
    assert build.build_cython([source(60.0)])


# ------------------------------------------------------------------------------------------------------------------------------------------- compiler
def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("BRIANLIKE_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler --flag")
    with pytest.raises(build.CompilerUnavailable) as caught:
        build.build_cython([source(70.0)])
    assert str(caught.value) == "no C compiler: looked for no-such-compiler --flag. Install one, or name one in the environment variable CC."


@pytest.mark.skipif(os.name == "nt", reason="a shell script as compiler")
def test_a_compiler_that_fails(monkeypatch, tmp_path):
    script = tmp_path / "mycc; touch gone"  # no shell ever reads this name
    script.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "mycc 1.0" && exit 0\necho "Python.h: No such file" >&2\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("BRIANLIKE_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("CC", f"'{script}'")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(build.CompilerUnavailable) as caught:
        build.build_cython([source(71.0)])
    assert str(caught.value) == f"{script} (mycc 1.0) failed:\nPython.h: No such file"
    assert not (tmp_path / "gone").exists()


@needs_compiler
def test_flags():
    compiler = build.find_compiler()
    assert not {"-ffast-math", "-Ofast"} & set(compiler.flags) and "-ffp-contract=off" in compiler.flags


@needs_compiler
def test_machine_code_belongs_to_a_processor_and_a_compiler(monkeypatch):
    compiler = build.find_compiler()
    before = build._fingerprint(compiler)
    assert before == build._fingerprint(compiler)
    monkeypatch.setattr(build, "_processor", lambda: "another")
    assert build._fingerprint(compiler) != before


@needs_compiler
def test_a_runtime_of_another_version_is_noticed():
    pytest.importorskip("brianlike._runtime")
    with pytest.raises(build.CompilerUnavailable, match="install brianlike again"):
        build._check_context(1)


def test_the_context_is_declared_once():
    from codegen.emit.prelude import CONTEXT

    assert CONTEXT.strip() in (REPOSITORY / "brianlike" / "_runtime.h").read_text()
