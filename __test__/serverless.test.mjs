// Where processes are frozen as soon as they have answered: the platform is asked to wait, and what it waits for is
// the delivery. The platform is a program of ours that does as Vercel and OpenNext do; all else is real.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { hangingServer } from "./support/ending.mjs";
import { startFallom } from "./support/fallom.mjs";
import { startModel } from "./support/model.mjs";
import { runProgram, startProgram } from "./support/program.mjs";

const LINE = process.env.MASTRA || "0.24";
const SUPPORT = new URL("support/", import.meta.url).href;
/** So long that nothing goes by itself before the freeze. */
const BATCH = { batch: { maxDelayMs: 60_000 } };
/** What a flush takes at most, if nobody says how long. */
const FLUSH_MS = 5000;

let server;
let model;
let sessions = 0;

before(async () => {
  [server, model] = await Promise.all([startFallom(), startModel(() => ({ text: "Here you are." }))]);
});
after(() => Promise.all([server.close(), model.close()]));

/**
 * A platform that serves so many requests and then freezes: it has answered, and what it was told of has settled.
 * Its requests are `/<what>?<session id>`.
 */
async function platform({ fallom, wrapTraced, options, args }) {
  const { createServer } = await import("node:http");
  const { AsyncLocalStorage } = await import("node:async_hooks");
  const { writeSync } = await import("node:fs");
  const { makeAgent, modelOf } = await import(`${args.support}mastra.mjs`);
  const say = (what) => writeSync(1, `${JSON.stringify(what)}\n`);
  const running = new AsyncLocalStorage();

  // A method that needs its `this`, as Cloudflare's does.
  class Request {
    #told = [];
    waitUntil(promise) {
      this.#told.push(promise);
      if (args.fails === "throws") throw new TypeError("needle");
      if (args.fails === "rejects") return Promise.reject(new TypeError("needle"));
    }
    async settled() {
      for (let i = 0; i < this.#told.length; i++) await this.#told[i];
      return this.#told.length;
    }
  }

  const current = () => {
    if (args.fails === "has no request") throw new TypeError("needle");
    return running.getStore();
  };
  if (args.on === "__cloudflare-context__")
    Object.defineProperty(globalThis, Symbol.for(args.on), { get: () => ({ env: {}, ctx: current() }) });
  else if (args.on) globalThis[Symbol.for(args.on)] = { get: current };
  const passed = args.pass === "init" && { waitUntil: (promise) => running.getStore().waitUntil(promise) };
  fallom.init({ ...options, ...passed });

  let arrived = 0;
  let everybody;
  const allHaveArrived = new Promise((resolve) => {
    everybody = resolve;
  });
  const handlers = {
    async spans(session) {
      const outer = session.span("outer");
      await wrapTraced(session, "inner", async () => allHaveArrived)();
      outer.end();
    },
    async tick(session) {
      for (let i = 0; i < 5; i++) session.span(`root-${i}`).end();
    },
    async late(session) {
      let late;
      const outer = session.span("outer");
      const done = wrapTraced(session, "late", () => new Promise((resolve) => (late = resolve)))();
      outer.end();
      await running.getStore().settled();
      late();
      await done;
    },
    async generate(session, agent) {
      return (await session.wrapMastraAgent(agent).generate("Hello")).text;
    },
    async stream(session, agent, response) {
      const { textStream } = await session.wrapMastraAgent(agent).stream("Hello");
      for await (const text of textStream) response.write(text);
    },
    async streamElsewhere(session, agent, response) {
      const { textStream } = await session.wrapMastraAgent(agent).stream("Hello");
      const pump = async () => {
        for await (const text of textStream) response.write(text);
      };
      // As a platform may that is given a stream for an answer: outside of the request's own scope.
      await running.exit(pump);
    },
  };

  async function serve(url, response) {
    const request = running.getStore();
    if (++arrived === args.requests) everybody();
    const [what, sessionId] = url.slice(1).split("?");
    const own = args.pass === "session" && { waitUntil: request.waitUntil.bind(request) };
    const session = fallom.session({ configKey: "app", sessionId, ...own });
    response.end(await handlers[what](session, makeAgent({ model: modelOf(args) }), response));
  }

  let left = args.requests;
  const http = createServer((incoming, response) => {
    const request = new Request();
    response.once("close", async () => {
      const told = await request.settled();
      say({ [incoming.url]: told });
      if (--left > 0) return;
      say("frozen");
      process.kill(process.pid, "SIGSTOP");
    });
    running.run(request, () => serve(incoming.url, response));
  });
  http.listen(0, "127.0.0.1", () => say({ port: http.address().port }));
}

/**
 * Sends such requests at once, and tells what has arrived when the platform is frozen: the names of each one's spans,
 * and how often it was told to wait.
 */
async function frozenAfter(whats, args, options) {
  const given = { requests: whats.length, support: SUPPORT, baseURL: model.baseURL, ...args };
  const program = child(platform, { options: optionsFor(server, { ...BATCH, ...options }), args: given });
  const { child: process, says, ended } = startProgram(program);
  const [, port] = /"port":(\d+)/.exec(await says(/"port":\d+}/));
  const urls = whats.map((what) => `/${what}?frozen-${++sessions}`);
  const texts = await Promise.all(
    urls.map(async (url) => (await fetch(`http://127.0.0.1:${port}${url}`)).text()),
  );
  const said = (await says('"frozen"'))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const spans = await Promise.all(urls.map((url) => server.spans({ sessionId: url.split("?")[1] })));
  process.kill("SIGKILL");
  return {
    names: spans.map((each) => each.map(({ name }) => name).sort()),
    told: urls.map((url) => Object.assign({}, ...said)[url]),
    texts,
    ended: await ended,
  };
}

