// What the tracer tells of itself: events for `onDiagnostic`, and a debug line for each decision. Each test is a process
// of its own, since a tracer starts once per process.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { refusingServer } from "./support/ending.mjs";
import { startFallom } from "./support/fallom.mjs";
import { hearing } from "./support/listening.mjs";

const QUICK = { batch: { maxDelayMs: 5 }, retry: { baseMs: 20, maxMs: 40 } };
const TRACES = { path: "/v1/traces" };

/** A server of its own for a test, since faults are the server's. */
async function withServer(faults, use, options) {
  const server = await startFallom(options);
  try {
    await server.setFaults(faults);
    return await use(server, { options: optionsFor(server, QUICK), args: { url: server.url } });
  } finally {
    await server.close();
  }
}

function assertEvents(events, type) {
  for (const event of events) {
    assert.equal(event.type, type);
    assert.ok(event.message.length > 0);
    const { count = 1, reason = "" } = event;
    assert.ok(Number.isInteger(count) && count > 0, `count ${count}`);
    assert.equal(typeof reason, "string");
    assert.deepEqual(
      Object.keys(event).filter((name) => !["type", "message", "count", "reason"].includes(name)),
      [],
    );
  }
}

describe("onDiagnostic hears of", { concurrency: 3 }, () => {
  test("spans that go again, and why", () =>
    withServer([{ ...TRACES, status: 500, times: 1 }], async (_, given) => {
      const ended = await hearing(async ({ fallom, listening, hears }) => {
        fallom.init(listening);
        fallom.session({ configKey: "app", sessionId: "s" }).span("a").end();
        const events = await hears("retrying");
        return { events, plain: Object.getPrototypeOf(events[0]) === Object.prototype };
      }, given);
      const { events, plain } = resultOf(ended);
      assertEvents(events, "retrying");
      assert.deepEqual([events[0].count, events[0].reason, plain], [1, "status", true]);
      assert.match(events[0].message, /500/);
    }));

  test("a server that cannot be reached", async () => {
    const { url } = await refusingServer();
    const options = optionsFor({ urls: { tracesUrl: url, configsUrl: url, promptsUrl: url } }, QUICK);
    const ended = await hearing(
      async ({ fallom, listening, hears }) => {
        fallom.init({ ...listening, exitTimeoutMs: 50 });
        fallom.session({ configKey: "app", sessionId: "s" }).span("a").end();
        return [await hears("retrying"), await hears("refresh-failed", undefined, 2)];
      },
      { options },
    );
    const [retrying, failed] = resultOf(ended);
    assert.equal(retrying[0].reason, "connection");
    assertEvents(failed, "refresh-failed");
    assert.deepEqual(failed.map(({ reason }) => reason).sort(), ["configs", "prompts"]);
  });

  test("a key that is refused, and the spans that this costs", () =>
    withServer(
      [],
      async (_, given) => {
        const ended = await hearing(async ({ fallom, listening, hears }) => {
          fallom.init(listening);
          fallom.session({ configKey: "app", sessionId: "s" }).span("a").end();
          return [await hears("unauthorized"), await hears("dropped", "unauthorized")];
        }, given);
        const [unauthorized, dropped] = resultOf(ended);
        assertEvents(unauthorized, "unauthorized");
        assertEvents(dropped, "dropped");
        assert.deepEqual([unauthorized.length, dropped[0].count], [1, 1]);
      },
      { key: "another-key" },
    ));

  for (const [status, reason] of [
    [400, "rejected"],
    [413, "tooLarge"],
  ]) {
    test(`a span that the server answers with ${status}: dropped, ${reason}`, () =>
      withServer([{ ...TRACES, status }], async (_, given) => {
        const ended = await hearing(async ({ fallom, listening, hears }) => {
          fallom.init(listening);
          fallom.session({ configKey: "app", sessionId: "s" }).span("a").end();
          return [await hears("dropped"), fallom.stats().dropped];
        }, given);
        const [events, dropped] = resultOf(ended);
        assertEvents(events, "dropped");
        assert.deepEqual([events[0].reason, events[0].count, dropped[reason]], [reason, 1, 1]);
      }));
  }

  test("a span that was cut, and the option that says where", () =>
    withServer([], async (_, given) => {
      const ended = await hearing(async ({ fallom, listening, hears }) => {
        fallom.init({ ...listening, maxSpanBytes: 8192 });
        const span = fallom.session({ configKey: "app", sessionId: "s" }).span("a");
        span.set({ input: "x".repeat(50_000) }).end();
        return hears("truncated");
      }, given);
      const events = resultOf(ended);
      assertEvents(events, "truncated");
      assert.equal(events[0].count, 1);
      assert.match(events[0].message, /maxSpanBytes/);
    }));

  test("an outage of prompts and configs once, however long it lasts, and of the next one", () =>
    withServer([], async (server, { options, args }) => {
      const given = { options: { ...options, refreshMs: 20 }, args };
      const ended = await hearing(async ({ fallom, listening, heard, hears, sleep, local, args }) => {
        const reads = async () => {
          const requests = await (await fetch(`${args.url}/_local/requests`)).json();
          return requests.filter(({ path, status }) => path === "/configs" && status !== null).length;
        };
        const readAgain = async (times) => {
          const enough = (await reads()) + times;
          while ((await reads()) < enough) await sleep(5);
        };
        const down = [{ path: "/configs", status: 503 }];
        await local("faults", down);
        fallom.init(listening);
        await hears("refresh-failed");
        await readAgain(5);
        const once = heard.filter(({ type }) => type === "refresh-failed").length;
        await local("faults", []);
        await readAgain(2);
        await local("faults", down);
        return { once, all: await hears("refresh-failed", "configs", 2) };
      }, given);
      const { once, all } = resultOf(ended);
      assert.equal(once, 1);
      assertEvents(all, "refresh-failed");
      assert.ok((await server.requests()).length > 0);
    }));

  test("what the server takes, and what it refuses after all", () =>
    withServer([], async (server, given) => {
      await server.setNegotiation({ batches: "broken", compression: "offered" });
      const ended = await hearing(async ({ fallom, listening, hears }) => {
        fallom.init(listening);
        await hears("negotiated", "offered");
        const session = fallom.session({ configKey: "app", sessionId: "negotiated" });
        for (let i = 0; i < 3; i++) session.span("a").end();
        return [await hears("negotiated", "offered"), await hears("negotiated", "refused")];
      }, given);
      const [offered, refused] = resultOf(ended);
      assertEvents([...offered, ...refused], "negotiated");
      assert.match(offered[0].message, /NDJSON.*zstd, gzip/);
      assert.match(refused[0].message, /refused.*NDJSON/);
      assert.equal((await server.spans({ sessionId: "negotiated" })).length, 3);
    }));

  test("warnings, those of init itself included, each once", async () => {
    const ended = await hearing(async ({ fallom, listening, hears, sleep, heard }) => {
      fallom.init(listening);
      fallom.session({ configKey: "app" });
      fallom.session({ configKey: "app" });
      await hears("warning", undefined, 2);
      await sleep(50);
      return heard;
    });
    const events = resultOf(ended);
    assertEvents(events, "warning");
    assert.deepEqual(
      events.map(({ message }) => `[fallom] ${message}`),
      warningsOf(ended),
    );
    assert.match(events[0].message, /no apiKey/);
    assert.match(events[1].message, /sessionId/);
  });
});

