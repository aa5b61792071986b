// What users of the older JavaScript SDK suffer, one test for each: none of it comes back. What of it is about delivery
// stands in defects-delivery.test.mjs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fallom, { prompts, wrapTraced } from "@fallom/trace";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { makeAgent, makeTool, modelOf, z } from "./support/mastra.mjs";
import { echo, startModel } from "./support/model.mjs";
import { runProgram, startProgram } from "./support/program.mjs";
import { named, raw, shape } from "./support/spans.mjs";

const prompt = (key, system) => ({ key, version: 1, system_prompt: system, user_template: null });
const CATALOG = {
  prompts: [
    prompt("a", "You are A."),
    prompt("b", "You are B."),
    prompt("prototype", "{{toString}} {{constructor}} {{__proto__}} {{hasOwnProperty}} {{name}}"),
  ],
  configs: [
    {
      key: "app",
      version: 1,
      variants: [
        { model: "for all", weight: 100 },
        { model: "for vips", weight: 0 },
      ],
      targeting: { individualTargets: [{ field: "customerId", value: "vip", variantIndex: 1 }] },
    },
  ],
};

let server;
let model;

before(async () => {
  [server, model] = await Promise.all([startFallom(), startModel(echo)]);
  await server.setCatalog(CATALOG);
  await fallom.init(optionsFor(server, { batch: { maxDelayMs: 10 } }));
});
after(() => Promise.all([server.close(), model.close()]));

let sessions = 0;
const newSession = (more) => fallom.session({ configKey: "app", sessionId: `s-${++sessions}`, ...more });
const spansOf = (session, enough) => server.waitForSpans(enough, session.getContext());

/** A tool of this name that takes a text and does this. */
function tool(id, execute) {
  return makeTool({ id, description: id, inputSchema: z.object({ text: z.string() }), execute });
}

/** A model that calls the tool once, and then says what it was told. */
function callsOnce(name) {
  return startModel((call) =>
    call.tools.includes(name) && !call.toolResults.length
      ? { toolCalls: [{ name, args: name.startsWith("agent-") ? { prompt: "sub" } : { text: "given" } }] }
      : `You said: ${call.lastUser}`,
  );
}

test("defect 1: two sessions around one agent do not record each other's calls", async () => {
  const agent = makeAgent({ model: modelOf(model) });
  const [ada, bob] = [newSession({ customerId: "ada" }), newSession({ customerId: "bob" })];
  const [forAda, forBob] = [ada.wrapMastraAgent(agent), bob.wrapMastraAgent(agent)];
  await Promise.all([
    forAda.generate("from Ada"),
    forBob.generate("from Bob"),
    agent.generate("from nobody"),
  ]);
  for (const [session, customer, text] of [
    [ada, "ada", "from Ada"],
    [bob, "bob", "from Bob"],
  ]) {
    const [span, ...others] = await spansOf(session, 1);
    assert.deepEqual([span.customer_id, raw(span, "request")[0].content, others], [customer, text, []]);
  }
});

test("defect 1: an agent that was wrapped a dozen times is traced once per call, and thousands of times works", async () => {
  const agent = makeAgent({ model: modelOf(model) });
  const session = newSession();
  let traced = agent;
  for (let i = 0; i < 12; i++) traced = session.wrapMastraAgent(traced);
  await traced.generate("hello");
  for (let i = 0; i < 10_000; i++) traced = session.wrapMastraAgent(traced);
  await traced.generate("hello");
  await fallom.flush();
  assert.equal((await spansOf(session, 2)).length, 2);
});

test("defect 2: requests at once do not get each other's prompt", async () => {
  const requests = Array.from({ length: 10 }, (_, i) => [newSession(), i % 2 ? "a" : "b"]);
  await Promise.all(
    requests.map(async ([session, key]) => {
      const { system } = await prompts.get(key);
      await sleep(Math.random() * 10);
      await session
        .wrapMastraAgent(makeAgent({ instructions: system, model: modelOf(model) }))
        .generate("hello");
    }),
  );
  for (const [session, key] of requests) assert.equal((await spansOf(session, 1))[0].prompt_key, key);
});

test("defect 2: a call that failed does not leave its prompt to the next", async () => {
  const [failed, next] = [newSession(), newSession()];
  const { system } = await prompts.get("a");
  const agent = { name: "Failing", generate: async () => Promise.reject(new Error(system)) };
  await assert.rejects(failed.wrapMastraAgent(agent).generate("hello"));
  await next.wrapMastraAgent(makeAgent({ model: modelOf(model) })).generate("hello");
  assert.equal((await spansOf(next, 1))[0].prompt_key, undefined);
});

