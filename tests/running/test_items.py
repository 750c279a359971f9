import importlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from dmdbt.errors import InputDataError, SystemResourceError
from dmdbt.files import whole_file, whole_folder
from dmdbt.running import Item, Step, code_fingerprint, make_items
from dmdbt.running.fingerprint import reach
from dmdbt.running.items import Account


def copy_loudly(source, folder):
    """The function of a toy stage: a file and a folder per item."""
    text = source.read_text().upper()
    if text == "BAD":
        raise InputDataError("BAD", case=source.stem, cause="expected anything else", remedy="Say something else.")
    with whole_file(folder / f"{source.stem}.txt") as temporary:
        temporary.write_text(text)
    with whole_folder(folder / source.stem) as temporary:
        for number in range(3):
            (temporary / f"{number}.txt").write_text(text * (number + 1))


@pytest.fixture
def sources(tmp_path):
    for name in "abcd":
        write(tmp_path / "sources" / f"{name}.txt", f"text of {name}")
    return tmp_path / "sources"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def toy(items, function=None, *, mark="1", **options):
    return Step("toy", items, function or copy_loudly, parameters={"mark": mark}, **options)


def make(folder, sources, *, names=None, mark="1"):
    paths = [sources / f"{name}.txt" for name in names] if names else sorted(sources.iterdir())
    items = [Item(p.stem, p, inputs=(p,), outputs=(f"{p.stem}.txt", p.stem)) for p in paths]
    account = make_items(folder, toy(items, mark=mark))
    for path in paths:
        assert (folder / f"{path.stem}.txt").read_text() == path.read_text().upper()
        assert (folder / path.stem / "2.txt").read_text() == path.read_text().upper() * 3
    return account


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_keeps_everything_and_changes_no_byte(tmp_path, sources):
    assert make(tmp_path / "out", sources) == Account(computed=4, restored=0, kept=0, removed=0)
    before = contents(tmp_path / "out")
    assert make(tmp_path / "out", sources) == Account(computed=0, restored=0, kept=4, removed=0)
    assert contents(tmp_path / "out") == before
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"manifest.json", *"abcd", *(f"{name}.txt" for name in "abcd")}


def test_an_item_more_costs_one_and_an_item_less_none(tmp_path, sources):
    make(tmp_path / "out", sources, names="abc")
    before = contents(tmp_path / "out")
    assert make(tmp_path / "out", sources) == Account(computed=1, restored=0, kept=3, removed=0)
    assert make(tmp_path / "out", sources, names="abc") == Account(computed=0, restored=0, kept=3, removed=4)
    assert contents(tmp_path / "out") == before


def test_the_manifest_does_not_depend_on_the_order_of_the_items_or_on_what_went_before(tmp_path, sources):
    make(tmp_path / "one", sources)
    make(tmp_path / "two", sources, names="db")
    make(tmp_path / "two", sources, names="dcba")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def copy_together(paths, folder):
    """A function that makes several items at once."""
    for path in paths:
        with whole_file(folder / f"{path.stem}.txt") as temporary:
            temporary.write_text(" ".join(path.stem for path in paths))


@pytest.mark.parametrize(("at_once", "groups"), [(1, ["a", "b", "c", "d"]), (3, ["a b c"] * 3 + ["d"])])
def test_items_that_are_made_together_have_records_of_their_own(tmp_path, sources, at_once, groups):
    items = [Item(p.stem, p, inputs=(p,), outputs=(f"{p.stem}.txt",)) for p in sorted(sources.iterdir())]
    step = toy(items, copy_together, at_once=at_once)
    assert make_items(tmp_path / "out", step).computed == 4
    assert [(tmp_path / "out" / f"{name}.txt").read_text() for name in "abcd"] == groups
    (tmp_path / "out" / "b.txt").unlink()
    assert make_items(tmp_path / "out", step).computed == 1


def test_an_item_whose_input_changes_is_computed_again(tmp_path, sources):
    make(tmp_path / "out", sources)
    write(sources / "b.txt", "other text")
    assert make(tmp_path / "out", sources) == Account(computed=1, restored=0, kept=3, removed=0)


def test_other_parameters_compute_everything(tmp_path, sources):
    make(tmp_path / "out", sources)
    assert make(tmp_path / "out", sources, mark="2").computed == 4


