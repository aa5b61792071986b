// Starting, starting again, and stopping. Each test is a process of its own, since a tracer starts once per process.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { child, optionsFor, resultOf, traceOne, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";

/** What would hold a process open (a read, a connection, a refresh, a batch's delay) holds it longer. */
const HELD_MS = 5000;

let server;

before(async () => {
  server = await startFallom();
  await server.setCatalog({ prompts: [{ key: "p", version: 1, system_prompt: "Hi.", user_template: null }] });
});
after(() => server.close());

const run = (body, program) => runProgram(child(body, program));
const spansOf = (sessionId) => server.spans({ sessionId });

describe("without a key", { concurrency: 4 }, () => {
  test("the application runs untraced, warned once", async () => {
    const ended = await run(traceOne, { options: { ...server.urls }, args: { sessionId: "keyless" } });
    const { value, sum, stats } = resultOf(ended);
    assert.deepEqual([value, sum, stats.started], [true, 3, 0]);
    assert.deepEqual(warningsOf(ended).length, 1, ended.stderr);
    assert.match(ended.stderr, /apiKey.*FALLOM_API_KEY/);
    assert.deepEqual(await spansOf("keyless"), []);
  });

  test("an empty key counts as none", async () => {
    const ended = await run(traceOne, {
      options: { ...server.urls, apiKey: "" },
      args: { sessionId: "keyless" },
    });
    assert.equal(resultOf(ended).stats.started, 0);
    assert.match(ended.stderr, /There is no apiKey/);
  });

  test("and without init, nothing is traced or read, and that is said", async () => {
    const ended = await run(async ({ fallom, prompts }) => {
      fallom.session({ configKey: "app", sessionId: "s" }).span("x").end();
      const refused = await prompts.get("p").catch((error) => error.message);
      return { refused, started: fallom.stats().started };
    });
    assert.match(resultOf(ended).refused, /init/);
    assert.equal(resultOf(ended).started, 0);
    assert.equal(warningsOf(ended).length, 1, ended.stderr);
  });

  test("prompts start all the same with a key of their own, and tracing when init brings one", async () => {
    const ended = await run(
      async ({ fallom, prompts, options }) => {
        await prompts.init({ apiKey: "for prompts", baseUrl: options.promptsUrl });
        const { system } = await prompts.get("p");
        const session = fallom.session({ configKey: "app", sessionId: "prompts first" });
        session.span("before").end();
        await fallom.init(options);
        session.span("after").end();
        await fallom.flush();
        return system;
      },
      { options: optionsFor(server) },
    );
    assert.equal(resultOf(ended), "Hi.");
    assert.deepEqual(
      (await spansOf("prompts first")).map(({ name }) => name),
      ["after"],
    );
  });
});

for (const [what, program] of [
  ["enabled: false", { options: { enabled: false } }],
  ["FALLOM_ENABLED=false", { env: { FALLOM_ENABLED: "false" } }],
])
  test(`${what}: the application works, and not one request is made`, async () => {
    const lonely = await startFallom();
    const options = optionsFor(lonely, program.options);
    const ended = await run(
      async ({ fallom, prompts, models, options }) => {
        await fallom.init(options);
        const session = fallom.session({ configKey: "app", sessionId: "s" });
        const sum = await fallom.trace.wrapTraced(session, "sum", async (a, b) => a + b)(1, 2);
        const agent = session.wrapMastraAgent({ generate: async () => "answer" });
        const model = await session.getModel({ fallback: "small" });
        const missing = await prompts.get("p").catch((error) => error.message);
        const flushed = await fallom.flush();
        return [
          sum,
          await agent.generate("x"),
          model,
          await models.get("c", "s", { fallback: "m" }),
          missing,
          flushed,
        ];
      },
      { ...program, options },
    );
    const [sum, answer, model, other, missing, flushed] = resultOf(ended);
    assert.deepEqual([sum, answer, model, other, flushed.pending], [3, "answer", "small", "m", 0]);
    assert.match(missing, /^Prompt 'p' not found/);
    assert.deepEqual(await lonely.requests(), []);
    await lonely.close();
  });

