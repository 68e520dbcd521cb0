"""One picture of everything: how many times as long as tinyad compiled the others take."""

from report import COMPILED, geometric_mean, ratio
from workloads import GRADIENTS, SIZES, key

COLOURS = {
    "jax jit": "#1f77b4",
    "jax diffrax": "#7fb2dd",
    "torch compile": "#d62728",
    "torch eager": "#f08a80",
    "tinygrad jit": "#7f7f7f",
    "autograd": "#e3a21a",
    "mygrad": "#8c6bb1",
    "numpy by hand": "#444444",
    "tinyad eager": "#7cc28a",
}

ACROSS = 3

# title, section, measure, workloads (of several, the geometric mean)
PANELS = [
    ("ResNet, value and gradient", "a", "seconds", GRADIENTS),
    ("Adam step, MLP", "b", "seconds", ["adam-mlp-64", "adam-mlp-1024"]),
    ("Adam step, ResNet", "b", "seconds", [key(size, "adam") for size in SIZES]),
    ("197 small operations", "c", "seconds", ["ops"]),
    ("Hessian-vector product", "d", "seconds", [key(size, "hvp") for size in SIZES]),
    ("Gauss-Newton-vector product", "d", "seconds", [key(size, "gnvp") for size in SIZES]),
    ("Jacobian, 100 variables", "e", "seconds", ["jacobian"]),
    ("Hessian, 100 variables", "e", "seconds", ["hessian"]),
    ("Neural ODE, 100 steps", "f", "seconds", ["ode"]),
    ("ResNet, time to first result", "i", "first", ["resnet-256-16-32"]),
    ("Neural ODE, time to first result", "f", "first", ["ode"]),
    ("ResNet, peak memory", "h", "peak", GRADIENTS),
]


def bars(results, letter, kind, names):
    """{column: how many times tinyad compiled}, of the workloads that were measured."""
    found = results.get(letter, {}).get(kind, {})
    measured = [found[name] for name in names if COMPILED in found.get(name, {})]
    return {
        column: geometric_mean([ratio(columns[column], columns[COMPILED]) for columns in measured])
        for column in COLOURS
        if measured and all(column in columns for columns in measured)
    }


def draw(results, file):
    """Write the picture; nothing to draw, no picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from PIL import Image  # matplotlib needs it anyway

    panels = [(title, bars(results, *where)) for title, *where in PANELS]
    panels = [(title, found) for title, found in panels if found]
    if not panels:
        return
    rows = [panels[k : k + ACROSS] for k in range(0, len(panels), ACROSS)]
    most = [max(len(found) for _, found in row) for row in rows]  # bars, by row
    heights = [0.62 + 0.19 * bars for bars in most]  # inches
    figure, axes = plt.subplots(
        len(rows), ACROSS, figsize=(11, sum(heights) + 0.8), sharex=True, squeeze=False, height_ratios=heights
    )
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (title, found), k in zip(axes.flat, panels, range(len(panels)), strict=False):
        panel(axis, title, found, most[k // ACROSS])
        axis.tick_params(axis="x", labelbottom=k + ACROSS >= len(panels))
    numbers = [x for _, found in panels for x in found.values()]
    axes.flat[0].set_xlim(min(0.4, 0.7 * min(numbers)), 3.5 * max(numbers))
    title = "What the others take, as a multiple of compiled tinyad (logarithmic)\n"
    figure.suptitle(title + "right of the line: more time or memory than tinyad; left of it: less", fontsize=10.5)
    figure.tight_layout(h_pad=0.8)
    figure.savefig(file, dpi=105)
    plt.close(figure)
    with Image.open(file) as picture:  # a quarter of the size
        few_colours = picture.convert("RGB").quantize(64)
    few_colours.save(file, optimize=True)


def panel(axis, title, found, deepest):
    names, numbers = list(found), list(found.values())
    axis.set_xscale("log")
    axis.barh(range(len(names)), [x - 1 for x in numbers], left=1, color=[COLOURS[name] for name in names], height=0.74)
    for k, x in enumerate(numbers):
        axis.text(max(x, 1) * 1.1, k, f"{x:.2f}" if x < 10 else f"{x:.0f}", va="center", fontsize=7.5)
    axis.axvline(1, color="black", linewidth=1.2)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(deepest - 0.4, -0.6)
    axis.set_title(title, fontsize=9, loc="left", fontweight="bold")
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.minorticks_off()
    axis.tick_params(axis="x", labelsize=7.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", alpha=0.25)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
