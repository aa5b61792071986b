// Spans that users open themselves: where they belong, what they carry, and that none is lost.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fallom, { wrapTraced } from "@fallom/trace";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";
import { named, shape } from "./support/spans.mjs";

let server;

before(async () => {
  server = await startFallom();
  await fallom.init(optionsFor(server, { batch: { maxDelayMs: 10 } }));
});
after(() => server.close());

let sessions = 0;
const newSession = (more) => fallom.session({ configKey: "app", sessionId: `s-${++sessions}`, ...more });
const spansOf = (session, enough) => server.waitForSpans(enough, session.getContext());
const shapeOf = async (session, enough) => shape(await spansOf(session, enough));
/** A step of some milliseconds, so that steps really overlap. */
const step = (session, name, inner = () => {}) =>
  wrapTraced(session, name, async () => {
    await sleep(Math.random() * 5);
    return inner();
  });

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

test("a span that has ended keeps neither itself alive, nor its content, nor the request that was to wait", async () => {
  const begin = () => {
    const waitUntil = () => {};
    const content = { text: "large" };
    const session = newSession({ waitUntil });
    const root = session.span("root").set({ input: content });
    const child = session.span("child", { parentSpanId: root.spanId, traceId: root.traceId });
    child.end();
    root.end();
    return [waitUntil, content, root, child].map((value) => new WeakRef(value));
  };
  // The first ones, too, of which the package keeps the shape.
  const held = [...begin(), ...begin()];
  await sleep(50);
  collectGarbage();
  assert.deepEqual(
    held.map((ref) => ref.deref()),
    held.map(() => undefined),
  );
});

describe("what a span belongs to", () => {
  test("the span around it, however deep, across awaits and timers", async () => {
    const session = newSession();
    const request = session.span("request");
    await sleep(1);
    const retrieve = session.span("retrieve");
    await step(session, "rank")();
    await new Promise((done) => setTimeout(() => step(session, "later")().then(done), 1));
    retrieve.end();
    session.span("answer").end();
    request.end();
    session.span("afterwards").end();
    assert.deepEqual(await shapeOf(session, 6), [
      "afterwards < -",
      "answer < request",
      "later < retrieve",
      "rank < retrieve",
      "request < -",
      "retrieve < request",
    ]);
  });

  test("an agent's call, for a span that is opened inside it; and the other way round", async () => {
    const session = newSession();
    const agent = { name: "A", generate: () => step(session, "inside")() };
    const outer = session.span("outer");
    await session.wrapMastraAgent(agent).generate("x");
    outer.end();
    assert.deepEqual(await shapeOf(session, 3), [
      "agent.A.generate < outer",
      "inside < agent.A.generate",
      "outer < -",
    ]);
  });

  test("its own request, among many at once", async () => {
    const requests = Array.from({ length: 50 }, () => newSession());
    await Promise.all(
      requests.map(async (session) => {
        const span = session.span("request");
        await sleep(Math.random() * 10);
        await Promise.all([step(session, "one", step(session, "deep"))(), step(session, "two")()]);
        span.end();
      }),
    );
    for (const session of requests)
      assert.deepEqual(await shapeOf(session, 4), [
        "deep < one",
        "one < request",
        "request < -",
        "two < request",
      ]);
  });

  test("its own request, even if all are of one session", async () => {
    const session = newSession();
    await Promise.all(
      ["a", "b", "c"].map(async (name) => {
        const span = session.span(`request ${name}`);
        await step(session, `step ${name}`)();
        span.end();
      }),
    );
    assert.deepEqual(await shapeOf(session, 6), [
      "request a < -",
      "request b < -",
      "request c < -",
      "step a < request a",
      "step b < request b",
      "step c < request c",
    ]);
  });

  test("nothing that has ended, and nothing of another session", async () => {
    const [session, other] = [newSession(), newSession()];
    const span = session.span("ended");
    const later = step(session, "later");
    const stranger = session.span("stranger");
    await step(other, "other")();
    stranger.end();
    span.end();
    await later();
    assert.deepEqual(await shapeOf(other, 1), ["other < -"]);
    assert.deepEqual(await shapeOf(session, 3), ["ended < -", "later < -", "stranger < ended"]);
  });

  test("the ids that it was given", async () => {
    const session = newSession();
    const first = session.span("first");
    first.end();
    const { traceId, spanId } = first.context();
    session.span("by both", { traceId, parentSpanId: spanId }).end();
    session.span("by trace", { traceId }).end();
    const open = session.span("open");
    const second = session.span("second", { parentSpanId: open.spanId });
    assert.deepEqual([second.traceId, second.parentSpanId], [open.traceId, open.spanId]);
    second.end();
    open.end();
    const uuid = "0AF76519-16CD-43DD-8448-EB211C80319C";
    session.span("uuid", { traceId: uuid }).end();
    const spans = await spansOf(session, 6);
    assert.equal(named(spans, "by both").parent_span_id, spanId);
    assert.equal(named(spans, "by trace").trace_id, traceId);
    assert.equal(named(spans, "second").parent_span_id, open.spanId);
    assert.equal(named(spans, "uuid").trace_id, "0af7651916cd43dd8448eb211c80319c");
  });
});

