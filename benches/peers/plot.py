"""The plot: CPU per request as horizontal bars, a group for each workload, as an SVG that needs nothing to be seen."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 920, 300, 70
BAR, GAP, HEAD = 13, 14, 64

COLORS = {
    "hyper bare": "#c5ccd3", "Pingora bare": "#9aa5b1", "Callgate": "#0b6e4f", "Callgate, Unix socket": "#58a98c",
    "nginx": "#c9b458", "nginx auth_jwt": "#a07f1f", "pingap": "#8d6cab", "HAProxy": "#4a78b5", "Envoy": "#b5486a", "Envoy cached": "#d98aa3",
}

STYLE = ("text{font:12px system-ui,sans-serif;fill:#222}.quiet{fill:#666}.title{font-size:15px;font-weight:600}"
         "@media(prefers-color-scheme:dark){text{fill:#eee}.quiet{fill:#aaa}}")


def bars(readings, figures):
    """The picture of every workload's CPU per request, in microseconds."""
    groups = []
    for key, title in readings["workloads"]:
        found = [(product, figures.get(key, product)) for product in readings["products"]]
        if found := [(product, cost) for product, cost in found if cost is not None]:
            groups.append((title, found))
    longest = max((cost for _, found in groups for _, cost in found), default=1)
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts, y = [_text(12, 24, "CPU per request, microseconds (less is better)", "title")], HEAD
    parts += _legend(readings["products"])
    for title, found in groups:
        parts.append(_text(LEFT - 12, y + BAR * len(found) / 2 + 4, title, anchor="end"))
        for product, cost in found:
            color, width = COLORS.get(product, "#777"), cost * scale
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{color}" rx="1">'
                         f"<title>{escape(product)}: {cost:.1f}</title></rect>")
            parts.append(_text(LEFT + width + 5, y + BAR - 3, f"{cost:.0f}", "quiet"))
            y += BAR
        y += GAP
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><style>{STYLE}</style>{"".join(parts)}</svg>\n'


def _legend(products):
    parts, x = [], 12
    for product in products:
        parts.append(f'<rect x="{x}" y="38" width="11" height="11" fill="{COLORS.get(product, "#777")}"/>')
        parts.append(_text(x + 16, 48, product))
        x += 34 + 7 * len(product)
    return parts


def _text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
