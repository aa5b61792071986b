// (f) What is waited for where a process starts, and what lies on the disk for it; (g) what `init` adds to that.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { OTHERS } from "../peers/index.mjs";
import { median } from "../support/clock.mjs";
import { installOurs, sizeOf } from "../support/installed.mjs";

const COLD_STARTS = 15;
const HERE = fileURLToPath(new URL("..", import.meta.url));
const MB = 2 ** 20;

/** What an application loads of each, to trace with it. */
const PACKAGES = {
  fallom: ["@fallom/trace"],
  statsig: ["@statsig/statsig-node-core"],
  opentelemetry: [
    "@opentelemetry/api",
    "@opentelemetry/exporter-trace-otlp-proto",
    "@opentelemetry/sdk-trace-base",
  ],
  langfuse: ["@langfuse/otel", "@langfuse/tracing", "@opentelemetry/sdk-trace-base"],
  langsmith: ["langsmith"],
  posthog: ["posthog-node"],
  mastra: ["@mastra/observability"],
};

/** What its user has in any case. */
const THERE = { mastra: ["@mastra/core", "zod"] };

/** Nobody listens there: what comes of it is the thread's, or the later turns', and not waited for. */
const NOWHERE = "http://127.0.0.1:9";
const OPTIONS = { apiKey: "bench", tracesUrl: NOWHERE, configsUrl: NOWHERE, promptsUrl: NOWHERE };

/** @typedef {{ program: string, folder: string }} Start  see `timed` */

/** @type {import("../support/table.mjs").Row[]} */
export const rows = [
  {
    letter: "f",
    title: "start of a process, and what is installed",
    columns: ["plain", "fallom", "statsig", ...OTHERS],
    less: true,
    lines: (options) => withOurs(options, startLines),
    bounds: (value) => [
      ...["require", "import"].flatMap((what) => [
        { what: `${what}, ms`, figure: value(what, "fallom"), most: 25 },
        { what: `${what} / Statsig's`, figure: value(what, "fallom") / value(what, "statsig"), most: 1 },
      ]),
      { what: "installed, MB", figure: value("installed", "fallom"), most: 6 },
      { what: "packages", figure: value("packages", "fallom"), most: 2 },
    ],
    notes: [
      "ours is installed from its archives into an empty folder; the floor is node:http",
      "installed: the files of the packages, of their dependencies and of required peers; Mastra's without @mastra/core",
    ],
  },
  {
    letter: "g",
    title: "init: how long the call takes, in a new process",
    columns: ["fallom", ...OTHERS],
    less: true,
    lines: (options) => withOurs(options, initLines),
    bounds: () => [],
    notes: [
      "each is loaded before; the server does not answer; of the peers, it is what builds and registers them",
    ],
  },
];

async function* withOurs(options, lines) {
  const { folder, remove } = installOurs();
  try {
    yield* lines(options, folder);
  } finally {
    remove();
  }
}

function* startLines({ only, rounds = COLD_STARTS, peers = OTHERS }, ours) {
  const names = ["fallom", "statsig", ...peers];
  const folderOf = (name) => (name === "fallom" ? ours : HERE);
  for (const [what, load] of Object.entries({ require: required, import: imported })) {
    if (!only(what)) continue;
    const starts = { plain: { program: load(["node:http"]), folder: HERE } };
    for (const name of names) starts[name] = { program: load(PACKAGES[name]), folder: folderOf(name) };
    yield* cold(what, starts, rounds);
  }
  const sizes = names.map((name) => [name, sizeOf(PACKAGES[name], folderOf(name), THERE[name])]);
  const line = (what, unit, of) => ({
    what,
    unit,
    values: Object.fromEntries(sizes.map(([name, size]) => [name, of(size)])),
  });
  if (only("installed")) yield line("installed", "MB", ({ bytes }) => bytes / MB);
  if (only("packages")) yield line("packages", "", ({ packages }) => packages);
}

/** A program that says, in its last line, what `work` took. What it uses of Node's own is loaded in any case. */
const timed = (work, before = "") => `${before}
  const cpu = process.cpuUsage(), begun = process.hrtime.bigint();
  ${work}
  const ended = process.hrtime.bigint(), { user, system } = process.cpuUsage(cpu);
  const used = { ms: Number(ended - begun) / 1e6, cpuMs: (user + system) / 1000 };
  process.stdout.write("\\n" + JSON.stringify(used), () => process.exit());`;

const required = (names) => timed(names.map((name) => `require("${name}");`).join(" "));
const imported = (names) => timed(names.map((name) => `await import("${name}");`).join(" "));

function* initLines({ only, rounds = COLD_STARTS, peers = OTHERS }, ours) {
  const span = (name) =>
    name === "fallom"
      ? 'fallom.session({ configKey: "c", sessionId: "s" }).span("answer").set({ input: "a", output: "b" }).end();'
      : 'peer.span("a", "b");';
  const cases = {
    init: () => "",
    "init and a first span": span,
  };
  for (const loaded of ["", "https"]) {
    for (const [what, after] of Object.entries(cases)) {
      const name = loaded ? `${what}, node:${loaded} loaded` : what;
      if (!only(name)) continue;
      const starts = { fallom: { program: ourInit(loaded, after("fallom")), folder: ours } };
      for (const peer of peers)
        starts[peer] = { program: peersInit(peer, loaded, after(peer)), folder: HERE };
      yield* cold(name, starts, rounds);
    }
  }
}

const preload = (loaded) => (loaded ? `await import("node:${loaded}");` : "");

const ourInit = (loaded, after) =>
  timed(
    `fallom.init(${JSON.stringify(OPTIONS)}); ${after}`,
    `${preload(loaded)} const { default: fallom } = await import("@fallom/trace");`,
  );

const peersInit = (peer, loaded, after) =>
  timed(
    `const peer = await start(${JSON.stringify({ url: NOWHERE, compress: true, queue: 2048 })}); ${after}`,
    `${preload(loaded)} const { start } = await import("./peers/${peer}.mjs");`,
  );

/**
 * The medians of new processes that take turns: the time that is waited for, and the CPU time of all threads, which
 * tells more where other processes want the cores, too.
 * @param {string} what
 * @param {Record<string, Start>} starts
 */
function* cold(what, starts, rounds) {
  const all = Object.fromEntries(Object.keys(starts).map((name) => [name, []]));
  for (let i = 0; i < rounds; i++) {
    for (const [name, start] of Object.entries(starts)) all[name].push(used(start));
  }
  const valuesOf = (field) =>
    Object.fromEntries(
      Object.entries(all).map(([name, times]) => [name, median(times.map((time) => time[field]))]),
    );
  yield { what, unit: "ms", values: valuesOf("ms") };
  yield { what: `${what}: all CPU`, unit: "ms", values: valuesOf("cpuMs") };
}

/** @param {Start} start @returns {{ ms: number, cpuMs: number }} NaN if it cannot be loaded so */
function used({ program, folder }) {
  const flags = program.includes("await ") ? ["--input-type=module"] : [];
  try {
    const said = execFileSync(process.execPath, [...flags, "-e", program], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return JSON.parse(said.split("\n").at(-1));
  } catch {
    return { ms: Number.NaN, cpuMs: Number.NaN };
  }
}
