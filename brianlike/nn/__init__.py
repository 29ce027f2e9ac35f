"""Training: torch modules made from the same groups and synapses that `run` simulates."""

from . import idle as idle  # before torch is imported

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
from .checkpoints import CheckpointError as CheckpointError
from .checkpoints import load as load
from .checkpoints import save as save
from .encoders import CurrentEncoder as CurrentEncoder
from .encoders import LatencyEncoder as LatencyEncoder
from .encoders import LevelCrossingEncoder as LevelCrossingEncoder
from .encoders import PoissonEncoder as PoissonEncoder
from .events import Events as Events
from .fit import History as History
from .fit import fit as fit
from .fluctuations import Response as Response
from .fluctuations import fluctuation_driven as fluctuation_driven
from .fluctuations import linear_response as linear_response
from .gradients import Surrogate as Surrogate
from .gradients import TrueGradient as TrueGradient
from .layers import OverTime as OverTime
from .losses import first_spike_time as first_spike_time
from .losses import relative_latency as relative_latency
from .losses import spike_time_cross_entropy as spike_time_cross_entropy
from .losses import van_rossum as van_rossum
from .metrics import Memory as Memory
from .metrics import firing_rate as firing_rate
from .metrics import interval_cv as interval_cv
from .metrics import memory_estimate as memory_estimate
from .metrics import sparseness as sparseness
from .metrics import synaptic_operations as synaptic_operations
from .module import NetworkModule as NetworkModule
from .module import spytorch_schedule as spytorch_schedule
from .neuron import NeuronModule as NeuronModule
from .nir_export import to_nir as to_nir
from .nir_import import from_nir as from_nir
from .optimising import parameter_groups as parameter_groups
from .parameters import Learn as Learn
from .probes import GradientNorms as GradientNorms
from .recording import Count as Count
from .recording import FirstSpike as FirstSpike
from .recording import Last as Last
from .recording import Margin as Margin
from .recording import Max as Max
from .recording import Mean as Mean
from .regularisers import spikes_above as spikes_above
from .regularisers import spikes_below as spikes_below
from .regularisers import spikes_l1 as spikes_l1
from .regularisers import spikes_l2 as spikes_l2
from .states import detached as detached

del _torch
