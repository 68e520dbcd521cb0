# %% [markdown]
# # Why it is fast, with the profile
#
# NumPy is a library of loops in C, called from Python. A program of NumPy calls is therefore fast when three
# things are small: the number of calls, the memory that the loops go through, and what happens between the
# calls. This tutorial measures all three on the machine it runs on, then takes the compiled gradient of a
# residual network apart, statement by statement, to see where its time goes.
#
# Nothing measured here is asserted. Times drift, machines differ, and on a busy one any single figure may be
# wrong by a factor. Look at ratios, and run it again. If other programs keep the processor busy, set
# `OPENBLAS_NUM_THREADS=1` before: the threads of a BLAS wait for one another, and on a busy machine that is
# all they do.

# %%
import ast
import os
import subprocess
import sys
import time
import timeit
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

import tinyad as ad
from tinyad import models
from tinyad.compiler.numpy_source import write
from tinyad.compiler.passes import PASSES, group_in_blocks, split_among_threads
from tinyad.compiler.threads import number_of_threads
from tinyad.report import PALETTE, keep, tidy

SMALL = os.environ.get("TINYAD_SMALL") == "1"  # the test suite's settings


def cost(statement, **names):
    """Seconds that a statement takes: the shortest of some runs, since whatever disturbs only adds."""
    timer = timeit.Timer(statement, globals=names)
    number, long_enough = 1, 0.0005 if SMALL else 0.01
    while timer.timeit(number) < long_enough:
        number *= 2
    return min(timer.repeat(3 if SMALL else 7, number)) / number


# %% [markdown]
# ## 1. What a call costs
#
# The time of an elementwise function of $n$ elements is close to $a + b n$. The constant $a$ is the price of
# the call: Python looks up a name, NumPy parses arguments, finds the loop for these dtypes, checks shapes,
# makes the result. The slope $b$ is the price of an element: of the memory for a sum, of the arithmetic for
# $\tanh$.

# %%
SIZES = (1, 1_000, 100_000)
FUNCTIONS = {
    "add": "np.add(x, y, out=out)",
    "multiply": "np.multiply(x, y, out=out)",
    "exp": "np.exp(x, out=out)",
    "tanh": "np.tanh(x, out=out)",
}


def arrays_of(size, dtype=np.float32):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, size)).astype(dtype)
    return {"np": np, "x": x, "y": y, "out": np.empty_like(x)}


print(f"{'microseconds at size':<22}" + "".join(f"{size:>10,}" for size in SIZES) + "   an element, ns")
for name, statement in FUNCTIONS.items():
    seconds = [cost(statement, **arrays_of(size)) for size in SIZES]
    slope = (seconds[-1] - seconds[0]) / (SIZES[-1] - SIZES[0])
    print(f"{name:<22}" + "".join(f"{s * 1e6:>10.2f}" for s in seconds) + f"{slope * 1e9:>14.2f}")

# %% [markdown]
# At size 1 the functions all cost the same: the call. At a thousand elements a sum is still mostly call. Only
# at a hundred thousand is arithmetic what one pays for. Networks of the size that one trains on a laptop live
# in between, which is why the *kind* of call matters.

# %%
small = arrays_of(256)
number = {**small, "number": 0.5, "array": np.array(0.5, np.float32)}
a, b = np.ones((2, 8, 8), np.float32)
square = {"np": np, "a": a, "b": b, "out": np.empty_like(a)}

pairs = {
    "a number beside an array: Python's against NumPy's": (
        cost("np.multiply(x, number, out=out)", **number),
        cost("np.multiply(x, array, out=out)", **number),
    ),
    "8 x 8 product: np.matmul against .dot": (
        cost("np.matmul(a, b, out=out)", **square),
        cost("a.dot(b, out=out)", **square),
    ),
    "a sum: x.sum() against np.add.reduce(x)": (
        cost("x.sum()", **small),
        cost("np.add.reduce(x)", **small),
    ),
    "one element: in place against out of place": (
        cost("np.add(x, x, out=x)", np=np, x=np.zeros(1)),
        cost("np.add(x, x)", np=np, x=np.zeros(1)),
    ),
}
for what, (first, second) in pairs.items():
    print(f"{what:<52} {first * 1e6:5.2f} / {second * 1e6:5.2f} us = {first / second:.1f}")