describe("a second init", { concurrency: 4 }, () => {
  test("brings a new key and URLs; other changes are ignored and named in one warning", async () => {
    const second = await startFallom({ key: "second" });
    const ended = await run(
      async ({ fallom, prompts, options, args }) => {
        await fallom.init(options);
        const session = fallom.session({ configKey: "app", sessionId: "moves" });
        session.span("first").end();
        await fallom.flush();
        for (let i = 0; i < 2; i++)
          await fallom.init({
            ...args.next,
            captureContent: false,
            debug: false,
            batch: { maxSpans: 7 },
            refreshMs: 1000,
          });
        await fallom.trace.wrapTraced(session, "second", async () => "still captured")();
        await fallom.flush();
        await prompts.get("p").catch(() => {});
      },
      { options: optionsFor(server), args: { next: optionsFor(second, { apiKey: "second" }) } },
    );
    assert.equal(ended.code, 0, ended.stderr);
    assert.deepEqual(
      (await spansOf("moves")).map(({ name }) => name),
      ["first"],
    );
    const [span] = await second.spans({ sessionId: "moves" });
    assert.equal(span.attributes.output, '"still captured"');
    assert.ok((await second.requests()).some(({ path, status }) => path === "/prompts" && status === 200));
    const said = warningsOf(ended).filter((line) => line.includes("init was called before"));
    assert.equal(said.length, 1, ended.stderr);
    for (const name of ["captureContent", "batch", "refreshMs"]) assert.ok(said[0].includes(name), said[0]);
    for (const name of ["debug", "apiKey", "Url"]) assert.ok(!said[0].includes(name), said[0]);
    await second.close();
  });

  test("with the same options is silent and changes nothing", async () => {
    const ended = await run(
      async ({ fallom, options }) => {
        for (let i = 0; i < 3; i++) await fallom.init(options);
        await fallom.init();
        fallom.session({ configKey: "app", sessionId: "again" }).span("x").end();
        await fallom.flush();
      },
      { options: optionsFor(server, { maxOpenMs: 5000 }) },
    );
    assert.equal(ended.stderr, "");
    assert.equal((await spansOf("again")).length, 1);
  });

  test("leaves prompts where prompts.init put them, whichever of the two came first", async () => {
    const other = await startFallom({ key: "other" });
    await other.setCatalog({
      prompts: [{ key: "p", version: 1, system_prompt: "Other.", user_template: null }],
    });
    const ended = await run(
      async ({ fallom, prompts, options, args }) => {
        const texts = [];
        const note = async () => texts.push((await prompts.get("p")).system);
        await prompts.init(args.own);
        await fallom.init(options);
        await note();
        await fallom.init({ ...options, apiKey: "new" });
        await note();
        await prompts.init({ baseUrl: options.promptsUrl });
        await note();
        return texts;
      },
      { options: optionsFor(server), args: { own: { apiKey: "other", baseUrl: other.url } } },
    );
    assert.deepEqual(resultOf(ended), ["Other.", "Other.", "Hi."]);
    await other.close();
  });

  test("that brings another URL while the first is still being read is obeyed at once", async () => {
    const slow = await startFallom();
    await slow.setFaults([{ hang: true }]);
    const ended = await run(
      async ({ fallom, prompts, options, args }) => {
        await fallom.init({ ...options, ...args.slow });
        await prompts.get("p").catch(() => {});
        await prompts.init({ baseUrl: options.promptsUrl });
        return (await prompts.get("p")).system;
      },
      { options: optionsFor(server, { getTimeoutMs: 500 }), args: { slow: slow.urls } },
    );
    assert.equal(resultOf(ended), "Hi.");
    await slow.close();
  });
});

describe("the end", { concurrency: 4 }, () => {
  test("after shutdown, calls run untraced; init starts tracing again", async () => {
    const ended = await run(
      async ({ fallom, shutdown, options }) => {
        await fallom.init(options);
        const session = fallom.session({ configKey: "app", sessionId: "stopped" });
        const call = (name) => fallom.trace.wrapTraced(session, name, async () => name)();
        const open = session.span("open at shutdown");
        await call("before");
        const result = await shutdown();
        const answer = await call("untraced");
        open.end();
        const stats = fallom.stats();
        await fallom.init();
        await call("again");
        await fallom.flush();
        return { result, answer, stats };
      },
      { options: optionsFor(server) },
    );
    const { result, answer, stats } = resultOf(ended);
    assert.deepEqual(result, { delivered: 1, spooled: 0, dropped: 0, pending: 0, timedOut: false });
    assert.deepEqual([answer, stats.started, stats.dropped.disabled], ["untraced", 2, 1]);
    assertBalanced(stats);
    assert.deepEqual((await spansOf("stopped")).map(({ name }) => name).sort(), ["again", "before"]);
  });

  for (const how of ["falls off its end", "calls process.exit"])
    test(`a process that ${how} sends what is there, and goes without waiting`, async () => {
      const sessionId = `a process that ${how}`;
      const ended = await run(
        async ({ fallom, options, args }) => {
          await fallom.init(options);
          const session = fallom.session({ configKey: "app", sessionId: args.sessionId });
          for (let i = 0; i < 500; i++) session.span(`n-${i}`).end();
          if (args.exit) process.exit(0);
        },
        {
          options: optionsFor(server, { batch: { maxDelayMs: 60_000 } }),
          args: { sessionId, exit: how.includes("exit") },
        },
      );
      assert.deepEqual([ended.code, ended.timedOut, ended.stderr], [0, false, ""]);
      assert.ok(ended.ms < HELD_MS, `${ended.ms} ms`);
      assert.equal((await spansOf(sessionId)).length, 500);
    });

  test("a process that only calls init is not held open", async () => {
    const ended = await run(({ fallom, options }) => fallom.init(options), { options: optionsFor(server) });
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    assert.ok(ended.ms < HELD_MS, `${ended.ms} ms`);
  });
});

test("the ledger balances at every moment", async () => {
  const flaky = await startFallom();
  await flaky.setFaults([{ path: "/v1/traces", status: 503, probability: 0.3 }]);
  const ended = await run(
    async ({ fallom, options }) => {
      await fallom.init(options);
      const session = fallom.session({ configKey: "app", sessionId: "s" });
      const moments = [];
      for (let i = 0; i < 300; i++) {
        const span = session.span(`n-${i}`);
        if (i % 10) span.end();
        moments.push(fallom.stats());
        if (i % 20 === 0) await new Promise(setImmediate);
      }
      const settling = fallom.flush().then(() => true);
      while (!(await Promise.race([settling, new Promise((done) => setTimeout(done, 1))])))
        moments.push(fallom.stats());
      return [...moments, fallom.stats()];
    },
    { options: optionsFor(flaky, { retry: { baseMs: 5 }, batch: { maxSpans: 10, maxDelayMs: 1 } }) },
  );
  const moments = resultOf(ended);
  for (const stats of moments) assertBalanced(stats);
  const { started, open, delivered } = moments.at(-1);
  assert.deepEqual([started, open, delivered], [300, 30, 270]);
  await flaky.close();
});
