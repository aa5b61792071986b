// (f) What is waited for where a process starts, and (g) what `init` adds to that.

import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { ENTRY } from "../support/build.mjs";
import { median } from "../support/clock.mjs";

const COLD_STARTS = 15;
const OPTIONS = { apiKey: "bench", ...urls("http://127.0.0.1:9") };

const load = (entry) => `require(${JSON.stringify(entry)})`;

const imports = {
  plain: 'require("node:http")',
  fallom: load(ENTRY),
  statsig: load(createRequire(import.meta.url).resolve("@statsig/statsig-node-core")),
};
const inits = { plain: imports.fallom, fallom: `${imports.fallom}.init(${JSON.stringify(OPTIONS)})` };

/** @type {import("../support/table.mjs").Row[]} */
export const rows = [
  {
    letter: "f",
    title: "start of a process",
    columns: ["plain", "fallom", "statsig"],
    less: true,
    lines: (options) => cold("require", imports, options),
    bounds: (value) => [
      { what: "require, ms", figure: value("require", "fallom"), most: 25 },
      {
        what: "require / Statsig's",
        figure: value("require", "fallom") / value("require", "statsig"),
        most: 1,
      },
    ],
    notes: ['the floor: require("node:http")'],
  },
  {
    letter: "g",
    title: "init",
    columns: ["plain", "fallom"],
    less: true,
    lines: (options) => cold("require and init", inits, options),
    bounds: () => [],
    notes: ["the floor: require alone"],
  },
];

async function* cold(what, programs, { only, rounds = COLD_STARTS }) {
  if (!only(what)) return;
  const times = Object.fromEntries(Object.keys(programs).map((name) => [name, []]));
  for (let i = 0; i < rounds; i++) {
    for (const [name, program] of Object.entries(programs)) times[name].push(timeOf(program));
  }
  const values = Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
  yield { what, unit: "ms", values };
}

function timeOf(program) {
  const script = `const begun = performance.now(); ${program}; process.stdout.write(String(performance.now() - begun)); process.exit()`;
  const stdio = ["ignore", "pipe", "ignore"];
  return Number(execFileSync(process.execPath, ["-e", script], { encoding: "utf8", stdio }));
}

function urls(url) {
  return { tracesUrl: url, configsUrl: url, promptsUrl: url };
}
