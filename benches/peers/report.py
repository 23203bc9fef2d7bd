"""The report: medians of the rounds as Markdown tables, the targets as ratios with pass or miss, and the plot."""

import statistics
from pathlib import Path

import plot
from built import ALGORITHMS
from machine import ROOT

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
COMMAND = "make bench-peers"
FLOOR, OURS, OURS_UNIX = "Pingora bare", "Callgate", "Callgate, Unix socket"
PEERS = ["nginx auth_jwt", "pingap", "HAProxy", "Envoy", "Envoy cached"]

# The workloads that the README shows.
IN_README = ["open", "none", *(f"{kind} ES256" for kind in ("hot", "turn", "new"))]

median = statistics.median


class Figures:
    """The medians of what was measured. A figure that is missing is None."""

    def __init__(self, readings):
        self.readings = readings

    def get(self, workload, product, what="cpu"):
        runs = self.readings["runs"].get(workload, {}).get(product)
        return median(run[what] for run in runs) if runs else None

    def ratio(self, one, other):
        """CPU per request of one (workload, product) to another's: the median of the ratios that each round gave. A machine
        that others use is not as fast in one round as in the next, which then does not count."""
        rounds = [self.readings["runs"].get(workload, {}).get(product, []) for workload, product in (one, other)]
        if len(rounds[0]) != len(rounds[1]):
            return _ratio(self.get(*one), self.get(*other))
        ratios = [ours["cpu"] / theirs["cpu"] for ours, theirs in zip(*rounds)]
        return median(ratios) if ratios else None

    def bare_verification(self, alg, where="beside", caches="warm"):
        return median(costs[where][alg][caches] for costs in self.readings["verification"])

    def steady(self, product, what):
        runs = self.readings["steady"].get(product)
        return median(run[what] for run in runs) if runs else None

    def ready(self, product):
        """Start to first answer with a key file: over all starts of every workload that asks for tokens."""
        runs = [run["ready"] for key, by_product in self.readings["runs"].items() if not key.startswith("open")
                for run in by_product.get(product, [])]
        return median(runs) if runs else None


def write(readings, directory):
    """Writes benchmarks.md (between its markers, if it exists) and benchmarks.svg. Returns their paths."""
    figures = Figures(readings)
    page, picture = Path(directory) / "benchmarks.md", Path(directory) / "benchmarks.svg"
    picture.write_text(plot.bars(readings, figures))
    text = f"{BEGIN}\n{markdown(readings, figures)}\n{END}"
    old = page.read_text() if page.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    page.write_text(before + text + rest.partition(END)[2])
    return page, picture


def write_readme(readings):
    """Replaces the table in the README."""
    page, figures = ROOT / "README.md", Figures(readings)
    text = "\n\n".join([
        BEGIN,
        table(readings, figures, "cpu", "{:.0f}", IN_README),
        f"CPU per request in microseconds, **lower is better**: one core each, medians of {readings['rounds']} rounds, "
        f"{readings['date']}.\n[benchmarks.md](docs/benchmarks.md) says how it was measured, and has the rest.",
        END,
    ])
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(before + text + rest.partition(END)[2])
    return page


def markdown(readings, figures):
    loads = " ".join(f"{value:.1f}" for value in readings["load"])
    command = f"{COMMAND} ROUNDS={readings['rounds']} SECONDS={readings['seconds']}"
    facts = ", ".join(f"{what}: {which}" for what, which in readings["machine"])
    return "\n\n".join([
        headline(readings, figures),
        f"`{command}` on {readings['date']}, {readings['took'] / 60:.0f} minutes. {facts}. Load average at the end: {loads}. "
        "Each product ran on one core with one worker thread, one at a time in turn; the load (64 connections, POST of "
        "1 KiB) and the upstream (an nginx that answers 202) on the other. All figures are medians of the rounds, and ratios of "
        "CPU per request the medians of the ratios that each round gave.",
        "## CPU per request, in microseconds: lower is better\n\n" + table(readings, figures, "cpu", "{:.1f}"),
        "![CPU per request](benchmarks.svg)",
        "## What is aimed at, and what is missed\n\n" + targets(figures, readings),
        "## Requests per second: higher is better\n\n" + table(readings, figures, "rate", "{:,.0f}"),
        "The load and the upstream share a core: above some 50,000 requests per second they are what is measured.",
        "## Time to answer at full load, p50 / p99 in milliseconds: lower is better\n\n" + latency(readings, figures),
        f"## At half load: {readings.get('steady_rate', 0):,.0f} requests per second, sent without waiting\n\n"
        + steady(readings, figures),
        "## Memory and start: lower is better\n\n" + memory(readings, figures),
        "## One more of something, in KiB of Callgate's memory\n\n" + more(readings),
        "## Signatures alone (aws-lc-rs, key parsed before), in microseconds\n\n" + verification(figures),
    ])


def headline(readings, figures):
    """What a request through Callgate costs, for whoever plans with it."""
    hot, new = figures.get("hot ES256", OURS), figures.get("new ES256", OURS)
    unix = figures.get("hot ES256", OURS_UNIX)
    p50, p99 = figures.steady(OURS, "p50"), figures.steady(OURS, "p99")
    if None in (hot, new, unix, p50, p99):
        return "(A trial without some of the workloads.)"
    return (f"**What a request through Callgate costs here:** {hot:.0f} microseconds of one core with an ES256 token that was seen "
            f"before, {new:.0f} with one that was not, {unix:.0f} where the service listens on a Unix socket. A thousand requests per second "
            f"take {hot / 1e3:.3f} cores ({unix / 1e3:.3f} with a Unix socket, {new / 1e3:.3f} if every token is new). At half of what one core "
            f"can do, half of the answers come within {p50 / 1e3:.1f} ms and 99 % within {p99 / 1e3:.1f} ms, the service's own time included.")


