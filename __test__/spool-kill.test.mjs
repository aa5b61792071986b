// `kill -9` at random moments: what had ended shortly before arrives all the same, with a spool.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram, startProgram } from "./support/program.mjs";
import { spoolFolder } from "./support/spool.mjs";

const ROUNDS = 100;
const AT_ONCE = 2;
/** No span that ended so long before the kill may be lost. */
const PROMISED_MS = 50;

/** The server is slow, fails, or loses its answer; so a kill finds spans in every place. */
const FAULTS = [
  { path: "/v1/traces", probability: 0.2, delay_ms: 100 },
  { path: "/v1/traces", probability: 0.2, status: 503 },
  { path: "/v1/traces", probability: 0.1, reset: "after" },
];

let server;

before(async () => {
  server = await startFallom();
  await server.setFaults(FAULTS);
});
after(() => server.close());

/** Ends spans, small and large, and says of each when it had ended. */
async function work({ fallom, options, args: { round } }) {
  const { writeSync } = await import("node:fs");
  fallom.init(options);
  const session = fallom.session({ configKey: "app", sessionId: `round-${round}` });
  for (let i = 0; ; i++) {
    session
      .span(`r${round}-${i}`)
      .set({ text: "word ".repeat(i % 7 === 0 ? 4000 : 20) })
      .end();
    writeSync(1, `${i} ${Date.now()}\n`);
    if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1 + (i % 4)));
  }
}

/** One round: the names of the spans that ended, with how long before the kill that was, in ms. */
async function killed(round, options) {
  const { child: running, ended, says } = startProgram(child(work, { options, args: { round } }));
  await says(/^\d/m);
  await sleep(Math.random() * 300);
  const at = Date.now();
  running.kill("SIGKILL");
  const { stdout } = await ended;
  const lines = stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split(" ").map(Number));
  return lines.map(([i, endedAt]) => ({ name: `r${round}-${i}`, before: at - endedAt }));
}

/** Delivers what is left, and tells how much that was. */
async function deliver({ fallom, options }) {
  fallom.init(options);
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  // The first look at the folder comes at once.
  await wait(500);
  const left = ({ spooled, queued, inFlight }) => spooled + queued + inFlight > 0;
  while (left(fallom.stats())) await wait(10);
  return fallom.stats();
}

test(`after ${ROUNDS} times kill -9, every span arrives that ended ${PROMISED_MS} ms before`, async (t) => {
  const options = optionsFor(server, {
    retry: { baseMs: 20, maxMs: 100 },
    batch: { maxDelayMs: 50 },
    spool: { dir: spoolFolder(t) },
  });
  const spans = [];
  const rounds = Array.from({ length: ROUNDS }, (_, round) => round);
  const player = async () => {
    for (let round = rounds.pop(); round !== undefined; round = rounds.pop())
      spans.push(...(await killed(round, options)));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, player));
  const last = resultOf(await runProgram(child(deliver, { options, timeoutMs: 60_000 })));
  assert.equal(last.dropped.total, 0, JSON.stringify(last));

  const arrived = new Set((await server.spans()).map(({ name }) => name));
  const lost = spans.filter(({ name }) => !arrived.has(name));
  const oldest = Math.max(0, ...lost.map(({ before }) => before));
  const { unique, duplicates, conflicts } = await server.stats();
  console.log(
    `${spans.length} spans in ${ROUNDS} rounds, ${lost.length} lost, the oldest of them had ended ${oldest} ms before ` +
      `the kill; the last process found ${last.started}; the server got ${unique} spans, ${duplicates} of them again`,
  );
  assert.ok(spans.length > ROUNDS * 10, "the rounds did some work");
  assert.ok(oldest < PROMISED_MS, `lost: ${JSON.stringify(lost.slice(0, 10))}`);
  assert.equal(conflicts, 0, "a span that came again was the same");
});
