// How spans get to the server: together where it takes that, one by one where it does not say so, and again where it
// failed. What cannot be delivered is counted.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import fallom from "@fallom/trace";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";

// So long that only a full batch or a flush sends.
const NEVER_MS = 60_000;
const MAX_SPANS = 50;

let server;
let tests = 0;
/** The ledger when the server was started. */
let then;

/** What an origin takes is remembered for the life of the process, so each test has a server of its own. */
async function serve(options, ...faults) {
  server = await startFallom(options);
  await server.setFaults(faults);
  await fallom.init(optionsFor(server, tests > 1 ? {} : firstOptions()));
  then = fallom.stats();
  return server;
}

function firstOptions() {
  const retry = { baseMs: 20, maxMs: 50, maxAgeMs: NEVER_MS };
  return { batch: { maxSpans: MAX_SPANS, maxDelayMs: NEVER_MS }, retry };
}

beforeEach(() => {
  tests++;
});
afterEach(async () => {
  assertBalanced(fallom.stats());
  await server.close();
});

/** Spans named n-0, n-1, …; flushed together. */
function record(count, name = "n") {
  const session = fallom.session({ configKey: "app", sessionId: "s" });
  for (let i = 0; i < count; i++) session.span(`${name}-${i}`).end();
}

const posts = async () => (await server.requests()).filter(({ path }) => path === "/v1/traces");
const names = async () => (await server.spans()).map(({ name }) => name).sort();
/** What was counted since the server was started. */
const counted = (name) => read(fallom.stats(), name) - read(then, name);
const read = (stats, name) => name.split(".").reduce((value, part) => value[part], stats);
const settled = (delivered, dropped = 0) => ({ delivered, spooled: 0, dropped, pending: 0, timedOut: false });

/** The reading of prompts teaches what the server takes; until then, spans go one by one. */
const learnt = () => fallom.prompts.get("none").catch(() => {});

describe("a server that offers batches", () => {
  test("gets 1,000 spans in 20 requests, compressed, and not 1,000", async () => {
    await serve();
    await learnt();
    record(1000);
    const { dropped, pending, timedOut } = await fallom.flush();
    assert.deepEqual([dropped, pending, timedOut, counted("delivered")], [0, 0, false, 1000]);
    const sent = await posts();
    assert.equal(sent.length, 1000 / MAX_SPANS);
    for (const { content_type, content_encoding, spans } of sent)
      assert.deepEqual([content_type, content_encoding, spans], ["application/x-ndjson", "zstd", MAX_SPANS]);
    assert.equal((await server.spans()).length, 1000);
  });

  test("gets a full batch at once, and the rest with a flush", async () => {
    await serve();
    await learnt();
    record(MAX_SPANS + 10);
    await server.waitForSpans(MAX_SPANS);
    // What has arrived is in flight until its answer has come.
    while (counted("inFlight")) await new Promise(setImmediate);
    assert.deepEqual([counted("delivered"), counted("queued")], [MAX_SPANS, 10]);
    assert.deepEqual(await fallom.flush(), settled(10));
    assert.equal((await server.spans()).length, MAX_SPANS + 10);
  });

  test("that refuses one span of a batch with 400 gets all the others", async () => {
    await serve(
      {},
      { path: "/v1/traces", contains: '"n-7"', status: 400, body: '{"error":"no such session"}' },
    );
    await learnt();
    record(20);
    assert.deepEqual(await fallom.flush(), settled(19, 1));
    assert.equal(counted("dropped.rejected"), 1);
    assert.equal((await names()).length, 19);
    assert.ok(!(await names()).includes("n-7"));
    assert.equal(fallom.stats().lastError.status, 400);
  });

  test("that finds a batch too large (413) gets its spans, but for the one that is too large alone", async () => {
    await serve({}, { path: "/v1/traces", max_body_bytes: 3000 });
    await learnt();
    record(20);
    // Not to be compressed.
    const text = Array.from({ length: 10_000 }, () => Math.random().toString(36)).join("");
    fallom.session({ configKey: "app", sessionId: "s" }).span("large").set({ text }).end();
    assert.deepEqual(await fallom.flush(), settled(20, 1));
    assert.equal(counted("dropped.tooLarge"), 1);
    assert.equal((await names()).length, 20);
  });
});

describe("a server that is silent about batches", () => {
  test("gets single plain spans, over few connections", async () => {
    await serve({ batches: false, compression: false });
    await server.setNegotiation({ batches: "silent", compression: "silent" });
    record(40);
    assert.deepEqual(await fallom.flush(), settled(40));
    const sent = await posts();
    assert.equal(sent.length, 40);
    for (const { content_type, content_encoding } of sent)
      assert.deepEqual([content_type, content_encoding ?? null], ["application/json", null]);
    assert.ok(new Set(sent.map(({ connection }) => connection)).size <= 4 + 2);
  });
});

