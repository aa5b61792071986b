// A server that is down, or fails now and then: nothing is lost, the ledger says so at every moment, and a span that
// comes again comes as it was, so that the server can tell.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";
import { echo, startModel } from "./support/model.mjs";
import { runProgram, startProgram } from "./support/program.mjs";
import { assertBalanced, raw } from "./support/spans.mjs";

const DOWN_MS = 20_000;

const figures = {};
after(() => measured.table(figures));

/** Keeps the figures of a run. */
async function report(name, server, { stats, ms }) {
  const { duplicates } = await server.stats();
  const { started: spans, requests, retries } = stats;
  figures[name] = { spans, requests, retries, duplicates, seconds: Number((ms / 1000).toFixed(1)) };
}

/** What the server has is what was handed in, by name; and the ledger knows no other. */
async function assertNothingLost(server, { names, stats, flushed }) {
  const received = (await server.spans()).map(nameOf);
  assert.deepEqual(received.sort(), names.toSorted());
  const settled = { delivered: names.length, open: 0, queued: 0, inFlight: 0, spooled: 0 };
  const { delivered, open, queued, inFlight, spooled, dropped, started } = stats;
  assert.deepEqual({ delivered, open, queued, inFlight, spooled }, settled, JSON.stringify(stats));
  assert.deepEqual([started, dropped.total], [names.length, 0]);
  assertBalanced(stats);
  assert.equal(flushed.timedOut, false);
}

/** Calls of one agent are told apart by what was said. */
const nameOf = (span) => (span.kind === "agent" ? raw(span, "request")[0].content : span.name);

describe("nothing is lost", { concurrency: true }, () => {
  test("while the server is down for 20 s under load, and what was held back goes by itself when it is up", async (t) => {
    let over = false;
    const model = await startModel((call) => (over ? "over" : echo(call)));
    const server = await startFallom({ keep: true });
    t.after(() => Promise.all([server.close(), model.close()]));
    // That nobody has to wait 30 s for the next try.
    const options = optionsFor(server, { retry: { maxMs: 2000 } });
    const args = { baseURL: model.baseURL };
    const { ended, says } = startProgram(child(loadUntilOver, { options, args, timeoutMs: 58_000 }));

    await says("recording\n");
    await server.waitForSpans(100, { timeoutMs: 15_000 });
    await server.stop();
    await sleep(DOWN_MS);
    const before = Date.now();
    await server.restart();
    // Nobody flushes: the program goes on as it did.
    const heldBack = (spans) => spans.some(({ start_time }) => Date.parse(start_time) < before - DOWN_MS / 2);
    await server.waitForSpans(heldBack, { timeoutMs: 15_000 });
    over = true;

    const result = resultOf(await ended);
    await assertNothingLost(server, result);
    assert.ok(result.agents > 20 && result.names.length > 500, `${result.names.length} spans`);
    assert.equal((await server.stats()).conflicts, 0);
    await report("down for 20 s", server, result);
  });

  const BEFORE = [
    { status: 500 },
    { status: 429, headers: { "retry-after": "1" } },
    { reset: "before" },
    { hang: true },
  ];
  const AFTER = [{ reset: "after" }, { hang: true, record: true }, { status: 500, record: true }];
  const atOnce = ({ headers, ...fault }) => ({
    ...fault,
    ...(headers && { headers: { "retry-after": "0" } }),
  });
  // A request that hangs costs its timeout; one that is only slow, on a busy machine, shall not reach it.
  const BATCHES = { server: {}, spans: 20_000, maxSpans: 256, transport: { timeoutMs: 3000 } };
  const SINGLE = {
    server: { batches: false, compression: false },
    spans: 1000,
    transport: { timeoutMs: 1500, maxConcurrent: 16 },
  };

  for (const [how, given, faults] of [
    ["in batches", BATCHES, BEFORE],
    ["one by one", SINGLE, BEFORE.map(atOnce)],
  ]) {
    test(`though 30 % of requests fail before the server records: ${how}; none arrives twice`, async () => {
      const { server, result } = await loadWithFaults(given, faults, 0.3);
      await assertNothingLost(server, result);
      const { duplicates, unique } = await server.stats();
      assert.deepEqual([unique, duplicates], [given.spans, 0]);
      await report(`30 % fail, ${how}`, server, result);
      await server.close();
    });
  }

  for (const [how, given] of [
    ["in batches", { ...BATCHES, spans: 2000, maxSpans: 25, transport: { timeoutMs: 500 } }],
    ["one by one", { ...SINGLE, spans: 300, transport: { timeoutMs: 500, maxConcurrent: 16 } }],
  ]) {
    test(`though the server records and does not say so: ${how}; what comes again is the same to the byte`, async () => {
      const { server, result } = await loadWithFaults(given, AFTER, 0.3);
      await assertNothingLost(server, result);
      const { duplicates, unique, conflicts } = await server.stats();
      assert.deepEqual([unique, conflicts], [given.spans, 0]);
      assert.ok(duplicates > 0);
      await report(`recorded, unsaid, ${how}`, server, result);
      await server.close();
    });
  }
});

