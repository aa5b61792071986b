// With content capture off, nothing that was said, by anyone, leaves the process; what costs and lasts still does.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { startModel } from "./support/model.mjs";
import { runProgram } from "./support/program.mjs";
import { raw } from "./support/spans.mjs";

const LINE = process.env.MASTRA || "0.24";
const MARK = "5f3a9c";
/** What no one may see, by where it is. */
const needle = (place) => `needle-${place}-${MARK}`;

const USED = { input: 100, output: 20 };

/** A model that tells secrets wherever it can. */
function indiscreet(call) {
  const said = call.lastUser;
  const status = Number(/status (\d+)/.exec(said)?.[1] ?? 0);
  if (status) return { status, errorBody: { error: { message: needle("provider-error"), code: "x" } } };
  if (said.includes("abort")) return { text: needle("half-a-text"), hang: true, usage: USED };
  if (said.includes("object")) return { objectJson: { secret: needle("object") }, usage: USED };
  if (call.tools.length === 0 || call.toolResults.length)
    return { text: needle("text"), reasoning: needle("reasoning"), chunks: 1, usage: USED };
  const toolCalls = call.tools.map((name) => ({
    name,
    args: name.startsWith("agent-") ? { prompt: needle("sub-prompt") } : { id: needle("tool-argument") },
  }));
  return { toolCalls, text: needle("text-of-a-call"), usage: USED };
}

/** The program: an application that uses all there is. It sees only what it is given. */
async function application({ fallom, prompts, wrapTraced, options, args: { baseURL, support, mark } }) {
  const { Mastra, line, makeAgent, makeStore, makeTool, modelOf, once, z } = await import(
    `${support}mastra.mjs`
  );
  const hidden = (place) => `needle-${place}-${mark}`;
  await fallom.init(options);
  const session = fallom.session({ configKey: "c", sessionId: "s", customerId: "customer" });
  const model = modelOf({ baseURL });
  const variables = { name: hidden("variable") };
  const prompt = await prompts.get("secretive", { variables });
  const swallow = (promise) => promise.catch(() => {});
  const drain = async (stream) => {
    for await (const chunk of stream.fullStream) void chunk;
  };
  const inputSchema = z.object({ id: z.string() });
  const tool = (id, execute, more) =>
    makeTool({ id, description: hidden("description"), inputSchema, execute, ...more });
  const fails = () => {
    const error = new RangeError(hidden("tool-error"), { cause: new Error(hidden("cause")) });
    throw Object.assign(error, { detail: hidden("detail") });
  };
  const agentWith = (tools, more) =>
    session.wrapMastraAgent(makeAgent({ name: "Open", instructions: prompt.system, model, tools, ...more }));
  const question = [{ role: "user", content: hidden("message") }];

  // Agents: both ways, with tools that work and that fail, and a sub-agent.
  const billing = makeAgent({
    name: "Sub",
    description: "d",
    instructions: hidden("sub-instructions"),
    model,
  });
  const open = agentWith(
    { works: tool("works", () => ({ secret: hidden("tool-result") })), fails: tool("fails", fails) },
    { agents: { sub: session.wrapMastraAgent(billing) } },
  );
  await open.generate(question, { context: [{ role: "user", content: hidden("context") }] });
  await drain(await open.stream(question));
  const quiet = agentWith({});
  await quiet.generate(question, { instructions: hidden("instructions") });
  const schema = z.object({ secret: z.string() });
  await quiet.generate(`object ${hidden("message")}`, { structuredOutput: { schema } });

  // Failures.
  await swallow(quiet.generate(`status 503 ${hidden("message")}`, once));
  await swallow(quiet.stream(`status 503 ${hidden("message")}`, once).then(drain));
  for (const method of ["generate", "stream"]) {
    const abortSignal = AbortSignal.timeout(100);
    const aborted = quiet[method](`abort ${hidden("message")}`, { ...once, abortSignal });
    await swallow(method === "stream" ? aborted.then(drain) : aborted);
  }

  // Suspended, and resumed.
  const waits = makeAgent({
    name: "Waits",
    instructions: hidden("instructions"),
    model,
    tools: { works: tool("works", () => hidden("tool-result"), { requireApproval: true }) },
  });
  const mastra = new Mastra({ agents: { waits }, storage: makeStore(), logger: false });
  const waiting = session.wrapMastraAgent(mastra.getAgent("waits"));
  const stream = await waiting.stream(question);
  await drain(stream);
  await drain(await waiting.approveToolCall({ runId: stream.runId }));

  // Spans of the user's own.
  const span = session.span("step");
  span.set({ input: hidden("span-input"), output: { secret: hidden("span-output") }, chosen: "by the user" });
  span.setError(new TypeError(hidden("span-error")));
  span.end();
  await wrapTraced(session, "works", async (input) => ({ input, secret: hidden("output") }))(hidden("input"));
  await swallow(wrapTraced(session, "fails", async () => fails())(hidden("input")));

  // Left open: sent when the process ends.
  const left = session.span("left open").set({ input: hidden("span-input") });
  globalThis.held = [left, await quiet.stream(question)];
  return { line, prompted: prompt.system.includes(hidden("variable")) };
}