for (const method of ["generate", "stream"]) {
  test(`defect 3: a trace of ${method} shows model, tokens, timings and tools`, async () => {
    const scene = await callsOnce("look");
    const session = newSession();
    const tools = { look: tool("look", async ({ text }) => ({ seen: text })) };
    const traced = session.wrapMastraAgent(makeAgent({ model: modelOf(scene), tools }));
    await (await traced[method]("hello")).text;
    const spans = await spansOf(session, 2);
    const agent = named(spans, `agent.SupportAgent.${method}`);
    assert.equal(agent.model, "gpt-4o-mini-2024-07-18");
    const { inputTokens, outputTokens } = raw(agent, "usage");
    assert.deepEqual([inputTokens, outputTokens], [40, 20]);
    const { totalDurationMs, toolTimings, phases } = raw(agent, "timings");
    assert.ok(totalDurationMs > 0 && phases.length > 1);
    assert.equal(toolTimings[0].name, "look");
    const look = named(spans, "tool.look");
    assert.deepEqual([raw(look, "request"), raw(look, "response")], [{ text: "given" }, { seen: "given" }]);
    await scene.close();
  });
}

test("defect 3: a span grows with the steps of its call, and not with their square", async () => {
  const bytesOf = async (steps) => {
    const scene = await startModel(({ toolResults }) =>
      toolResults.length < steps ? { toolCalls: [{ name: "look", args: { text: "x" } }] } : "done",
    );
    const session = newSession();
    const tools = { look: tool("look", async () => ({ page: "p".repeat(2000) })) };
    const agent = makeAgent({ model: modelOf(scene), tools });
    await session.wrapMastraAgent(agent).generate("hello", { maxSteps: 30 });
    const span = named(await spansOf(session, steps + 1), "agent.SupportAgent.generate");
    await scene.close();
    return JSON.stringify(span).length;
  };
  const [five, twenty] = [await bytesOf(5), await bytesOf(20)];
  assert.ok(twenty < five * 5, `${five} bytes for 5 steps, ${twenty} for 20`);
});

test("defect 4: a value that JSON cannot hold does not break the call", async () => {
  const circular = { name: "loop", big: 10n };
  circular.self = circular;
  const session = newSession();
  assert.equal(await wrapTraced(session, "step", async () => circular)(circular), circular);
  const result = { text: "ok", object: circular };
  const agent = { name: "Own", generate: async () => result };
  assert.equal(await session.wrapMastraAgent(agent).generate([circular]), result);
  session.span("manual").set({ circular }).setError(circular).end();

  const scene = await callsOnce("look");
  const tools = { look: tool("look", async () => ({ when: new Date(0), big: "10" })) };
  const traced = session.wrapMastraAgent(makeAgent({ model: modelOf(scene), tools }));
  const context = { requestContext: undefined, note: circular };
  assert.equal(
    (await traced.generate([{ role: "user", content: "hello", metadata: {} }], context)).text,
    "You said: hello",
  );
  await scene.close();

  const spans = await spansOf(session, 5);
  assert.deepEqual(raw(named(spans, "agent.Own.generate"), "response").object, {
    name: "loop",
    big: "10",
    self: "[circular]",
  });
});

test("defect 5: with captureContent: false not a word of the conversation is sent", async () => {
  const options = optionsFor(server, { captureContent: false });
  const program = child(sayTheSecret, { options, args: { baseURL: model.baseURL } });
  const ended = await runProgram(program);
  assert.equal(resultOf(ended), "You said: the SECRET");
  const spans = await server.spans({ sessionId: "private" });
  assert.deepEqual(spans.map(({ name }) => name).sort(), [
    "agent.Failing.generate",
    "agent.Private.generate",
    "agent.Private.generate",
    "failed",
    "step",
  ]);
  assert.ok(!JSON.stringify(spans).includes("SECRET"), "in a span");
  assert.ok(!(await server.raw()).includes("SECRET"), "in a request");
  assert.ok(!ended.stderr.includes("SECRET"), ended.stderr);
  assert.equal(raw(named(spans, "agent.Failing.generate"), "response"), undefined);
  assert.deepEqual([named(spans, "failed").error_message, named(spans, "step").status], ["RangeError", "OK"]);
});

