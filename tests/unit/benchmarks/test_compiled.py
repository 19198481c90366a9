"""The compiled engine of the benchmark: what is compiled, what is cached, and that nothing is reported of an engine that does not do the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import compiled, engine
from benchmarks.compiled import ENGINE, BuildError, Sources, build
from benchmarks.engine_flows import FLOWS
from benchmarks.engine_process import EngineProcess, ProcessError, stand_in
from benchmarks.flow import Tally
from benchmarks.measure import Contender, Results

ORDERS = 40

DOUBLE = "def double(value: int) -> int:\n    return 2 * value\n"
NAMED = "from mini.double import double\n\nNAMED = double(21)\n"


@pytest.fixture
def mini(tmp_path: Path) -> Sources:
    """Two modules, of which one is compiled."""
    package = tmp_path / "src" / "mini"
    package.mkdir(parents=True)
    for name, text in (("__init__", ""), ("double", DOUBLE), ("named", NAMED)):
        (package / f"{name}.py").write_text(text)
    return Sources(tmp_path / "src", compiled=("mini",), imported=(), left_out={"mini/named.py": "for the test"})


@pytest.fixture
def plain() -> Iterator[EngineProcess]:
    process = EngineProcess(None)
    yield process
    process.close()


# ---- what is compiled


def test_every_module_of_the_engine_is_compiled_or_has_its_reason() -> None:
    root = ENGINE.root / "straddle"
    engine_modules = {path.relative_to(ENGINE.root).as_posix() for part in ("core", "operations") for path in (root / part).glob("*.py")}
    engine_modules = {name for name in engine_modules if not name.endswith("__init__.py")} | {"straddle/transition.py"}
    assert set(ENGINE.modules()) | set(ENGINE.left_out) == engine_modules
    assert not set(ENGINE.modules()) & set(ENGINE.left_out) and all(ENGINE.left_out.values())


def test_leaving_out_what_is_not_there_is_refused(mini: Sources) -> None:
    with pytest.raises(ValueError, match=r"left_out: mini/gone.py, expected modules below mini"):
        replace(mini, left_out={"mini/gone.py": "renamed since"}).modules()


def test_the_digest_follows_sources_and_selection(mini: Sources) -> None:
    before = mini.digest()
    assert replace(mini).digest() == before
    assert replace(mini, left_out={}).digest() != before
    (mini.root / "mini" / "named.py").write_text(NAMED + "\n")  # not compiled, but mypy reads its types
    assert mini.digest() != before


# ---- building


def test_a_build_has_extension_modules_only_and_is_made_once(mini: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    (cache / "older").mkdir(parents=True)
    monkeypatch.setenv("MYPYC_OPT_LEVEL", "0")  # sooner done
    made = build(mini, cache)
    found = {path.name.split(".")[0]: path for path in (made.folder / "mini").iterdir()}
    assert found.keys() == {"double", "double__mypyc"} and {path.suffix for path in found.values()} == {".so"}
    assert list(cache.iterdir()) == [made.folder] and made.size_bytes > 1_000 and made.cpu_seconds > 0
    program = "import sys; sys.path[:0] = sys.argv[1:]; import mini.double; print(mini.double.__file__, mini.double.double(21))"
    ran = subprocess.run([sys.executable, "-c", program, str(made.folder)], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(found["double"]), "42"]
    monkeypatch.setattr(compiled, "_run", lambda *_: pytest.fail("compiled again"))
    assert build(mini, cache) == made


def test_a_failure_of_the_compiler_is_told_and_leaves_the_cache(mini: Sources, tmp_path: Path) -> None:
    (mini.root / "mini" / "double.py").write_text(DOUBLE.replace("2 * value", "'two'"))
    (tmp_path / "cache" / "older").mkdir(parents=True)
    with pytest.raises(BuildError, match=r"mini/double.py:2: error: Incompatible return value"):
        build(mini, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["older"]


def test_modules_that_the_build_lacks_are_not_taken_from_the_package(tmp_path: Path) -> None:
    program = f"import sys; sys.path.append({str(Path(engine.__file__).parents[1])!r}); from pathlib import Path; "
    program += f"from benchmarks.engine_process import stand_in; stand_in(Path({str(tmp_path)!r}))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and "expected an extension module below" in ran.stderr and stand_in.__doc__


# ---- the process


def test_a_process_runs_the_same_flow_to_the_same_end(plain: EngineProcess) -> None:
    for name in ("transition", "transition, signatures verified"):
        flow = FLOWS[name]
        here = flow.prepare(ORDERS)
        tally = flow.run(here)
        plain.prepare(name, ORDERS)
        begun = plain.cpu_seconds()
        assert plain.run() == tally and tally != Tally(0, 0)
        assert plain.cpu_seconds() > begun
        assert plain.end_state() == flow.end_state(here)
    plain.prepare(name, ORDERS - 1)
    plain.run()
    assert plain.end_state() != flow.end_state(here)


def test_a_process_that_fails_says_why(plain: EngineProcess) -> None:
    with pytest.raises(ProcessError, match=r"exit code 1: KeyError: 'no such flow'"):
        plain.prepare("no such flow", 1)


# ---- what is reported


class Told:
    """An engine process with a made-up end."""

    def __init__(self, end: str, traded: Tally | None = None, fails: str = "") -> None:
        self._end, self._traded, self._fails = end, traded, fails

    def prepare(self, flow: str, orders: int) -> None:
        if flow == self._fails:
            raise ProcessError("the process ended with exit code -11")

    def run(self) -> Tally | None:
        return self._traded

    def end_state(self) -> str:
        return self._end


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda last: Told("other"), "transition: another end state"),
        (lambda last: Told("same", Tally(1, 2)), "transition: another end state"),
        (lambda last: Told("same", fails=last), "the process ended with exit code -11"),
    ],
)
def test_an_engine_that_does_not_do_the_same_is_left_out(other: Callable[[str], Told], why: str) -> None:
    results = Results()
    assert not engine.agree(results, Told("same"), other(list(FLOWS)[-1]))  # type: ignore[arg-type]
    [(subject, what, said)] = results.left_out
    assert (subject, what) == ("engine", "the engine compiled by mypyc") and why in said
    assert engine.agree(Results(), Told("same"), Told("same"))  # type: ignore[arg-type]


def test_without_a_compiler_the_engine_is_left_out_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(sources: Sources) -> None:
        raise BuildError("mypyc: error: command 'cc' failed: No such file or directory")

    measured: list[tuple[int, list[str]]] = []
    monkeypatch.setattr(compiled, "build", no_compiler)
    monkeypatch.setattr(engine, "_on_flow", lambda results, flow, ours, peers: measured.append((len(flow), [one.name for one in ours])))
    monkeypatch.setattr(engine, "_signed", lambda results, flow: measured.append((len(flow), ["signed"])))
    monkeypatch.setattr(Results, "time_prepared", lambda *_, **__: None)
    results = Results()
    engine.run(results)
    assert ("engine", "the engine compiled by mypyc", "mypyc: error: command 'cc' failed: No such file or directory") in results.left_out
    names = ["straddle book", "straddle transition", "straddle transition, hashed"]
    assert measured == [(engine.SHORT, names), (engine.LONG, names), (engine.SIGNED, ["signed"])]


def test_a_race_asks_each_contender_for_its_own_time() -> None:
    other = SimpleNamespace(seconds=0.0)

    def work(_: object) -> None:
        other.seconds += 5.0

    here = Contender("here", 10, lambda _: None)
    there = Contender("there", 10, work, clock=lambda: other.seconds)
    results = Results()
    slow, quick = results.race("race", [there, here], rounds=3)
    assert slow.runs == (5.0, 5.0, 5.0) and quick.cpu_seconds < 1
    results.compare("here / there", quick, slow)
    assert results.ratios[0].decided and results.ratios[0].ratio > 5
