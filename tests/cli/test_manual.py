"""Manual, README and help say the same as the program does."""

import re

from common import onggi
from onggi import run

MANUAL = (onggi.ROOT / "docs/onggi.1").read_text()
README = (onggi.ROOT / "README.md").read_text()


def section(name):
    return re.search(rf'^\.SH {name}\n(.*?)(?=^\.SH|\Z)', MANUAL,
                     re.M | re.S).group(1)


def plain(text):
    """Roff without its macros, quotes and escapes."""
    text = re.sub(r"^\.[A-Z]+ ?", "", text, flags=re.M)
    return re.sub(r'[\\"]', "", text)


def items(name):
    """{tag: text} of a section's tagged paragraphs."""
    found = {}
    for item in section(name).split(".TP\n")[1:]:
        tag, _, text = item.partition("\n")
        found[plain(tag).replace(" ", "")] = plain(text).replace("\n", " ")
    return found


def keys_told(name):
    """{tag: keys} of a section's options, as items() has their tags."""
    found = {}
    for item in section(name).split(".TP\n")[1:]:
        tag, _, text = item.partition("\n")
        listed = " ".join(re.findall(r"^\.IP (.*\\fB.*)", text, re.M))
        found[plain(tag).replace(" ", "")] = [
            key.replace("\\-", "-")
            for key in re.findall(r"\\fB(.+?)\\fR", listed)]
    return found


def told():
    """Of all options, and of those that this architecture alone has."""
    return {**items("OPTIONS OF RUN"),
            **items(f"OPTIONS OF RUN ON {onggi.ARCH.upper()}")}


def helped():
    """{option and argument: help}, in the order of the help."""
    text = run("run", "--help").stdout
    return {tag.replace(" ", ""): said for tag, said in
            re.findall(r"^  (--.*)\n        (.*)", text, re.M)}


def keys_helped():
    """{option and argument: keys}, of options that have keys."""
    found = {}
    for line in run("run", "--help").stdout.splitlines():
        if line.startswith("  --"):
            tag = line.replace(" ", "")
        elif match := re.match(r" {10}\[?([a-z-]+)(=|\b)", line):
            found.setdefault(tag, []).append(match[1])
    return found


def test_the_manual_has_every_key_of_every_option():
    """Those of --hvc are those of --console."""
    manual = keys_told("OPTIONS OF RUN")
    helped_keys = keys_helped()
    assert len(helped_keys) >= 9, helped_keys
    console, hvc = (next(tag for tag in helped_keys if tag.startswith(name))
                    for name in ("--console", "--hvc"))
    assert helped_keys.pop(hvc) == helped_keys[console]
    for tag, keys in helped_keys.items():
        assert sorted(manual.pop(tag)) == sorted(keys), tag
    assert not any(manual.values()), manual


def test_every_line_of_the_help_explains_and_fits():
    lines = run("run", "--help").stdout.splitlines()
    assert [line for line in lines if len(line) > 100] == []
    keys = [line for line in lines if line.startswith(" " * 10)]
    assert len(keys) == sum(map(len, keys_helped().values()))
    for line in keys:
        assert re.fullmatch(r" {10}\S+ +\S.*", line), line


def test_the_manual_has_every_option_with_its_argument():
    assert list(told()) == list(helped())


def test_the_manual_has_the_defaults_of_the_help():
    manual = told()
    defaults = {tag: match[1] for tag, text in helped().items()
                if (match := re.search(r"\((\w+)[:)]", text))}
    assert len(defaults) >= 8, defaults
    for tag, default in defaults.items():
        assert re.search(rf"\( ?{default} ?\)|{default} , the default",
                         manual[tag]), tag


def test_all_have_the_same_exit_statuses():
    help_text = run("run", "--help").stdout.partition("exit status:")[2]
    source = (onggi.ROOT / "base/error.h").read_text()
    errors = set(re.findall(r"^\tERROR_\w+ = (\d+),", source, re.M))
    assert errors == set(re.findall(r"^\| (\d\d) \|", README, re.M))
    assert errors == {n for n in items("EXIT STATUS") if len(n) == 2}
    assert errors == set(re.findall(r"\b(\d\d) [a-zK]", help_text))
    for text in (README, MANUAL.replace(" ", ""), help_text.replace(" ", "")):
        assert "128+N" in text