describe("a listener", { concurrency: 3 }, () => {
  test("hears of 10,000 drops in a handful of events whose counts are their sum", () =>
    withServer(
      [],
      async (_, given) => {
        const ended = await hearing(async ({ fallom, listening, heard, hears, sleep }) => {
          fallom.init(listening);
          const session = fallom.session({ configKey: "app", sessionId: "s" });
          session.span("first").end();
          await hears("unauthorized");
          for (let i = 0; i < 10_000; i++) session.span("a").end();
          const counted = () =>
            heard.reduce((sum, { type, count }) => sum + (type === "dropped" ? count : 0), 0);
          const begun = performance.now();
          while (counted() < fallom.stats().dropped.total && performance.now() - begun < 5000)
            await sleep(10);
          const events = heard.filter(({ type }) => type === "dropped").length;
          return { events, counted: counted(), dropped: fallom.stats().dropped.unauthorized };
        }, given);
        const { events, counted, dropped } = resultOf(ended);
        console.log(`10,001 drops: ${events} events`);
        assert.deepEqual([counted, dropped], [10_001, 10_001]);
        assert.ok(events <= 5, `${events} events`);
      },
      { key: "another-key" },
    ));

  for (const [how, listener] of [
    ["throws", "() => { throw new Error('needle'); }"],
    ["rejects", "async () => { throw new Error('needle'); }"],
  ]) {
    test(`that ${how} harms nothing, and is told of once`, () =>
      withServer([{ ...TRACES, status: 500, times: 2 }], async (server, given) => {
        const ended = await hearing(
          `async ({ fallom, listening }) => {
            fallom.init({ ...listening, onDiagnostic: ${listener} });
            for (let i = 0; i < 5; i++) fallom.session({ configKey: "app", sessionId: "${how}" }).span("a").end();
            const result = await fallom.flush();
            await new Promise((resolve) => setTimeout(resolve, 50));
            return result;
          }`,
          given,
        );
        assert.equal(resultOf(ended).delivered, 5);
        assert.deepEqual(warningsOf(ended), ["[fallom] onDiagnostic threw; what it throws is ignored"]);
        assert.doesNotMatch(ended.stderr, /needle/);
        assert.equal((await server.spans({ sessionId: how })).length, 5);
      }));
  }

  test("does not keep the process alive, even while events are held back", async () => {
    const { url } = await refusingServer();
    const options = { apiKey: "k", tracesUrl: url, configsUrl: url, promptsUrl: url, exitTimeoutMs: 100 };
    const ended = await hearing(
      async ({ fallom, listening, hears }) => {
        fallom.init(listening);
        await hears("refresh-failed");
        for (let i = 0; i < 100; i++) fallom.session({ configKey: "app", sessionId: "s" }).span("a").end();
        return fallom.stats().open;
      },
      { options },
    );
    assert.equal(resultOf(ended), 0);
    assert.equal(ended.timedOut, false);
  });

  test("takes the place of the one before; without one in a later init, it stays", () =>
    withServer([], async (_, given) => {
      const ended = await hearing(async ({ fallom, listening, options }) => {
        const calls = [];
        const hearAs = (name) => ({
          ...listening,
          onDiagnostic: ({ message }) => calls.push([name, message]),
        });
        const turn = () => new Promise((resolve) => setTimeout(resolve, 100));
        fallom.init(hearAs("first"));
        fallom.session({ configKey: "one" });
        await turn();
        fallom.init(hearAs("second"));
        fallom.session({ sessionId: "two" });
        await turn();
        fallom.init(options);
        fallom.session({ configKey: "c", sessionId: "s", tags: "three" });
        try {
          fallom.init({ ...hearAs("refused"), debug: "no" });
        } catch {}
        fallom.session({ configKey: "c", sessionId: "s", metadata: "four" });
        await turn();
        return calls.filter(([, message]) => message.startsWith("session:"));
      }, given);
      assert.deepEqual(
        resultOf(ended).map(([name, message]) => [name, /session: (\w+)/.exec(message)[1]]),
        [
          ["first", "sessionId"],
          ["second", "configKey"],
          ["second", "tags"],
          ["second", "metadata"],
        ],
      );
    }));

  test("of a worker that is gone is not called, and the others still are", () =>
    withServer([], async (_, given) => {
      const ended = await hearing(async ({ fallom, listening, hears }) => {
        const { Worker } = await import("node:worker_threads");
        const { createRequire } = await import("node:module");
        const path = createRequire(process.argv[1]).resolve("@fallom/trace");
        const code = `
          const { parentPort, workerData } = require("node:worker_threads");
          const fallom = require(${JSON.stringify(path)}).default;
          fallom.init({ onDiagnostic: ({ message }) => parentPort.postMessage(message) });
          fallom.init({ onDiagnostic: ({ message }) => parentPort.postMessage(message) });
          fallom.session({ configKey: "from the worker" });
          setInterval(() => {}, 1000);`;
        fallom.init(listening);
        const rounds = [];
        for (let i = 0; i < 5; i++) {
          const worker = new Worker(code, { eval: true });
          if (i === 0) rounds.push(await new Promise((resolve) => worker.once("message", resolve)));
          else await new Promise((resolve) => worker.once("online", resolve));
          await worker.terminate();
        }
        fallom.session({ sessionId: "from the main thread" });
        const warnings = await hears("warning", undefined, 2);
        return [...rounds, ...warnings.map(({ message }) => message)];
      }, given);
      const [worker, first, second] = resultOf(ended);
      assert.match(worker, /sessionId/);
      assert.match(first, /sessionId/);
      assert.match(second, /configKey/);
    }));
});
