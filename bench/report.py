# SPDX-License-Identifier: MIT
"""The report of a benchmark run: lines for the terminal, report.json, and one HTML page with SVG plots."""

import html
import json
import math
import os

COLOURS = ["#1f5fa8", "#c8501e", "#2b8a3e", "#7a3fa0", "#8a6d00", "#b0245c"]
BAR = 60  # characters of a bar for all
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 380, 70, 20, 20, 50


def number(value):
    if value is None:
        return ""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f}"


def goal_text(row):
    if "goal" not in row:
        return ""
    names = {"ratio_max": "ratio at most", "ratio_min": "ratio at least", "max": "at most", "min": "at least",
             "spread_max": "spread at most"}
    (kind, value), = row["goal"].items()
    if "met" not in row:
        return f"{names[kind]} {value:g} in a release build"
    return f"{names[kind]} {value:g}: {'met' if row['met'] else 'NOT MET'}"


def columns(section):
    """(headings, [[cell]]) of a section's table."""
    if section["kind"] == "series":
        tokens = [p["tokens"] for p in section["series"][0]["points"]]
        rows = []
        for s in section["series"]:
            for unit in ("ns", "instructions"):
                values = [p.get(unit) for p in s["points"]]
                if None not in values:
                    goal = goal_text(s) if unit == "instructions" else ""
                    rows.append([f"{s['name']}, {unit}", *map(number, values), f"{s[f'spread_{unit}']:.0%}", goal])
        return ["", *map(str, tokens), "spread", "goal"], rows
    if section["kind"] == "parts":
        total = sum(row["median"] for row in section["rows"])
        rows = [[row["name"], number(row["median"]), f"{row['median'] / total:.0%}",
                 "█" * round(BAR * row["median"] / total)] for row in section["rows"]]
        return ["", section["unit"], "share", ""], [*rows, ["all", number(total), "", ""]]
    extra = {"latency": [("p99", "p99"), ("p99.9", "p99.9")],
             "open": [("p99", "p99"), ("requests/s", "rate")],
             "rate": [("server ns/message", "server_ns_per_message")]}.get(section["kind"], [])
    heads = ["", section["unit"], *(h for h, _ in extra), "ratio", "goal"]
    return heads, [[row["name"], number(row["median"]), *(number(row[k]) for _, k in extra),
                    f"{row['ratio']:.3f}" if "ratio" in row else "", goal_text(row)] for row in section["rows"]]


def text(section):
    lines = ["", section["title"]]
    if section["kind"] == "skipped":
        return "\n".join([*lines, f"  skipped: {section['reason']}"])
    heads, rows = columns(section)
    widths = [max(len(str(r[i])) for r in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        cells = [str(c).ljust(w) if i in (0, len(heads) - 1) else str(c).rjust(w)
                 for i, (c, w) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    if section.get("ring_us"):
        lines.append(f"  bare ring between the two cores: {section['ring_us']:.2f} us")
    return "\n".join(lines)


class Plot:
    """Lines over logarithmic axes."""

    def __init__(self, x_range, y_range, x_label, y_label):
        self.x_range, self.y_range = x_range, y_range
        self.parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
                      f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_label)}</text>',
                      f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
                      f'{html.escape(y_label)}</text>']
        self.legend = []

    @staticmethod
    def place(value, bounds, low, high):
        a, b = math.log(bounds[0]), math.log(bounds[1])
        return low + (math.log(value) - a) / ((b - a) or 1) * (high - low)

    def x(self, value):
        return self.place(value, self.x_range, LEFT, WIDTH - RIGHT)

    def y(self, value):
        return self.place(value, self.y_range, HEIGHT - BOTTOM, TOP)

    def grid(self, x_ticks, y_ticks):
        for value, label in x_ticks:
            x = self.x(value)
            self.parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
                              f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{label}</text>')
        for value, label in y_ticks:
            y = self.y(value)
            self.parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
                              f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')

    def line(self, name, points, colour):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        self.legend.append(f'<span><i style="background:{colour}"></i>{html.escape(name)}</span>')

    def svg(self):
        return "".join([*self.parts, "</svg>", '<p class="legend">', *self.legend, "</p>"])


