"""JAX on the CPU: `lax.scan` over time, `jit` of `value_and_grad`, Adam by optax, buffers donated. The equations are those of ours, to the last constant.

What was fastest of what we tried: all of a step in one scan, also the product with its input (for all steps at once it has to go through memory), no
unrolling, and `jax.checkpoint` around the step. With `devices=2` the batch is halved between two devices of the CPU by `shard_map`: XLA alone spreads over
cores only the products, and not the arithmetic between them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tasks import BETA, LEARNING_RATE, MODELS, TAU_M, Data, Task, exact


@dataclass
class Training:
    """Jitted functions, and what they work on."""

    update: Any
    count: Any
    parameters: Any
    state: Any
    inputs: Any
    labels: Any
    wait: Any

    def step(self) -> float:
        self.parameters, self.state, loss = self.update(self.parameters, self.state, self.inputs, self.labels)
        self.wait(self.parameters)
        return float(loss)

    def activity(self) -> float:
        return float(self.count(self.parameters, self.inputs))


def network(task: Task, unroll: int, keep: str):
    """A function of parameters and input spikes: the maximum of read-outs over time; or, if asked to count, the part of hidden neurons that fired."""
    import jax
    import jax.numpy as jnp

    model = MODELS[task.model]
    a, c, b = (float(x) for x in exact(np.float64(TAU_M), np))
    shape = {
        "SuperSpike": lambda u: 1 / (1 + BETA * jnp.abs(u)) ** 2,
        "Triangle": lambda u: jnp.maximum(0, 1 - jnp.abs(u)),
        "Boxcar": lambda u: (jnp.abs(u) <= 0.5).astype(u.dtype),
    }[task.surrogate]

    @jax.custom_jvp
    def fire(margin):
        return (margin > 0).astype(margin.dtype)

    @fire.defjvp
    def _(primals, tangents):
        return fire(primals[0]), shape(primals[0]) * tangents[0]

    def forward(parameters, x, counting=False):
        constants = model.constants(parameters, jnp)

        def step(carried, spikes_in):
            state, (v, i), highest, count = carried
            v, i = a * v + c * i, b * i
            highest = jnp.maximum(highest, v)
            state = model.update(state, constants, jnp)
            spikes = fire(model.margin(state))
            held = jax.lax.stop_gradient(spikes)
            *rest, last = model.reset(state, spikes, held)
            last = last + spikes_in @ parameters["forward"]
            if task.recurrent:
                last = last + spikes @ parameters["recurrent"]
            return ((*rest, last), (v, i + spikes @ parameters["output"]), highest, count + held.mean() if counting else count), None

        hidden, read = jnp.zeros((x.shape[1], task.hidden), x.dtype), jnp.zeros((x.shape[1], task.outputs), x.dtype)
        start = ((hidden,) * (len(model.states) + 1), (read, read), read - jnp.inf, jnp.zeros((), x.dtype))
        if keep != "all":
            step = jax.checkpoint(step, policy=jax.checkpoint_policies.dots_saveable if keep == "products" else None)
        (_, _, highest, count), _ = jax.lax.scan(step, start, x, unroll=unroll)
        return count / task.steps if counting else highest

    return forward


def prepare(task: Task, data: Data, number: int, devices: int = 1, unroll: int = 1, keep: str = "nothing") -> Training:
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    import jax
    import jax.numpy as jnp
    import optax
    from jax.sharding import NamedSharding, PartitionSpec

    forward = network(task, unroll, keep)
    optimiser = optax.adam(LEARNING_RATE)

    def loss_of(parameters, x, labels):
        return optax.softmax_cross_entropy_with_integer_labels(forward(parameters, x), labels).mean()

    differentiated = jax.value_and_grad(loss_of)
    parameters = {name: jnp.array(value) for name, value in {**data.weights, **data.times}.items()}
    x, labels = jnp.array(data.spikes), jnp.array(data.labels)
    if devices > 1:
        mesh, everywhere, halves = jax.make_mesh((devices,), ("batch",)), PartitionSpec(), (PartitionSpec(None, "batch", None), PartitionSpec("batch"))

        def of_a_part(*arguments):
            return jax.lax.pmean(jax.value_and_grad(loss_of)(*arguments), "batch")

        differentiated = jax.shard_map(of_a_part, mesh=mesh, in_specs=(everywhere, *halves), out_specs=everywhere, check_vma=False)
        parameters = jax.device_put(parameters, NamedSharding(mesh, everywhere))
        x, labels = (jax.device_put(value, NamedSharding(mesh, half)) for value, half in zip((x, labels), halves))

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(parameters, state, x, labels):
        loss, gradients = differentiated(parameters, x, labels)
        changes, state = optimiser.update(gradients, state)
        return optax.apply_updates(parameters, changes), state, loss

    return Training(update, jax.jit(partial(forward, counting=True)), parameters, optimiser.init(parameters), x, labels, jax.block_until_ready)
