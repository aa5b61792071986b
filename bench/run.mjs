// What tracing and reading cost: npm run bench      (after `npm run build` and, for the peers, `npm ci --prefix bench`;
// takes under a minute)
//
// Times are the event loop's, since that is what an application waits for; what the core does on its own thread goes on
// beside it. Each is the median over rounds in which the contestants take turns. Trust the ratios.

import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { platform } from "../scripts/shim.mjs";
import { readRows } from "./reads.mjs";
import { generateRow, startRows } from "./rows.mjs";
import { startSink } from "./support/sink.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ENTRY = join(ROOT, "dist/index.js");
const RESULTS = join(ROOT, "bench/results");

const SIZES_KB = [2, 20, 256];
/** A larger addon was built with --debug, and its numbers mean nothing. */
const LARGEST_RELEASE = 20 * 2 ** 20;

async function main() {
  checkBuild();
  const sink = await startSink();
  const { url } = sink;
  // No refresh falls into the measurement.
  const options = { apiKey: "bench", tracesUrl: url, configsUrl: url, promptsUrl: url, refreshMs: 3_600_000 };
  const rows = startRows(ENTRY, options);
  let reads = [];
  try {
    const fallom = createRequire(import.meta.url)(ENTRY);
    await fallom.init(options);
    for (const kb of SIZES_KB) rows.push(await generateRow(fallom, kb));
    reads = await readRows(fallom, url);
    checkLedger(fallom.stats());
    await fallom.shutdown();
  } finally {
    sink.close();
  }
  report(rows, reads);
}

function checkBuild() {
  const missing = (what) => new Error(`${what}: run \`npm run build\` first`);
  if (!existsSync(ENTRY)) throw missing("dist/ is missing");
  const addon = statSync(join(ROOT, `fallom-trace.${platform()}.node`), { throwIfNoEntry: false });
  if (!addon) throw missing("the addon is missing");
  if (addon.size > LARGEST_RELEASE) throw missing("the addon was built with --debug");
}

/** A span that was dropped did not cost what tracing costs. */
function checkLedger({ dropped, delivered }) {
  if (dropped.total || !delivered)
    throw new Error(`not all was delivered: ${JSON.stringify({ delivered, dropped })}`);
}

function report(rows, reads) {
  const machine = {
    cpu: cpus()[0].model,
    cores: cpus().length,
    platform: process.platform,
    node: process.version,
  };
  console.log(`\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; medians\n`);
  console.log(table([["", "ours", "floor", "ratio", "the floor is"], ...rows.map(cells)]));
  console.log(
    `\n${table([["reads", "ours", "Langfuse", "ratio", "plain JS", "ratio", ""], ...reads.map(readCells)])}`,
  );
  mkdirSync(RESULTS, { recursive: true });
  const file = join(RESULTS, `${new Date().toISOString().replace(/[:.]/g, "-")}.json`);
  writeFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), machine, rows, reads }, null, 2)}\n`);
  console.log(`\nwritten to ${file}`);
}

const cells = ({ what, ours, floor, floorIs, unit }) => [
  what,
  `${rounded(ours)} ${unit}`,
  `${rounded(floor)} ${unit}`,
  (ours / floor).toFixed(2),
  floorIs,
];

const readCells = ({ what, ours, langfuse, plain, unit, note }) => [
  what,
  `${rounded(ours)} ${unit}`,
  langfuse === null ? "–" : `${rounded(langfuse)} ${unit}`,
  langfuse === null ? "–" : (ours / langfuse).toFixed(2),
  `${rounded(plain)} ${unit}`,
  (ours / plain).toFixed(2),
  note ?? "",
];

const rounded = (value) => (value < 100 ? value.toPrecision(2) : Math.round(value).toLocaleString("en"));

function table(rows) {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => row[at].length)));
  const isText = (at) => at === 0 || at === widths.length - 1;
  const pad = (cell, at) => (isText(at) ? cell.padEnd(widths[at]) : cell.padStart(widths[at]));
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exit(1);
});
