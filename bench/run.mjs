import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { checkBuild } from "./support/build.mjs";
import { boundsTable, section } from "./support/table.mjs";

const RESULTS = fileURLToPath(new URL("results", import.meta.url));

/** The module of each row. */
const ROWS = { a: "a", f: "start", g: "start", h: "h" };

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    peers: { type: "string" },
    rounds: { type: "string" },
    nodes: { type: "string" },
    out: { type: "string" },
  },
});

async function main() {
  checkBuild();
  if (given.nodes) return onNodes(given.nodes.split(",").map(Number));
  const options = {
    only: (what) => what.toLowerCase().includes((given.only ?? "").toLowerCase()),
    rounds: given.rounds && Number(given.rounds),
    peers: given.peers?.split(",").filter((name) => name !== "none"),
  };
  console.log(`\n${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}; medians`);
  const rows = [];
  for (const letter of positionals.length ? positionals : Object.keys(ROWS))
    rows.push(await measured(letter, options));
  const bounds = rows.flatMap(({ bounds }) => bounds);
  console.log(`\n${boundsTable(bounds)}`);
  write({ rows, bounds });
}

async function measured(letter, options) {
  const row = await rowOf(letter);
  const lines = [];
  for await (const line of row.lines(options)) {
    lines.push(line);
    process.stderr.write(".");
  }
  process.stderr.write("\r");
  console.log(`\n${section(row, lines)}`);
  const value = (what, name) => lines.find((line) => line.what === what)?.values[name];
  const bounds = row.bounds(value).map((bound) => ({ row: letter, ...bound }));
  return { row: letter, lines, bounds };
}

async function rowOf(letter) {
  if (!ROWS[letter]) throw new Error(`there is no row ${letter}: ${Object.keys(ROWS).join(", ")}`);
  const { row, rows = [row] } = await import(`./rows/${ROWS[letter]}.mjs`);
  return rows.find((one) => one.letter === letter);
}

function write({ rows, bounds }) {
  const at = new Date().toISOString();
  const machine = { cpu: cpus()[0].model, cores: cpus().length, platform: process.platform };
  mkdirSync(RESULTS, { recursive: true });
  const file = given.out ?? join(RESULTS, `${at.replace(/[:.]/g, "-")}.json`);
  writeFileSync(file, `${JSON.stringify({ at, machine, node: process.version, rows, bounds }, null, 2)}\n`);
  console.log(`\nwritten to ${file}`);
}

main().then(
  () => process.exit(),
  (error) => {
    console.error(`bench: ${error.stack}`);
    process.exit(1);
  },
);
