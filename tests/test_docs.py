"""What users read is true: every example runs, the generated page is current, the README has its two commands, and imports run downward."""

import ast
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import brianlike
import codegen
from brianlike import ImportExport, StateUpdateMethod, defaultclock, ms, prefs, start_scope
from brianlike.preference_table import PREFERENCES

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PACKAGES = ("codegen", "brianlike")


@pytest.fixture(autouse=True)
def fresh_scope(tmp_path, monkeypatch, request):
    """Examples change the clock, preferences, tables of names, messages and the working directory as users may."""
    monkeypatch.chdir(tmp_path)
    for table in (PREFERENCES, ImportExport.methods, StateUpdateMethod.stateupdaters):
        before = dict(table)
        request.addfinalizer(lambda table=table, before=before: (table.clear(), table.update(before)))
    monkeypatch.setattr(brianlike.logger, "_SUPPRESSED", [])
    monkeypatch.setattr(brianlike.logger, "_SAID", set())
    defaultclock.dt = 0.1 * ms
    start_scope()
    yield
    defaultclock.dt = 0.1 * ms
    prefs.reset_to_defaults()


def environment(**more):
    """For a process of its own: the packages importable, no window, one thread (others may be running tests beside it)."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", **more}


def script(*arguments, **more):
    """The standard output of a Python process that must succeed."""
    result = subprocess.run([sys.executable, *map(str, arguments)], env=environment(**more), capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


# ------------------------------------------------------------------------------------------------------------------------------------------- code blocks
def fenced(page, language):
    """Line number and text of every fenced block in that language."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start(1)].count("\n"), m[1]) for m in re.finditer(rf"^```{language}\n(.*?)^```", text, re.S | re.M)]


def label(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=label)
def test_every_code_block_runs(page):
    blocks = fenced(page, "python")
    if page.name == "walkthrough.md":
        blocks = blocks[:1]  # the user's script; the others are what the compiler wrote
    if blocks and page.name in ("README.md", "training.md"):
        pytest.importorskip("torch")
    names = {"__name__": "__main__"}
    for line, text in blocks:
        exec(compile("\n" * line + text, str(page), "exec"), names)


