"""The doctor: what it reads, what it tries, what it recommends, and how the command line applies it.

No test asks how fast this machine is. The rule that chooses is tested on made-up speeds.
"""

import importlib.metadata
import json
import math
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tinyad import __main__, doctor
from tinyad.doctor import findings, kept, machine, trials
from tinyad.doctor.machine import WORKLOADS, Blas, Processor
from tinyad.doctor.trials import CORE_TYPES, ChildError, choose, compare

CHECKOUT = Path(__file__).resolve().parents[2]

# Two processors of one core each, of which two share a core: what Linux says, shortened.
ZEN5 = "\n\n".join(
    f"processor\t: {i}\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC 9965\n"
    f"physical id\t: 0\ncore id\t\t: {i // 2}\n"
    "flags\t\t: fpu sse4_2 fma fma4 avx avx2 avx512f avx512dq avx512cd avx512bw avx512vl avx512_bf16 avx512_vnni\n"
    "power management:"
    for i in range(4)
)
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n\nprocessor\t: 1\nFeatures\t: fp\n"

AVX512 = Processor("made up", "family 26", tuple(sorted(CORE_TYPES["COOPERLAKE"])), cores=2, usable=4)
AVX2 = replace(AVX512, simd=("avx", "avx2", "fma"))
HASWELL = Blas("openblas", "0.3.31", "Haswell", 4)


# ---- what is here


def test_cpuinfo_of_a_processor_with_two_threads_a_core():
    cpu = machine.read_cpuinfo(ZEN5, usable=4)
    assert (cpu.name, cpu.family, cpu.cores, cpu.usable) == ("AMD EPYC 9965", "family 26, model 2", 2, 4)
    assert set(cpu.simd) == {
        "sse4_2", "fma", "avx", "avx2", "avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl", "avx512_bf16", "avx512_vnni",
    }  # fmt: skip


def test_cpuinfo_of_an_arm_processor():
    cpu = machine.read_cpuinfo(ARM, usable=2)
    assert (cpu.family, cpu.simd, cpu.cores) == ("implementer 0x41, part 0xd40", ("asimd", "sve"), 2)


@pytest.mark.parametrize("text", ["", "\n", "nothing of the kind\n\nat all"])
def test_without_cpuinfo_a_processor_is_what_python_knows(text):
    cpu = machine.read_cpuinfo(text, usable=3)
    assert (cpu.family, cpu.simd, cpu.cores) == ("", (), 3)
    assert cpu.name


@pytest.mark.parametrize(
    ("text", "processors"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("max 100000\n", 8), ("", 8), ("9900000 100000\n", 8)],
)
def test_a_quota_limits_the_usable_processors(text, processors):
    assert machine.read_quota(text, 8) == processors


def test_this_machine_is_described():
    cpu = machine.processor()
    assert cpu.name and cpu.cores >= 1 and 1 <= cpu.usable <= os.cpu_count()


def test_the_blas_is_known_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    library = machine.blas()
    assert (library.name, library.version) == machine.built_with()
    assert library.architecture is None and library.threads is None