def test_everything_is_computed_on_demand(tmp_path, sources, monkeypatch):
    make(tmp_path / "out", sources)
    monkeypatch.setenv("DMDBT_REDO", "1")
    assert make(tmp_path / "out", sources).computed == 4


@pytest.mark.parametrize("damaged", ["b.txt", "b/1.txt"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("")], ids=["missing", "truncated"])
def test_an_item_that_is_missing_or_truncated_is_computed_again(tmp_path, sources, damaged, damage):
    make(tmp_path / "out", sources)
    damage(tmp_path / "out" / damaged)
    assert make(tmp_path / "out", sources) == Account(computed=1, restored=0, kept=3, removed=0)


@pytest.mark.parametrize("manifest", ["", "[]", '{"format": "other", "version": 1, "items": {}}'])
def test_without_a_manifest_of_its_own_a_folder_is_made_anew(tmp_path, sources, manifest):
    make(tmp_path / "out", sources)
    write(tmp_path / "out" / "manifest.json", manifest)
    assert make(tmp_path / "out", sources).computed == 4


def test_what_is_foreign_and_what_a_killed_run_left_is_removed(tmp_path, sources):
    make(tmp_path / "out", sources)
    before = contents(tmp_path / "out")
    write(tmp_path / "out" / "foreign" / "deep" / "file.txt", "?")
    write(tmp_path / "out" / ".a.123.tmp.txt", "?")
    write(tmp_path / "out" / ".b.123.tmp" / "0.txt", "?")
    assert make(tmp_path / "out", sources) == Account(computed=0, restored=0, kept=4, removed=1)
    assert contents(tmp_path / "out") == before
    assert not (tmp_path / "out" / "foreign").exists()


def test_what_was_finished_before_a_failure_is_kept_by_the_next_run(tmp_path, sources):
    make(tmp_path / "expected", sources)
    write(sources / "b.txt", "bad")
    with pytest.raises(InputDataError, match="E-BAD case=b"):
        make(tmp_path / "out", sources)
    with (tmp_path / "out" / "journal.jsonl").open("a") as journal:
        journal.write('{"name": "b", "ke')  # as a kill in the middle of a line leaves it
    write(sources / "b.txt", "text of b")
    write(sources / "d.txt", "bad")
    with pytest.raises(InputDataError, match="E-BAD case=d"):
        make(tmp_path / "out", sources)
    write(sources / "d.txt", "text of d")
    assert make(tmp_path / "out", sources) == Account(computed=0, restored=0, kept=4, removed=0)
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")


def test_bad_data_is_handed_over_and_does_not_count_as_finished(tmp_path, sources):
    items = [Item(p.stem, p, inputs=(p,), outputs=(f"{p.stem}.txt", p.stem)) for p in sorted(sources.iterdir())]
    make(tmp_path / "expected", sources, names="acd")
    make(tmp_path / "out", sources)
    write(sources / "b.txt", "bad")
    failures = []
    account = make_items(tmp_path / "out", toy(items), on_failure=lambda *failure: failures.append(failure))
    assert account == Account(computed=0, restored=0, kept=3, removed=4)
    assert [(payload, error.code) for payload, error in failures] == [(sources / "b.txt", "BAD")]
    assert contents(tmp_path / "out") == contents(tmp_path / "expected")
    write(sources / "b.txt", "text of b")
    assert make(tmp_path / "out", sources) == Account(computed=1, restored=0, kept=3, removed=0)


def crash_or_copy(source, folder):
    if source.read_text() == "crash":
        with whole_file(folder / "b.txt") as temporary:
            temporary.write_text("half")
            os.abort()
    copy_loudly(source, folder)


def test_a_crash_under_limits_leaves_the_other_items_and_no_half_written_file(tmp_path, sources):
    items = [Item(p.stem, p, inputs=(p,), outputs=(f"{p.stem}.txt", p.stem)) for p in sorted(sources.iterdir())]
    write(sources / "b.txt", "crash")
    failures = []
    limits = {"seconds": 60, "memory": 2**40, "on_failure": lambda *failure: failures.append(failure)}
    account = make_items(tmp_path / "out", toy(items, crash_or_copy), **limits)
    assert (account.computed, account.kept) == (3, 0)
    assert not list((tmp_path / "out").glob(".*"))
    assert [(payload.stem, error.code, error.case) for payload, error in failures] == [("b", "CASE-CRASH", "b")]
    write(sources / "b.txt", "text of b")
    account = make_items(tmp_path / "out", toy(items, crash_or_copy))
    assert account == Account(computed=1, restored=0, kept=3, removed=0)


