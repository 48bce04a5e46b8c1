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


def told():
    """Of all options, and of those that this architecture alone has."""
    return {**items("OPTIONS OF RUN"),
            **items(f"OPTIONS OF RUN ON {onggi.ARCH.upper()}")}


def helped():
    """{option and argument: help}, in the order of the help."""
    text = run("run", "--help").stdout
    return {tag.replace(" ", ""): said for tag, said in
            re.findall(r"^  (--.*)\n        (.*)", text, re.M)}


def test_the_manual_has_every_option_with_its_argument():
    assert list(told()) == list(helped())


def test_the_manual_has_the_defaults_of_the_help():
    manual = told()
    defaults = {tag: match[1] for tag, text in helped().items()
                if (match := re.search(r"\((\w+)[:)]", text))}
    assert len(defaults) == 8, defaults
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
