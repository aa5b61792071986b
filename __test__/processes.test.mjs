// More threads and processes than one: no deadlock, no span lost, none delivered twice, and one ledger per process.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";

const SPANS = 200;
/** It is not only busy, it fails now and then, before it has recorded anything. */
const FAULTS = [
  { path: "/v1/traces", probability: 0.15, status: 503 },
  { path: "/v1/traces", probability: 0.15, reset: "before" },
];

/** What the programs begin with. `whoami` becomes the name of the spans. */
const PROLOGUE = `
import fallom from "@fallom/trace";
import cluster from "node:cluster";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker, isMainThread, parentPort, threadId, workerData } from "node:worker_threads";

const options = JSON.parse(process.env.OPTIONS);
const HERE = new URL(import.meta.url);
const session = (id) => fallom.session({ configKey: "app", sessionId: id });

async function record(whoami, spans = ${SPANS}) {
  for (let i = 0; i < spans; i++) {
    const outer = session(whoami).span(whoami);
    await sleep(i % 20 === 0 ? 1 : 0);
    outer.end();
  }
}
/** Counts in memory that threads share how many spans have ended, for as long as the thread lives. */
async function recordAndCount(counts, most = Infinity) {
  for (let i = 0; i < most; i++) {
    const span = session("counted").span("counted");
    await sleep(0);
    span.end();
    Atomics.add(counts, 0, 1);
  }
}
const newCounts = () => new Int32Array(new SharedArrayBuffer(4));
const tell = (value) => console.log(JSON.stringify(value));
`;

const ROUNDS = 12;
const WORKERS = 3;

let server;

beforeEach(async () => {
  server = await startFallom();
  await server.setFaults(FAULTS);
});
afterEach(() => server.close());

async function run(body, { timeoutMs = 30_000 } = {}) {
  const options = JSON.stringify({ apiKey: "test-key", ...server.urls, exitTimeoutMs: 15_000 });
  const end = await runProgram({ source: PROLOGUE + body, env: { OPTIONS: options }, timeoutMs });
  assert.deepEqual([end.code, end.signal, end.timedOut], [0, null, false], end.stderr);
  assert.equal(end.stderr, "");
  const said = end.stdout.trim().split("\n").filter(Boolean);
  return said.map((line) => JSON.parse(line));
}

/** Each name with as many spans, none of them twice or incomplete. */
async function assertArrived(names) {
  const { unique, duplicates, conflicts } = await server.stats();
  const spans = await server.spans();
  const counts = {};
  for (const { name, attributes } of spans) {
    counts[name] = (counts[name] ?? 0) + 1;
    assert.equal(attributes["fallom.incomplete"], undefined, name);
  }
  assert.deepEqual(counts, Object.fromEntries(names.map((name) => [name, SPANS])));
  assert.deepEqual({ unique, duplicates, conflicts }, { unique: spans.length, duplicates: 0, conflicts: 0 });
}

describe("worker threads", () => {
  test("and the main thread share one ledger, and deliver all", async () => {
    const [stats] = await run(`
fallom.init(options);
if (isMainThread) {
  const workers = [1, 2, 3, 4].map(() => new Worker(HERE));
  await Promise.all([record("main"), ...workers.map((worker) => once(worker, "exit"))]);
  tell(fallom.stats());
} else {
  await record("worker " + threadId);
}`);
    assertBalanced(stats);
    assert.deepEqual([stats.started, stats.open, stats.dropped.total], [5 * SPANS, 0, 0]);
    await assertArrived(["main", "worker 1", "worker 2", "worker 3", "worker 4"]);
  });

  test("need no init of their own where the main thread called it", async () => {
    await run(`
if (isMainThread) {
  fallom.init(options);
  await once(new Worker(HERE), "exit");
} else {
  await record("worker");
}`);
    await assertArrived(["worker"]);
  });

  test("that are not waited for do not keep the process alive, nor does the tracer", async () => {
    await run(`
if (isMainThread) {
  fallom.init(options);
  const worker = new Worker(HERE);
  await once(worker, "message");
  worker.unref();
} else {
  await record("worker");
  parentPort.postMessage("done");
  setInterval(() => {}, 1000);
}`);
    await assertArrived(["worker"]);
  });

  test("end at any moment: what had ended arrives, and the ledger knows of the rest", async () => {
    const [{ stats, ended }] = await run(`
fallom.init(options);
if (isMainThread) {
  let random = 7;
  const next = (below) => (random = (random * 16807) % 2147483647) % below;
  const workerData = newCounts();
  for (let round = 0; round < ${ROUNDS}; round++) {
    const workers = Array.from({ length: ${WORKERS} }, () => new Worker(HERE, { workerData }));
    await Promise.all(workers.map((worker) => once(worker, "message")));
    await sleep(next(20));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  await fallom.flush({ timeoutMs: 20_000 });
  tell({ stats: fallom.stats(), ended: workerData[0] });
} else {
  parentPort.postMessage("recording");
  await Promise.all([recordAndCount(workerData), recordAndCount(workerData)]);
}`);
    await assertNoneLost(stats, ended, ROUNDS * WORKERS);
    // Two at a time were open in each.
    assert.ok(stats.dropped.disabled <= 2 * ROUNDS * WORKERS, `${stats.dropped.disabled} were open`);
  });

  test("that end in many ways at once, while others record on, lose nothing", async () => {
    const [{ stats, ended, ends }] = await run(`
fallom.init(options);
if (isMainThread) {
  const counts = newCounts();
  const start = (way) => new Worker(HERE, { workerData: { counts, way } }).on("error", () => {});
  const ways = ["returns", "exits", "throws", "rejects", "is terminated"];
  const workers = [...ways, ...ways].map((way) => [way, start(way)]);
  const ends = workers.map(([, worker]) => new Promise((resolve) => worker.once("exit", resolve)));
  for (const [way, worker] of workers)
    if (way === "is terminated") worker.once("message", () => worker.terminate());
  await recordAndCount(counts, ${SPANS});
  const codes = await Promise.all(ends);
  await fallom.flush({ timeoutMs: 20_000 });
  tell({ stats: fallom.stats(), ended: counts[0], ends: codes });
} else {
  const { counts, way } = workerData;
  await recordAndCount(counts, ${SPANS});
  parentPort.postMessage("recorded");
  if (way === "exits") process.exit(3);
  if (way === "throws") setTimeout(() => { throw new Error("a bug"); });
  if (way === "rejects") Promise.reject(new Error("a bug"));
  if (way === "is terminated") await recordAndCount(counts);
}`);
    assert.deepEqual(ends, [0, 3, 1, 1, 1, 0, 3, 1, 1, 1]);
    await assertNoneLost(stats, ended, 2);
    assert.ok(ended >= 11 * SPANS);
    assert.ok(stats.dropped.disabled <= 2, `${stats.dropped.disabled} were open`);
  });
});