describe(`a platform that freezes after the answer, with Mastra ${LINE}`, { concurrency: 2 }, () => {
  test("and gives no waitUntil, takes the spans along: that is what the others prevent", async () => {
    const { names, told } = await frozenAfter(["spans"], {});
    assert.deepEqual([names, told], [[[]], [0]]);
  });

  for (const on of ["@vercel/request-context", "@next/request-context", "__cloudflare-context__"]) {
    test(`is found by itself, by ${on}, and waits till the spans have arrived`, async () => {
      const { names, told, ended } = await frozenAfter(["spans"], { on });
      assert.deepEqual([names, told, ended.stderr], [[["inner", "outer"]], [1], ""]);
    });
  }

  for (const pass of ["init", "session"]) {
    test(`waits with the waitUntil that was passed to ${pass}`, async () => {
      const { names, told } = await frozenAfter(["spans"], { pass });
      assert.deepEqual([names, told], [[["inner", "outer"]], [1]]);
    });
  }

  for (const place of [{ on: "@vercel/request-context" }, { pass: "session" }]) {
    test(`is told of each of two requests at once, by ${JSON.stringify(place)}`, async () => {
      const { names, told } = await frozenAfter(["spans", "spans"], place);
      assert.deepEqual(names, [
        ["inner", "outer"],
        ["inner", "outer"],
      ]);
      assert.deepEqual(told, [1, 1]);
    });
  }

  test("is told once of what ends at once", async () => {
    const { names, told } = await frozenAfter(["tick"], { on: "@vercel/request-context" });
    assert.deepEqual([names[0].length, told], [5, [1]]);
  });

  test("waits for a span, too, that outlives the one around it", async () => {
    const { names, told } = await frozenAfter(["late"], { on: "@vercel/request-context" });
    assert.deepEqual([names, told], [[["late", "outer"]], [2]]);
  });

  for (const method of ["generate", "stream"]) {
    test(`has the trace of a real agent's ${method}`, async () => {
      const { names, texts, told } = await frozenAfter([method], { on: "@vercel/request-context" });
      assert.deepEqual([names, texts], [[[`agent.SupportAgent.${method}`]], ["Here you are."]]);
      assert.equal(told[0], 1);
    });
  }

  test("has the trace of a stream, too, that is read outside of the request's scope", async () => {
    const { names, texts, told } = await frozenAfter(["streamElsewhere"], { on: "@vercel/request-context" });
    assert.deepEqual([names, texts], [[["agent.SupportAgent.stream"]], ["Here you are."]]);
    assert.equal(told[0], 1);
  });

  for (const fails of ["throws", "rejects", "has no request"]) {
    test(`and whose waitUntil ${fails}, harms nothing`, async () => {
      const { texts, ended } = await frozenAfter(["generate"], { on: "@vercel/request-context", fails });
      assert.deepEqual(texts, ["Here you are."]);
      assert.deepEqual(warningsOf(ended), [
        "[fallom] waitUntil failed (TypeError): the platform may stop before all is delivered",
      ]);
      assert.doesNotMatch(ended.stderr, /needle/);
    });
  }

  test("is not kept waiting by a server that hangs: 5 s, and nothing is rejected", async () => {
    const { url: tracesUrl } = await hangingServer();
    const begun = performance.now();
    const { told } = await frozenAfter(["spans"], { on: "@vercel/request-context" }, { tracesUrl });
    const ms = performance.now() - begun;
    assert.deepEqual(told, [1]);
    assert.ok(ms < 2 * FLUSH_MS, `${ms} ms`);
  });
});

