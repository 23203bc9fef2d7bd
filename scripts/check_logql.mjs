// Reads every query for Loki in a dashboard of Grafana with the grammar of Grafana's own editor, and prints how many there are.
// The argument is the dashboard.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

// A library that scripts/tools.sh has installed.
const require = createRequire(fileURLToPath(new URL('../target/tools/npm/', import.meta.url)));
const { parser } = require('@grafana/lezer-logql');

function* panels(list) {
  for (const panel of list) {
    yield panel;
    yield* panels(panel.panels ?? []);
  }
}

const [file] = process.argv.slice(2);
let count = 0;
for (const panel of panels(JSON.parse(readFileSync(file, 'utf8')).panels)) {
  for (const target of panel.targets ?? []) {
    if ((target.datasource ?? panel.datasource).type !== 'loki') continue;
    count += 1;
    // Grafana replaces its variables before it asks Loki.
    const query = target.expr.replace(/\$__(auto|interval|range|rate_interval)\b/g, '5m').replace(/\$\w+/g, '.*');
    // The parser reads on after an error, and leaves a node in its tree.
    parser.parse(query).iterate({
      enter({ type, from }) {
        if (!type.isError) return;
        const before = query.slice(Math.max(0, from - 30), from);
        console.error(`${file}: the query of "${panel.title}" is no LogQL at character ${from + 1}, after ${before}`);
        process.exit(1);
      },
    });
  }
}
if (count === 0) {
  console.error(`${file} has no query for Loki`);
  process.exit(1);
}
console.log(count);
