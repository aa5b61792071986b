// Sessions share agents, and share nothing else.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fallom from "@fallom/trace";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { listTools, Mastra, makeAgent, makeTool, modelOf, z } from "./support/mastra.mjs";
import { startModel } from "./support/model.mjs";
import { runProgram } from "./support/program.mjs";
import { named, parentOf, raw, shape } from "./support/spans.mjs";

const CALLS = 200;
const TOOL_CALLS = CALLS / 5;

let server;
let model;

before(async () => {
  [server, model] = await Promise.all([startFallom(), startModel(reply)]);
  await fallom.init(optionsFor(server, { batch: { maxDelayMs: 20 } }));
});
after(() => Promise.all([server.close(), model.close()]));

/** Every fifth call uses the tool; then the model says what it was told, sometimes at once, sometimes late. */
function reply(call) {
  const delayMs = Math.floor(Math.random() * 10);
  const note = call.lastUser;
  if (/[05]$/.test(note) && call.tools.includes("note") && !call.toolResults.length)
    return { toolCalls: [{ name: "note", args: { note } }], delayMs };
  return { text: `You said: ${note}`, delayMs };
}

let sessions = 0;
const newSession = (more) => fallom.session({ configKey: "app", sessionId: `s-${++sessions}`, ...more });
const spansOf = (session, enough) => server.waitForSpans(enough, session.getContext());

function noteTool() {
  return makeTool({
    id: "note",
    description: "takes a note",
    inputSchema: z.object({ note: z.string() }),
    execute: async ({ note }) => {
      await sleep(Math.random() * 5);
      return { noted: note };
    },
  });
}

describe("200 calls of one agent, interleaved, for two customers", () => {
  const customers = ["alice", "robin"];
  let agent;
  let untouched;
  let spans;

  before(async () => {
    agent = makeAgent({ model: modelOf(model), tools: { note: noteTool() } });
    untouched = await pictureOf(agent);
    const traced = customers.map((name) =>
      fallom
        .session({ configKey: "app", sessionId: name, customerId: `customer-${name}` })
        .wrapMastraAgent(agent),
    );
    const answers = Array.from({ length: CALLS }, (_, i) => ask(traced[i % 2], customers[i % 2], i));
    for (const [i, text] of (await Promise.all(answers)).entries())
      assert.equal(text, `You said: ${customers[i % 2]} asks ${i}`);
    spans = await server.waitForSpans(CALLS + TOOL_CALLS, { timeoutMs: 10_000 });
  });

  async function ask(traced, name, i) {
    await sleep(Math.random() * 50);
    const message = [{ role: "user", content: `${name} asks ${i}` }];
    if (i % 3) return (await traced.generate(message)).text;
    return (await traced.stream(message)).text;
  }

  test("each call is traced once, and its tool within it", () => {
    const agents = spans.filter(({ kind }) => kind === "agent");
    const tools = spans.filter(({ kind }) => kind === "tool");
    assert.deepEqual([agents.length, tools.length], [CALLS, TOOL_CALLS]);
    assert.equal(new Set(agents.map(({ trace_id }) => trace_id)).size, CALLS);
    for (const tool of tools) {
      const parent = agents.find(({ span_id }) => span_id === tool.parent_span_id);
      assert.equal(parent.trace_id, tool.trace_id);
      assert.deepEqual(raw(tool, "request").note, raw(parent, "request")[0].content);
    }
  });

  test("no span shows one customer's words under the other's name", () => {
    for (const [at, name] of customers.entries()) {
      const own = spans.filter(({ session_id }) => session_id === name);
      assert.equal(own.length, (CALLS + TOOL_CALLS) / 2);
      for (const span of own) {
        const text = JSON.stringify(span);
        assert.equal(span.customer_id, `customer-${name}`);
        assert.match(text, new RegExp(`${name} asks \\d+`));
        assert.ok(!text.includes(customers[1 - at]), text);
      }
    }
  });

  test("the agent and its tools are what they were", async () => {
    assert.deepEqual(await pictureOf(agent), untouched);
  });
});

