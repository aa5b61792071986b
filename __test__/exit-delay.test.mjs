// Delivery delays the end of the process no longer than `exitTimeoutMs`, and not at all where nothing is to send. The
// tracer never keeps a process alive.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { hangingServer, refusingServer, runToItsEnd } from "./support/ending.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";

const TIMEOUT_MS = 500;

/** Ways to end; `code` or `signal` is the one that it would be untraced. */
const WAYS = {
  "natural end": { end: "ending();", code: 0 },
  "process.exit()": { end: "ending(); process.exit(3);", code: 3 },
  "uncaught exception": { end: "ending(); throw new Error('a bug of the user');", code: 1 },
  SIGTERM: { end: "stay(); say('kill');", signal: "SIGTERM" },
  "SIGTERM in a busy loop": { end: "say('kill'); block();", signal: "SIGTERM" },
};

const RECORD = "await record(fallom);";
const INIT_ONLY = "";
const ALL_SENT = `
const session = fallom.session({ configKey: "app", sessionId });
session.span("sent").end();
await fallom.flush();`;

const results = {};
let server;

before(async () => {
  server = await startFallom();
});
after(async () => {
  await server.close();
  measured.log(`to the end of the process, in ms, with an exitTimeoutMs of ${TIMEOUT_MS}`);
  measured.table(results);
});

async function endOf(name, way, { column, body, options }) {
  const { end, code = null, signal } = WAYS[way];
  const ended = await runToItsEnd({ server, body: body + end, signal, options });
  assert.deepEqual([ended.code, ended.signal], [code, signal ?? null], ended.stderr);
  results[name] = { ...results[name], [column ?? "ms"]: ended.endMs };
  return ended;
}

describe("a server that does not take the spans", () => {
  for (const [column, start] of [
    ["refuses", refusingServer],
    ["hangs", hangingServer],
  ]) {
    for (const way of Object.keys(WAYS)) {
      test(`as it ${column}, delays the end by ${TIMEOUT_MS} ms at most: ${way}`, async () => {
        const options = { tracesUrl: (await start()).url, exitTimeoutMs: TIMEOUT_MS };
        const { endMs } = await endOf(way, way, { column, body: RECORD, options });
        assert.ok(endMs < 2 * TIMEOUT_MS, `${endMs} ms`);
      });
    }
  }

  test("does so once, though a signal comes in the middle of it", async () => {
    const options = { tracesUrl: (await hangingServer()).url, exitTimeoutMs: TIMEOUT_MS };
    const body = `${RECORD} say("kill"); process.exit(3);`;
    const { endMs, signal, stderr } = await runToItsEnd({ server, body, signal: "SIGTERM", options });
    assert.equal(signal, "SIGTERM", stderr);
    assert.ok(endMs < 2 * TIMEOUT_MS, `${endMs} ms`);
  });

  test("does so once, though four workers end", async () => {
    const body = `
if (isMainThread) {
  await Promise.all([startWorker(), startWorker(), startWorker(), startWorker()]);
  ending();
  process.exit(6);
}
const { default: fallom } = await import("@fallom/trace");
fallom.init(options);
await record(fallom);
stay();
parentPort.postMessage("recorded");`;
    const options = { tracesUrl: (await hangingServer()).url, exitTimeoutMs: TIMEOUT_MS };
    const { endMs, code, stderr } = await runToItsEnd({ server, bare: true, body, options });
    assert.equal(code, 6, stderr);
    assert.ok(endMs < 2 * TIMEOUT_MS, `${endMs} ms`);
  });
});

describe("nothing to send", () => {
  // So long that it would be seen.
  const exitTimeoutMs = 10_000;

  for (const [column, body] of [
    ["no span", INIT_ONLY],
    ["all sent", ALL_SENT],
  ]) {
    for (const way of Object.keys(WAYS)) {
      test(`${column}, no delay: ${way}`, async () => {
        // With no span, the server must not matter at all.
        const traces = body === INIT_ONLY ? { tracesUrl: (await hangingServer()).url } : {};
        const { endMs } = await endOf(way, way, { column, body, options: { exitTimeoutMs, ...traces } });
        assert.ok(endMs < TIMEOUT_MS, `${endMs} ms`);
      });
    }
  }
});

describe("other threads that record on and on", () => {
  const FOREVER = `
if (!isMainThread) {
  const session = fallom.session({ configKey: "app", sessionId });
  parentPort.postMessage("recording");
  for (;;) {
    session.span("one of many").end();
    await sleep(1);
  }
}
await startWorker();
await sleep(50);`;

  for (const way of ["process.exit()", "SIGTERM"]) {
    test(`do not hold the end up: ${way}`, async () => {
      const { endMs } = await endOf(way, way, {
        column: "while a worker records",
        body: FOREVER,
        options: { exitTimeoutMs: 10_000 },
      });
      assert.ok(endMs < 2000, `${endMs} ms`);
    });
  }
});
