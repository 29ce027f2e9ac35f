"""Which synapses each form of `connect` makes, their order, numbering of parallel ones, and access by index, slice, string and subgroup."""

import numpy as np

from brianlike import *

a, b = NeuronGroup(6, "v : 1\nx : 1", threshold="v > 1e9"), NeuronGroup(4, "u : 1\ny : integer", threshold="u > 1e9")
a.x, b.y = "i*0.5", "(i*3) % 4"
final = {}


def made(name, *arguments, model="w : 1", source=a, target=b, **options):
    S = Synapses(source, target, model, on_pre="u_post += w" if target is b else "v_post += w", multisynaptic_index="k")
    S.connect(*arguments, **options)
    final[name] = np.concatenate([S.i[:], S.j[:], S.k[:], S.N_incoming[:], S.N_outgoing[:], S.N_incoming_post, S.N_outgoing_pre])
    return S


everything = made("all")
made("true", True)
made("condition", "i > j")
made("by_variable", "x_pre > y_post and i != j", source=a, target=b)
made("pairs", i=[0, 5, 3, 3], j=[3, 0, 1, 1])
made("broadcast", i=2, j=[0, 1, 2])
several = made("several", "i == j", n=3)
several.w = "i + 10*k"
final["one_of_several"] = np.concatenate([several.w["k == 1"], several.w[2, 2]])
made("n_text", "j > 0", n="1 + i % 2")
made("one_to_one", j="i", skip_if_invalid=True)
made("shorthand", j="i % 4")
made("conditional", j="i + 1 if i < 3")
made("range", j="k for k in range(i - 1, i + 2)", skip_if_invalid=True)
made("stepped", j="k for k in range(0, 4, 1 + i % 3) if (i + k) % 2 == 0")
made("outer", i="k for k in range(0, 6, 2) if k != j")
made("ring", j="(i + k) % N_post for k in range(1, 3)", source=a, target=a)
made("certain", p=1.0)
made("none", p=0.0)
final["never"] = [len(made("never", False))]
twice = made("twice", "i == 2*j")
twice.connect(i=[5, 5], j=[3, 3])
twice.connect("i + j == 1")
final["twice"] = np.concatenate([twice.i[:], twice.j[:], twice.k[:]])
everything.w = "i + 10*j"
read = [everything.w[2, :], everything.w[:, 1], everything.w[1:4, 2], everything.w[[0, 3], [1, 2]], everything.w[3:7]]
read += [everything.w["i > j"], everything.w[a[2:4], b[1:]], everything.w["k == 0 and j == 1"]]
final["get"] = np.concatenate([np.ravel(values) for values in read])
everything.w[0, :] = [100, 101, 102, 103]
everything.w[:, 2] = "w + 0.5*j"
everything.w["i == 5"] = -1
everything.w[4:6] = "k + 7"
everything.w[a[1:3], b[:2]] = 0.25
final["set"] = everything.w[:]
everything.delay = "(i + 0.5*j)*ms"
everything.delay["i == 0"] = 3 * ms
final["delay"] = everything.delay[:] / ms
selected = StateMonitor(everything, "w", record=everything[2, :])
listed = StateMonitor(everything, "w", record=everything["i == 5 and j > 1"])
net = Network(a, b, everything, selected, listed)
net.run(1 * ms)
final["recorded"] = np.concatenate([selected.record, selected.w[:, 0], listed.record, listed[everything[5, 3]].w.ravel()])