describe("a server that fails for a while", () => {
  const FAILURES = [
    ["503", { status: 503 }],
    ["429 with Retry-After: 0", { status: 429, headers: { "retry-after": "0" } }],
    ["a reset connection", { reset: "before" }],
    ["an answer that never comes whole", { reset: "after" }],
  ];
  for (const [what, fault] of FAILURES) {
    test(`with ${what}: each span arrives once in the end, as it was`, async () => {
      await serve({}, { path: "/v1/traces", times: 2, ...fault });
      const span = fallom.session({ configKey: "app", sessionId: "s" }).span("kept");
      span.end();
      assert.deepEqual(await fallom.flush(), settled(1));
      const [received, ...others] = await server.spans();
      assert.deepEqual([received.span_id, received.trace_id], [span.spanId, span.traceId]);
      assert.equal(others.length, 0);
      assert.equal(counted("retries"), 2);
      assert.equal((await posts()).length, 3);
    });
  }

  test("with 429: it is left alone for as long as Retry-After says, even by a flush", async () => {
    await serve({}, { path: "/v1/traces", times: 1, status: 429, headers: { "retry-after": "1" } });
    record(1);
    const begun = performance.now();
    assert.equal((await fallom.flush({ timeoutMs: 200 })).timedOut, true);
    record(1, "later");
    assert.deepEqual(await fallom.flush(), settled(2));
    const waited = performance.now() - begun;
    assert.ok(waited > 900 && waited < 3000, `${waited} ms`);
    // One was refused, and nothing tried before its time.
    assert.equal((await posts()).length, 3);
  });

  test("all the time: a flush ends in its time, and the spans wait for the next", async () => {
    await serve({}, { path: "/v1/traces", status: 503 });
    record(3);
    const begun = performance.now();
    const result = await fallom.flush({ timeoutMs: 100 });
    assert.ok(performance.now() - begun < 1000);
    assert.deepEqual(result, { delivered: 0, spooled: 0, dropped: 0, pending: 3, timedOut: true });
    assert.equal(fallom.stats().lastError.status, 503);
    await server.setFaults([]);
    // A retry may have brought some of them before the flush.
    assert.equal((await fallom.flush()).pending, 0);
    assert.equal(counted("delivered"), 3);
    assert.equal((await server.spans()).length, 3);
  });
});

describe("a flush", () => {
  test("joins what is in flight, and two at once both wait", async () => {
    await serve({}, { path: "/v1/traces", delay_ms: 200 });
    record(2);
    const first = fallom.flush();
    record(1, "after");
    const [one, both] = await Promise.all([first, fallom.flush()]);
    assert.deepEqual([one, both], [settled(2), settled(3)]);
    assert.equal((await server.spans()).length, 3);
  });

  test("with nothing to wait for is done at once", async () => {
    await serve();
    assert.deepEqual(await fallom.flush(), settled(0));
  });

  test("that is given no sensible time still ends", async () => {
    await serve();
    record(1);
    const results = [
      fallom.flush({ timeoutMs: Number.NaN }),
      fallom.flush({ timeoutMs: "soon" }),
      fallom.flush(null),
    ];
    for (const { timedOut } of await Promise.all(results)) assert.equal(timedOut, false);
  });
});

test("a server that cannot be reached costs no more memory than maxQueueBytes: the oldest spans go, said once", async () => {
  await serve({}, { path: "/v1/traces", status: 503 });
  const options = optionsFor(server, { maxQueueBytes: 64 * 1024, exitTimeoutMs: 0 });
  const ended = await runProgram(child(overflow, { options }));
  const { stats, kept } = resultOf(ended);
  assertBalanced(stats);
  assert.equal(stats.started, 400);
  assert.ok(stats.dropped.queueFull > 100, JSON.stringify(stats));
  assert.equal(stats.dropped.total, stats.dropped.queueFull);
  assert.ok(stats.queuedBytes <= 64 * 1024);
  assert.equal(warningsOf(ended).filter((line) => line.includes("maxQueueBytes")).length, 1, ended.stderr);
  assert.ok(kept > 0);
});

async function overflow({ fallom, init, options }) {
  await init({ ...options, batch: { maxDelayMs: 60_000, maxSpans: 100_000 } });
  const session = fallom.session({ configKey: "app", sessionId: "s" });
  for (let i = 0; i < 400; i++)
    session
      .span(`n-${i}`)
      .set({ text: "x".repeat(500) })
      .end();
  const { pending } = await fallom.flush({ timeoutMs: 100 });
  return { stats: fallom.stats(), kept: pending };
}
