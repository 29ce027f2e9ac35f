"""The names of pylab: those of numpy as they are, those of matplotlib as stand-ins that load it when they are first used.

The list is stored, since asking matplotlib for it would load matplotlib. A name that the installed version does not have says so when it is used.
"""

from __future__ import annotations

import builtins
import datetime as datetime
from types import GeneratorType
from typing import Any

import numpy
import numpy.fft
import numpy.linalg
import numpy.random
from numpy import ma as ma

from .lazy import LazyName

PYPLOT = """
Annotation Arrow Artist AutoLocator AxLine Axes BackendFilter Button Circle Colorizer ColorizingArtist Colormap Figure FigureBase FigureCanvasBase
FigureManagerBase FixedFormatter FixedLocator FormatStrFormatter Formatter FuncFormatter GridSpec IndexLocator Line2D LinearLocator Locator
LogFormatter LogFormatterExponent LogFormatterMathtext LogLocator MaxNLocator MouseButton MultipleLocator Normalize NullFormatter NullLocator
PolarAxes Polygon Rectangle ScalarFormatter Slider Subplot SubplotSpec Text TickHelper Widget acorr angle_spectrum annotate arrow autoscale autumn
available_backends axes axhline axhspan axis axline axvline axvspan backend_registry bar bar_label barbs barh bone box boxplot broken_barh cla clabel
clf clim close cohere color_sequences colorbar colormaps contour contourf cool copper csd cycler delaxes disconnect draw draw_all draw_if_interactive
ecdf errorbar eventplot figaspect figimage figlegend fignum_exists figtext figure fill fill_between fill_betweenx findobj flag gca gcf gci get
get_backend get_cmap get_current_fig_manager get_figlabels get_fignums get_plot_commands get_scale_names getp ginput gray grid grouped_bar hexbin hist
hist2d hlines hot hsv imread imsave imshow inferno install_repl_displayhook interactive ioff ion isinteractive jet legend locator_params loglog magma
magnitude_spectrum margins matshow minorticks_off minorticks_on new_figure_manager nipy_spectral pause pcolor pcolormesh phase_spectrum pie pie_label
pink plasma plot polar prism psd quiver quiverkey rc rcParams rcParamsDefault rcParamsOrig rc_context rcdefaults rcsetup requested_backend rgrids
savefig sca scatter sci semilogx semilogy set_cmap set_loglevel setp show specgram spring spy stackplot stairs stem step streamplot style subplot
subplot2grid subplot_mosaic subplot_tool subplots subplots_adjust summer suptitle switch_backend table text thetagrids tick_params ticklabel_format
tight_layout title tricontour tricontourf tripcolor triplot twinx twiny uninstall_repl_displayhook violinplot viridis vlines waitforbuttonpress winter
xcorr xkcd xlabel xlim xscale xticks ylabel ylim yscale yticks
""".split()
"""Names of matplotlib.pyplot. Not among them: `connect`, which is a module here, and modules of the standard library that pyplot happens to show."""

PYLAB = """
DAILY DateFormatter DateLocator DayLocator FR HOURLY HourLocator MINUTELY MO MONTHLY MinuteLocator MonthLocator RRuleLocator SA SECONDLY SU
SecondLocator TH TU WE WEEKLY WeekdayLocator YEARLY YearLocator date2num datestr2num detrend detrend_linear detrend_mean detrend_none drange flatten
num2date relativedelta rrule silent_list window_hanning window_none
""".split()
"""What pylab adds: dates, windows and filters."""

BUILT_IN = frozenset("abs bool bytes max min pow round".split())
"""Names of numpy that pylab leaves to Python."""

RARE = frozenset("core ctypeslib f2py test testing typing".split())
"""Modules of numpy that take longer to load than all the rest; they are reached as `np.testing`."""


def summed(a: Any, *arguments: Any, **keywords: Any) -> Any:
    """`numpy.sum`, which Python's `sum` replaces for a generator: pylab's name hides that one.

    >>> summed(number for number in (1, 2, 3))
    6
    """
    return builtins.sum(a, *arguments, **keywords) if isinstance(a, GeneratorType) else numpy.sum(a, *arguments, **keywords)


RENAMED = {"trapz": "trapezoid", "row_stack": "vstack"}
"""Names that recent versions of numpy have under another name only."""


def numpy_names() -> dict[str, object]:
    """What `from pylab import *` brings from numpy; of equal names the last module's."""
    found: dict[str, object] = {}
    for module in (numpy, numpy.fft, numpy.random, numpy.linalg):
        found |= {name: getattr(module, name) for name in module.__all__ if name not in BUILT_IN | RARE and not name.startswith("_")}
    found |= {old: getattr(numpy, old, None) or getattr(numpy, new) for old, new in RENAMED.items() if hasattr(numpy, new)}
    found["sum"] = summed
    found.pop("f", None)  # a distribution, but too good a name for it
    return found


def matplotlib_names() -> dict[str, object]:
    """What it brings from matplotlib."""
    modules = {"plt": "pyplot", "mlab": "mlab", "cbook": "cbook", "cm": "cm"}
    found: dict[str, object] = {name: LazyName("matplotlib.pyplot", name) for name in PYPLOT}
    found |= {name: LazyName("matplotlib.pylab", name) for name in PYLAB}
    found |= {name: LazyName(f"matplotlib.{module}") for name, module in modules.items()}
    return found | {"matplotlib": LazyName("matplotlib"), "mpl": LazyName("matplotlib"), "pylab": LazyName("matplotlib.pylab")}


globals().update(numpy_names() | matplotlib_names())
__all__ = sorted({*numpy_names(), *matplotlib_names(), "datetime", "ma"})
