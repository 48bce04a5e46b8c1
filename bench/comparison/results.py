"""results.json, the file between measuring and reporting: its schema.

Whoever measures writes it by write(), whoever reports reads it by load(); both
check every field, so that a mistake shows as one line that names the field.

    format      1
    command     what to run to make it again
    clock       "wall", or "counted": 1 ns for each instruction
    emulated    whether the machine is an emulated one
    scale       one of SCALES
    runs        repetitions asked for
    date        UTC, as 2026-11-29T07:00:00Z
    host        {fact: text, number or boolean}, in the order of display
    conditions  [text]: what a reader must know
    subjects    [{name, kind, version, note, missing}] in the order of display
    dimensions  [{key, title, text, measures, missing}]
    measures    [{key, title, unit, better, samples, failed, points, x}]

A subject that could not run at all has "missing", which says why, and so has a
dimension without measures. In every measure every other subject has samples
{subject: [number]}, points {subject: [[x, y]]} or a reason in failed
{subject: text}; one that failed after some samples may have both.
"""

import json
import os
import re
from pathlib import Path

FORMAT = 1
CLOCKS = ("wall", "counted")
SCALES = ("full", "quick", "small", "tiny")
KINDS = ("process", "container", "vm")
BETTER = ("less", "more", "none")
NATIVE = "native"
LARGEST = 1e300  # what is reckoned with it is finite, too
START_STAGES = ("exec_run", "init", "first_byte", "reaped")


class BadResults(Exception):
    """One line: the file, the field and the reason."""


# --- reading and writing ---

