"""The compiled engine of modules: whole batches over all steps as kernels, forwards and backwards."""

from .engine import CompiledEngine as CompiledEngine
from .engine import Refused as Refused
from .unrolling import unroll_compiled as unroll_compiled