# %% [markdown]
# Each line is a decision of the compiler: `resolve_numbers` turns numbers into arrays without axes, products
# are written `.dot`, sums `np.add.reduce`, and the memory plan never writes over an array of one element.
#
# ## 2. `out=` against a fresh array
#
# A call without `out=` makes its result. Small results come from a cache that NumPy keeps. Large ones come
# from the operating system, which hands out *pages* that do not exist yet: the first write to each page
# (4 KB) interrupts the program, and the kernel finds memory and fills it with zeros. When the arrays are
# freed, the pages go back, and the next call begins anew.
#
# A gradient is the worst case: its tape keeps the arrays of the forward half alive, all of them, and then
# lets go of them all. The script below imitates it with 40 products: once kept in fresh arrays and then
# dropped, once written into arrays that are there. `ru_minflt` counts page faults. It runs in a process of
# its own, without tinyad and with it, because tinyad changes one thing at import that makes the C library of
# Linux keep freed memory (the README's last limit).

# %%
SCRIPT = """
import sys, time
import numpy as np
if sys.argv[1] == "tinyad":
    import tinyad
try:
    import resource
    faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
except ImportError:  # Windows
    faults = lambda: 0

def fresh(x):
    kept = []
    for _ in range(40):
        kept.append(np.multiply(x, x))

def into(x, outs):
    for out in outs:
        np.multiply(x, x, out=out)

def shortest(f, *args):
    best = 1e9
    for _ in range(30):
        start = time.perf_counter()
        f(*args)
        best = min(best, time.perf_counter() - start)
    return best

for size in map(int, sys.argv[2:]):
    x = np.ones(size, np.float32)
    outs = [np.empty_like(x) for _ in range(40)]
    ratio = shortest(fresh, x) / shortest(into, x, outs)
    before = faults()
    for _ in range(10): fresh(x)
    print(size, ratio, (faults() - before) / 10)
"""
sizes = [256, 4_096, 16_384, 65_536]
found = {}
for which in ("alone", "tinyad"):
    command = [sys.executable, "-c", SCRIPT, which, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found[which] = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]

print("40 products        NumPy alone              with tinyad imported")
print("    size     fresh / out=  page faults     fresh / out=  page faults")
for (size, ratio, faults), (_, ratio_with, faults_with) in zip(*found.values(), strict=True):
    print(f"{size:>8,.0f} {ratio:>16.1f} {faults:>12.0f} {ratio_with:>16.1f} {faults_with:>12.0f}")

# %% [markdown]
# Where pages are faulted in, a multiplication into a fresh array costs a multiple of one into an array that
# is there. No cleverness about arithmetic could save as much, and it is why a compiled function has a memory
# plan: its intermediate results are written with `out=` into blocks that were allocated once. And even
# without page faults, memory that was used a moment ago is still in the cache, and fresh memory is not.
#
# From the size of a number to that of a large array:

# %%
grid = [4**k for k in range(0, 10 if SMALL else 11)]
curves = {
    "multiply, into an array that is there": "np.multiply(x, y, out=out)",
    "multiply, into a fresh array": "np.multiply(x, y)",
    "tanh, into an array that is there": "np.tanh(x, out=out)",
}
measured = {label: [cost(text, **arrays_of(size)) for size in grid] for label, text in curves.items()}


def picture_of_costs():
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    for (label, seconds), colour in zip(measured.items(), ("first", "second", "third"), strict=True):
        axes.loglog(grid, np.array(seconds) * 1e6, "o-", markersize=4, color=PALETTE[colour], label=label)
    tidy(axes, "elements (float32)", "microseconds", "What one call of NumPy costs")
    axes.legend(frameon=False)
    return figure


keep(picture_of_costs(), "09_call_costs")

# %% [markdown]
# The flat part at the left is the call, the slope at the right the elements. A program of many small calls
# lives on the flat part, and can only be made faster by making fewer calls.
#
# ## 3. What the engine adds
#
# An eager derivative pays, for each primitive, for the call of NumPy and for the engine: a Tensor, a node on
# the tape, the look-up of the kernel; and on the way back for the visit of the node and its rule. At size 1
# NumPy's own work is nothing, so what is left is the engine. We take a chain of 200 primitives.

