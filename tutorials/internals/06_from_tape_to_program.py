# %% [markdown]
# # From tape to program
#
# A gradient in tinyad can be had in two ways. *Eagerly*: the function runs, leaves a **tape**, and a walk
# over the tape carries derivatives from the end to the beginning. *Compiled*: the same walk is written down
# once as a **program**, sixteen **passes** shorten it, a **memory plan** says where each value lives, and
# what comes out is a page of NumPy that anybody can read and run.
#
# This tutorial follows one small network all the way. Every stage is printed, and at every stage the
# numbers are compared with those of the stage before.

# %%
import inspect
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models
from tinyad.compiler.numpy_source import write
from tinyad.compiler.passes import (
    PASSES,
    examples_last,
    expand,
    fold_constants,
    fold_transposes,
    group_in_blocks,
    hoist_invariants,
    join_alike,
    move_scalars,
    optimise_bodies,
    remove_dead_code,
    resolve_numbers,
    share_subexpressions,
    simplify,
    sink_permutations,
    split_among_threads,
    sums_as_products,
)
from tinyad.compiler.plan import plan
from tinyad.compiler.threads import number_of_threads
from tinyad.loops import Loop
from tinyad.primitives.reductions import unbroadcast
from tinyad.program import Constant, Instruction, Program, evaluate
from tinyad.report import PALETTE, keep, tidy
from tinyad.tracing import trace

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings


# %% [markdown]
# ## 1. A small network
#
# Two layers, $\tanh$ between them, and the softmax loss of the scores, with a little weight decay:
#
# $$A = \tanh(X K_1^\top + b_1), \qquad S = \tfrac{1}{\sqrt H}\, A K_2^\top + b_2,$$
#
# $$\ell = \frac1N \sum_{i=1}^N \bigl(\log\textstyle\sum_c e^{s_{ic}} - y_i^\top s_i\bigr)
#   + \frac{\alpha}{2}\bigl(\|K_1\|^2 + \|K_2\|^2\bigr).$$
#
# Examples are rows of $X$, labels are one-hot rows of $Y$. Weights are stored as (outputs, inputs), the way
# PyTorch stores them, and the factor $1/\sqrt H$ is that of the "neural tangent" parametrisation. Both
# choices are deliberate: each gives one of the passes something to do.
#
# The data are real scanned digits if scikit-learn is installed, and points in the plane if not.

# %%
try:
    data = models.digits()
except ModuleNotFoundError:
    data = models.peaks(1797)

N, H = 1024, 32
x, y = data.x[:N], np.eye(data.classes)[data.y[:N]]

rng = np.random.default_rng(0)
params = {
    "K1": rng.standard_normal((H, x.shape[1])) / np.sqrt(x.shape[1]),
    "b1": np.zeros(H),
    "K2": rng.standard_normal((data.classes, H)),
    "b2": np.zeros(data.classes),
}


def loss(params, x, y):
    hidden = ad.tanh(x @ params["K1"].T + params["b1"])
    scores = (hidden * H**-0.5) @ params["K2"].T + params["b2"]
    right = ad.sum(scores * y, axis=1)
    misfit = ad.mean(ad.logsumexp(scores, axis=1) - right)
    decay = 0.5e-4 * (ad.sum(params["K1"] ** 2.0) + ad.sum(params["K2"] ** 2.0))
    return misfit + decay


print(data)
print("loss:", loss(params, x, y))

# %% [markdown]
# ## 2. The tape
#
# `ad.tensor` makes a *variable*: an array with a place on the tape. Running the loss on variables gives a
# Tensor whose `node` knows which operation made it, and from which other nodes. A node points to its
# parents and never to its results, so there is no global tape: **the tape of a result is the set of nodes
# that can be reached from it.** Ids rise with time, so sorting by id is a topological order, without
# recursion.

# %%
variables = {name: ad.tensor(value) for name, value in params.items()}
value = loss(variables, x, y)


def tape_of(tensor):
    """The nodes reachable from a result, by rising id."""
    seen, pending = {tensor.node}, [tensor.node]
    while pending:
        for parent in pending.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                pending.append(parent)
    return sorted(seen, key=lambda node: node.id)


tape = tape_of(value)
number = {node: k for k, node in enumerate(tape)}
print("   primitive         parents   shape       saved for the derivative")
for node in tape:
    name = node.primitive.name if node.primitive else "(variable)"
    parents = ", ".join("-" if parent is None else str(number[parent]) for parent in node.parents)
    saved = ", ".join(str(np.shape(array)) for array in node.saved if array is not None)
    print(f"{number[node]:2} {name:<17} {parents:<9} {node.shape!s:<11} {saved}")

