// What tracing and reading cost, side by side with the field: npm run bench
// (after `npm run build` and `npm ci --prefix bench --ignore-scripts`)
//
//   npm run bench -- a c                 only these rows
//   npm run bench -- a --only "20 KB"    only lines that hold this; several, with | between them
//   npm run bench -- a --peers langfuse  only these peers; `--peers none` for our own figures
//   npm run bench -- --rounds 3          fewer rounds than usual, but for row i
//   npm run bench -- --nodes 20,24,26    on these Nodes, one after the other, and then beside each other
//
// Contestants take turns, each in a process of its own; figures are medians over the rounds. Trust the ratios.
//
//   rows/      what is measured, a file for each row: its lines and bounds, and the work of a contestant
//   peers/     who takes part, a file for each: how its own user traces an agent with it
//   published/ the tables that README quotes
//   support/   the sink that all of them send to, the recorded run that they trace, clocks, the table

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { nodeBinary } from "../scripts/nodes.mjs";
import { checkBuild } from "./support/build.mjs";
import { beside, boundsTable, section } from "./support/table.mjs";

const PROGRAM = fileURLToPath(import.meta.url);
const RESULTS = fileURLToPath(new URL("results", import.meta.url));

/** The module of each row. */
const ROWS = { a: "a", b: "b", c: "c", d: "d", e: "e", i: "i", f: "start", g: "start", h: "h" };

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
  const wanted = (given.only ?? "").toLowerCase().split("|");
  const options = {
    only: (what) => wanted.some((part) => what.toLowerCase().includes(part)),
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

/** Each of them does the whole of it, in a process of its own. */
async function onNodes(majors) {
  const results = [];
  for (const major of majors) {
    const out = join(RESULTS, `node-${major}.json`);
    const { nodes, ...others } = given;
    const flags = Object.entries({ ...others, out }).flatMap(([name, value]) => [`--${name}`, value]);
    execFileSync(await nodeBinary(major), [PROGRAM, ...positionals, ...flags], { stdio: "inherit" });
    results.push(JSON.parse(readFileSync(out, "utf8")));
  }
  console.log(`\n${beside(results)}`);
}

async function measured(letter, options) {
  const row = await rowOf(letter);
  const lines = [];
  try {
    for await (const line of row.lines(options)) {
      lines.push(line);
      process.stderr.write(".");
    }
  } catch (error) {
    // The other rows have their figures all the same.
    console.error(`\nbench: row ${letter} broke off: ${error.stack}`);
    process.exitCode = 1;
  }
  process.stderr.write("\r");
  console.log(`\n${section(row, lines)}`);
  const of = (what) => lines.find((line) => line.what === what);
  const value = (what, name) => of(what)?.values[name];
  const lost = (what, name) => of(what)?.lost[name];
  const bounds = row.bounds(value, lost).map((bound) => ({ row: letter, ...bound }));
  return { row: letter, less: row.less, lines, bounds };
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