# %%
LENGTH = 200


def chain(x):
    for _ in range(LENGTH // 2):
        x = x * 0.99
        x = x + 0.01
    return x.sum()


def chain_in_numpy(x):
    for _ in range(LENGTH // 2):
        x = np.multiply(x, 0.99)
        x = np.add(x, 0.01)
    return x.sum()


x = np.ones(1)
compiled_chain = ad.compile(ad.value_and_grad(chain))
compiled_chain(x)
names = {"f": chain, "plain": chain_in_numpy, "both": ad.value_and_grad(chain), "compiled": compiled_chain}
names |= {"x": x, "variable": ad.tensor(x)}
per_primitive = {
    "NumPy alone, forward only": cost("plain(x)", **names) / LENGTH,
    "tinyad, forward, recorded": cost("f(variable)", **names) / LENGTH,
    "tinyad, forward and backward": cost("both(x)", **names) / LENGTH,
    "compiled, forward and backward": cost("compiled(x)", **names) / LENGTH,
}
for what, seconds in per_primitive.items():
    print(f"{what:<32} {seconds * 1e6:6.2f} us a primitive")

# %% [markdown]
# What the engine adds is a microsecond or two each way. It is nothing beside a product of 1000 x 64 numbers
# and everything beside a sum of two. The compiled function has no engine in it: the tape was walked once,
# while it was traced. (The backward half of this chain is a product of constants, which was computed then,
# too: hence as fast as NumPy's forward half alone.)
#
# ## 4. The profile of a residual network
#
# Now the real thing. The network of the course, $z \leftarrow z + h \tanh(z K + b)$, repeated $D$ times on
# $N$ examples of width $W$, softmax loss, `float32`; value and gradient by all weights, compiled. The source
# is straight-line NumPy, so a profiler for it is a few lines: parse the source, put a clock around every
# statement, run it many times, keep the shortest time of each. (One pass is left out here, the one that runs
# the program in several threads; it has section 5 for itself.)


# %%
def kind_of(statement):
    """What a statement of the source does, by the function that it calls."""
    value = getattr(statement, "value", None)
    function = value.func if isinstance(value, ast.Call) else None
    if isinstance(function, ast.Attribute):
        name = function.attr
        if name in ("dot", "matmul"):
            return "matrix products"
        if name == "tanh":
            return "tanh"
        if name in ("exp", "log", "reduce", "where", "isfinite", "equal"):
            return "softmax and sums"
        if name in ("add", "subtract", "multiply", "divide", "square", "negative"):
            return "add, multiply, ..."
    return "copies, indices, the rest"


def until(seconds):
    """Again and again, until some seconds are over."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield


KINDS = ("matrix products", "tanh", "add, multiply, ...", "softmax and sums", "copies, indices, the rest")


def profile(source, arguments, given, enough):
    """(kind, text, seconds) of each statement of the function in a source."""
    module = ast.parse(source)
    function = next(node for node in module.body if isinstance(node, ast.FunctionDef))
    statements = [statement for statement in function.body if not isinstance(statement, ast.Return)]
    tick = ast.parse("clock_ticks.append(clock())").body[0]
    function.body = [
        tick,
        *[part for s in statements for part in (s, tick)],
        *function.body[len(statements) :],
    ]
    module.body = [node for node in module.body if "__file__" not in ast.unparse(node)]
    ticks = []
    namespace = {"clock": time.perf_counter, "clock_ticks": ticks, "given": given}
    exec(compile(ast.fix_missing_locations(module), "<profiled>", "exec"), namespace)
    shortest = np.full(len(statements), np.inf)
    for _ in until(enough):
        ticks.clear()
        namespace[function.name](*arguments)
        shortest = np.minimum(shortest, np.diff(ticks))
    nothing = (
        min(timeit.repeat("clock_ticks.append(clock())", globals=namespace, number=1000, repeat=5)) / 1000
    )
    return [
        (kind_of(s), ast.unparse(s), max(t - nothing, 0.0)) for s, t in zip(statements, shortest, strict=True)
    ]


def written(function, arguments, *without):
    """The source of a compiled function after all passes but some."""
    program = ad.compile(function).program(*arguments, optimised=False)
    for a_pass in PASSES:
        if a_pass not in without:
            program = a_pass(program)
    return write(program)


def as_function(source):
    """What a source defines: a function of arrays that returns a tuple."""
    namespace = {"given": source.given}
    exec(source.text, namespace)
    return namespace[source.name]


def loss(net, x, y):
    return models.softmax_cross_entropy(net(x), y)


def problem(examples, width, depth):
    """A network, its inputs and labels. For speed their values do not matter."""
    rng = np.random.default_rng(0)
    net = models.ResNet.create(0, features=width, width=width, classes=10, depth=depth, dtype=np.float32)
    x = rng.standard_normal((examples, width)).astype(np.float32)
    return net, x, rng.integers(0, 10, examples)


PROBLEMS = (
    [(32, 8, 16), (256, 64, 16)] if SMALL else [(32, 8, 16), (256, 16, 32), (256, 64, 16), (1024, 64, 32)]
)
enough = 0.1 if SMALL else 2.0
profiles, whole = {}, {}
for sizes_of_problem in PROBLEMS:
    arguments = problem(*sizes_of_problem)
    source = written(ad.value_and_grad(loss), arguments, split_among_threads)
    profiles[sizes_of_problem] = profile(source.text, ad.tree.leaves(arguments), source.given, enough)
    call = timeit.Timer(partial(as_function(source), *ad.tree.leaves(arguments)))
    whole[sizes_of_problem] = min(call.timeit(1) for _ in until(enough))

for sizes_of_problem, statements in profiles.items():
    total = sum(seconds for _, _, seconds in statements)
    print(f"(N, W, D) = {sizes_of_problem}: {len(statements)} statements, together {total * 1e6:.0f} us")
    print(f"    a call of the whole: {whole[sizes_of_problem] * 1e6:.0f} us")
    for kind in KINDS:
        of_kind = [seconds for k, _, seconds in statements if k == kind]
        share = sum(of_kind) / total
        print(f"    {kind:<26} {len(of_kind):>4} statements {share:>6.0%}")

# %% [markdown]
# A call takes about as long as its statements together: nothing is hidden between them. (It may even take
# less, since reading the clock pushes things out of the cache.)


# %%
def picture_of_profiles():
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 3.8), layout="constrained", width_ratios=(1.25, 1)
    )
    colours = (PALETTE["first"], PALETTE["second"], PALETTE["third"], "#c9a227", PALETTE["muted"])
    labels = [f"N={n}, W={w}, D={d}" for n, w, d in profiles]
    starts = np.zeros(len(profiles))
    for kind, colour in zip(KINDS, colours, strict=True):
        shares = np.array([
            sum(t for k, _, t in statements if k == kind) / sum(t for _, _, t in statements)
            for statements in profiles.values()
        ])  # fmt: skip
        left.barh(labels, shares, left=starts, color=colour, label=kind, height=0.65)
        for row, (start, share) in enumerate(zip(starts, shares, strict=True)):
            if share > 0.06:
                left.text(
                    start + share / 2,
                    row,
                    f"{share:.0%}",
                    ha="center",
                    va="center",
                    color="white",
                    fontsize=9,
                )
        starts += shares
    left.invert_yaxis()
    left.set_xlim(0, 1)
    tidy(left, "share of the time of all statements", "", "Where the time of a compiled ResNet goes")
    left.legend(frameon=False, fontsize="small", ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.18))

    largest = list(profiles)[-1]
    times = np.array([seconds for _, _, seconds in profiles[largest]]) * 1e6
    kinds = [kind for kind, _, _ in profiles[largest]]
    for kind, colour in zip(KINDS, colours, strict=True):
        chosen = [k for k, each in enumerate(kinds) if each == kind]
        right.plot(chosen, times[chosen], ".", color=colour, markersize=4)
    tidy(right, "statement, first to last", "microseconds", f"Statement by statement: {labels[-1]}")
    right.set_ylim(bottom=0)
    return figure


keep(picture_of_profiles(), "09_profile")

# %% [markdown]
# At the left, small arrays: every statement costs its call, and the shares are those of the *numbers* of
# statements. Towards large arrays the matrix products and $\tanh$ take over. Both are somebody else's
# excellent code (BLAS, and NumPy's vector loops), and both do work that the mathematics asks for. What the
# compiler can still influence is what is left of them.
#
# At the right, time runs along the network: forward from layer to layer, the softmax in the middle, backward
# to the first layer.

# %%
largest = list(profiles)[-1]
examples, width, depth = largest
print("the costliest statements:")
for _, text, seconds in sorted(profiles[largest], key=lambda row: -row[2])[:6]:
    print(f"    {seconds * 1e6:7.1f} us  {text}")

products = [seconds for kind, text, seconds in profiles[largest] if kind == "matrix products"]
layers = (
    2 * examples * width * width * (3 * depth + 2)
)  # forward, and two products backward, but for the opening's input
print(f"arithmetic in products: {layers / 1e9:.2f} GFLOP, {layers / sum(products) / 1e9:.0f} GFLOP/s")

# %% [markdown]
# ## 5. Several cores
#
# Of all these statements only the products know that there is more than one core: BLAS has threads, the rest
# of NumPy has none. But NumPy lets go of Python's lock while it computes, so two threads can do $\tanh$ of
# two halves at once. The pass `split_among_threads` cuts the whole program across the examples: forward and
# backward, each thread has its own part of them and memory of its own, and only the shares of the loss and of
# the weights' gradients are added at the end. Per call that is one hand-over, about 0.1 ms.
#
# What it cannot avoid is the lock itself. Between two calls of NumPy a thread needs it for about a
# microsecond, and if the other one has it just then, it sleeps and must be woken. So calls should be long:
# the pass leaves programs alone whose instructions take less than about 15 us on a part. And it competes with
# the threads of BLAS, which wait busily for more work for a while after a product that used them: beside
# other products of NumPy in the same loop, there is less to gain.


# %%
def median_time(source, leaves):
    time.sleep(0.1)  # the threads of BLAS wait for more work, busily, until about 30 ms after a product
    call = timeit.Timer(partial(as_function(source), *leaves))
    return np.median([call.timeit(1) for _ in until(enough)])


def in_parts_and_whole(sizes_of_problem):
    """Seconds of a call with the pass, and without it; and whether the pass has done something."""
    arguments = problem(*sizes_of_problem)
    sources = [written(ad.value_and_grad(loss), arguments, *w) for w in ((), (split_among_threads,))]
    seconds = [median_time(source, ad.tree.leaves(arguments)) for source in sources]
    return *seconds, "in_threads" in sources[0].text


print(f"NumPy's products use {number_of_threads()} threads")
for sizes_of_problem in PROBLEMS[-1:] if SMALL else [*PROBLEMS[-2:], (4096, 128, 8)]:
    in_parts, in_one, split = in_parts_and_whole(sizes_of_problem)
    print(
        f"(N, W, D) = {sizes_of_problem}: {in_one * 1e3:6.1f} ms in one thread",
        f"{in_parts * 1e3:6.1f} ms in parts, {in_parts / in_one:.2f}" if split else "left alone",
        sep=", ",
    )

# %% [markdown]
# A thread's part is the same program for fewer examples. It is a function inside a function that makes its
# memory, so that each thread has its own:


# %%
def misfit(K, X):
    Z = ad.tanh(X @ K.T)
    return ad.sum(Z * Z)


source_in_parts = ad.compile(ad.grad(misfit)).source(np.ones((128, 128)), np.ones((8192, 128)))
print(source_in_parts)

# %% [markdown]
# ## 6. Memory that is too large for the cache
#
# An elementwise function on an array of many megabytes is as fast as memory, whatever it computes. A chain of
# ten of them goes through memory ten times. The pass `group_in_blocks` puts such a chain into a loop over
# blocks of rows: a block stays in the cache from the first function to the last. Here the same program
# with the pass and without, in one thread.


# %%
def gelu(x):
    """A smooth relu, as users write it: eight elementwise functions."""
    return 0.5 * x * (1.0 + ad.tanh(0.79788456 * (x + 0.044715 * x * x * x)))


print("     elements   one after another / in blocks")
for rows in (64, 2048) if SMALL else (64, 512, 2048, 8192):
    large = np.random.default_rng(0).standard_normal((rows, 1024)).astype(np.float32)
    sources = [
        written(gelu, [large], split_among_threads),
        written(gelu, [large], split_among_threads, group_in_blocks),
    ]
    if sources[0].text == sources[1].text:
        print(f"{large.size:>13,}   the pass leaves it alone")
        continue
    blocked, without = map(as_function, sources)
    ratio = cost("f(x)", f=without, x=large) / cost("f(x)", f=blocked, x=large)
    print(f"{large.size:>13,}   {ratio:.2f}")
    assert np.allclose(without(large)[0], blocked(large)[0], rtol=1e-6)

# %% [markdown]
# This is the loop:

# %%
large = np.broadcast_to(np.float32(1.0), (8192, 1024))
blocked_source = written(gelu, [large], split_among_threads).text
print(blocked_source[blocked_source.index("def gelu") :])

# %% [markdown]
# ## 7. The BLAS
#
# The profile says that on larger networks most of the time belongs to matrix products. NumPy does not compute
# these: it hands them to the BLAS that it was built with, which picks its kernels by the processor, from a
# list that may be older than the processor. No Python can make up for a BLAS that is asleep. First, what
# there is:

# %%
try:
    from threadpoolctl import threadpool_info

    for each in threadpool_info():
        if each["user_api"] == "blas":
            print(f"{each['internal_api']} {each['version']} with {each['architecture']} kernels")
            print(f"{each['num_threads']} threads")
except ModuleNotFoundError:
    print("install threadpoolctl to see which BLAS NumPy uses")

for size in (64, 256) if SMALL else (64, 256, 1024):
    a, b = np.ones((2, size, size), np.float32)
    seconds = cost("a.dot(b, out=out)", a=a, b=b, out=np.empty_like(a))
    print(f"{size:>5} x {size:<5} {2 * size**3 / seconds / 1e9:8.0f} GFLOP/s")

# %% [markdown]
# Larger products run faster, element for element, until a plateau: what the processor can do with these
# kernels. Whether other kernels or another number of threads would do better is tried by
#
# ```
# python -m tinyad doctor
# ```
#
# in processes of their own, since a BLAS decides when it is loaded. It keeps what helps for the commands of
# tinyad and prints what to set for yours. The library itself changes nothing in a process, but for one thing:
# while a program runs in threads, or its products are too small for several, BLAS takes one thread for each.

# %%
command = [sys.executable, "-m", "tinyad", "doctor", *(["--shell", "--cached"] if SMALL else ["--quick"])]
done = subprocess.run(command, capture_output=True, text=True, check=False)
print(done.stdout or "the doctor has nothing to say without measuring; run it by itself")

# %% [markdown]
# ## 8. What remains
#
# Three things a compiler to C could still do. It could fuse a chain like $(1 - a^2)\, g$ into one pass over
# memory that is in the cache anyway; it could use one call where NumPy needs several; and it could keep
# small products out of BLAS, whose own call costs half a microsecond. How much is there to gain? At most what
# is neither a matrix product nor $\tanh$:

# %%
for sizes_of_problem, statements in profiles.items():
    total = sum(seconds for _, _, seconds in statements)
    fixed = sum(seconds for kind, _, seconds in statements if kind in ("matrix products", "tanh"))
    print(f"(N, W, D) = {sizes_of_problem}: {1 - fixed / total:.0%} of the time is neither products nor tanh")

# %% [markdown]
# The larger the network, the less. Everything else on this page is the same sentence in different words: pay
# for calls once, for memory once, and for nothing twice.
#
# The assertions below are about what is so on every machine: the programs, not their speed.

# %%
assert len(measured) == 3 and all(seconds > 0 for curve in measured.values() for seconds in curve)
assert {kind for statements in profiles.values() for kind, _, _ in statements} == set(KINDS)
assert sum(kind == "matrix products" for kind, _, _ in profiles[largest]) >= 3 * depth
assert all("out=" in text for kind, text, _ in profiles[largest] if kind == "tanh")  # nothing fresh
assert "for k in range(" in blocked_source and "np.tanh" in blocked_source
fast, slow = ad.compile(ad.value_and_grad(loss))(*arguments), ad.value_and_grad(loss)(*arguments)
pairs_of_leaves = zip(ad.tree.leaves(fast), ad.tree.leaves(slow), strict=True)
assert all(np.allclose(p, q, rtol=1e-3, atol=1e-5) for p, q in pairs_of_leaves)
