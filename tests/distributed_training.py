"""Started by test_torch_manners.py under torchrun: some steps of training on equal shards, and what came out of them as a file."""

import os
import sys
from datetime import timedelta

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import brianlike.nn as bnn
from brianlike.only import *

SAMPLES, STEPS, INPUTS = 8, 20, 6


def built():
    """The same network and data in every process: neurons with learned time constants, recurrent and delayed."""
    seed(5)
    defaultclock.dt = 1 * ms
    inputs = InputGroup(INPUTS)
    cells = NeuronGroup(5, "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1\ntau : second", threshold="v > 1", reset="v = 0", method="exact")
    cells.tau = "(10 + 5*rand())*ms"
    feed, loop = (Synapses(source, cells, "w : 1", on_pre="I_post += w") for source in (inputs, cells))
    for synapses, weights in ((feed, "1 + rand()"), (loop, "randn()*0.5")):
        synapses.connect()
        synapses.w = weights
    loop.delay = 2 * ms
    learn = [bnn.Learn(feed, "w"), bnn.Learn(loop, "w"), bnn.Learn(cells, "tau", unit=ms)]
    module = bnn.NetworkModule(Network(inputs, cells, feed, loop), {"v": (cells, "v"), "count": bnn.Count(cells)}, learn, dtype=torch.float64, namespace={})
    generator = torch.Generator().manual_seed(2)
    x = (torch.rand(STEPS, SAMPLES, INPUTS, generator=generator) < 0.3).double()
    return module, x, torch.rand(SAMPLES, 5, generator=generator, dtype=torch.float64)


def trained(module, x, target):
    """The mean over samples of a loss, minimised: with equal shards the mean of the shards' gradients is the whole gradient."""
    optimizer = torch.optim.Adam(module.parameters(), 0.05)
    for _ in range(4):
        optimizer.zero_grad()
        y = module(x)
        (y.v.mean(0) + 0.1 * y.count - target).square().mean().backward()
        optimizer.step()
    return {name.removeprefix("module."): value.detach() for name, value in module.named_parameters()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", timeout=timedelta(seconds=240))
    rank, size = distributed.get_rank(), distributed.get_world_size()
    module, x, target = built()
    if rank:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1.5)  # DistributedDataParallel brings everybody to the values of the first process
    mine = slice(rank * SAMPLES // size, (rank + 1) * SAMPLES // size)
    values = trained(DistributedDataParallel(module), x[:, mine], target[mine])
    torch.save(values, f"{sys.argv[1]}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()
    os._exit(0)  # on a busy machine threads of torch's own may still run when the interpreter takes everything down, which ends in SIGABRT