def test_bad_data_cannot_be_handed_over_for_items_that_are_made_together(tmp_path, sources):
    items = [Item("a", sources / "a.txt", inputs=(), outputs=("a.txt",))]
    with pytest.raises(ValueError, match="make_items: expected at_once or on_failure, got both"):
        make_items(tmp_path / "out", toy(items, copy_together, at_once=2), on_failure=pytest.fail)


def stamp(source, folder, *, mark, fails):
    """Output of equal size whatever the mark."""
    with whole_file(folder / source.stem) as temporary:
        temporary.write_text(mark)
    if fails:
        raise InputDataError("LATE", case=source.stem, cause="expected no failure", remedy="None.")


def test_what_an_unfinished_run_of_other_parameters_wrote_is_not_taken_for_the_old(tmp_path, sources):
    def run(mark, *, fails=False):
        items = [Item(path.stem, path, inputs=(path,), outputs=(path.stem,)) for path in sorted(sources.iterdir())]
        function = partial(stamp, mark=mark, fails=fails)
        return make_items(tmp_path / "out", toy(items, function, mark=mark))

    run("1")
    with pytest.raises(InputDataError, match="E-LATE case=a"):
        run("2", fails=True)
    for name in "bcd":  # as if the run had been killed before it came to them
        write(tmp_path / "out" / name, "1")
    assert run("1") == Account(computed=1, restored=0, kept=3, removed=0)
    assert (tmp_path / "out" / "a").read_text() == "1"


@pytest.mark.parametrize("line", ["7", "[]", "{}", '{"name": "a", "key": "k", "outputs": {"a": {"size": 1}}}'])
def test_a_line_of_the_journal_that_says_nothing_is_left_out(tmp_path, sources, line):
    make(tmp_path / "out", sources)
    write(tmp_path / "out" / "journal.jsonl", line)
    assert make(tmp_path / "out", sources) == Account(computed=0, restored=0, kept=4, removed=0)


def test_a_disk_without_room_is_told_before_the_work(tmp_path, sources):
    items = [Item(path.stem, path, inputs=(path,), outputs=(path.stem,)) for path in sorted(sources.iterdir())]
    expected = r"toy: expected about 4000000000.00 GB of free disk for 4 items, got \d+\.\d\d GB. Free disk space"
    with pytest.raises(SystemResourceError, match=expected):
        make_items(tmp_path / "out", toy(items, size=lambda _: 10**18))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"journal.jsonl"}


@pytest.mark.parametrize("names", ["aa", "aba"])
def test_items_of_the_same_name_are_refused(tmp_path, names):
    items = [Item(name, None, inputs=(), outputs=(name,)) for name in names]
    with pytest.raises(ValueError, match=f"make_items: expected .* names and outputs of their own, got {len(names)}"):
        make_items(tmp_path / "out", toy(items))


@pytest.fixture
def project(tmp_path, sources):
    """A DVC project whose cache holds what mark 1 gives."""
    dvc(tmp_path, "init", "--no-scm", "--quiet")
    make(tmp_path / "out", sources)
    dvc(tmp_path, "add", "--quiet", "out")
    return tmp_path


def dvc(folder, *arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.filterwarnings("default")  # those of DVC are not ours
@pytest.mark.system
def test_a_parameter_set_back_or_a_deleted_folder_is_restored_from_the_cache_of_dvc(project, sources):
    before = contents(project / "out")
    assert make(project / "out", sources, mark="2").computed == 4
    assert make(project / "out", sources, mark="1") == Account(computed=0, restored=4, kept=0, removed=0)
    assert contents(project / "out") == before
    shutil.rmtree(project / "out" / "a")
    assert make(project / "out", sources) == Account(computed=0, restored=1, kept=3, removed=0)
    shutil.rmtree(project / "out")
    assert make(project / "out", sources) == Account(computed=0, restored=4, kept=0, removed=0)
    assert contents(project / "out") == before


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("TEXT OF C")], ids=["gone", "changed"])
@pytest.mark.system
def test_what_is_damaged_in_the_cache_of_dvc_is_computed(project, sources, damage):
    for path in (project / ".dvc" / "cache").rglob("*"):
        if path.is_file() and path.read_text() == "TEXT OF B":
            path.chmod(0o644)
            damage(path)
    shutil.rmtree(project / "out")
    assert make(project / "out", sources) == Account(computed=1, restored=3, kept=0, removed=0)


