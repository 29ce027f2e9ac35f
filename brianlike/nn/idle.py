"""How torch's threads wait, to be imported before torch.

GNU's OpenMP, which torch brings, lets a thread that has nothing to do spin for some three milliseconds before it sleeps. On a processor with few cores
these are the cores on which the compiled engine's threads want to run: a training step of 22 ms took 18 without the spinning (*measured*). So, unless the
user has said how threads wait, or torch is there already, they do not spin; torch's own parallel operations then take some 20 us more each.
"""

from __future__ import annotations

import os
import sys

if "torch" not in sys.modules and not any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")):
    os.environ["GOMP_SPINCOUNT"] = "0"