# %% [markdown]
# Three things to see in the table.
#
# * A parent `-` is a constant: nobody asked for the derivative by $X$, $Y$, or the number 2, so they have
#   no place on the tape.
# * A node saves only what its rule names. `tanh` saves its *result*, because
#   $\tanh' = 1 - \tanh^2$. `add` saves nothing at all. `matmul` saves the operand whose product gives the
#   other one's derivative.
# * The tape holds values, not only structure: it belongs to this $X$ and these weights. That is the
#   difference between a tape and a program, and the reason why a tape cannot be optimised. It is over.
#
# ## 3. The reverse walk, by hand and by the library
#
# The *cotangent* $\bar v$ of a node is the derivative of the loss by the value of that node. If $w = f(v)$
# is one of the nodes made from $v$, then $v$ receives the contribution
#
# $$\bar v \mathrel{+}= \Bigl(\frac{\partial f}{\partial v}\Bigr)^{\!\top} \bar w,$$
#
# which is what the primitive's rule `vjp` computes. Going through the nodes by falling id, every cotangent
# is complete when its node is reached. So the whole of reverse mode is this loop.


# %%
def reverse_walk(tape):
    """The cotangents of the variables of a tape whose last node is a scalar."""
    cotangents = {tape[-1]: np.ones(())}
    for node in reversed(tape):
        if node.primitive is None:  # a variable keeps what it got
            continue
        g = cotangents.pop(node)
        for parent, part in zip(
            node.parents, node.primitive.vjp(g, node, node.saved, node.parents), strict=True
        ):
            if parent is None or part is None:
                continue
            part = unbroadcast(part, parent.shape)  # what was broadcast forward is summed backward
            cotangents[parent] = cotangents[parent] + part if parent in cotangents else part
    return cotangents


cotangents = reverse_walk(tape)
walked = {name: cotangents[variable.node] for name, variable in variables.items()}

# %% [markdown]
# The same derivative on paper. With $P$ the row-wise softmax of $S$,
#
# $$\bar S = \tfrac1N (P - Y), \qquad \bar K_2 = \tfrac{1}{\sqrt H} \bar S^\top A + \alpha K_2, \qquad
#   \bar b_2 = \bar S^\top \mathbf 1,$$
#
# $$\bar Z = \tfrac{1}{\sqrt H}\, \bar S K_2 \odot (1 - A \odot A), \qquad
#   \bar K_1 = \bar Z^\top X + \alpha K_1, \qquad \bar b_1 = \bar Z^\top \mathbf 1.$$
#
# Three gradients, then: the loop above, the formulas, and `ad.grad`.