def ticks(low, high):
    """1, 2, 5, 10 ... within a range."""
    out = []
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for step in (1, 2, 5):
            value = step * 10.0 ** exponent
            if low <= value <= high:
                out.append((value, f"{value:g}"))
    return out


def percentile_plot(section):
    """Latency by percentile; the axis is 1 / (1 - p), so it stretches towards 100%."""
    curves = []
    for row in section["rows"]:
        curve = [(1 / (1 - p / 100), ns / 1000) for p, ns in row["curve"] if p <= 99.99 and ns > 0]
        if curve:
            curves.append((row["name"], curve))
    if not curves:
        return ""
    low = min(y for _, c in curves for _, y in c) * 0.9
    high = max(y for _, c in curves for _, y in c) * 1.1
    plot = Plot((1, 1e4), (low, high), "percentile", "round trip, us")
    plot.grid([(1, "0"), (2, "50"), (10, "90"), (100, "99"), (1000, "99.9"), (10000, "99.99")], ticks(low, high))
    if section.get("ring_us") and section["ring_us"] >= low:
        plot.line("bare ring", [(1, section["ring_us"]), (1e4, section["ring_us"])], "#999")
    for (name, curve), colour in zip(curves, COLOURS):
        plot.line(name, curve, colour)
    return plot.svg()


def series_plot(section, unit):
    lines = [(s["name"], [(p["tokens"], p[unit]) for p in s["points"] if p.get(unit)]) for s in section["series"]]
    lines = [(name, points) for name, points in lines if points]
    if not lines:
        return ""
    xs = [x for _, points in lines for x, _ in points]
    ys = [y for _, points in lines for _, y in points]
    low, high = min(ys) * 0.5, max(ys) * 2
    plot = Plot((min(xs), max(max(xs), min(xs) * 10)), (low, high), "outstanding tokens", f"{unit} per completion")
    plot.grid([(x, f"{x:,}") for x in sorted(set(xs))], ticks(low, high))
    for (name, points), colour in zip(lines, COLOURS):
        plot.line(name, points, colour)
    return plot.svg()


def section_html(section):
    out = [f"<h2>{html.escape(section['title'])}</h2>"]
    if section["kind"] == "skipped":
        return "".join([*out, f"<p>Skipped: {html.escape(section['reason'])}.</p>"])
    heads, rows = columns(section)
    out.append("<table><tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in heads) + "</tr>")
    for row in rows:
        missed = ' class="missed"' if "NOT MET" in row[-1] else ""
        out.append(f"<tr{missed}>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>")
    out.append("</table>")
    if section.get("ring_us"):
        out.append(f"<p>Bare ring between the two cores, in the same rounds: {section['ring_us']:.2f} us.</p>")
    if section["kind"] == "latency":
        out.append(percentile_plot(section))
    if section["kind"] == "series":
        out += [series_plot(section, "ns"), series_plot(section, "instructions")]
    return "".join(out)


STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:820px;margin:2em auto;padding:0 1em;color:#222}
h2{font-size:1.1em;margin-top:2.5em}table{border-collapse:collapse;font-size:14px}
td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child,td:last-child{text-align:left}.missed td{background:#fdeaea}
svg{width:100%;font-size:12px;margin-top:1em}.grid{stroke:#e4e4e4;fill:none}
.legend span{margin-right:1.5em;white-space:nowrap}.legend i{display:inline-block;width:1em;height:.3em;
vertical-align:middle;margin-right:.4em}"""


def write(result, folder):
    with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
    m = result["machine"]
    head = f"{m['processor']}, {m['cores']} cores, Linux {m['kernel']}, {m['time']}; {result['scale']} run"
    body = "".join(section_html(s) for s in result["sections"])
    page = (f"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>dmtr benchmarks</title>"
            f"<style>{STYLE}</style></head><body><h1>dmtr benchmarks</h1><p>{html.escape(head)}.</p>"
            f"<p>Every round ran all contestants; figures are medians of rounds, ratios are medians of each "
            f"round's ratio to the first. Only ratios within one run are meaningful.</p>{body}</body></html>\n")
    with open(os.path.join(folder, "report.html"), "w", encoding="utf-8") as f:
        f.write(page)