def anchors(page):
    """What `page.md#...` can name: headings in lower case, spaces as hyphens, without other signs."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=label)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            file, _, place = target.partition("#")
            other = page.parent / file if file else page
            assert other.exists(), target
            assert not place or place in anchors(other), target


def test_the_reference_has_every_name():
    """Units, and the functions of numpy that keep track of them, apart."""
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS if "reference" in str(page.relative_to(ROOT)))
    units = {*importlib.import_module("brianlike.units").__all__, *importlib.import_module("brianlike.unit_safe").__all__}
    words = set(re.findall(r"\w+", text))
    assert not set(importlib.import_module("brianlike.only").__all__) - units - words


def test_the_reference_has_every_name_of_training():
    pytest.importorskip("torch")
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    names = {name for name, value in vars(importlib.import_module("brianlike.nn")).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert not names - {"error"} - set(re.findall(r"\w+", text))


def test_the_readme_has_exactly_two_commands():
    lines = [line for _, text in fenced(ROOT / "README.md", "bash") for line in text.splitlines() if line.strip()]
    assert len(lines) == 2
    assert all(line.startswith("python3 -m venv .venv && .venv/bin/python -m pip install -c constraints.txt -e ") for line in lines)
    assert lines[0].endswith("&& .venv/bin/python -m brianlike demo") and lines[1].endswith("&& .venv/bin/python -m pytest")


def test_the_readme_shows_ten_lines():
    ((_, text),) = fenced(ROOT / "README.md", "python")
    assert len([line for line in text.splitlines() if line.strip()]) == 10


# ------------------------------------------------------------------------------------------------------------------------------------ generated, scripts
def test_the_walkthrough_is_current():
    printed = script("-c", f"import sys; sys.path.insert(0, {str(ROOT / 'docs')!r}); import make_walkthrough as m; sys.stdout.write(m.walkthrough())")
    assert printed == (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8"), "run `python docs/make_walkthrough.py`"


@pytest.mark.parametrize("backend", ["cython", "numpy", "torch"])
def test_explain_shows_every_rung_of_a_single_group(backend):
    group = brianlike.NeuronGroup(2, "dv/dt = -v/(7*ms) : 1", threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name="shown")
    text = brianlike.explain(group, backend=backend)
    titles = ["The user's text", "Model: ", "Core model: ", "Steps: ", "Program: ", f"Source ({backend})"]
    places = [text.index(f"{n}. {title}") for n, title in enumerate(titles, 1)]
    assert places == sorted(places)
    assert "dv/dt = -v/(7*ms) : 1" in text[: places[1]] and "refractory" in text[: places[1]]
    assert ("kernel_" if backend == "cython" else "def shown_update_threshold(") in text[places[-1] :]
    assert text == brianlike.explain(group, backend=backend)


def test_explain_refuses_what_it_cannot_show():
    group = brianlike.NeuronGroup(1, "v : 1")
    with pytest.raises(ValueError, match="^backend must be 'cython', 'numpy', 'torch', not 'c'$"):
        brianlike.explain(group, backend="c")
    with pytest.raises(TypeError, match="^explain takes groups and synapses, not SpikeMonitor$"):
        brianlike.explain(brianlike.SpikeMonitor(brianlike.NeuronGroup(1, "v : 1", threshold="v > 1")))
    with pytest.raises(TypeError, match="^explain needs at least one group or Synapses object$"):
        brianlike.explain()


def test_the_tutorial_runs(tmp_path):
    pytest.importorskip("torch"), pytest.importorskip("sklearn"), pytest.importorskip("matplotlib")
    printed = script(ROOT / "tutorials" / "ten_lines.py")
    assert "the simulator gives the same" in printed
    assert (tmp_path / "ten_lines_neurons.png").stat().st_size > 10_000


def test_the_braille_script_runs(tmp_path):
    if not (Path(os.environ.get("BRIANLIKE_DATA", "/nonexistent")) / "braille.npz").is_file():
        pytest.skip("set BRIANLIKE_DATA to a folder that holds braille.npz to run the Braille script")
    printed = script(ROOT / "tutorials" / "braille.py", "--epochs", 1, "--samples", 100, "--picture", tmp_path / "curve.png")
    assert re.search(r"test accuracy after 1 epochs?: 0\.\d{3}", printed)
    assert (tmp_path / "curve.png").stat().st_size > 10_000


def test_the_demo_runs(tmp_path):
    pytest.importorskip("torch"), pytest.importorskip("sklearn"), pytest.importorskip("matplotlib")
    printed = script("-m", "brianlike", "demo", "--epochs", 1, "--picture", tmp_path / "demo.png")
    assert printed.startswith("1438 images of handwritten digits to train on, 359 held out")
    assert float(re.search(r"test accuracy: (0\.\d{3})", printed)[1]) > 0.2  # one epoch of forty; chance is 0.1
    assert re.search(r"simulator and module agree: the same \d+ spikes, the same 359 predictions", printed)
    assert (tmp_path / "demo.png").stat().st_size > 50_000


# --------------------------------------------------------------------------------------------------------------------------------------------- doctests
def module_names():
    for package in (codegen, brianlike):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name not in ("brianlike._runtime", "brianlike._connections", "brianlike._training"):
                yield found.name


@pytest.mark.parametrize("name", ["codegen", "brianlike", *module_names()])
def test_docstring_examples(name):
    if name.startswith(("brianlike.nn", "brianlike.demo")):
        pytest.importorskip("torch")
    if name == "brianlike.datasets.images":
        pytest.importorskip("sklearn")
    module = importlib.import_module(name)
    names = {**vars(module), "__name__": "__main__"}  # constants are looked up where the user is, not in our own modules
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    output = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name, globs=names):
        runner.run(example, out=output.append)
    assert not runner.summarize(verbose=False).failed, "".join(output)


# ----------------------------------------------------------------------------------------------------------------------------------------------- layers
LAYERS = """
_unit_text _unit_functions _quantity units unit_safe all_units unit_constants lazy plot_units pylab_names numpy_ preference_table
preferences logger comparing
clocks encoders datasets.files datasets.events datasets.generated datasets.images datasets.shd datasets.touch datasets
ticks objects stages arrays sorting deferred seeding randomness namespaces functions binomial default_functions build
bounds expressions codestrings equations
stateupdaters views variabletable linked importexport state sampling connect codes subgroups groups inputs poisson_input operations connecting synapseindices
timed_arrays pathways synapses monitors.base monitors.smoothing monitors.events monitors.rates monitors.states monitors
simulate traces recorders blueprints lookups prepare waiting calls engines layout shares deliveries drive choosing progress interrupts store summaries
network magic explain times devices compatibility later only aliases
plots
nn.idle nn.layers nn.gradients nn.constraints nn.initialising nn.parameters nn.optimising nn.recording nn.acceptance
nn.delays nn.delivery nn.constants nn.maps nn.noise nn.engine nn.states nn.events nn.feeding nn.forcing nn.unroll
nn.compiled.buffers nn.compiled.operations nn.compiled.parallel nn.compiled.linear nn.compiled.stage nn.compiled.delayed nn.compiled.tapes nn.compiled.lengths
nn.compiled.inputs nn.compiled.packing nn.compiled.draws nn.compiled.network nn.compiled.forwards
nn.compiled.backwards nn.compiled.weights nn.compiled.delay_gradients nn.compiled.engine
nn.compiled.operator nn.compiled.unrolling nn.compiled nn.choice
nn.replay nn.identity nn.module nn.neuron nn.probes
nn.description nn.rebuilding nn.checkpoints
nn.forms nn.nir_export nn.nir_import
nn.batches nn.resume nn.fit nn.encoders nn.losses nn.regularisers nn.metrics nn.fluctuations
nn demo __main__
""".split()
"""The modules of `brianlike`: each may import, at its top, those before it."""

COMPILER = """
errors dims expr ir lines dataflow functions tables codes grammar generator parse models resolve check verify algebra linear desugar link fresh explicit
integrate propagate divisions lower optimize
surrogate eventdriven derivative adjoint outside keep wanted force noise rare ties fuse join widen arrivals traces tabulate pipeline costs abreast
emit emit.base emit.lanes emit.vector_prelude emit.blocks emit.prelude emit.runs emit.rows emit.python emit.scalars emit.vectors emit.cython emit.torch
emit.tiles emit.events emit.reductions emit.delays emit.products
""".split()
"""The modules of `codegen`, likewise."""

DOORS = {
    "torch": ("brianlike/nn/", "brianlike/demo.py"),
    "sympy": ("codegen/algebra.py",),
    "Cython": ("brianlike/build.py",),
    "setuptools": ("brianlike/build.py",),
    "matplotlib": ("brianlike/plots.py",),
    "sklearn": ("brianlike/datasets/images.py",),
    "h5py": ("brianlike/datasets/shd.py",),
    "pooch": ("brianlike/datasets/files.py",),
}
"""The files that may import a heavy library."""

COMPILER_MAY_IMPORT = {"sympy", "codegen", *sys.stdlib_module_names} - {"os", "sys", "io", "time", "pathlib", "subprocess", "random", "datetime", "importlib"}


def test_the_design_notes_name_every_module():
    text = (ROOT / "docs" / "design-notes.md").read_text(encoding="utf-8")
    layout = text[text.index("### File layout") : text.index("## The simulator")]
    assert not {path.name for path in sources() if path.name != "__init__.py"} - set(re.findall(r"\w+\.py\b", layout))


def sources():
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path):
    """(module, at the top of the file) of every import that runs; those for type checkers do not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked = {id(n) for block in ast.walk(tree) if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test) for n in ast.walk(block)}
    inside = {id(n) for block in ast.walk(tree) if isinstance(block, ast.FunctionDef) for n in ast.walk(block)}
    package = ".".join(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            stem = ".".join(filter(None, [base, node.module]))
            for alias in node.names:  # `from . import nn` names a module, `from .clocks import Clock` a thing in one
                full = f"{stem}.{alias.name}"
                is_module = (ROOT / full.replace(".", "/")).with_suffix(".py").exists() or (ROOT / full.replace(".", "/") / "__init__.py").exists()
                yield (full if is_module else stem), id(node) not in inside


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward(path):
    name = module_of(path)
    package, _, inner = name.partition(".")
    order = LAYERS if package == "brianlike" else COMPILER
    assert not inner or inner in order, f"{name} has no place among the layers in tests/test_docs.py"
    for imported, at_top in imports(path):
        top, _, rest = imported.partition(".")
        if package == "codegen":
            assert top in COMPILER_MAY_IMPORT, f"{name} imports {imported}: the compiler knows the standard library and sympy only, and touches nothing"
        allowed = DOORS.get(top)
        assert allowed is None or str(path.relative_to(ROOT)).startswith(allowed), f"{name} imports {top}"
        if top == package and inner and at_top and rest and rest not in ("_runtime", "_connections", "_training"):
            assert order.index(rest) < order.index(inner), f"{name} imports {imported}, which comes after it"


def test_importing_brianlike_loads_nothing_heavy():
    loaded = script("-c", "import sys; from brianlike import *; print([m for m in ('sympy', 'torch', 'matplotlib', 'scipy', 'Cython') if m in sys.modules])")
    assert loaded.strip() == "[]"