/** A run against a server of its own, of whose requests this share fails, in each of these ways alike. */
async function loadWithFaults({ server: forms, spans, maxSpans, transport }, faults, share) {
  const server = await startFallom({ ...forms, raw: false });
  const each = share / faults.length;
  // A rule is asked only where those before it let the request through.
  const rules = faults.map((fault, i) => ({
    path: "/v1/traces",
    probability: each / (1 - i * each),
    ...fault,
  }));
  await server.setFaults(rules);
  const options = optionsFor(server, {
    transport,
    batch: { maxSpans },
    retry: { baseMs: 50, maxMs: 500 },
  });
  const result = resultOf(await runProgram(child(load, { options, args: { spans }, timeoutMs: 55_000 })));
  for (const { fired } of await server.faults()) assert.ok(fired > 0, "each fault struck");
  assert.deepEqual([result.unbalanced, result.miscounted], [0, 0]);
  return { server, result };
}

/** Hands spans in, some at a time, and looks at the ledger in between. */
async function load({ fallom, init, prompts, options, args }) {
  const { setTimeout: sleep } = await import("node:timers/promises");
  await init(options);
  // What the server takes is learnt by any answer.
  await prompts.get("none").catch(() => {});
  const begun = performance.now();
  const session = fallom.session({ configKey: "app", sessionId: "load" });
  const names = [];
  const seen = { unbalanced: 0, miscounted: 0 };
  const look = () => {
    const { started, open, queued, inFlight, spooled, delivered, dropped } = fallom.stats();
    const sum = open + queued + inFlight + spooled + delivered + dropped.total;
    seen.unbalanced += sum === started ? 0 : 1;
    seen.miscounted += started === names.length ? 0 : 1;
  };
  while (names.length < args.spans) {
    for (let i = 0; i < 50 && names.length < args.spans; i++) {
      const name = `span-${names.length}`;
      session
        .span(name)
        .set({ input: `question ${name}`, output: `answer ${name}` })
        .end();
      names.push(name);
    }
    look();
    await sleep(1);
  }
  const flushing = fallom.flush({ timeoutMs: 50_000 });
  const looking = setInterval(look, 20);
  const flushed = await flushing;
  clearInterval(looking);
  return { names, stats: fallom.stats(), flushed, ms: performance.now() - begun, ...seen };
}

/** A chat backend: requests at a steady rate, some of which call an agent, until the model says that it is over. */
async function loadUntilOver({ fallom, init, options, args }) {
  const { setTimeout: sleep } = await import("node:timers/promises");
  const { Agent } = await import("@mastra/core/agent");
  const { createOpenAI } = await import("@ai-sdk/openai");
  await init(options);
  const begun = performance.now();
  const session = fallom.session({ configKey: "app", sessionId: "load" });
  const model = createOpenAI({ apiKey: "-", baseURL: args.baseURL })("gpt-4o-mini");
  const agent = session.wrapMastraAgent(
    new Agent({ id: "support", name: "Support", instructions: "You help.", model }),
  );
  const names = [];
  let agents = 0;
  console.log("recording");
  for (let over = false; !over; ) {
    const call = `call ${agents++}`;
    const answer = agent.generate(call);
    names.push(call);
    for (let i = 0; i < 10; i++) {
      const span = session.span(`span-${names.length}`);
      names.push(`span-${names.length}`);
      await sleep(20);
      span.end();
    }
    over = (await answer).text === "over";
  }
  const flushed = await fallom.flush({ timeoutMs: 30_000 });
  return { names, agents, stats: fallom.stats(), flushed, ms: performance.now() - begun };
}