describe(`content capture, with Mastra ${LINE}`, () => {
  let server;
  let model;

  before(async () => {
    [server, model] = await Promise.all([startFallom(), startModel(indiscreet)]);
  });
  after(() => Promise.all([server.close(), model.close()]));

  /** Runs the application; tells what arrived. */
  async function run({ env, ...options }) {
    await server.reset();
    const system_prompt = "You are discreet. {{name}}";
    await server.setCatalog({
      prompts: [{ key: "secretive", version: 4, system_prompt, user_template: "" }],
    });
    const support = new URL("support/", import.meta.url).href;
    const program = child(application, {
      options: optionsFor(server, { debug: true, ...options }),
      args: { baseURL: model.baseURL, support, mark: MARK },
      env,
    });
    const ended = await runProgram(program);
    assert.deepEqual(resultOf(ended), { line: LINE, prompted: true });
    return { spans: await server.spans(), bytes: await server.raw(), said: warningsOf(ended).join("\n") };
  }

  for (const [how, settings] of [
    ["by the option", { captureContent: false }],
    ["by the environment", { env: { FALLOM_CAPTURE_CONTENT: "0" } }],
    [
      "by the environment, against the option",
      { captureContent: true, env: { FALLOM_CAPTURE_CONTENT: "no" } },
    ],
  ]) {
    test(`switched off ${how}: not a word leaves, and all numbers do`, async () => {
      const { spans, bytes, said } = await run(settings);

      assertHidden(bytes.toString("latin1"), "what was sent");
      assertHidden(said, "what was said on stderr");
      for (const { name, attributes } of spans) {
        for (const content of ["fallom.raw.request", "fallom.raw.response", "input", "output"])
          assert.equal(attributes[content], undefined, `${content} of ${name}`);
      }
      assertNumbers(spans);
      assert.deepEqual(errorsOf(spans), [
        "agent.Open.generate: APICallError (HTTP 503)",
        "agent.Open.stream: APICallError (HTTP 503)",
        "agent.Open.stream: the process ended before the span did",
        "fails: RangeError",
        "left open: the process ended before the span did",
        "step: TypeError",
        "tool.fails: RangeError",
        "tool.fails: RangeError",
      ]);
    });
  }

  test("left on: the same program does send them", async () => {
    const { spans, bytes } = await run({});
    const sent = bytes.toString("latin1");
    const places = new Set(sent.match(new RegExp(`needle-[a-z-]+-${MARK}`, "g")));
    for (const place of [
      "message",
      "text",
      "reasoning",
      "object",
      "tool-argument",
      "tool-result",
      "tool-error",
      "provider-error",
      "sub-prompt",
      "span-input",
      "span-output",
      "span-error",
      "input",
      "output",
    ]) {
      assert.ok(places.has(needle(place)), `${place} among ${[...places].join(" ")}`);
    }
    // Instructions are nobody's message, and stay at home in any case.
    for (const place of ["variable", "instructions", "sub-instructions", "detail"])
      assert.ok(!places.has(needle(place)), place);
    assertNumbers(spans);
  });
});

function assertHidden(text, what) {
  const at = text.indexOf(MARK);
  assert.equal(at, -1, `${what}: …${text.slice(Math.max(0, at - 300), at + 20)}`);
}

/** What is no content arrives whether or not content does. */
function assertNumbers(spans) {
  const [agent] = spans.filter(({ name }) => name === "agent.Open.generate");
  assert.equal(agent.model, "gpt-4o-mini-2024-07-18");
  assert.deepEqual([agent.prompt_key, agent.prompt_version], ["secretive", 4]);
  assert.deepEqual([raw(agent, "usage").inputTokens, raw(agent, "usage").outputTokens], [200, 40]);
  assert.deepEqual([raw(agent, "metadata").finishReason, raw(agent, "metadata").toolCallCount], ["stop", 3]);
  assert.ok(raw(agent, "timings").phases.length > 0);
  assert.ok(agent.duration_ms > 0);
  assert.equal(agent.customer_id, "customer");
  const names = new Set(spans.map(({ name }) => name));
  for (const name of [
    "agent.Sub.generate",
    "tool.works",
    "tool.fails",
    "tool.agent-sub",
    "agent.Waits.approveToolCall",
  ])
    assert.ok(names.has(name), `${name} among ${[...names]}`);
  const step = spans.find(({ name }) => name === "step");
  assert.equal(step.attributes.chosen, "by the user");
}

function errorsOf(spans) {
  return spans
    .filter(({ status }) => status === "ERROR")
    .map(({ name, error_message }) => `${name}: ${error_message}`)
    .sort();
}