def load(path):
    """The results of a file, or of results.json in a folder."""
    path = Path(path)
    if path.is_dir():
        path /= "results.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"),
                          parse_constant=_no_constant)
    except OSError as error:
        raise BadResults(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadResults(f"{path}: not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise BadResults(f"{path}: not JSON: {error}") from error
    check(data, path)
    return data


def write(path, data):
    """Checks and writes, so that a file of that name is always whole."""
    check(data, path)
    partial = Path(f"{path}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")
    os.replace(partial, path)


def _no_constant(name):
    raise ValueError(f"{name} is not a number of JSON's")


# --- what is in it ---

def subjects(data):
    """Those that ran, in order: names."""
    return [s["name"] for s in data["subjects"] if "missing" not in s]


def missing(data):
    """{name: reason} of the subjects that could not run at all."""
    return {s["name"]: s["missing"] for s in data["subjects"]
            if "missing" in s}


def of_kind(data, kind):
    return [s["name"] for s in data["subjects"]
            if s["kind"] == kind and "missing" not in s]


def measures(data):
    """{key: measure} of all dimensions, in order."""
    return {m["key"]: m for d in data["dimensions"] for m in d["measures"]}


def samples(measure, subject):
    """Possibly none."""
    return measure["samples"].get(subject, [])


def points(measure, subject):
    """[[x, y]], possibly none."""
    return measure.get("points", {}).get(subject, [])


def reason(measure, subject):
    """Why the subject has no samples, or no more than it has; or None."""
    return measure.get("failed", {}).get(subject)


# --- checking ---

def check(data, name="results"):
    """Raises BadResults at the first field that is not as it should be."""
    try:
        _check_results(data)
    except BadResults as error:
        raise BadResults(f"{name}: {error}") from error


def _check_results(data):
    _object(data, "", {
        "format": _format, "command": _text, "clock": _one_of(CLOCKS),
        "emulated": _boolean, "scale": _one_of(SCALES), "runs": _count,
        "date": _date, "host": _host, "conditions": _list_of(_text),
        "subjects": _list_of(_subject), "dimensions": _list_of(_dimension)})
    if data["clock"] == "counted" and not data["emulated"]:
        raise BadResults("emulated: false, but only an emulated machine has "
                         "a counted clock")
    _unique(data["subjects"], "name", "subjects")
    _unique(data["dimensions"], "key", "dimensions")
    keys = {}
    for where, measure in _places(data):
        if measure["key"] in keys:
            raise BadResults(f"{where}.key: {measure['key']} is that of "
                             f"{keys[measure['key']]}, too")
        keys[measure["key"]] = where
        _check_subjects(data, where, measure)


def _places(data):
    """(name of the place, measure) of each."""
    for i, dimension in enumerate(data["dimensions"]):
        for j, measure in enumerate(dimension["measures"]):
            yield f"dimensions[{i}].measures[{j}]", measure


def _check_subjects(data, where, measure):
    """Each subject that ran has samples, points or a reason; no other has."""
    known, absent = subjects(data), missing(data)
    for field in ("samples", "points", "failed"):
        for subject in measure.get(field, {}):
            if subject in absent and field != "failed":
                raise BadResults(f"{where}.{field}.{subject}: this subject "
                                 "is missing")
            if subject not in known and subject not in absent:
                raise BadResults(f"{where}.{field}.{subject}: no subject has "
                                 "this name")
    for subject in known:
        if not any(subject in measure.get(field, {})
                   for field in ("samples", "points", "failed")):
            raise BadResults(f"{where}.failed.{subject}: missing: without "
                             "samples there must be a reason")


# Each takes a value and the name of its place.

def _object(value, where, fields, optional=None):
    optional = optional or {}
    if not isinstance(value, dict):
        raise BadResults(f"{where or 'the whole'}: not an object")
    inside = f"{where}." if where else ""
    for key, check_field in fields.items():
        if key not in value:
            raise BadResults(f"{inside}{key}: missing")
        check_field(value[key], inside + key)
    for key in value:
        if key in optional:
            optional[key](value[key], inside + key)
        elif key not in fields:
            raise BadResults(f"{inside}{key}: no such field")


def _subject(value, where):
    _object(value, where, {"name": _name, "kind": _one_of(KINDS)},
            {"version": _any_text, "note": _any_text, "missing": _text})


def _dimension(value, where):
    _object(value, where, {"key": _name, "title": _text, "text": _any_text,
                           "measures": _list_of(_measure)},
            {"missing": _text})
    if not value["measures"] and "missing" not in value:
        raise BadResults(f"{where}.missing: missing: without measures there "
                         "must be a reason")


def _measure(value, where):
    _object(value, where, {
        "key": _name, "title": _text, "unit": _any_text,
        "better": _one_of(BETTER), "samples": _map_of(_filled(_number))},
        {"failed": _map_of(_text), "points": _map_of(_filled(_point)),
         "x": _text})


def _format(value, where):
    if value != FORMAT or isinstance(value, bool):
        raise BadResults(f"{where}: {value!r}, but only {FORMAT} is known")


def _text(value, where):
    if not isinstance(value, str) or not value.strip():
        raise BadResults(f"{where}: not a text, or an empty one")
    _any_text(value, where)


def _any_text(value, where):
    if not isinstance(value, str):
        raise BadResults(f"{where}: not a text")
    if re.search("[\ud800-\udfff]", value):
        raise BadResults(f"{where}: half a character")


def _name(value, where):
    """Of what stands in keys: no blanks, nothing of HTML's."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.+-]+", value):
        raise BadResults(f"{where}: not a name of letters, digits and _.+-")


def _date(value, where):
    if not isinstance(value, str) or not re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value):
        raise BadResults(f"{where}: not like 2026-11-29T07:00:00Z")


def _boolean(value, where):
    if not isinstance(value, bool):
        raise BadResults(f"{where}: neither true nor false")


def _number(value, where):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or \
            not abs(value) <= LARGEST:
        raise BadResults(f"{where}: not a number, or one beyond {LARGEST:g}")


def _count(value, where):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadResults(f"{where}: not a whole number of at least 1")


def _point(value, where):
    if not isinstance(value, list) or len(value) != 2:
        raise BadResults(f"{where}: not a pair of numbers")
    for i, number in enumerate(value):
        _number(number, f"{where}[{i}]")


def _host(value, where):
    def fact(value, where):
        if not isinstance(value, (str, int, float, bool)):
            raise BadResults(f"{where}: not a text, number or boolean")
        if isinstance(value, str):
            _any_text(value, where)
    _map_of(fact)(value, where)


def _one_of(allowed):
    def one(value, where):
        if value not in allowed:
            raise BadResults(f"{where}: {value!r} is none of "
                             f"{', '.join(allowed)}")
    return one


def _list_of(check_item):
    def every(value, where):
        if not isinstance(value, list):
            raise BadResults(f"{where}: not a list")
        for i, item in enumerate(value):
            check_item(item, f"{where}[{i}]")
    return every


def _filled(check_item):
    def every(value, where):
        _list_of(check_item)(value, where)
        if not value:
            raise BadResults(f"{where}: empty; a subject without samples "
                             "belongs in failed")
    return every


def _map_of(check_item):
    def every(value, where):
        if not isinstance(value, dict):
            raise BadResults(f"{where}: not an object")
        for key, item in value.items():
            check_item(item, f"{where}.{key}")
    return every


def _unique(items, field, where):
    seen = set()
    for i, item in enumerate(items):
        if item[field] in seen:
            raise BadResults(f"{where}[{i}].{field}: {item[field]} is there "
                             "twice")
        seen.add(item[field])
