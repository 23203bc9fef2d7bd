"""The report: medians of the rounds as Markdown tables, the targets as ratios with pass or miss, and the plot."""

import statistics
from pathlib import Path

import plot
from built import ALGORITHMS
from machine import ROOT

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
COMMAND = "make bench-peers"
FLOOR, OURS = "Pingora bare", "Callgate"
PEERS = ["nginx auth_jwt", "HAProxy", "Envoy", "Envoy cached"]

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

    def beyond_passing_on(self, workload):
        """What a request costs beyond passing it on without authentication."""
        ours, passing = self.get(workload, OURS), self.get("open", OURS)
        return None if ours is None or passing is None else ours - passing


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
        f"`{command}` on {readings['date']}, {readings['took'] / 60:.0f} minutes. {facts}. Load average at the end: {loads}. "
        "Each product ran on one core with one worker thread, one at a time in turn; the load (64 connections, POST of "
        "1 KiB) and the upstream (an nginx that answers 202) on the other. All figures are medians of the rounds, and ratios of "
        "CPU per request the medians of the ratios that each round gave.",
        "## Targets\n\n" + bars(figures),
        "![CPU per request](benchmarks.svg)",
        "## CPU per request, in microseconds\n\n" + table(readings, figures, "cpu", "{:.1f}"),
        "## Requests per second\n\n" + table(readings, figures, "rate", "{:,.0f}"),
        "The load and the upstream share a core: above some 25,000 requests per second they are what is measured.",
        "## Time to answer at full load, p50 / p99 in milliseconds\n\n" + latency(readings, figures),
        f"## At half load: {readings.get('steady_rate', 0):,.0f} requests per second, sent without waiting\n\n"
        + steady(readings, figures),
        "## Memory and start\n\n" + memory(readings, figures),
        "## One more of something, in KiB of Callgate's memory\n\n" + more(readings),
        "## Signatures alone (aws-lc-rs, key parsed before), in microseconds\n\n" + verification(figures),
    ])


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


def bars(figures):
    """Each bar with what was found. A bar that could not be measured says so."""
    rows = []

    def bar(what, found, limit, wanted, form="{:.2f}"):
        verdict = "not measured" if found is None else "pass" if wanted(found, limit) else "**miss**"
        rows.append([what, _cell(found, form), form.format(limit), verdict])

    def only(what, found):
        rows.append([what, _cell(found, "{:.2f}"), "", ""])

    at_most, at_least = (lambda found, limit: found <= limit), (lambda found, limit: found >= limit)
    passing, floor, refusing_nginx = ("open", OURS), ("open", FLOOR), ("none", "nginx")
    for alg in ALGORITHMS:
        found = figures.ratio((f"hot {alg}", OURS), passing)
        bar(f"one {alg} token / Callgate without authentication, at most", found, 1.10, at_most)
    for alg in ALGORITHMS:
        for kind, title in [("hot", "one"), ("turn", "1,000"), ("new", "new"), ("bad", "bad")]:
            for peer in PEERS:
                if figures.get(f"{kind} {alg}", peer) is not None:
                    limit = 2.0 if peer.startswith("Envoy") else 1.0
                    found = figures.ratio((f"{kind} {alg}", peer), (f"{kind} {alg}", OURS))
                    bar(f"{peer} / Callgate, {title} {alg}, at least", found, limit, at_least)
    for alg in ALGORITHMS:
        found = _ratio(figures.beyond_passing_on(f"new {alg}"), figures.bare_verification(alg))
        bar(f"(new {alg} token - Callgate without authentication) / verification beside the load, at most", found, 1.15,
            at_most)
    for alg in ALGORITHMS:
        for peer in [OURS, *PEERS]:
            theirs, passed = figures.get(f"new {alg}", peer), figures.get("open", peer.removesuffix(" cached"))
            if theirs is not None and passed is not None:
                only(f"the same for {peer}, {alg}, with the caches swept before each verification",
                     _ratio(theirs - passed, figures.bare_verification(alg, caches="cold")))
    bar("no token / nginx, at most", figures.ratio(("none", OURS), refusing_nginx), 1.5, at_most)
    for alg in ALGORITHMS:
        ours = figures.get(f"bad {alg}", OURS)
        beyond = None if ours is None else ours - figures.bare_verification(alg)
        bar(f"(bad {alg} signature - verification beside the load) / nginx without token, at most",
            _ratio(beyond, figures.get(*refusing_nginx)), 1.5, at_most)
    only("Callgate without authentication / nginx, as near as can be", figures.ratio(passing, ("open", "nginx")))
    only("Pingora bare / nginx", figures.ratio(floor, ("open", "nginx")))
    only("Callgate without authentication / Pingora bare", figures.ratio(passing, floor))
    only("one ES256 token / Pingora bare", figures.ratio(("hot ES256", OURS), floor))
    best = min((p99 for p99 in (figures.steady(peer, "p99") for peer in PEERS) if p99), default=None)
    bar("p99 at half load / that of the best peer, at most", _ratio(figures.steady(OURS, "p99"), best), 1.0, at_most)
    bar("memory idle, MiB, below", figures.get("hot ES256", OURS, "idle"), 15, at_most, "{:.1f}")
    bar("memory with 10,000 tokens under load, MiB, below", figures.get("many", OURS, "peak"), 40, at_most, "{:.1f}")
    bar("start to first answer with keys from a file, ms, below", figures.ready(OURS), 50, at_most, "{:.0f}")
    return _table(["what", "found", "bar", ""], rows)


def _ratio(one, other):
    return None if one is None or not other else one / other


def _cell(value, form):
    return "" if value is None else form.format(value)


def _table(head, rows):
    line = lambda cells: "| " + " | ".join(cells) + " |"
    rule = "|" + "|".join(["---", *["--:"] * (len(head) - 1)]) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])