/** All that a change in place would show in; objects and functions by identity. */
async function pictureOf(agent) {
  const tools = await listTools(agent);
  const things = [agent, Object.getPrototypeOf(agent), ...Object.values(tools)];
  return {
    tools: Object.entries(tools),
    own: things.map((thing) => Object.getOwnPropertyDescriptors(thing)),
  };
}

describe("wrapping", () => {
  test("twice for one session traces a call once", async () => {
    const session = newSession();
    const traced = session.wrapMastraAgent(session.wrapMastraAgent(makeAgent({ model: modelOf(model) })));
    await traced.generate("hello");
    await traced.generate("end");
    assert.deepEqual(shape(await spansOf(session, 2)), Array(2).fill("agent.SupportAgent.generate < -"));
  });

  test("a traced agent for another session traces it for that one only", async () => {
    const [first, second] = [newSession(), newSession()];
    const traced = second.wrapMastraAgent(first.wrapMastraAgent(makeAgent({ model: modelOf(model) })));
    await traced.generate("hello");
    await spansOf(second, 1);
    await fallom.flush();
    assert.deepEqual(await server.spans(first.getContext()), []);
  });

  test("5,000 times costs no stack, and each wrap works", async () => {
    const agent = makeAgent({ model: modelOf(model) });
    let traced = agent;
    let session;
    for (let i = 0; i < 5000; i++) {
      session = newSession();
      traced = session.wrapMastraAgent(i % 2 ? traced : agent);
    }
    assert.equal((await traced.generate("hello")).text, "You said: hello");
    assert.equal((await spansOf(session, 1)).length, 1);
  });

  test("a frozen agent works", async () => {
    const session = newSession();
    const agent = makeAgent({ model: modelOf(model) });
    const traced = session.wrapMastraAgent(Object.freeze(agent));
    assert.equal((await traced.generate("hello")).text, "You said: hello");
    assert.equal(await (await traced.stream("hello")).text, "You said: hello");
    assert.equal((await spansOf(session, 2)).length, 2);
  });

  test("an agent is still an Agent, with the same methods each time, and they may be taken off it", async () => {
    const session = newSession();
    const agent = makeAgent({ model: modelOf(model) });
    const traced = session.wrapMastraAgent(agent);
    assert.ok(traced instanceof agent.constructor);
    assert.equal(traced.constructor, agent.constructor);
    assert.equal(traced.name, "SupportAgent");
    assert.equal(traced.generate, traced.generate);
    assert.equal(traced.getInstructions, traced.getInstructions);
    const { generate } = traced;
    assert.equal((await generate("hello")).text, "You said: hello");
    assert.equal((await spansOf(session, 1)).length, 1);
  });

  test("a Mastra instance takes a traced agent and gives it back", async () => {
    const session = newSession();
    const traced = session.wrapMastraAgent(makeAgent({ model: modelOf(model) }));
    const mastra = new Mastra({ agents: { support: traced }, logger: false });
    assert.equal((await mastra.getAgent("support").generate("hello")).text, "You said: hello");
    assert.equal((await spansOf(session, 1)).length, 1);
  });

  test("a sub-agent in agents: {} is traced inside the agent that asks it", async () => {
    const scene = await startModel((call) =>
      call.tools.includes("agent-expert") && !call.toolResults.length
        ? { toolCalls: [{ name: "agent-expert", args: { prompt: "what now?" } }] }
        : `You said: ${call.lastUser}`,
    );
    const session = newSession();
    const expert = makeAgent({ id: "expert", name: "Expert", description: "knows", model: modelOf(scene) });
    const agents = { expert: session.wrapMastraAgent(expert) };
    await session.wrapMastraAgent(makeAgent({ model: modelOf(scene), agents })).generate("hello");
    const spans = await spansOf(session, 3);
    assert.deepEqual(shape(spans), [
      "agent.Expert.generate < tool.agent-expert",
      "agent.SupportAgent.generate < -",
      "tool.agent-expert < agent.SupportAgent.generate",
    ]);
    await scene.close();
  });
});

