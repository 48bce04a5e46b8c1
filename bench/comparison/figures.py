"""The figure that stands for a subject in a measure, and how it is written."""

from dataclasses import dataclass
from statistics import median

from . import results, samples


@dataclass(frozen=True)
class Figure:
    """A median of n samples or, where there are only points, the slope through
    n points, which has no interval."""
    value: float
    interval: samples.Interval | None
    n: int
    is_slope: bool = False


def figure(measure, subject):
    """None where nothing was measured, or points have no slope."""
    values = results.samples(measure, subject)
    if values:
        middle = median(values)
        if all(isinstance(v, int) for v in values) and middle == int(middle):
            middle = int(middle)  # a count
        return Figure(middle, samples.median_interval(values), len(values))
    points = results.points(measure, subject)
    slope = samples.slope(points) if points else None
    return None if slope is None else Figure(slope, None, len(points), True)


def why_none(measure, subject):
    """Of a subject without a figure."""
    return results.reason(measure, subject) or \
        f"{subject}: one point alone has no slope"


def is_slope(measure):
    return not measure["samples"] and bool(measure.get("points"))


def title(measure):
    return measure["title"] + (", slope" if is_slope(measure) else "")


def unit(measure):
    if not is_slope(measure):
        return measure["unit"]
    return f"{measure['unit']} per {measure.get('x', 'x').removesuffix('s')}"


def ratio(measure, subject, base=results.NATIVE):
    """None unless both have a figure, the base's more than 0, and none less:
    what a host lacks for an instance may be."""
    own, other = figure(measure, subject), figure(measure, base)
    if own is None or other is None or own.value < 0 or other.value <= 0:
        return None
    return own.value / other.value


def best(measure, names):
    """Those of the names with the best figure, and those which the samples do
    not tell from it though they could; none if none is better."""
    values = {name: figure(measure, name).value for name in names
              if figure(measure, name)}
    if measure["better"] == "none" or len(values) < 2:
        return set()
    first = (min if measure["better"] == "less" else max)(
        values, key=values.get)
    return {name for name, value in values.items()
            if value == values[first] or _alike(measure, name, first)}


def _alike(measure, name, other):
    own, others = (results.samples(measure, n) for n in (name, other))
    return bool(own and others) and \
        samples.smallest_p(len(own), len(others)) <= samples.ALPHA and \
        samples.mann_whitney(own, others) > samples.ALPHA


# --- writing ---

def number(value):
    """Three figures, or all before the point."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 99.95 or isinstance(value, int):
        return f"{value:,.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.9995:
        return f"{value:.2f}"
    return f"{value:.3g}"


def with_unit(value, measure):
    return f"{number(value)} {unit(measure)}".rstrip()


def times(value):
    """A ratio."""
    if 0.0995 <= value < 9.995:
        return f"×{value:.2f}"
    return f"×{number(value)}"


def between(interval):
    """An interval; its coverage where that is less than asked for."""
    text = f"{number(interval.low)} – {number(interval.high)}"
    if interval.coverage < samples.CONFIDENCE:
        text += f" ({interval.coverage * 100:.3g} %)"
    return text