describe("waitUntil of a session", () => {
  const run = (body, options) => runProgram(child(body, { options: optionsFor(server, options) }));

  test("is no part of its context, nor of what is sent", async () => {
    const ended = await run(async ({ fallom, options }) => {
      fallom.init(options);
      const session = fallom.session({ configKey: "app", sessionId: "context", waitUntil: () => {} });
      session.span("a").end();
      await fallom.flush();
      return session.getContext();
    });
    assert.deepEqual(resultOf(ended), { configKey: "app", sessionId: "context" });
    assert.doesNotMatch(JSON.stringify(await server.spans({ sessionId: "context" })), /wait/i);
  });

  test("of a wrong type is one warning, and the span is sent as ever", async () => {
    const ended = await run(async ({ fallom, options }) => {
      fallom.init(options);
      for (const waitUntil of ["yes", 5, {}, null, undefined])
        fallom.session({ configKey: "app", sessionId: "s", waitUntil }).span("a").end();
      return fallom.flush();
    });
    assert.equal(resultOf(ended).delivered, 5);
    assert.deepEqual(warningsOf(ended), ["[fallom] session: waitUntil is no function and is left out"]);
  });

  test("goes before the one of init, and a later init may bring another", async () => {
    const ended = await run(async ({ fallom, options }) => {
      const told = [];
      const as = (name) => ({ waitUntil: () => told.push(name) });
      const end = async (more) => {
        fallom
          .session({ configKey: "app", sessionId: "s", ...more })
          .span("a")
          .end();
        await fallom.flush();
      };
      fallom.init({ ...options, ...as("init") });
      await end(as("session"));
      await end();
      fallom.init(options);
      await end();
      fallom.init(as("another"));
      await end();
      return told;
    });
    assert.deepEqual(resultOf(ended), ["session", "init", "init", "another"]);
  });
});

test("a waitUntil does not keep a process alive that has nothing else to do", async () => {
  const { url: tracesUrl } = await hangingServer();
  const options = { ...optionsFor(server), tracesUrl, exitTimeoutMs: 100 };
  const body = async ({ fallom, options }) => {
    let exited = false;
    const waitUntil = (promise) => promise.then(() => exited || console.log("waited"));
    fallom.init({ ...options, waitUntil });
    fallom.session({ configKey: "app", sessionId: "s" }).span("a").end();
    process.on("exit", () => {
      exited = true;
      console.log(JSON.stringify("ended"));
    });
  };
  const ended = await runProgram(child(body, { options }));
  assert.equal(resultOf(ended), "ended");
  assert.doesNotMatch(ended.stdout, /waited/);
});

describe("flush", () => {
  const run = (body, given) => runProgram(child(body, given));

  test("joins what is in flight with what is queued", async () => {
    const slow = await startFallom();
    await slow.setFaults([{ path: "/v1/traces", delay_ms: 300, record: true }]);
    const options = optionsFor(slow, { batch: { maxDelayMs: 1 }, transport: { maxConcurrent: 1 } });
    const ended = await run(
      async ({ fallom, options }) => {
        fallom.init(options);
        const session = fallom.session({ configKey: "app", sessionId: "s" });
        session.span("in flight").end();
        while (fallom.stats().inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        session.span("queued").end();
        return fallom.flush();
      },
      { options },
    );
    const names = (await slow.spans()).map(({ name }) => name).sort();
    await slow.close();
    assert.equal(resultOf(ended).delivered, 2);
    assert.deepEqual(names, ["in flight", "queued"]);
  });

  test("answers within its deadline, though the server hangs, and tells what is left", async () => {
    const { url: tracesUrl } = await hangingServer();
    const options = { ...optionsFor(server), tracesUrl, exitTimeoutMs: 100 };
    const ended = await run(
      async ({ fallom, options }) => {
        fallom.init(options);
        for (let i = 0; i < 3; i++) fallom.session({ configKey: "app", sessionId: "s" }).span("a").end();
        const begun = performance.now();
        const result = await fallom.flush({ timeoutMs: 300 });
        return { result, ms: performance.now() - begun };
      },
      { options },
    );
    const { result, ms } = resultOf(ended);
    assert.deepEqual(result, { delivered: 0, spooled: 0, dropped: 0, pending: 3, timedOut: true });
    assert.ok(ms < 600, `${ms} ms`);
  });
});
