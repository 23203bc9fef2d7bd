#!/usr/bin/env python3
"""Renders deploy/helm/example with the library chart beside it, without a cluster and without Helm's own program, as
`helm dependency build && helm template` does. Values are given as JSON.

    render_chart.py [VALUES]
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from helm_python import Chart, HelmError, lint

CHARTS = Path(__file__).resolve().parents[1] / "deploy/helm"


def main() -> int:
    values = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    with tempfile.TemporaryDirectory() as directory:
        chart = Path(directory, "email")
        shutil.copytree(CHARTS / "example", chart)
        shutil.copytree(CHARTS / "callgate", chart / "charts/callgate")
        try:
            rendered = Chart.load(chart).render(values, name="email", namespace="mail")
        except HelmError as error:
            print(error, file=sys.stderr)
            return 1
    for name, text in sorted(rendered.items()):
        if name.endswith(".yaml") and text.strip():
            print(f"---\n# {name}\n{text.strip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