async function sayTheSecret({ fallom, init, wrapTraced, options, args }) {
  await init(options);
  const { Agent } = await import("@mastra/core/agent");
  const { createOpenAI } = await import("@ai-sdk/openai");
  const SECRET = "the SECRET";
  const provider = createOpenAI({ apiKey: "-", baseURL: args.baseURL });
  const session = fallom.session({ configKey: "app", sessionId: "private" });
  const agentOf = (model) => new Agent({ id: "p", name: "Private", instructions: `Keep ${SECRET}.`, model });
  const { text } = await session.wrapMastraAgent(agentOf(provider("gpt-4o-mini"))).generate(SECRET);
  const nowhere = createOpenAI({ apiKey: "-", baseURL: `${args.baseURL}/nowhere` })("m");
  // The provider's error carries the prompt.
  const broken = agentOf(nowhere);
  broken.__setLogger?.((await import("@mastra/core/logger")).noopLogger);
  await session
    .wrapMastraAgent(broken)
    .generate(SECRET)
    .catch(() => {});
  const failing = { name: "Failing", generate: async () => Promise.reject(new Error(SECRET)) };
  await session
    .wrapMastraAgent(failing)
    .generate({ unknownField: SECRET })
    .catch(() => {});
  await wrapTraced(session, "step", async (given) => ({ answer: given }))({ nested: [SECRET] });
  session.span("failed").setError(new RangeError(SECRET)).set({ input: SECRET, output: SECRET }).end();
  await fallom.flush();
  return text;
}

test("defect 8: no OpenTelemetry provider is registered, and no module or global is patched", async () => {
  const ended = await runProgram(child(lookAround, { options: optionsFor(server) }));
  assert.deepEqual(resultOf(ended), { changed: [], loaded: [], telemetry: [] });
});

async function lookAround({ fallom, init, options }) {
  const { createRequire } = await import("node:module");
  const require = createRequire(import.meta.url);
  const [Module, http, https, hooks] = ["module", "http", "https", "async_hooks"].map((name) =>
    require(`node:${name}`),
  );
  const picture = () => ({
    load: Module._load,
    resolve: Module._resolveFilename,
    require: Module.prototype.require,
    extensions: Object.keys(Module._extensions).join(),
    fetch: globalThis.fetch,
    http: http.request,
    https: https.request,
    agent: https.globalAgent,
    hooks: hooks.createHook,
    promise: globalThis.Promise.prototype.then,
    prepare: Error.prepareStackTrace,
    limit: Error.stackTraceLimit,
    stringify: JSON.stringify,
    console: console.warn,
    globals: Object.getOwnPropertyNames(globalThis).join(),
    signals: ["SIGTERM", "SIGINT", "SIGHUP", "uncaughtException", "unhandledRejection", "beforeExit"]
      .map((event) => process.listenerCount(event))
      .join(),
  });
  const before = picture();
  await init(options);
  const session = fallom.session({ configKey: "app", sessionId: "looks around" });
  await session.wrapMastraAgent({ generate: async () => "hi" }).generate("hello");
  session.span("manual").end();
  await fallom.flush();
  const after = picture();
  return {
    changed: Object.keys(before).filter((name) => before[name] !== after[name]),
    loaded: Object.keys(require.cache).filter((path) => /opentelemetry|node_modules.openai/.test(path)),
    telemetry: Object.getOwnPropertySymbols(globalThis)
      .map((symbol) => symbol.description)
      .filter((name) => name.includes("opentelemetry")),
  };
}

test("defect 9: session.getModel targets the session's customer", async () => {
  assert.equal(await newSession({ customerId: "vip" }).getModel(), "for vips");
  assert.equal(await newSession({ customerId: "else" }).getModel(), "for all");
});

test("defect 10: what is missing, cold or pinned is asked for once, and what was deleted is gone", async () => {
  const fresh = await startFallom();
  await fresh.setCatalog(CATALOG);
  const program = startProgram(child(askTooOften, { options: optionsFor(fresh, { refreshMs: 2000 }) }));
  await program.says("read");
  const counts = {};
  for (const { path } of await fresh.requests()) counts[path] = (counts[path] ?? 0) + 1;
  assert.deepEqual(
    [counts["/prompts"], counts["/configs"]],
    [1, 1],
    "10 gets at once, 10 of what is not there",
  );
  assert.equal(counts["/configs/app/version/3"], 1, "a version that is not listed is asked for, once");
  await fresh.setCatalog({});
  const { pinned, deleted } = resultOf(await program.ended);
  assert.deepEqual(pinned, ["You are A.", "Prompt 'a' version 9 not found. Known versions: 1."]);
  assert.match(deleted.prompt, /^Prompt 'a' not found\. Check the key/);
  assert.match(deleted.model, /^Config 'app' not found\. Check the key/);
  await fresh.close();
});