def test_with_threadpoolctl_the_blas_has_kernels_and_threads():
    pytest.importorskip("threadpoolctl")
    library = machine.blas()
    if "openblas" not in library.name:
        pytest.skip("this NumPy has another BLAS")
    assert library.architecture and library.threads >= 1


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="no ticks to count in")
def test_the_work_of_others_is_all_work_without_waiting_and_without_ours(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    monkeypatch.setattr(os, "times", lambda: (0.5, 0.25, 1.0, 0.25, 77.0))
    user, nice, system, idle, waiting, irq, softirq, steal = 100, 50, 100, 9999, 8888, 10, 40, 100
    line = f"cpu  {user} {nice} {system} {idle} {waiting} {irq} {softirq} {steal} 0 0\ncpu0 1 2 3\n"
    monkeypatch.setattr(machine, "_text", lambda path: line)
    assert machine.work_of_others() == 4.0 - 2.0
    monkeypatch.setattr(machine, "_text", lambda path: "")
    assert machine.work_of_others() == 0.0


# ---- which settings are tried


def names(settings):
    return {value for setting in settings for value in setting.values()}


def test_kernels_are_tried_that_the_processor_can_run_and_does_not_use():
    assert names(trials.kernel_settings(AVX2, HASWELL)) == {"ZEN"}
    assert names(trials.kernel_settings(AVX512, HASWELL)) == {"ZEN", "SKYLAKEX", "COOPERLAKE"}
    assert names(trials.kernel_settings(AVX512, replace(HASWELL, architecture="SkylakeX"))) == {"HASWELL", "ZEN", "COOPERLAKE"}
    assert names(trials.kernel_settings(AVX2, replace(HASWELL, architecture=None))) == {"HASWELL", "ZEN"}


@pytest.mark.parametrize("core_type", CORE_TYPES)
def test_kernels_are_not_tried_if_any_instruction_is_missing(core_type):
    nothing = Blas("openblas", "0", None, None)
    every = set().union(*CORE_TYPES.values())
    for flag in CORE_TYPES[core_type]:
        able = replace(AVX512, simd=tuple(every - {flag}))
        assert core_type not in names(trials.kernel_settings(able, nothing))
    assert core_type in names(trials.kernel_settings(replace(AVX512, simd=tuple(every)), nothing))


def test_instructions_of_the_wide_kernels_contain_those_of_avx512():
    for core_type in ("SKYLAKEX", "COOPERLAKE"):
        assert {"avx512f", "avx2"} <= CORE_TYPES[core_type]
    assert "avx512f" not in CORE_TYPES["HASWELL"] | CORE_TYPES["ZEN"]


def test_kernels_belong_to_openblas_alone():
    for name in ("mkl", "accelerate", "blis"):
        assert trials.kernel_settings(AVX512, Blas(name, "1", None, 2)) == []


@pytest.mark.parametrize(
    ("library", "cpu", "settings"),
    [
        (HASWELL, AVX512, [{"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2"}]),
        (replace(HASWELL, threads=2), AVX512, [{"OPENBLAS_NUM_THREADS": "1"}]),
        (replace(HASWELL, threads=64), replace(AVX512, cores=64, usable=3), [{"OPENBLAS_NUM_THREADS": n} for n in "13"]),
        (replace(HASWELL, threads=1), replace(AVX512, cores=1, usable=1), []),
        (Blas("mkl", "1", None, 4), AVX512, [{"MKL_NUM_THREADS": "1"}, {"MKL_NUM_THREADS": "2"}]),
        (Blas("accelerate", ""), AVX512, []),
    ],
)
def test_threads_are_tried_one_and_one_a_core(library, cpu, settings):
    assert trials.thread_settings(cpu, library) == settings


# ---- the comparison, on made-up speeds


def made_up(speeds, crash=(), architecture=None):
    """A measurement that gives each setting, named by its value of X, its speeds in turn (a list: one for each workload)."""
    turns = {name: iter(values) for name, values in speeds.items()}
    asked = []

    def measured(setting):
        name = setting.get("X", "present")
        asked.append(name)
        if name in crash:
            raise ChildError("crashed: Illegal instruction")
        speed = next(turns[name])
        each = speed if isinstance(speed, list) else [speed] * len(WORKLOADS)
        loaded = {"name": "openblas", "version": "1", "architecture": (architecture or {}).get(name), "threads": 2}
        return {"blas": loaded, "gflops": dict(zip(WORKLOADS, map(float, each), strict=True))}

    measured.asked = asked
    return measured


def table(speeds, rounds=5, **how):
    settings = [{"X": name} if name != "present" else {} for name in speeds]
    return compare(settings, made_up(speeds, **how), rounds)


def chosen(speeds, **how):
    return choose(table(speeds, **how)).setting.get("X", "present")


@pytest.mark.parametrize(
    ("speeds", "winner"),
    [
        ({"present": [100] * 5, "a": [190] * 5}, "a"),
        ({"present": [100] * 5, "a": [190] * 5, "b": [200] * 5, "c": [50] * 5}, "b"),
        ({"present": [100] * 5, "a": [111] * 5}, "a"),
        ({"present": [100] * 5, "a": [108] * 5}, "present"),
        ({"present": [100] * 5, "a": [60] * 5}, "present"),
        # Noise: faster in the median, but not whenever one looks.
        ({"present": [100] * 5, "a": [150, 150, 150, 150, 90]}, "present"),
        ({"present": [100, 100, 100, 100, 300], "a": [150] * 5}, "present"),
        # Faster in the mean, at the cost of a workload.
        ({"present": [100] * 5, "a": [[200, 200, 90]] * 5}, "present"),
        ({"present": [100] * 5, "a": [[200, 200, 96]] * 5}, "a"),
        # The clearest but inconsistent one must not hide a good one.
        ({"present": [100] * 5, "a": [300, 300, 300, 300, 50], "b": [150] * 5}, "b"),
    ],
)
def test_a_setting_is_chosen_if_it_is_clearly_better(speeds, winner):
    assert chosen(speeds) == winner


def test_speeds_are_compared_within_a_round():
    drift = [1.0, 0.5, 0.25, 2.0, 1.0]  # of the machine: it hits all alike
    _, row = table({"present": [100 * d for d in drift], "a": [150 * d for d in drift]})
    assert row.rounds == pytest.approx([1.5] * 5) and row.ratio == pytest.approx(1.5)
    assert chosen({"present": [100 * d for d in drift], "a": [150 * d for d in drift]}) == "a"


def test_figures_are_medians_and_the_ratio_a_geometric_mean():
    present, row = table({"present": [1, 100, 1000], "a": [[200, 400, 50]] * 3}, rounds=3)
    assert set(present.gflops.values()) == {100.0} and present.ratio == 1.0
    assert list(row.ratios.values()) == [2.0, 4.0, 0.5]
    assert row.ratio == pytest.approx(math.cbrt(2.0 * 4.0 * 0.5))


def test_every_round_asks_all_in_another_order():
    measured = made_up({name: [1] * 3 for name in ("present", "a", "b")})
    compare([{}, {"X": "a"}, {"X": "b"}], measured, rounds=3)
    assert measured.asked == ["present", "a", "b", "a", "b", "present", "b", "present", "a"]


def test_a_crash_is_a_result_and_is_not_repeated():
    measured = made_up({"present": [100] * 3, "a": [], "b": [200] * 3}, crash=["a"])
    rows = compare([{}, {"X": "a"}, {"X": "b"}], measured, rounds=3)
    assert rows[1].note == "crashed: Illegal instruction" and rows[1].gflops is None
    assert measured.asked.count("a") == 1
    assert choose(rows).setting == {"X": "b"}


def test_if_the_present_setting_crashes_another_is_chosen():
    assert chosen({"present": [], "a": [100] * 5, "b": [150] * 5}, crash=["present"]) == "b"
    assert chosen({"present": [], "a": [100] * 5, "b": [101] * 5}, crash=["present"]) == "a"
    assert chosen({"present": [], "a": []}, crash=["present", "a"]) == "present"


def test_the_same_kernels_under_another_name_are_not_compared():
    kernels = {"present": "Haswell", "a": "Haswell", "b": "SkylakeX", "c": "SkylakeX"}
    measured = made_up({"present": [100] * 3, "a": [200], "b": [150] * 3, "c": [300]}, architecture=kernels)
    rows = compare([{}, *({"X": name} for name in "abc")], measured, rounds=3)
    assert [bool(row.note) for row in rows] == [False, True, False, True]
    assert "Haswell" in rows[1].note and choose(rows).setting == {"X": "b"}
    unknown = dict.fromkeys(kernels)  # without threadpoolctl
    assert not any(row.note for row in table({name: [100] * 5 for name in kernels}, architecture=unknown))


def test_when_time_is_up_two_rounds_are_enough():
    measured = made_up({"present": [1] * 9, "a": [1] * 9})
    compare([{}, {"X": "a"}], measured, rounds=9, until=-math.inf)
    assert len(measured.asked) == 4


# ---- child processes


def test_a_child_gets_the_setting_and_this_process_does_not():
    shown = trials.run_child(
        ["-c", "import os; print(os.environ['OPENBLAS_CORETYPE'])"], {"OPENBLAS_CORETYPE": "Q"}, timeout=60
    )
    assert shown.strip() == "Q" != os.environ.get("OPENBLAS_CORETYPE")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit('no driver\\nno device')", "failed: no device"),
        ("import sys; sys.exit(3)", "failed: status 3"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
            "crashed: Illegal instruction",
            marks=pytest.mark.skipif(os.name == "nt", reason="no signals"),
        ),
    ],
)
def test_a_child_that_fails_is_told_apart(program, message):
    with pytest.raises(ChildError, match=re.escape(message)):
        trials.run_child(["-c", program], {}, timeout=60)


