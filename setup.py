"""All metadata of the two packages, and the extensions that are compiled at installation."""

import os
import warnings
from pathlib import Path

from setuptools import Extension, find_packages, setup

CORE = [
    "numpy>=1.26",
    "sympy>=1.13",
    "Cython>=3.1",
    "setuptools>=77.0.3",
    "platformdirs>=4.0",
    "filelock>=3.13",
    "tqdm>=4.66",
]
TORCH = ["torch>=2.6", "safetensors>=0.5"]
NIR = ["nir>=1.0.8"]
DATA = ["h5py>=3.10", "pooch>=1.8"]
DEMO = [*TORCH, "scikit-learn>=1.4", "matplotlib>=3.8"]
TEST = [*DEMO, *DATA, *NIR, "pytest>=8.0", "pytest-xdist>=3.5", "hypothesis>=6.100", "scipy>=1.12", "pandas>=2.2", "ruff>=0.9", "mypy>=1.14"]
BENCH = ["matplotlib>=3.8", "psutil>=5.9"]
DOCS = ["matplotlib>=3.8"]


def compile_flags() -> list[str]:
    """The same bits on every machine: no fused multiply-add, no native instructions, no relaxed arithmetic."""
    return [] if os.name == "nt" else ["-O3", "-ffp-contract=off"]


def loop_flags() -> list[str]:
    """Those, and what lets compilers use vectors without changing a value: nobody reads errno or the flags of exceptions."""
    return [*compile_flags(), *(["-fno-math-errno", "-fno-trapping-math"] if os.name != "nt" else [])]


def extensions() -> list[Extension]:
    """`brianlike._runtime`, `brianlike._connections` and `brianlike._training`, or nothing where Cython cannot translate them."""
    runtime = Extension("brianlike._runtime", ["brianlike/_runtime.pyx"], extra_compile_args=compile_flags())
    headers = ["brianlike/_connections.h", "brianlike/_connections_kernels.h"]
    connections = Extension("brianlike._connections", ["brianlike/_connections.pyx"], extra_compile_args=loop_flags(), depends=headers)
    headers = ["brianlike/_training.h", "brianlike/_event_lists.h", "brianlike/_packed_lists.h", "brianlike/_delays.h", "brianlike/_runtime.h"]
    training = Extension("brianlike._training", ["brianlike/_training.pyx"], extra_compile_args=loop_flags(), depends=headers)
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        warnings.warn("Cython is missing: installing without the compiled parts", stacklevel=2)
        return []
    try:
        modules = cythonize([runtime, connections, training], language_level=3)
    except CompileError as error:
        warnings.warn(f"Cython failed ({error}): installing without the compiled parts", stacklevel=2)
        return []
    for module in modules:
        module.optional = True  # set here because cythonize does not carry it over
    return modules


setup(
    name="brianlike",
    version="0.1.0",
    description="Neuron models written as equations: simulated by compiled event-driven kernels, trained as PyTorch modules",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="brianlike developers",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    keywords=["spiking neural networks", "computational neuroscience", "simulation", "surrogate gradients", "code generation"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Cython",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
        "Topic :: Software Development :: Code Generators",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["brianlike", "brianlike.*", "codegen", "codegen.*"]),
    package_dir={"": "."},
    package_data={"brianlike": ["*.pyx", "*.pxd", "*.pxi", "*.h"]},
    install_requires=CORE,
    extras_require={"nn": TORCH, "demo": DEMO, "data": DATA, "nir": NIR, "test": TEST, "bench": BENCH, "docs": DOCS},
    ext_modules=extensions(),
    zip_safe=False,
)