def table(readings, figures, what, form, only=()):
    rows = []
    for key, title in readings["workloads"]:
        if only and key not in only:
            continue
        cells = [_cell(figures.get(key, product, what), form) for product in readings["products"]]
        rows.append([title, *cells])
    return _table(["", *readings["products"]], rows)


def latency(readings, figures):
    rows = []
    for key, title in readings["workloads"]:
        cells = []
        for product in readings["products"]:
            p50, p99 = figures.get(key, product, "p50"), figures.get(key, product, "p99")
            cells.append("" if p50 is None else f"{p50 / 1e3:.1f} / {p99 / 1e3:.1f}")
        rows.append([title, *cells])
    return _table(["", *readings["products"]], rows)


def steady(readings, figures):
    rows = [[product, *[_cell(figures.steady(product, what), form) for what, form in
                        [("rate", "{:,.0f}"), ("p50", "{:,.0f}"), ("p99", "{:,.0f}")]]]
            for product in readings["products"] if product in readings["steady"]]
    return _table(["", "requests/s", "p50 us", "p99 us"], rows)


def memory(readings, figures):
    rows = []
    for product in readings["products"]:
        key = "hot ES256" if figures.get("hot ES256", product) is not None else "open"
        rows.append([product, _cell(figures.get(key, product, "idle"), "{:.1f}"),
                     _cell(figures.get("many", product, "peak"), "{:.1f}"), _cell(figures.ready(product), "{:.0f}")])
    return _table(["", "idle, MiB", "peak with 10,000 tokens under load, MiB", "start to first 202, ms"], rows)


def more(readings):
    scale = readings.get("scale", {})
    return _table(["", "KiB"], [[f"one more {what}", f"{kib:.1f}"] for what, kib in scale.items()])


def verification(figures):
    rows = [
        ("in a loop, on a machine that does nothing else", "alone", "warm"),
        ("in a loop, beside the load", "beside", "warm"),
        ("beside the load, with the caches swept before each", "beside", "cold"),
    ]
    return _table(["", *ALGORITHMS], [
        [title, *[f"{figures.bare_verification(alg, where, caches):.1f}" for alg in ALGORITHMS]]
        for title, where, caches in rows])


def targets(figures, readings):
    """What is aimed at, in words, the targets that are missed, and those that are met."""
    rows = list(bars(figures, readings))
    missed = [row for row in rows if row[3] is False]
    met = [row for row in rows if row[3] is True]
    unknown = [row[0] for row in rows if row[3] is None]
    shown = lambda chosen: _table(["what", "found", "target"], [row[:3] for row in chosen])
    parts = [
        "Callgate wants to cost less than every peer on every workload with tokens, and half of Envoy without Envoy's cache; to add at most "
        "a tenth to passing on when a token was seen before; to pass on more cheaply than Pingora by itself; and to refuse at the "
        f"price of the cheapest. Of {len(missed) + len(met)} targets {len(met)} are met.",
        f"### Missed\n\n{shown(missed)}" if missed else "None is missed.",
        f"### Met\n\n{shown(met)}",
    ]
    if unknown:
        parts.append(f"Not measured: {'; '.join(unknown)}.")
    return "\n\n".join(parts)


def bars(figures, readings):
    """Each target as (what, found, target, whether it is met); None if it could not be measured."""
    passing = ("open", OURS)

    def at_most(what, found, limit, form="{:.2f}"):
        return [what, _cell(found, form), "at most " + form.format(limit), None if found is None else found <= limit]

    def at_least(what, found, limit):
        return [what, _cell(found, "{:.2f}"), f"at least {limit:.2f}", None if found is None else found >= limit]

    for alg in ALGORITHMS:
        yield at_most(f"one {alg} token / Callgate passing on", figures.ratio((f"hot {alg}", OURS), passing), 1.10)
    yield at_most("passing on / a bare Pingora", figures.ratio(passing, ("open", FLOOR)), 0.90)
    unix = figures.ratio(("open unix", OURS), ("open unix", "nginx"))
    yield at_most("passing on / nginx, both with a Unix socket", unix, 1.70)
    yield at_most("no token / nginx", figures.ratio(("none", OURS), ("none", "nginx")), 1.50)
    for alg in ALGORITHMS:
        for kind, title in [("hot", "one"), ("turn", "1,000"), ("new", "new"), ("bad", "bad")]:
            for peer in PEERS:
                key = f"{kind} {alg}"
                if figures.get(key, peer) is not None:
                    limit = 2.0 if peer == "Envoy" else 1.0
                    yield at_least(f"{peer} / Callgate, {title} {alg}", figures.ratio((key, peer), (key, OURS)), limit)
    best = min((p99 for p99 in (figures.steady(peer, "p99") for peer in PEERS) if p99), default=None)
    yield at_most("p99 at half load / that of the best peer", _ratio(figures.steady(OURS, "p99"), best), 1.0)
    yield at_most("memory idle, MiB", figures.get("hot ES256", OURS, "idle"), 15, "{:.1f}")
    yield at_most("memory with 10,000 tokens under load, MiB", figures.get("many", OURS, "peak"), 40, "{:.1f}")
    yield at_most("memory with 4,000 idle connections, MiB", readings.get("idle_connections"), 50, "{:.1f}")
    yield at_most("start to first answer with keys from a file, ms", figures.ready(OURS), 20, "{:.0f}")


def _ratio(one, other):
    return None if one is None or not other else one / other


def _cell(value, form):
    return "" if value is None else form.format(value)


def _table(head, rows):
    line = lambda cells: "| " + " | ".join(cells) + " |"
    rule = "|" + "|".join(["---", *["--:"] * (len(head) - 1)]) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])