def test_files_of_the_user_do_not_stand_before_numpy(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise RuntimeError('a file of the user')\n")
    monkeypatch.chdir(tmp_path)
    assert trials.run_child(["-c", "import numpy; print(1)"], {}, timeout=60) == "1\n"


def test_a_child_that_hangs_is_ended():
    with pytest.raises(ChildError, match="no answer within"):
        trials.run_child(["-c", "import time; time.sleep(60)"], {}, timeout=0.5)


def test_a_child_measures_what_it_is_asked():
    sample = trials.measure_child({}, 0.0)
    assert set(sample["gflops"]) == set(WORKLOADS) and min(sample["gflops"].values()) > 0
    assert Blas(**sample["blas"]).name


def test_a_broken_gpu_is_told(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise RuntimeError('no driver')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    usable, text = findings.gpu()
    assert not usable and "no driver" in text


# ---- findings, on a made-up machine


@pytest.fixture
def machine_of_the_test(monkeypatch, tmp_path):
    """A processor with AVX-512 on which SKYLAKEX is twice as fast, an idle machine, an empty cache and no variables."""
    for name in [*trials.VARIABLES, *(name for name in os.environ if name.startswith("TINYAD_"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def measured(setting, seconds):
        core = setting.get("OPENBLAS_CORETYPE", "HASWELL")
        if core == "COOPERLAKE":
            raise ChildError("crashed: Illegal instruction")
        threads = int(setting.get("OPENBLAS_NUM_THREADS", 4))
        speed = {"HASWELL": 100.0, "ZEN": 101.0, "SKYLAKEX": 200.0}[core] * (1.5 if threads == 2 else 1.0)
        loaded = {"name": "openblas", "version": "1", "architecture": core.title(), "threads": threads}
        return {"blas": loaded, "gflops": dict.fromkeys(WORKLOADS, speed)}

    for module in (findings, kept):
        monkeypatch.setattr(module, "processor", lambda: AVX512)
    monkeypatch.setattr(findings, "blas", lambda: HASWELL)
    monkeypatch.setattr(findings, "work_of_others", lambda: 0.0)
    monkeypatch.setattr(findings, "measure_child", measured)
    monkeypatch.setattr(findings, "gpu", lambda: (False, "not tried"))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    return monkeypatch


BEST = {"OPENBLAS_CORETYPE": "SKYLAKEX", "OPENBLAS_NUM_THREADS": "2"}


def test_kernels_are_chosen_first_and_threads_for_them(machine_of_the_test):
    found = doctor.examine()
    assert found.setting == BEST and found.gain == pytest.approx(3.0)
    assert found.threads[0].setting == {"OPENBLAS_CORETYPE": "SKYLAKEX"}


def test_the_report_ends_in_what_to_set_and_what_it_buys(machine_of_the_test):
    report = str(doctor.examine())
    verdict = report[report.index("Verdict") :]
    assert verdict.splitlines() == [
        "Verdict: matrix products run 3.00 times as fast with",
        "",
        "export OPENBLAS_CORETYPE=SKYLAKEX",
        "export OPENBLAS_NUM_THREADS=2",
    ]
    assert "Haswell kernels (which leave AVX-512 idle)" in report
    assert "OPENBLAS_CORETYPE=COOPERLAKE  crashed: Illegal instruction" in report
    assert max(map(len, report.splitlines())) <= 128


def test_the_report_says_when_nothing_helps(machine_of_the_test):
    same = {"blas": HASWELL.__dict__, "gflops": dict.fromkeys(WORKLOADS, 100.0)}
    machine_of_the_test.setattr(findings, "measure_child", lambda setting, seconds: same)
    found = doctor.examine()
    assert found.setting == {} and found.gain == 1.0
    assert "Verdict: nothing to set" in str(found) and "export" not in str(found)


def test_the_report_says_when_nothing_could_be_timed(machine_of_the_test):
    def crash(setting, seconds):
        raise ChildError("crashed: Illegal instruction")

    machine_of_the_test.setattr(findings, "measure_child", crash)
    found = doctor.examine()
    assert found.setting == {}
    assert "could not be timed" in str(found) and "Illegal instruction" in str(found)


def test_the_report_says_how_to_end_a_crash(machine_of_the_test):
    measured = findings.measure_child

    def crash(setting, seconds):
        if not setting:
            raise ChildError("crashed: Illegal instruction")
        return measured(setting, seconds)

    machine_of_the_test.setattr(findings, "measure_child", crash)
    assert "do not crash (crashed: Illegal instruction) with" in str(doctor.examine())


def test_threads_are_not_judged_while_other_programs_need_the_processors(machine_of_the_test):
    seconds = iter([0.0, 1e9])
    machine_of_the_test.setattr(findings, "work_of_others", lambda: next(seconds))
    found = doctor.examine()
    assert found.crowded and found.setting == {"OPENBLAS_CORETYPE": "SKYLAKEX"}
    assert "numbers of threads are not judged" in str(found)


@pytest.mark.parametrize(
    ("others", "threads", "usable", "crowded"),
    [
        (0.1, 4, 4, False),
        (0.5, 4, 4, True),
        (1.5, 2, 4, False),  # two processors were left to them
        (2.5, 2, 4, True),
        (9.0, 4, 2, False),  # a quota: four threads on two processors are in each other's way on any day
    ],
)
def test_when_a_machine_is_crowded(monkeypatch, others, threads, usable, crowded):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert findings.is_crowded(others, replace(AVX512, usable=usable), replace(HASWELL, threads=threads)) is crowded


def test_missing_parts_come_with_the_command_that_brings_them(machine_of_the_test):
    found = doctor.examine()
    nothing, everything = (replace(found, parts=dict.fromkeys(findings.PARTS, here)) for here in (False, True))
    for pip, _ in findings.PARTS.values():
        assert f"pip install {pip} " in str(nothing)
    assert "pip install" not in str(everything)


def test_the_parts_are_those_of_pyproject():
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {re.split(r"[<>=~]", part)[0] for extra in ("plot", "data", "progress", "doctor", "cuda") for part in extras[extra]}
    told = {pip for pip, _ in findings.PARTS.values() if not pip.startswith("-")}
    assert told == asked
    provided = importlib.metadata.packages_distributions()
    for name, (pip, _) in findings.PARTS.items():
        distributions = provided.get(name, [pip])
        assert any(distribution in pip or name == "cupy" for distribution in distributions), f"{name} is not what {pip} brings"


# ---- keeping and applying them


def test_what_was_found_is_applied(machine_of_the_test, tmp_path):
    assert doctor.to_apply({}) == {}
    assert doctor.save(doctor.examine()) == tmp_path / "tinyad" / "doctor.json"
    assert doctor.to_apply({}) == BEST
    assert [file.name for file in (tmp_path / "tinyad").iterdir()] == ["doctor.json"]


@pytest.mark.parametrize(
    ("environment", "left"),
    [
        ({"HOME": "x"}, BEST),
        ({"OPENBLAS_CORETYPE": "HASWELL"}, {"OPENBLAS_NUM_THREADS": "2"}),
        ({"OPENBLAS_NUM_THREADS": "8"}, {"OPENBLAS_CORETYPE": "SKYLAKEX"}),
        ({"OMP_NUM_THREADS": "8"}, {"OPENBLAS_CORETYPE": "SKYLAKEX"}),
        ({"MKL_NUM_THREADS": ""}, {"OPENBLAS_CORETYPE": "SKYLAKEX"}),
        (BEST, {}),
        ({"TINYAD_NO_DOCTOR": "1"}, {}),
        ({"TINYAD_NO_DOCTOR": ""}, BEST),
    ],
)
def test_what_the_user_has_set_is_left_alone(machine_of_the_test, environment, left):
    doctor.save(doctor.examine())
    assert doctor.to_apply(environment) == left


def test_findings_of_another_machine_or_numpy_are_not_applied_but_kept(machine_of_the_test):
    file = doctor.save(doctor.examine())
    for change in ({"name": "another"}, {"simd": ("avx2",)}, {"usable": 8}, {"family": "family 25"}):
        machine_of_the_test.setattr(kept, "processor", lambda change=change: replace(AVX512, **change))
        assert doctor.to_apply({}) == {}
    machine_of_the_test.setattr(kept, "processor", lambda: AVX512)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine.np, "__version__", "0.1")
        assert doctor.to_apply({}) == {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "built_with", lambda: ("openblas", "0.1"))
        assert doctor.to_apply({}) == {}
        doctor.save(replace(doctor.examine(), setting={}))
    assert doctor.to_apply({}) == BEST and len(json.loads(file.read_text())) == 2


KEY = machine.machine_key(AVX512)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", b"\xff", "{}", json.dumps({KEY: None}), json.dumps({KEY: {}}), json.dumps({KEY: {"setting": [1]}})],
)
def test_a_damaged_file_counts_as_none_and_is_mended(machine_of_the_test, text):
    file = kept.cache_file()
    file.parent.mkdir()
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    assert doctor.to_apply({}) == {}
    doctor.save(doctor.examine())
    assert doctor.to_apply({}) == BEST


def test_nothing_from_the_file_reaches_a_shell_that_the_doctor_could_not_have_written(machine_of_the_test):
    file = kept.cache_file()
    file.parent.mkdir()
    setting = {
        "PATH": "X",
        "OMP_NUM_THREADS": "1; rm x",
        "OPENBLAS_CORETYPE": "$(x)",
        "MKL_NUM_THREADS": 4,
        "GOTO_NUM_THREADS": "4\n",
    }
    file.write_text(json.dumps({KEY: {"setting": setting}}))
    assert doctor.to_apply({}) == {}


def test_what_was_found_beside_a_set_variable_is_not_kept(machine_of_the_test):
    machine_of_the_test.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS is set"):
        doctor.save(doctor.examine())


def test_that_nothing_was_found_on_a_busy_machine_is_not_kept(machine_of_the_test):
    found = doctor.examine()
    doctor.save(replace(found, crowded=True))
    with pytest.raises(ValueError, match="busy"):
        doctor.save(replace(found, crowded=True, setting={}))
    assert doctor.to_apply({}) == BEST


def test_without_xdg_the_file_is_in_the_home_folder(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", os.sep + "somewhere")
    monkeypatch.setenv("USERPROFILE", os.sep + "somewhere")
    assert kept.cache_file() == Path(os.sep, "somewhere", ".cache", "tinyad", "doctor.json")


# ---- the command line


def test_commands_start_again_with_what_was_found_but_calls_from_python_do_not(machine_of_the_test, capsys):
    doctor.save(doctor.examine())
    restarts = []
    machine_of_the_test.setattr(doctor, "restart", restarts.append)
    words = ["demo", "--epochs", "-1"]  # refused at once
    assert __main__.main(words) in (1, 2) and not restarts
    machine_of_the_test.setattr(sys, "argv", ["tinyad", *words])
    __main__.main()
    assert restarts == [BEST]
    [line] = [line for line in capsys.readouterr().err.splitlines() if "TINYAD_NO_DOCTOR=1" in line]
    assert "OPENBLAS_CORETYPE=SKYLAKEX OPENBLAS_NUM_THREADS=2" in line
    machine_of_the_test.setattr(sys, "argv", ["tinyad", "doctor", "--quick", "--shell"])
    assert __main__.main() == 0 and len(restarts) == 1, "the doctor looks at the environment as it is"


def test_shell_lines_and_nothing_else_on_stdout(machine_of_the_test, capsys):
    lines = "export OPENBLAS_CORETYPE=SKYLAKEX\nexport OPENBLAS_NUM_THREADS=2\n"
    assert __main__.main(["doctor", "--shell", "--cached"]) == 0
    assert capsys.readouterr().out == ""
    assert __main__.main(["doctor", "--shell"]) == 0
    assert capsys.readouterr().out == lines

    def fail(*_):
        raise AssertionError("measured, though the answer was kept")

    machine_of_the_test.setattr(findings, "measure_child", fail)
    assert __main__.main(["doctor", "--shell", "--cached"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (lines, "")
    machine_of_the_test.setenv("TINYAD_NO_DOCTOR", "1")
    assert __main__.main(["doctor", "--shell", "--cached"]) == 0
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written_is_told_and_no_failure(machine_of_the_test, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    machine_of_the_test.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert __main__.main(["doctor"]) == 0
    shown = capsys.readouterr()
    assert "Verdict" in shown.out and "Not kept" in shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json", "--shell"], "not allowed with"),
        (["--quick", "--cached"], "not allowed with"),
        (["--fast"], "unrecognized"),
    ],
)
def test_flags_that_do_not_go_together(words, message, capsys):
    with pytest.raises(SystemExit) as exit:
        __main__.main(["doctor", *words])
    assert exit.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--cached"], ["--cached", "--json"]])
def test_cached_needs_shell(words, capsys):
    assert __main__.main(["doctor", *words]) == 2
    assert "add --shell" in capsys.readouterr().err


# ---- from end to end


def clean_environment(cache):
    """The environment of this process without what the doctor looks at, and with a cache of its own."""
    unset = {name for name in os.environ if name in trials.VARIABLES or name.startswith("TINYAD_")}
    unset.add("PYTHONUNBUFFERED")  # it would hide that a program loses what it has printed when it starts again
    return {name: value for name, value in os.environ.items() if name not in unset} | {"XDG_CACHE_HOME": str(cache)}


def python(*words, environment):
    return subprocess.run([sys.executable, *words], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300)


def test_the_doctor_on_this_machine(tmp_path):
    environment = clean_environment(tmp_path)
    done = python("-m", "tinyad", "doctor", "--quick", "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == set(doctor.Findings.__dataclass_fields__)
    assert set(found["processor"]) == set(Processor.__dataclass_fields__)
    assert found["environment"] == {} and set(found["parts"]) == set(findings.PARTS)
    assert found["threads"], "the present setting is always timed"
    for row in found["kernels"] + found["threads"]:
        assert set(row) == set(trials.Row.__dataclass_fields__)
        assert row["note"] or set(row["gflops"]) == set(row["ratios"]) == set(WORKLOADS)
        assert row["note"] or (min(row["gflops"].values()) > 0 and len(row["rounds"]) >= 2)
    assert found["gain"] >= trials.CLEARLY if found["setting"] else found["gain"] == 1.0

    cached = python("-m", "tinyad", "doctor", "--shell", "--cached", environment=environment)
    assert cached.returncode == 0
    assert cached.stdout.splitlines() == doctor.export_lines(found["setting"])


def keep(cache, setting):
    """Write the findings file of this machine."""
    (cache / "tinyad").mkdir()
    key = machine.machine_key(machine.processor())
    (cache / "tinyad" / "doctor.json").write_text(json.dumps({key: {"setting": setting, "gain": 2.0}}))


PROGRAM = """
import os, sys
import tinyad
from tinyad import doctor
print(sys.argv[1:], os.environ.get("OPENBLAS_NUM_THREADS"))
if setting := doctor.to_apply(os.environ):
    doctor.restart(setting)
sys.exit(7)
"""


def test_a_program_starts_again_once_with_its_arguments_and_its_status(tmp_path):
    keep(tmp_path, {"OPENBLAS_NUM_THREADS": "1"})
    done = python("-c", PROGRAM, "a b", "--c", environment=clean_environment(tmp_path))
    assert done.stdout.splitlines() == ["['a b', '--c'] None", "['a b', '--c'] 1"]
    assert done.returncode == 7


def test_a_command_starts_again_and_says_so_unless_told_not_to(tmp_path):
    keep(tmp_path, {"OPENBLAS_NUM_THREADS": "1"})
    environment = clean_environment(tmp_path)
    command = ("-m", "tinyad", "demo", "--epochs", "-1")
    done, opted_out = (python(*command, environment=environment | more) for more in ({}, {"TINYAD_NO_DOCTOR": "1"}))
    assert done.stderr.count("with OPENBLAS_NUM_THREADS=1") == 1
    assert done.returncode == opted_out.returncode in (1, 2)
    assert "OPENBLAS" not in opted_out.stderr


def test_importing_tinyad_changes_no_environment(tmp_path):
    keep(tmp_path, {"OPENBLAS_NUM_THREADS": "1"})
    program = (
        "import os; before = dict(os.environ); import tinyad, tinyad.doctor, tinyad.__main__; assert dict(os.environ) == before"
    )
    done = python("-c", program, environment=clean_environment(tmp_path))
    assert done.returncode == 0, done.stderr
