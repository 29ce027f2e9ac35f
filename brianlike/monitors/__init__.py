"""Monitors: what is kept of a run."""

from .base import Monitor as Monitor
from .events import EventMonitor as EventMonitor
from .events import EventRecorder as EventRecorder
from .events import SpikeMonitor as SpikeMonitor
from .rates import PopulationRateMonitor as PopulationRateMonitor
from .states import StateMonitor as StateMonitor

__all__ = ["EventMonitor", "PopulationRateMonitor", "SpikeMonitor", "StateMonitor"]