async function askTooOften({ init, prompts, models, options }) {
  init(options);
  const said = (asked) =>
    asked.then(
      (value) => value.system ?? value,
      ({ message }) => message,
    );
  const ten = (ask) => Promise.all(Array.from({ length: 10 }, () => said(ask())));
  await Promise.all([ten(() => prompts.get("a")), ten(() => models.get("app", "s"))]);
  for (let i = 0; i < 10; i++) await Promise.all([said(prompts.get("nope")), said(models.get("nope", "s"))]);
  await ten(() => models.get("app", "s", { version: 3 }));
  const pinned = [await said(prompts.get("a", { version: 1 })), await said(prompts.get("a", { version: 9 }))];
  console.log("read");
  const untilGone = async (ask) => {
    for (;;) {
      const text = await said(ask());
      if (text.includes("not found")) return text;
      await new Promise((done) => setTimeout(done, 5));
    }
  };
  const deleted = {
    prompt: await untilGone(() => prompts.get("a")),
    model: await untilGone(() => models.get("app", "s")),
  };
  return { pinned, deleted };
}

test("defect 11: what runs inside a span, an agent or a tool is part of its trace", async () => {
  const [expertScene, scene] = [await callsOnce("look"), await callsOnce("agent-expert")];
  const session = newSession();
  const look = tool("look", async () => wrapTraced(session, "query", async () => "rows")());
  const expert = makeAgent({
    id: "expert",
    name: "Expert",
    description: "knows",
    model: modelOf(expertScene),
    tools: { look },
  });
  const agents = { expert: session.wrapMastraAgent(expert) };
  const traced = session.wrapMastraAgent(makeAgent({ model: modelOf(scene), agents }));
  const request = session.span("request");
  await traced.generate("hello");
  request.end();
  const spans = await spansOf(session, 6);
  assert.deepEqual(shape(spans), [
    "agent.Expert.generate < tool.agent-expert",
    "agent.SupportAgent.generate < request",
    "query < tool.look",
    "request < -",
    "tool.agent-expert < agent.SupportAgent.generate",
    "tool.look < agent.Expert.generate",
  ]);
  assert.equal(new Set(spans.map(({ trace_id }) => trace_id)).size, 1);
  await Promise.all([expertScene.close(), scene.close()]);
});

test("defect 12: init without a key breaks nothing, and a later one with a key starts all of it", async () => {
  const ended = await runProgram(child(keyLater, { options: optionsFor(server) }));
  const { untraced, refused, system, model } = resultOf(ended);
  assert.deepEqual([untraced, system, model], ["hi", "You are A.", "for all"]);
  assert.match(refused, /^Prompt 'a' not found/);
  assert.deepEqual((await server.spans({ sessionId: "later" })).length, 1);
  assert.equal(warningsOf(ended).length, 1, ended.stderr);
});

async function keyLater({ fallom, init, prompts, options }) {
  const { apiKey, ...urls } = options;
  await init(urls);
  const session = fallom.session({ configKey: "app", sessionId: "later" });
  const traced = session.wrapMastraAgent({ generate: async () => "hi" });
  const untraced = await traced.generate("hello");
  const refused = await prompts.get("a").catch(({ message }) => message);
  await init({ apiKey });
  await traced.generate("hello");
  const { system } = await prompts.get("a");
  const model = await session.getModel();
  await fallom.flush();
  return { untraced, refused, system, model };
}

test("defect 14: a template reads the variables it was given and nothing of JavaScript's own", async () => {
  const { system } = await prompts.get("prototype", { variables: { name: "Ada" } });
  assert.equal(system, "{{toString}} {{constructor}} {{__proto__}} {{hasOwnProperty}} Ada");
  const variables = JSON.parse('{"toString": "t", "__proto__": "p", "name": "Ada"}');
  assert.equal(
    (await prompts.get("prototype", { variables })).system,
    "t {{constructor}} p {{hasOwnProperty}} Ada",
  );
});