/** All that ended arrived once; a thread may have been stopped (so many were) before it counted its last. */
async function assertNoneLost(stats, ended, stopped) {
  assertBalanced(stats);
  const { open, queued, inFlight, delivered, dropped } = stats;
  assert.deepEqual({ open, queued, inFlight }, { open: 0, queued: 0, inFlight: 0 });
  assert.equal(dropped.total, dropped.disabled, JSON.stringify(dropped));
  assert.ok(ended > 100 && delivered >= ended && delivered <= ended + stopped, `${delivered} of ${ended}`);
  const { unique, duplicates, conflicts } = await server.stats();
  assert.deepEqual([unique, duplicates, conflicts], [delivered, 0, 0]);
}

describe("child_process.fork", () => {
  test("parent and children deliver each their own", async () => {
    await run(`
fallom.init(options);
const self = process.argv[2] ?? "parent";
const child = (name) => once(fork(fileURLToPath(HERE), [name]), "exit");
const children = self === "parent" ? [child("first"), child("second")] : [];
await Promise.all([record(self), ...children]);
if (self === "first") await child("grandchild");`);
    await assertArrived(["parent", "first", "second", "grandchild"]);
  });

  test("a child that is killed, disconnects or exits delivers before", async () => {
    const [ends] = await run(`
fallom.init(options);
if (process.argv[2]) {
  await record(process.argv[2]);
  if (process.argv[2] === "exits") process.exit(3);
  process.on("message", () => {});
  process.send("recorded");
} else {
  const end = async (name, how) => {
    const child = fork(fileURLToPath(HERE), [name]);
    if (how) child.once("message", () => how(child));
    return once(child, "exit");
  };
  tell(await Promise.all([end("killed", (child) => child.kill()), end("disconnects", (child) => child.disconnect()), end("exits")]));
}`);
    assert.deepEqual(ends, [
      [null, "SIGTERM"],
      [0, null],
      [3, null],
    ]);
    await assertArrived(["killed", "disconnects", "exits"]);
  });
});

describe("cluster", () => {
  test("primary and workers deliver, whether a worker is killed, disconnected or exits", async () => {
    const [ends] = await run(`
fallom.init(options);
if (cluster.isPrimary) {
  const end = async (name, how) => {
    const worker = cluster.fork({ NAME: name });
    if (how) worker.once("message", () => how(worker));
    return once(worker, "exit");
  };
  const ends = [end("killed", (worker) => worker.process.kill("SIGTERM")), end("disconnected", (worker) => worker.disconnect()), end("exits")];
  await record("primary");
  tell(await Promise.all(ends));
} else {
  const { createServer } = await import("node:http");
  createServer((_, response) => response.end()).listen(0);
  await record(process.env.NAME);
  if (process.env.NAME === "exits") process.exit(3);
  process.send("recorded");
}`);
    assert.deepEqual(ends, [
      [null, "SIGTERM"],
      [0, null],
      [3, null],
    ]);
    await assertArrived(["primary", "killed", "disconnected", "exits"]);
  });
});