describe("any object with `generate`", () => {
  test("is traced; its arguments, its result and its `this` are the same", async () => {
    const session = newSession();
    const result = { text: "Hi.", custom: Symbol("kept") };
    const agent = {
      name: "Homemade",
      async generate(...args) {
        assert.equal(this, agent);
        assert.deepEqual(args, [messages, options, "third"]);
        assert.equal(args[0], messages);
        assert.equal(args[1], options);
        return result;
      },
    };
    const [messages, options] = [[{ role: "user", content: "hello" }], { onFinish: null }];
    assert.equal(await session.wrapMastraAgent(agent).generate(messages, options, "third"), result);
    const [span] = await spansOf(session, 1);
    assert.equal(span.name, "agent.Homemade.generate");
    assert.deepEqual(raw(span, "request"), messages);
    assert.equal(raw(span, "response").text, "Hi.");
  });

  test("may answer at once, without a promise", async () => {
    const session = newSession();
    const traced = session.wrapMastraAgent({ generate: (text) => ({ text: text.toUpperCase() }) });
    assert.deepEqual(traced.generate("hello"), { text: "HELLO" });
    assert.equal(raw((await spansOf(session, 1))[0], "response").text, "HELLO");
  });

  test("may fail, at once or later, and its error is the caller's", async () => {
    const session = newSession();
    const [now, later] = [new Error("now"), new Error("later")];
    const fails = (error) => () => {
      throw error;
    };
    assert.throws(
      session.wrapMastraAgent({ name: "Now", generate: fails(now) }).generate,
      (error) => error === now,
    );
    const traced = session.wrapMastraAgent({ name: "Later", generate: async () => fails(later)() });
    await assert.rejects(traced.generate("hello"), (error) => error === later);
    const spans = await spansOf(session, 2);
    for (const [name, message] of [
      ["agent.Now.generate", "now"],
      ["agent.Later.generate", "later"],
    ]) {
      const { status, error_message } = named(spans, name);
      assert.deepEqual([status, error_message], ["ERROR", message]);
    }
  });

  test("what has none is refused with a TypeError", () => {
    for (const thing of [undefined, null, "agent", 7, {}, { generate: "no function" }, () => {}])
      assert.throws(() => newSession().wrapMastraAgent(thing), TypeError, String(thing));
  });
});

test("import and require in one process share their spans: each nests in the other", async () => {
  const program = child(nestBothWays, { options: optionsFor(server), args: { baseURL: model.baseURL } });
  assert.deepEqual(resultOf(await runProgram(program)), { same: true });
  const spans = await server.waitForSpans(4, { sessionId: "both" });
  assert.equal(parentOf(spans, named(spans, "agent.Required.generate")), "imported");
  assert.equal(parentOf(spans, named(spans, "agent.Imported.generate")), "required");
});

/** Runs in a process of its own. */
async function nestBothWays({ fallom, wrapTraced, options, args }) {
  const { createRequire } = await import("node:module");
  const require = createRequire(import.meta.url);
  const required = require("@fallom/trace");
  const ids = { configKey: "app", sessionId: "both" };
  const [imported, other] = [fallom.session(ids), new required.FallomSession(ids)];
  await required.init(options);
  const { createOpenAI } = await import("@ai-sdk/openai");
  const model = createOpenAI({ apiKey: "-", baseURL: args.baseURL })("gpt-4o-mini");
  const instructions = "Help.";
  const esm = new (await import("@mastra/core/agent")).Agent({
    id: "i",
    name: "Imported",
    instructions,
    model,
  });
  const cjs = new (require("@mastra/core/agent").Agent)({ id: "r", name: "Required", instructions, model });
  const span = imported.span("imported");
  await other.wrapMastraAgent(cjs).generate("hello");
  span.end();
  await required.wrapTraced(other, "required", () => imported.wrapMastraAgent(esm).generate("hello"))();
  return { same: wrapTraced === required.wrapTraced };
}