# %%
def gradient_on_paper(params, x, y, alpha=1e-4):
    K1, b1, K2, b2 = params["K1"], params["b1"], params["K2"], params["b2"]
    A = np.tanh(x @ K1.T + b1)
    S = A @ K2.T / np.sqrt(H) + b2
    P = np.exp(S - S.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    S_bar = (P - y) / len(x)
    Z_bar = S_bar @ K2 / np.sqrt(H) * (1 - A * A)
    return {
        "K1": Z_bar.T @ x + alpha * K1,
        "b1": Z_bar.sum(axis=0),
        "K2": S_bar.T @ A / np.sqrt(H) + alpha * K2,
        "b2": S_bar.sum(axis=0),
    }


paper = gradient_on_paper(params, x, y)
library = ad.grad(loss)(params, x, y)
for name in params:
    apart = np.abs(paper[name] - library[name]).max()
    print(f"{name}: paper and library differ by at most {apart:.1e}")
    assert np.allclose(paper[name], library[name], rtol=1e-10, atol=1e-14)
    assert np.allclose(walked[name], library[name], rtol=1e-12, atol=1e-16)

# %% [markdown]
# ## 4. Tracing: the walk written down
#
# `ad.compile(f)` runs `f` once on *traced* arrays. A traced array has a shape and a dtype but no values;
# whatever is done to it is written down as an *instruction*. The engine cannot tell it from an array, so a
# gradient taken inside `f` is written down like everything else: the reverse walk above happens during the
# trace, and its arithmetic becomes the second half of the program.
#
# `program(..., optimised=False)` shows what was written, before any pass. Each line is
# `name  type = operation(operands)`; each name is assigned once.

# %%
traced = ad.compile(ad.value_and_grad(loss)).program(params, x, y, optimised=False)


def named_by_operation(program):
    """The program with each value called by the operation that makes it, so that stages can be compared."""
    for instruction in program.instructions:
        for out in instruction.outputs:
            out.name = instruction.name
    return program.renamed()


print(named_by_operation(traced))

# %% [markdown]
# Above `-- backward` stands the loss as we wrote it. Below it stands the reverse walk of section 3: one
# can find $\bar S$ (an `exp` times $1/N$, minus $Y/N$), the two transposed products, and
# `one_minus_square`. Sums over the batch, for the biases, are products with a row of ones (`given`),
# because BLAS adds columns faster than NumPy. `absorb` is a product in which zero stays zero even beside
# infinity, which the derivative of a power may be; `equal` and `where` guard against rows of infinite scores.
#
# Unlike the tape, the program holds no values, except the `given` ones that were known while tracing. It
# can therefore be run again on other weights. Running it is a loop over its instructions:

# %%
leaves = ad.tree.leaves((params, x, y))
expected = [loss(params, x, y), *ad.tree.leaves(library)]


def same_numbers(program, rtol):
    """Whether a program, run on the leaves of the arguments, still gives loss and gradient."""
    found = evaluate(program, leaves)
    return all(np.allclose(a, b, rtol=rtol, atol=1e-15) for a, b in zip(found, expected, strict=True))


assert same_numbers(traced, rtol=1e-12)

# %% [markdown]
# ## 5. The passes
#
# A pass takes a program and gives one that computes the same with less work. To see what each does we
# compare programs before and after: a line that is gone, a line that is new, a line that has changed
# (another operation or other operands for the same value).


# %%
def difference(before, after):
    """The instructions that are gone, new, and changed."""
    old = {i.outputs: i for i in before.instructions}
    new = {i.outputs: i for i in after.instructions}
    changed = [
        (old[k], new[k])
        for k in old
        if k in new
        and (old[k].name, old[k].inputs, old[k].params) != (new[k].name, new[k].inputs, new[k].params)
    ]
    return [old[k] for k in old if k not in new], [new[k] for k in new if k not in old], changed


def apply(a_pass, before, most=8):
    """Run a pass, print what it did, and give the program after it."""
    before.renamed()
    lines = {i: str(i) for i in before.instructions}
    after = a_pass(before).renamed()
    gone, new, changed = difference(before, after)
    text = [f"  - {lines[i]}" for i in gone] + [f"  + {i}" for i in new]
    text += [
        line for old, now in changed if lines[old] != str(now) for line in (f"  - {lines[old]}", f"  ~ {now}")
    ]
    print(
        f"{a_pass.__name__}: {len(before.instructions)} -> {len(after.instructions)} instructions "
        f"({len(gone)} gone, {len(new)} new, {len(changed)} changed)"
    )
    print(
        "\n".join(
            [*text[:most], *([f"    ... and {len(text) - most} more lines"] if len(text) > most else [])]
        )
    )
    return after


def small_program(f, *examples):
    """The program of a function of arrays, as it was written down."""
    program = trace(lambda arrays: ad.tree.leaves(f(*arrays)), examples, "tutorial")
    for value, name in zip(program.inputs, inspect.signature(f).parameters, strict=True):
        value.name = name
    return program


v, A, B = np.ones(3), np.ones((3, 4)), np.ones((4, 3))

# %% [markdown]
# ### `remove_dead_code`
#
# An instruction whose result nobody uses is dropped. Walking backwards, a value is *needed* if it is an
# output or an operand of a needed instruction; one sweep is enough. Functions that only compute, which is
# all that a program holds, make this safe; only what is done for its effect (drawing random numbers,
# `ad.require`) always stays.
#
# In our network there is nothing to drop: `compile` has already pruned the trace once. So here is a
# function with a leftover.


# %%
def with_leftover(v):
    largest = ad.max(ad.abs(v))  # noqa: F841 (a leftover on purpose)
    return ad.sum(v * v)


alive = apply(remove_dead_code, small_program(with_leftover, v))
assert [i.name for i in alive.instructions] == ["multiply", "sum"]

# %% [markdown]
# ### `expand`
#
# Some functions of tinyad are several calls of NumPy: $\operatorname{logsumexp}(s) = m + \log\sum e^{s-m}$
# with $m = \max s$, the mean, $1 - a^2$. While derivatives are taken it is good that each is *one* primitive
# with one exact rule. Afterwards it is better to see inside, so that the other passes can work on the parts.
# The program becomes longer by it.

# %%
network = apply(expand, traced, most=16)
after_expand = len(network.instructions)
assert after_expand > len(traced.instructions)

# %% [markdown]
# ### `hoist_invariants`
#
# A loop (`ad.scan`, `ad.fori`) is one instruction whose operation holds a program of its own, the *body*.
# What is the same in each step is computed once, before the loop. What you write yourself outside of the
# step's variables, such as `2.0 * W` below, tracing has put outside already. But in the loop of the
# derivative the rule of the product transposes $W$ at each step, and nobody asked it to.


# %%
def recurrent(W, v):
    last, _ = ad.scan(lambda h, x: (ad.tanh(h @ (2.0 * W) + x), None), v, np.ones((20, 3)))
    return ad.sum(last)


def bodies(program):
    """The bodies of the loops of a program."""
    return [i.operation.body for i in program.instructions if isinstance(i.operation, Loop)]


looped = remove_dead_code(small_program(ad.grad(recurrent), np.eye(3), v))
hoisted = apply(hoist_invariants, looped)
backward_before, backward_after = bodies(looped)[-1], bodies(hoisted)[-1]
print(f"\nthe body of the loop backwards, {len(backward_before.instructions)} instructions before:")
print(backward_before)
assert len(backward_after.instructions) == len(backward_before.instructions) - 1

network = hoist_invariants(network)  # has no loops: nothing changes

# %% [markdown]
# ### `fold_constants`
#
# What does not depend on the inputs is computed now. Tracing does most of this by itself: an operation none
# of whose operands is traced is simply carried out, and only its result is seen. The pass deals with what
# *becomes* constant afterwards. To see it, we specialise a program: we put an array in the place of one of
# its inputs.


# %%
def specialised(program, name, array):
    """The program with one input replaced by a known array."""
    (known,) = [value for value in program.inputs if value.name == name]
    constant = Constant(name, array)
    instructions = [
        Instruction(
            i.operation, tuple([constant if x is known else x for x in i.inputs]), i.params, i.outputs
        )
        for i in program.instructions
    ]
    return Program([value for value in program.inputs if value is not known], instructions, program.outputs)


def standardised(v, scale):
    return v / ad.sqrt(scale * scale + 1e-6)


folded = apply(
    fold_constants, specialised(small_program(standardised, v, v), "scale", np.array([1.0, 2.0, 3.0]))
)
assert [i.name for i in folded.instructions] == ["divide"]

network = fold_constants(network)

# %% [markdown]
# ### `resolve_numbers`
#
# A Python number beside a `float64` array means `float64`, beside a `float32` array `float32`. NumPy finds
# this out at each call, and it takes longer than the arithmetic on a small array. The pass does it once:
# numbers become arrays without axes, of the dtype they will take. It goes the other way, too: a constant
# array whose elements are all equal, such as the $1/N$ in front of the softmax, becomes one number.

# %%
constants_before = sum(np.asarray(c.array).size for c in network.constants())
network = apply(resolve_numbers, network)
constants_after = sum(np.asarray(c.array).size for c in network.constants())
print(f"numbers kept in constants: {constants_before:,} -> {constants_after:,}")
assert constants_after < constants_before

# %% [markdown]
# ### `simplify`
#
# Identities that hold to the last bit: $x \cdot 1 = x$, $x + (-y) = x - y$, $(X^\top)^\top = X$,
# $x^2 = x \cdot x$, a reshape of a reshape. In our network most of them come from differentiation: the rule
# of $K^p$ gives $p K^{p-1}$, hence $2 K^1$; and the derivative of $K^\top$ transposes back.
#
# What is *not* in the table matters as much. $x + 0 = x$ fails for $x = -0$, and $0 \cdot x = 0$ for
# $x = \infty$; $(a + b) + c = a + (b + c)$ fails almost always. None of these is applied.

# %%
network = apply(simplify, network, most=12)
assert not any(i.name == "power" for i in network.instructions)

# %% [markdown]
# ### `share_subexpressions`
#
# Two instructions with the same operation, the same operands and the same parameters are computed once.
# Single assignment makes this a dictionary look-up: operands that are the same value *are* the same key.
# In our network it merges two equal constants, the rows of ones. People who write formulas as they stand
# in a paper give it more:


# %%
def sigmoid_and_slope(v):
    return 1 / (1 + ad.exp(-v)), 1 / (1 + ad.exp(-v)) * (1 - 1 / (1 + ad.exp(-v)))


shared = apply(share_subexpressions, small_program(sigmoid_and_slope, v))
assert sum(i.name == "exp" for i in shared.instructions) == 1

network = share_subexpressions(network)

# %% [markdown]
# ### `fold_transposes`
#
# $(A B)^\top = B^\top A^\top$. BLAS is told by a flag that an operand is transposed, so the transposes on
# the right cost nothing, while the one on the left leaves a result in the wrong order: whoever reads it next
# jumps through memory. Weights stored as (outputs, inputs) produce such a transpose for each gradient.

# %%
network = apply(fold_transposes, network)

# %% [markdown]
# ### `sink_permutations`
#
# Transposes of more than two axes move the other way, behind what does not care about the order of axes: an
# elementwise function takes its operand as it lies in memory, and its *result* is permuted. Convolutions are
# why: they compute with the examples last, users want them first, and two permutations that have sunk to the
# same place cancel. Our network has none, so here are two with a $\tanh$ between them.

# %%
images = np.ones((3, 4, 5))
turned = small_program(lambda v: ad.permute_dims(ad.tanh(ad.permute_dims(v, (2, 0, 1))), (1, 2, 0)), images)
assert len(apply(sink_permutations, turned).instructions) == 1

# %% [markdown]
# After it, `simplify` and `share_subexpressions` run once more, since moved transposes may now cancel or
# coincide.
#
# ### `move_scalars`
#
# The scores are $\frac{1}{\sqrt H} A K_2^\top$: the factor is multiplied into $A$, which has
# $N \cdot H = 32\,768$ elements, although $K_2$ has only 320. A product is bilinear,
#
# $$(sA)\, K^\top = A\, (sK)^\top, \qquad (s\bar S)^\top A = s\,(\bar S^\top A),$$
#
# so the factor can go to whatever is small: the other operand, or the result. In the backward half it first
# has to pass through the elementwise product with $1 - A \odot A$, which it may. This is the only pass that
# reassociates, and it changes results by rounding: the comparison below allows for it.

# %%
network = share_subexpressions(simplify(network))


def passes_over(program, size):
    """How many elementwise multiplications have a result of this many elements."""
    return sum(i.name == "multiply" and i.out.size == size for i in program.instructions)


large_before = passes_over(network, N * H)
network = apply(move_scalars, network, most=20)
large_after = passes_over(network, N * H)
print(f"\nmultiplications of {N} x {H} elements: {large_before} -> {large_after}")
assert large_after < large_before
assert same_numbers(network, rtol=1e-10)

# %% [markdown]
# There are more instructions than before, and yet there is less work: the new ones touch two thousand
# numbers at most. Fewer instructions is not the aim; fewer passes over large arrays is.
#
# ### `sums_as_products`
#
# The sum of short rows is a product with a column of ones, and BLAS does it in a half to a quarter of the
# time of `np.add.reduce`, which starts anew for each row. The derivative rules write sums over the batch
# that way from the start (the row of ones in the program above); this pass finds the others.

# %%
network = apply(sums_as_products, remove_dead_code(share_subexpressions(network)))

# %% [markdown]
# ### `examples_last`
#
# The same thought about memory. Examples are rows, so adding a bias to the scores means 1024 inner loops
# over 10 numbers each, and starting a loop costs NumPy as much as a dozen additions. Stored by columns there
# are 10 loops over 1024 numbers. Matrix products do not mind: $S^\top = K_2 A^\top$ is the same product to
# BLAS. So the pass exchanges the axes of all matrices that are much taller than wide, where an estimate from
# the shapes says that it pays.
#
# It leaves transposes behind, many of which meet another one. `simplify`, `share_subexpressions` and
# `remove_dead_code` run once more.

# %%
network = apply(examples_last, network, most=6)
network = remove_dead_code(share_subexpressions(simplify(network)))
print(f"and after tidying up: {len(network.instructions)} instructions")
(hidden,) = [i for i in network.instructions if i.name == "tanh"]
print(hidden)
assert hidden.out.shape == (H, N)
assert same_numbers(network, rtol=1e-10)

# %% [markdown]
# ### `split_among_threads`
#
# NumPy uses several processor cores in matrix products and one in everything else. But a batch falls into
# parts by itself: until the examples' shares of the loss and of the gradient are summed, no example needs
# another. The pass finds the axis that counts the examples, from what they pass through, and puts everything
# between two such sums into one instruction `parts`, whose body is the program for one part of the examples.
# Each part runs in a thread, with memory of its own, and its matrix products take one thread each. Sums over
# examples come out as one share per part and are added afterwards.
#
# A hand-over between threads takes about 0.1 ms, so a program of less than 1 ms stays whole, as ours does.


# %%
def wide_layer(K, X):
    return ad.grad(lambda K: ad.sum(ad.tanh(X @ K.T) ** 2))(K)


wide = small_program(wide_layer, np.broadcast_to(1.0, (128, 128)), np.broadcast_to(1.0, (4096, 128)))
parted = apply(split_among_threads, wide, most=20)
if number_of_threads() > 1:
    (of_part,) = bodies(parted)
    print("\nthe body of one part:")
    print(of_part)
    assert of_part.outputs[0].shape == (128, 128)  # its share of the gradient
else:
    print("one processor, or no threadpoolctl to tell: the program stays whole")
assert not bodies(split_among_threads(network))

# %% [markdown]
# ### `optimise_bodies`
#
# Last, all passes again inside the bodies of loops. The body of a gradient's loop is made by the same
# derivative rules as everything else and has the same slack in it.


# %%
def cubic_map(v):
    return ad.fori(50, lambda k, v: v - 0.1 * (v**2 * 1.0) * v + 0.1 * v**2, v)


looped = small_program(cubic_map, v)
(inside,) = bodies(looped)
optimised = optimise_bodies(looped)
print("before:", ", ".join(i.name for i in inside.instructions))
(inside_after,) = bodies(optimised)
print("after: ", ", ".join(i.name for i in inside_after.instructions))
assert len(inside_after.instructions) < len(inside.instructions)

# %% [markdown]
# ### `join_alike`
#
# An optimiser does the same few functions to each parameter, and on a small array a call costs more than its
# work. The pass finds chains of elementwise functions that differ in nothing but the arrays they start from,
# and do not need each other's results. Laid end to end in one array they are one chain. It copies the arrays
# there and back, so it is done only where that costs less than the calls.


# %%
def step_with_momentum(speeds, gradients):
    return [0.9 * v - 0.1 * g for v, g in zip(speeds, gradients, strict=True)]


small = [np.ones(k + 1) for k in range(20)]
steps = trace(lambda leaves: step_with_momentum(leaves[:20], leaves[20:]), [*small, *small], "tutorial")
print("calls:", sum(i.name in ("multiply", "subtract") for i in steps.instructions), "before,", end=" ")
joined = join_alike(steps)
print(sum(i.name in ("multiply", "subtract", "concat") for i in joined.instructions), "and 20 copies after")
assert sum(i.name == "subtract" for i in joined.instructions) == 1

# %% [markdown]
# ### `group_in_blocks`
#
# A chain of elementwise functions on an array too large for the cache fetches it from memory once for each
# of them. Done block of rows by block of rows, it is fetched once for all. The pass puts such chains into a
# loop, whose body works on a block; below about 4 MB there is nothing to gain, so our network is left alone.


# %%
def gaussian(u):
    return ad.exp(-0.5 * (u * u)) * 0.3989


large = np.broadcast_to(np.float64(1.0), (1024, 1024))  # a shape; the trace needs no more
blocked = apply(group_in_blocks, small_program(gaussian, large))
print("\nthe body of the loop over blocks:")
print(*bodies(blocked))
assert bodies(blocked)[0].instructions[0].out.shape[0] < 1024
assert not bodies(group_in_blocks(network))

# %% [markdown]
# ### All passes, one after another
#
# This is the list that the compiler runs, on the network. After every pass the program is run and its
# numbers are compared with those of `ad.grad`. Three columns tell what became of it: the instructions that
# compute something (transposes, reshapes and broadcasts are *views* and write nothing), the elements that
# these write, and the time of the NumPy that is made of the program (the shortest of some runs; from
# `expand` on, before which there is no line of NumPy for a `logsumexp`).


# %%
def work(program):
    """How many instructions compute something, and how many elements they write."""
    views = plan(program).root
    computed = [i for i in program.instructions if i.out not in views]
    return len(computed), sum(i.out.size for i in computed)


def shortest_time(f, *args, repeat=10 if SMALL else 50):
    """The shortest of some calls, in seconds: whatever else the machine does only ever adds."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        f(*args)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def as_function(program):
    """The NumPy of a program, as a function."""
    made = write(program)
    namespace = {"given": made.given}
    exec(made.text.replace('given = np.load(__file__.removesuffix(".py") + ".npz")', ""), namespace)
    return namespace[made.name]


program = traced
print(f"{'pass':<22} {'instructions':>12} {'elements':>10} {'time':>8}")
stages = [("traced", *work(program))]
print(f"{'(as traced)':<22} {stages[0][1]:>12} {stages[0][2]:>10,}")
for a_pass in PASSES:
    program = a_pass(program)
    assert same_numbers(program, rtol=1e-10), a_pass.__name__
    stages.append((a_pass.__name__, *work(program)))
    timed = a_pass is not remove_dead_code or len(stages) > 2
    text = f"{shortest_time(as_function(program), *leaves) * 1e6:5.0f} us" if timed else ""
    print(f"{a_pass.__name__:<22} {stages[-1][1]:>12} {stages[-1][2]:>10,} {text:>8}")

_, computed_before, elements_before = next(stage for stage in stages if stage[0] == "expand")
_, computed_shared, _ = next(stage for stage in stages if stage[0] == "fold_transposes")
_, _, elements_after = stages[-1]
assert computed_shared < computed_before
assert elements_after < elements_before

# %% [markdown]
# `expand` opens the logsumexp, so that more elements are written one by one than before; `move_scalars` saves
# two passes over the hidden layer; `examples_last` adds a copy (of $Y$, in the other order) and is meant to
# win it back by faster loops.
#
# ## 6. The memory plan
#
# Run instruction by instruction, the program takes a fresh array for each result. On arrays of this size
# that costs more than it looks: fresh memory comes from the operating system page by page, and each first
# touch of a page is an interruption. The plan avoids it. A value is *alive* from the instruction that
# computes it to the last one that reads it, and values that are never alive together can share a *block*,
# allocated once.
#
# The plan goes through the program once, with a list of free blocks:
#
# * an elementwise function may write **over** an operand that dies there (each element is read before it
#   is overwritten);
# * otherwise it takes the smallest free block that fits, and of these the one used last, because it is
#   still in the cache;
# * a view (a transpose, a reshape, a slice) needs nothing, but keeps its owner alive;
# * outputs get fresh memory at each call, since they belong to the caller.
#
# The program is the one of section 5, after all passes; in one that comes from `compile` values bear the
# names of our variables, where a line of ours assigns one.

# %%
value_and_grad = ad.compile(ad.value_and_grad(loss))
program = value_and_grad.program(params, x, y)
planned = plan(program)
for block in planned.blocks:
    print(f"{block.nbytes / 1024:7.1f} KB: {', '.join(value.name for value in block.values)}")

each_its_own = sum(value.size * value.dtype.itemsize for value in planned.home)
print(f"\n{len(planned.home)} values in {len(planned.blocks)} blocks: {planned.nbytes / 1024:.0f} KB")
print(f"with a fresh array for each: {each_its_own / 1024:.0f} KB")
assert planned.nbytes < each_its_own / 2

# %% [markdown]
# The same as a picture. Time runs to the right, a row is a block, a bar is a value's life. Bars that touch
# are values written one over the other.


# %%
def lives(program, planned):
    """For each planned value, the instruction that computes it and the last one that reads it."""
    made = {out: k for k, i in enumerate(program.instructions) for out in i.outputs}
    last = {planned.owner(x): k for k, i in enumerate(program.instructions) for x in i.values()}
    return {value: (made[value], last.get(value, made[value])) for value in planned.home}


def picture_of(program, planned):
    blocks = sorted(planned.blocks, key=lambda block: block.nbytes)
    spans = lives(program, planned)
    colours = (PALETTE["first"], PALETTE["second"], PALETTE["third"])
    figure, axes = plt.subplots(figsize=(10, 0.36 * len(blocks) + 1.2), layout="constrained")
    for row, block in enumerate(blocks):
        starts = [spans[value][0] for value in block.values[1:]] + [len(program.instructions)]
        for k, (value, following) in enumerate(zip(block.values, starts, strict=True)):
            start, end = spans[value]
            end = min(end + 1, following)  # one written over it begins where it ends
            axes.barh(row, end - start, left=start, height=0.72, color=colours[k % 3], edgecolor="white")
            if end - start > 5:
                axes.text(
                    start + 0.3,
                    row,
                    value.name,
                    va="center_baseline",
                    fontsize=8,
                    color="white",
                    clip_on=True,
                )
    tidy(axes, "instruction", "", f"The memory plan: {len(planned.home)} values in {len(blocks)} blocks")
    axes.set_yticks(range(len(blocks)), [f"{block.nbytes / 1024:.1f} KB" for block in blocks])
    backward = next(k for k, i in enumerate(program.instructions) if i.section == "backward")
    axes.axvline(backward, color=PALETTE["muted"], linewidth=1, linestyle="--")
    axes.text(backward + 0.2, len(blocks) - 0.45, "backward", fontsize=8, color=PALETTE["muted"])
    axes.set_xlim(0, len(program.instructions) + 1)
    return figure


keep(picture_of(program, planned), "06_memory_plan")

# %% [markdown]
# The long bars are what reverse mode must keep: the hidden layer, the scores, and the labels by columns live
# from their making to their use in the backward half. Everything else lives a moment.
#
# And measured: the most memory that is in use at once, above what was there before. `tracemalloc` sees
# NumPy's arrays.


# %%
def peak(f, *args):
    """Bytes allocated at most during a call."""
    f(*args)
    tracemalloc.start()
    try:
        f(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


eager_peak = peak(ad.value_and_grad(loss), params, x, y)
compiled_peak = peak(value_and_grad, params, x, y) + planned.nbytes
print(f"eager: {eager_peak / 1024:.0f} KB")
print(f"compiled: {compiled_peak / 1024:.0f} KB, of which planned once: {planned.nbytes / 1024:.0f} KB")
assert compiled_peak < eager_peak

# %% [markdown]
# ## 7. The source
#
# Each instruction becomes a line of NumPy. This is all that runs when the compiled gradient is called; the
# comments at the right are our own lines.

# %%
source = value_and_grad.source(params, x, y)
print(source)

# %% [markdown]
# Read from the top.
#
# * **constants**: the Python numbers of our code, resolved to `float64`, and the rows of ones.
# * **memory**: the blocks of section 6. `hidden_0 = add_0 = hidden_1 = ...` is one array with several names;
#   which name a line uses tells the reader which value is meant. A block for values of several shapes has a
#   neutral name, and reshaped views of it.
# * Views of planned memory, such as transposes, are made **once**, above the function, not at each call.
# * **forward**: the first line is $K_1 X^\top$, with the examples as columns, by `dot`, the BLAS call with
#   the least overhead. The bias and $\tanh$ follow in place: three names, one array. The factor
#   $1/\sqrt H$ stands at $K_2$, where `move_scalars` put it. Then comes the expanded logsumexp, whose sums
#   are products.
# * **backward** begins with the weight decay, whose cotangent is a constant, then $\bar S$ (softmax minus
#   labels, each already times $1/N$), then the products. `1 - hidden_1 * hidden_1` needs two lines.
# * A result is made without `out=`: it is new memory at each call, so that you may keep it.
# * `isfinite`, `where` and `equal` guard against rows of infinite scores. They touch one number per
#   example.
#
# No line of it is tinyad's. That can be proved.
#
# ## 8. Without tinyad
#
# `save` writes the source to a file. We run it in a fresh interpreter, in isolated mode (`-I`: no
# environment variables, no user site), and look at what has been imported there. The function takes the
# leaves of the arguments in their order, which for a dict is that of its sorted keys.

# %%
with tempfile.TemporaryDirectory() as folder:
    value_and_grad.save(Path(folder) / "gradient.py", params, x, y)
    np.savez(Path(folder) / "arguments.npz", *leaves)
    script = f"""
import runpy, sys
import numpy as np
arguments = np.load({str(Path(folder) / "arguments.npz")!r})
functions = runpy.run_path({str(Path(folder) / "gradient.py")!r})
results = functions[{program.name!r}](*[arguments[name] for name in arguments.files])
assert "tinyad" not in sys.modules
np.savez({str(Path(folder) / "results.npz")!r}, *results)
print("imported:", ", ".join(sorted(m for m in ("numpy", "tinyad") if m in sys.modules)))
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    print(done.stdout.strip())
    with np.load(Path(folder) / "results.npz") as saved:
        alone = [saved[name] for name in saved.files]

apart = max(np.abs(a - b).max() for a, b in zip(alone, expected, strict=True))
print(f"largest difference from ad.grad: {apart:.1e}")

# %% [markdown]
# ## 9. What it was for
#
# Both gradients, timed on this machine. The ratio is what counts; times drift.

# %%
eager = shortest_time(ad.value_and_grad(loss), params, x, y)
compiled = shortest_time(value_and_grad, params, x, y)
print(f"eager {eager * 1e6:.0f} us, compiled {compiled * 1e6:.0f} us, ratio {eager / compiled:.1f}")

# %% [markdown]
# A tape is the record of one evaluation. A program is what all evaluations have in common. Between the two
# lies nothing but a list of instructions and sixteen functions from such a list to such a list, each short
# enough to be checked by reading, and each checked here by running. What was claimed, once more as
# assertions:

# %%
assert set(PASSES) == {
    remove_dead_code, expand, hoist_invariants, fold_constants, resolve_numbers, simplify, fold_transposes,
    sink_permutations, share_subexpressions, move_scalars, split_among_threads, sums_as_products,
    examples_last, optimise_bodies, join_alike, group_in_blocks,
}, "section 5 does not show the passes that there are"  # fmt: skip

assert all(np.allclose(a, b, rtol=1e-10, atol=1e-15) for a, b in zip(alone, expected, strict=True))
assert same_numbers(program, rtol=1e-10)  # equal numbers,
assert computed_shared < computed_before and elements_after < elements_before  # less work,
assert compiled_peak < eager_peak  # fewer bytes,
assert "tinyad" not in source  # and no engine any more
