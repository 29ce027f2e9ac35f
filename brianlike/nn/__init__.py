"""Training: torch modules made from the same groups and synapses that `run` simulates."""

try:
    import torch as _torch
except ImportError as error:
    raise ImportError("brianlike.nn needs torch: pip install 'brianlike[nn]'") from error

from codegen.surrogate import SURROGATES as SURROGATES
from codegen.surrogate import ATan as ATan
from codegen.surrogate import Boxcar as Boxcar
from codegen.surrogate import Exponential as Exponential
from codegen.surrogate import Gaussian as Gaussian
from codegen.surrogate import MultiGaussian as MultiGaussian
from codegen.surrogate import Sigmoid as Sigmoid
from codegen.surrogate import SuperSpike as SuperSpike
from codegen.surrogate import Triangle as Triangle

from .batches import loader as loader
from .fit import History as History
from .fit import fit as fit
from .gradients import Surrogate as Surrogate
from .gradients import TrueGradient as TrueGradient
from .layers import OverTime as OverTime
from .module import NetworkModule as NetworkModule
from .module import spytorch_schedule as spytorch_schedule
from .neuron import NeuronModule as NeuronModule
from .optimising import parameter_groups as parameter_groups
from .parameters import Learn as Learn
from .probes import GradientNorms as GradientNorms
from .recording import Count as Count
from .recording import Last as Last
from .recording import Margin as Margin
from .recording import Max as Max
from .recording import Mean as Mean
from .states import detached as detached

del _torch