describe("what a span carries", () => {
  test("its session, its kind, its times, and what it was given", async () => {
    const session = newSession({
      customerId: "c-1",
      metadata: { plan: "pro", seats: 3, trial: false },
      tags: ["beta"],
    });
    const begun = Date.now();
    const span = session.span("retrieve", { kind: "retrieval" });
    assert.match(span.spanId, /^[0-9a-f]{16}$/);
    assert.match(span.traceId, /^[0-9a-f]{32}$/);
    assert.deepEqual(span.context(), { traceId: span.traceId, spanId: span.spanId });
    assert.equal(span.set({ docs: 3, cached: true }).set({ query: "shoes", docs: 4 }), span);
    await sleep(20);
    span.end();
    span.end();
    span.set({ docs: 5 }).setError(new Error("too late"));
    const [received] = await spansOf(session, 1);
    const { start_time, end_time, duration_ms, attributes, ...rest } = received;
    assert.deepEqual(rest, {
      config_key: "app",
      session_id: session.getContext().sessionId,
      customer_id: "c-1",
      metadata: { plan: "pro", seats: 3, trial: false },
      tags: ["beta"],
      trace_id: span.traceId,
      span_id: span.spanId,
      name: "retrieve",
      kind: "retrieval",
      status: "OK",
    });
    const { "fallom.sdk": sdk, ...others } = attributes;
    assert.match(sdk, /^@fallom\/trace-rs\/\d/);
    assert.deepEqual(others, {
      "fallom.sdk_version": "2",
      "fallom.span_type": "manual",
      docs: 4,
      cached: true,
      query: "shoes",
    });
    assert.ok(Math.abs(Date.parse(start_time) - begun) < 1000);
    assert.equal(Date.parse(end_time) - Date.parse(start_time), duration_ms);
    assert.ok(duration_ms >= 19 && duration_ms < 1000, `${duration_ms}`);
  });

  test("each kind there is; any other is custom", async () => {
    const session = newSession();
    const kinds = ["agent", "llm", "tool", "retrieval", "preprocessing", "postprocessing", "custom"];
    for (const kind of [...kinds, "guardrail", 7, undefined]) session.span(`${kind}`, { kind }).end();
    const received = (await spansOf(session, 10)).map(({ kind }) => kind);
    assert.deepEqual(received, [...kinds, "custom", "custom", "custom"]);
  });

  test("an error, whatever was thrown", async () => {
    const session = newSession();
    const thrown = [new TypeError("no such order"), "a text", { code: 7 }, undefined, null, 7n];
    for (const error of thrown) session.span("failed").setError(error).end();
    const spans = await spansOf(session, thrown.length);
    for (const { status } of spans) assert.equal(status, "ERROR");
    const messages = spans.map(({ error_message }) => error_message);
    assert.deepEqual(messages, ["no such order", "a text", '{"code":7}', "undefined", "null", "7"]);
  });

  test("no more than 4 KiB of an error's message", async () => {
    const session = newSession();
    session
      .span("failed")
      .setError(new Error("é".repeat(10_000)))
      .end();
    const [{ error_message }] = await spansOf(session, 1);
    assert.ok(Buffer.byteLength(error_message) <= 4096);
    assert.match(error_message, /^é+/);
  });

  test("a name, even where none was given", async () => {
    const session = newSession();
    for (const name of [undefined, "", 42, {}, "half \ud83d"]) session.span(name).end();
    const names = (await spansOf(session, 5)).map(({ name }) => name);
    assert.deepEqual(names, ["span", "span", "42", "span", "half \ufffd"]);
  });
});