FILES = {
    "kitchen/__init__.py": "from kitchen.bread import loaf\n",
    "kitchen/bread.py": """
from brick import wall
from kitchen import herbs
from kitchen.oven import heat

SALT = 1

def cut(loaf):
    return loaf

def loaf():
    return heat(SALT, herbs.mint, wall)
""",
    "kitchen/herbs.py": "mint = 1\nsage = 1\n",
    "kitchen/oven.py": """
from kitchen.pan import Pan

def heat(*things: "Pan"):
    return things

def cool():
    return Pan
""",
    "kitchen/pan.py": "class Pan:\n    pass\n",
    "brick.py": "wall = 1\n",
}


@pytest.fixture
def kitchen(tmp_path, monkeypatch):
    """A package whose function `loaf` uses other modules, and a library beneath it."""
    for name, text in FILES.items():
        write(tmp_path / name, text)
    write(tmp_path / "brick.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: brick\nVersion: 1.0\n")
    write(tmp_path / "brick.dist-info" / "top_level.txt", "brick\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("kitchen", "brick")]:
        del sys.modules[name]


def change(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    write(folder / name, text.replace(old, new))


@pytest.mark.usefixtures("kitchen")
def test_a_fingerprint_holds_what_the_function_reaches_and_nothing_else():
    from kitchen import loaf

    reached = reach(partial(loaf))
    names = {place for place in reached.definitions if not place.endswith(":")}
    assert names == {"kitchen.bread:loaf", "kitchen.bread:SALT", "kitchen.herbs:mint", "kitchen.oven:heat"}
    assert reached.imported == {"kitchen.bread:wall": "brick.wall"}
    assert code_fingerprint(loaf, {"salt": 1}) != code_fingerprint(loaf, {"salt": 2})


@pytest.mark.parametrize(
    ("file", "old", "new", "counts"),
    [
        ("bread.py", "def loaf():", '# Why.\n\ndef loaf():\n    """Bake."""', False),
        ("bread.py", "    return loaf", "    return [loaf]", False),
        ("bread.py", "SALT = 1", "SALT = 2", True),
        ("oven.py", "return things", "return [things]", True),
        ("oven.py", "return Pan", "return [Pan]", False),
        ("oven.py", "def heat", "print()\n\ndef heat", True),
        ("pan.py", "pass", "lid = 1", False),  # named in an annotation
        ("herbs.py", "mint = 1", "mint = 2", True),
        ("herbs.py", "sage = 1", "sage = 2", False),
    ],
)
def test_an_edit_changes_the_fingerprint_where_the_function_reaches_it(kitchen, file, old, new, counts):
    from kitchen import loaf

    before = code_fingerprint(loaf, {})
    change(kitchen, f"kitchen/{file}", old, new)
    assert (code_fingerprint(loaf, {}) != before) == counts


def test_a_new_import_joins_the_fingerprint(kitchen):
    from kitchen import loaf

    change(kitchen, "kitchen/oven.py", "return things", "return things, cool()")
    before = code_fingerprint(loaf, {})
    assert "kitchen.pan:Pan" in reach(loaf).definitions
    change(kitchen, "kitchen/pan.py", "pass", "lid = 1")
    assert code_fingerprint(loaf, {}) != before
    change(kitchen, "kitchen/pan.py", "class Pan:", "import numpy\n\nclass Pan(numpy.ndarray):")
    assert reach(loaf).imported["kitchen.pan:numpy"] == "numpy"


def test_a_fingerprint_changes_with_the_version_of_a_library_but_not_with_its_build(kitchen):
    from kitchen import loaf

    digests = []
    for version in ("1.0", "1.0+cpu", "1.1"):
        write(kitchen / "brick.dist-info" / "METADATA", f"Metadata-Version: 2.1\nName: brick\nVersion: {version}\n")
        importlib.invalidate_caches()
        digests.append(code_fingerprint(loaf, {}))
    assert digests[0] == digests[1] != digests[2]


def test_the_manifest_says_what_each_item_is_made_of(tmp_path, sources):
    make(tmp_path / "out", sources)
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (content["format"], content["version"]) == ("dmdbt items", 1)
    assert content["items"]["a"]["outputs"]["a"]["files"] == 3
    assert content["items"]["a"]["outputs"]["a.txt"]["bytes"] == len("text of a")
