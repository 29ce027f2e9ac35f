# %% [markdown]
# # Ten lines: an equation, simulated, trained, simulated again
#
# This script is a tutorial in cells; run it whole (`python tutorials/ten_lines.py`) or cell by cell in an editor that knows `# %%`.
# It needs torch, scikit-learn and matplotlib: `pip install "brianlike[demo]"`.

# %%
import matplotlib.pyplot as plt
import torch
from torch.nn import functional

import brianlike.nn as bnn
from brianlike import *
from brianlike.datasets import digits, latency
from brianlike.plots import raster, traces

seed(1)
torch.manual_seed(1)
defaultclock.dt = 1*ms

# %% [markdown]
# ## A neuron is an equation
#
# The membrane potential `v` leaks towards the current `I`, which decays by itself. A colon gives the unit (here `1`: none); `tau_m` is declared, so every
# neuron has its own; `tau_s` is a constant that is looked up where the model is used. Units are checked before anything runs.

# %%
equations = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s      : 1
tau_m                 : second (constant)
"""
tau_s = 5*ms

cells = NeuronGroup(3, equations, threshold="v > 1", reset="v = 0", method="exact")
cells.tau_m = [10, 20, 40]*ms
cells.I = 20

# %% [markdown]
# ## Simulate it
#
# Monitors record; `run` finds all objects in your variables. The equations are linear, so `method="exact"` uses their exact solution, whatever the time step.

# %%
trace = StateMonitor(cells, "v", record=True)
spikes = SpikeMonitor(cells)
run(40*ms)
print(f"spikes of the three neurons: {spikes.count}")

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
traces(axes[0], trace)
axes[0].legend(title="neuron", frameon=False)
raster(axes[1], spikes, s=20)
axes[0].set_title("membrane potential")
axes[1].set(title="spikes", xlim=axes[0].get_xlim(), yticks=[0, 1, 2])
figure.savefig("ten_lines_neurons.png", dpi=110)

# %% [markdown]
# ## Connect
#
# Now the network that we want to train: inputs, hidden neurons that are connected with each other, and two leaky integrators that read out. All of them
# follow the same equations; the integrators just never spike. `on_pre` is what a synapse does when a spike arrives.
#
# `start_scope()` tells `run` to forget the objects made so far.

# %%
start_scope()
inputs = InputGroup(64)
hidden = NeuronGroup(50, equations, threshold="v > 1", reset="v = 0", method="exact")
readout = NeuronGroup(2, equations, method="exact")
hidden.tau_m = "clip(15 + 5*randn(), 5, 50)*ms"
readout.tau_m = 20*ms

forward = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w")
recurrent = Synapses(hidden, hidden, "w : 1", on_pre="I_post += w")
output = Synapses(hidden, readout, "w : 1", on_pre="I_post += w")
for synapses, weights in ((forward, "0.4 + randn()"), (recurrent, "0.1*randn()"), (output, "0.3*randn()")):
    synapses.connect()
    synapses.w = weights

# %% [markdown]
# ## See what becomes of it
#
# `explain` prints every stage between your text and the generated source; here are the first lines. The whole way is described in `docs/walkthrough.md`.

# %%
print("\n".join(explain(hidden).splitlines()[:30]))

# %% [markdown]
# ## The same objects as a torch module
#
# A `NetworkModule` is made from the groups themselves. It takes spikes of shape (time, batch, neurons) and returns what `record` names. Weights and time
# constants become parameters; time constants stay within their bounds. Spikes have no useful derivative, so the backward pass uses a surrogate.

# %%
network = Network(inputs, hidden, readout, forward, recurrent, output)
module = bnn.NetworkModule(
    network,
    record={"v": (readout, "v"), "spikes": hidden},
    learn=[*(bnn.Learn(s, "w") for s in (forward, recurrent, output)), bnn.Learn(hidden, "tau_m", unit=ms, bounds=(2*ms, 100*ms))],
    gradient=bnn.Surrogate(bnn.SuperSpike(beta=10)),
    dtype=torch.float64,
)
print(f"{sum([p.numel() for p in module.parameters()])} parameters: {', '.join(module.learned)}")

# %% [markdown]
# ## Train it on real images
#
# Zeros against ones, handwritten, 8 x 8 pixels. Each pixel sends one spike, the brighter the sooner. The read-out whose potential rises highest wins.

# %%
data = digits(seed=1)
train, test = data.y_train < 2, data.y_test < 2
x, y = torch.from_numpy(latency(data.x_train[train], 30, 15*ms)).double(), torch.from_numpy(data.y_train[train])
x_test, y_test = torch.from_numpy(latency(data.x_test[test], 30, 15*ms)).double(), torch.from_numpy(data.y_test[test])
print(f"{len(y)} images to train on, {len(y_test)} held out; input of shape {tuple(x.shape)}")


def accuracy():
    with torch.no_grad():
        return float((module(x_test).v.amax(0).argmax(1) == y_test).double().mean())


before = accuracy()
optimizer = torch.optim.Adam(module.parameters(), 0.01)
losses = []
for _ in range(15):
    chosen = torch.randperm(len(y))[:64]
    loss = functional.cross_entropy(module(x[:, chosen]).v.amax(0), y[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(float(loss.detach()))
after = accuracy()
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; accuracy on held-out images {before:.2f} -> {after:.2f}")

# %% [markdown]
# ## Write back, and simulate again
#
# `write_back` puts the trained values into the Brian objects. From here on they are an ordinary simulation: we feed one test image, `run`, and find the spikes
# of the module, one by one.

# %%
module.write_back()
image = 0
when, which = torch.nonzero(x_test[:, image], as_tuple=True)
inputs.set_spikes(which.numpy(), when.numpy()*ms)
hidden_spikes, readout_v = SpikeMonitor(hidden), StateMonitor(readout, "v", record=True)
run(30*ms)

expected = torch.nonzero(module(x_test[:, image:image + 1]).spikes[:, 0])
simulated = torch.tensor(list(zip((hidden_spikes.t/ms).round().astype(int), hidden_spikes.i)))
assert torch.equal(expected, simulated), "module and simulator must agree spike for spike"
winner = readout_v.v.max(axis=1).argmax()
print(f"the simulator gives the same {len(expected)} spikes as the module, and reads the image, a {int(y_test[image])}, as a {winner}")
