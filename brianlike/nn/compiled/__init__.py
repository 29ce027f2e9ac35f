"""The compiled engine of modules: whole batches over all steps as kernels, forwards and backwards."""

from .engine import CompiledEngine as CompiledEngine
from .engine import Measured as Measured
from .engine import Refused as Refused
from .engine import measuring as measuring
from .operator import register as register
from .unrolling import unroll_compiled as unroll_compiled