describe("wrapTraced", () => {
  test("takes down arguments and result, and changes neither", async () => {
    const session = newSession();
    const owner = { factor: 2, multiply: null };
    owner.multiply = wrapTraced(session, "multiply", async function (a, b) {
      return { product: this.factor * a * b };
    });
    assert.deepEqual(await owner.multiply(3, 4), { product: 24 });
    const one = wrapTraced(session, "one", async (given) => given);
    const object = { deep: [1] };
    assert.equal(await one(object), object);
    assert.equal(await wrapTraced(session, "none", async () => undefined)(), undefined);
    assert.equal(wrapTraced(session, "sync", (n) => n + 1)(1), 2);
    const spans = await spansOf(session, 4);
    const contentOf = (name) => {
      const { input, output } = named(spans, name).attributes;
      return [input, output];
    };
    assert.deepEqual(contentOf("multiply"), ["[3,4]", '{"product":24}']);
    assert.deepEqual(contentOf("one"), ['{"deep":[1]}', '{"deep":[1]}']);
    assert.deepEqual(contentOf("none"), ["[]", undefined]);
    assert.deepEqual(contentOf("sync"), ["1", "2"]);
  });

  test("takes down the input as it was when the function was called", async () => {
    const session = newSession();
    await wrapTraced(session, "mutates", async (list) => list.push("later"))(["first"]);
    const [{ attributes }] = await spansOf(session, 1);
    assert.equal(attributes.input, '["first"]');
  });

  test("lets errors through as they are, thrown or rejected", async () => {
    const session = newSession();
    const error = new RangeError("too much");
    const rejects = wrapTraced(session, "rejects", async () => {
      throw error;
    });
    const throws = wrapTraced(session, "throws", () => {
      throw error;
    });
    await assert.rejects(rejects(), (thrown) => thrown === error);
    assert.throws(throws, (thrown) => thrown === error);
    for (const { status, error_message, attributes } of await spansOf(session, 2)) {
      assert.deepEqual([status, error_message], ["ERROR", "too much"]);
      assert.deepEqual([attributes.input, attributes.output], ["[]", undefined]);
    }
  });

  test("is still the same function to look at: name, length, properties, `new`", () => {
    function add(a, b) {
      return a + b;
    }
    add.version = 1;
    const traced = wrapTraced(newSession(), "add", add);
    assert.deepEqual([traced.name, traced.length, traced.version], ["add", 2, 1]);
    class Thing {}
    assert.ok(new (wrapTraced(newSession(), "thing", Thing))() instanceof Thing);
  });

  test("a thousand calls at once each have their own parent", async () => {
    const session = newSession();
    const outer = wrapTraced(session, "outer", async (i) => inner(i));
    const inner = wrapTraced(session, "inner", async (i) => sleep(Math.random() * 10, i));
    const results = await Promise.all(Array.from({ length: 1000 }, (_, i) => outer(i)));
    assert.equal(
      results.reduce((sum, i) => sum + i, 0),
      499_500,
    );
    const spans = await spansOf(session, 2000);
    const byId = new Map(spans.map((span) => [span.span_id, span]));
    for (const span of spans.filter(({ name }) => name === "inner")) {
      const parent = byId.get(span.parent_span_id);
      assert.deepEqual([parent.name, parent.trace_id], ["outer", span.trace_id]);
      assert.equal(parent.attributes.input, span.attributes.input);
    }
  });
});

describe("a span that nobody ends", () => {
  for (const [how, leave] of [
    ["the process ends", "end"],
    ["process.exit is called", "exit"],
    ["an error ends the process", "throw"],
  ]) {
    test(`is sent when ${how}, and says so`, async () => {
      const sessionId = `left-${leave}`;
      const program = child(leaveOpen, { options: optionsFor(server), args: { leave, sessionId } });
      const { code, ms, timedOut } = await runProgram(program);
      assert.deepEqual([code, timedOut], [leave === "end" ? 0 : leave === "exit" ? 3 : 1, false]);
      assert.ok(ms < 5000, `${ms} ms`);
      const spans = await server.spans({ sessionId });
      assert.deepEqual(shape(spans), ["left open < -", "work < left open"]);
      for (const span of spans) {
        assert.deepEqual([span.status, span.attributes["fallom.incomplete"]], ["ERROR", "exit"]);
        assert.ok(span.error_message);
      }
      assert.equal(named(spans, "left open").attributes.progress, 0.5);
    });
  }

  test("is sent after maxOpenMs, and the process does not live for it", async () => {
    const options = optionsFor(server, { maxOpenMs: 100, batch: { maxDelayMs: 10 } });
    const ended = await runProgram(child(waitForExpiry, { options }));
    const stats = resultOf(ended);
    assert.deepEqual([stats.open, stats.delivered], [0, 1]);
    const [span] = await server.spans({ sessionId: "expires" });
    assert.deepEqual([span.status, span.attributes["fallom.incomplete"]], ["ERROR", "expired"]);
    assert.ok(span.duration_ms >= 99 && span.duration_ms < 1000, `${span.duration_ms}`);
  });

  test("is one warning at most for ids that are none, and no error", async () => {
    const ended = await runProgram(child(badIds, { options: optionsFor(server) }));
    assert.equal(resultOf(ended), "fine");
    const said = warningsOf(ended);
    assert.deepEqual(
      said.map((line) => /span: (\w+) is no id/.exec(line)?.[1]),
      ["traceId", "parentSpanId"],
    );
  });
});

async function leaveOpen({ fallom, init, wrapTraced, options, args }) {
  await init(options);
  const session = fallom.session({ configKey: "app", sessionId: args.sessionId });
  session.span("left open").set({ progress: 0.5 });
  wrapTraced(session, "work", () => new Promise(() => {}))();
  if (args.leave === "exit") process.exit(3);
  if (args.leave === "throw") throw new Error("on purpose");
}

async function waitForExpiry({ fallom, init, options }) {
  await init(options);
  fallom.session({ configKey: "app", sessionId: "expires" }).span("forgotten");
  while (fallom.stats().delivered === 0) await new Promise((done) => setTimeout(done, 10));
  return fallom.stats();
}

async function badIds({ fallom, init, options }) {
  await init(options);
  const session = fallom.session({ configKey: "app", sessionId: "bad" });
  for (const id of ["nonsense", "0000000000000000", 7, {}])
    session.span("bad", { traceId: id, parentSpanId: id }).set(null).set("x").end();
  session
    .span("fine", null)
    .set({ __proto__: { a: 1 } })
    .end();
  return "fine";
}
