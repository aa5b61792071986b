// What a traced `stream` sends, and that the stream is the one that it would be untraced.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { legacyModel } from "./support/legacy-model.mjs";
import { line, makeAgent, makeTool, modelOf, once, z } from "./support/mastra.mjs";
import { script, startModel } from "./support/model.mjs";
import { runProgram } from "./support/program.mjs";
import { read, rejection, startScene } from "./support/scene.mjs";
import { named, raw } from "./support/spans.mjs";

const getOrderStatus = makeTool({
  id: "get_order_status",
  description: "Get the status of a customer order",
  inputSchema: z.object({ orderId: z.string() }),
  execute: async ({ orderId }) => ({ orderId, status: "shipped" }),
});
const asksForStatus = { toolCalls: [{ name: "get_order_status", args: { orderId: "12345" } }] };

describe(`stream, with Mastra ${line}`, () => {
  let scene;

  before(async () => {
    scene = await startScene();
  });
  after(() => scene.close());

  for (const api of ["responses", "chat"]) {
    test(`tells model, tokens, latency, first token and conversation over the ${api} API`, async () => {
      const { traced, spans } = scene.traced(
        () => ({ text: "Hello there!", delayMs: 30, chunkDelayMs: 5, usage: { input: 11, output: 7 } }),
        { api },
      );
      const stream = await traced.stream("Hi");
      assert.equal((await read(stream.textStream)).join(""), "Hello there!");

      const [span] = await spans(1);
      assert.equal(span.name, "agent.SupportAgent.stream");
      assert.equal(span.attributes["fallom.method"], "agent.stream");
      assert.deepEqual([span.status, span.is_streaming], ["OK", true]);
      assert.equal(span.model, "gpt-4o-mini-2024-07-18");
      assert.equal(span.attributes["fallom.provider"], "openai");
      assert.deepEqual(tokens(span), [11, 7, 18]);
      assert.ok(span.time_to_first_token_ms >= 30, `first token after ${span.time_to_first_token_ms} ms`);
      assert.ok(span.duration_ms > span.time_to_first_token_ms, `${span.duration_ms} ms`);
      const timings = raw(span, "timings");
      assert.equal(timings.firstTokenTime, span.time_to_first_token_ms);
      assert.equal(timings.isStreaming, true);
      assert.equal(timings.phases[0].type, "ttft");
      assert.deepEqual(raw(span, "request"), [{ role: "user", content: "Hi" }]);
      const { text, finishReason } = raw(span, "response");
      assert.deepEqual([text, finishReason], ["Hello there!", "stop"]);
    });
  }

  for (const [how, consume] of [
    ["its text is awaited", (stream) => stream.text],
    ["its chunks are read", (stream) => read(stream.fullStream)],
    ["only its usage is awaited", (stream) => stream.usage],
  ]) {
    test(`tools and tokens of all turns, when ${how}`, async () => {
      const { traced, spans } = scene.traced(script([asksForStatus, "Shipped."]), {
        tools: { get_order_status: getOrderStatus },
      });
      await consume(await traced.stream("Where is it?"));

      const sent = await spans(2);
      const agent = named(sent, "agent.SupportAgent.stream");
      assert.deepEqual(tokens(agent), [40, 20, 60]);
      assert.equal(raw(agent, "response").text, "Shipped.");
      assert.equal(raw(agent, "response").toolResults[0].result.status, "shipped");
      const tool = named(sent, "tool.get_order_status");
      assert.equal(tool.parent_span_id, agent.span_id);
      assert.deepEqual(raw(tool, "request"), { orderId: "12345" });
      assert.deepEqual(raw(tool, "response"), { orderId: "12345", status: "shipped" });
      assert.equal(scene.model.requests.length, 2);
    });
  }

  test("structured output: the object is in the response", async () => {
    const verdict = { refund: true };
    const { traced, spans } = scene.traced(() => ({ objectJson: verdict }));
    const schema = z.object({ refund: z.boolean() });
    const stream = await traced.stream("Refund?", { structuredOutput: { schema } });

    assert.deepEqual(await stream.object, verdict);
    const [span] = await spans(1);
    assert.deepEqual(raw(span, "response").object, verdict);
  });

  test("a model that fails: the stream is as untraced, the span has the provider's message", async () => {
    const { traced, agent, spans } = scene.traced(() => ({ status: 503 }));
    const types = async (stream) => (await read(stream.fullStream)).map(({ type }) => type);
    const untraced = await types(await agent.stream("Hi", once));
    assert.deepEqual(await types(await traced.stream("Hi", once)), untraced);

    const [span] = await spans(1);
    assert.deepEqual([span.status, span.error_message], ["ERROR", "The model failed with 503"]);
    assert.deepEqual(raw(span, "request"), [{ role: "user", content: "Hi" }]);
    assert.equal(raw(span, "usage"), undefined);
    assert.equal(raw(span, "metadata").finishReason, "error");
    assert.equal(span.model, "gpt-4o-mini");
  });

  test("a connection that is lost in the middle: an error, after the first token", async () => {
    const { traced, spans } = scene.traced(() => ({ text: "half of it only", chunkDelayMs: 2, reset: true }));
    const stream = await traced.stream("Hi", once);
    await rejection(stream.text);

    const [span] = await spans(1);
    assert.equal(span.status, "ERROR");
    assert.notEqual(span.error_message, "");
    assert.ok(span.time_to_first_token_ms > 0);
  });

  test("a stream that is aborted: OK, with the tokens of the turns that were finished", async () => {
    const controller = new AbortController();
    const hangs = () => {
      setTimeout(() => controller.abort(), 20);
      return { hang: true, text: "It was shipped, and it will" };
    };
    const { traced, spans } = scene.traced(script([asksForStatus, hangs]), {
      tools: { get_order_status: getOrderStatus },
    });
    const stream = await traced.stream("Where?", { ...once, abortSignal: controller.signal });
    await read(stream.fullStream).catch(() => {});

    const agent = named(await spans(2), "agent.SupportAgent.stream");
    assert.deepEqual([agent.status, raw(agent, "metadata").finishReason], ["OK", "aborted"]);
    assert.deepEqual(tokens(agent), [20, 10, 30]);
  });

  test("a list of fallback models: the span names the one that answered, and is OK", async () => {
    const { session, spans } = scene.conversation();
    scene.says((call) => (call.model === "gpt-4o" ? { status: 500 } : "Here I am."));
    const agent = session.wrapMastraAgent(
      makeAgent({ model: fallbacks(scene.model, "gpt-4o", "gpt-4o-mini") }),
    );
    assert.equal(await (await agent.stream("Hi", once)).text, "Here I am.");

    const [span] = await spans(1);
    assert.deepEqual([span.status, span.model], ["OK", "gpt-4o-mini-2024-07-18"]);
    assert.equal(raw(span, "response").text, "Here I am.");
    assert.deepEqual(tokens(span), [20, 10, 30]);
  });

  test("a function that names the models: the same", async () => {
    const { session, spans } = scene.conversation();
    scene.says((call) => (call.model === "gpt-4o" ? { status: 500 } : "Here I am."));
    // On 0.24, a function names one model.
    const [dead, ...rest] = fallbacks(scene.model, "gpt-4o", "gpt-4o-mini");
    const model = () => (line === "1" ? [dead, ...rest] : rest[0].model);
    const stream = await session.wrapMastraAgent(makeAgent({ model })).stream("Hi", once);
    assert.equal(await stream.text, "Here I am.");

    const [span] = await spans(1);
    assert.deepEqual([span.status, span.model], ["OK", "gpt-4o-mini-2024-07-18"]);
  });

  if (line === "1") {
    test("a run with fallback models that fails for another reason: an error", async () => {
      const { session, spans } = scene.conversation();
      scene.says(() => "Hello!");
      const agent = session.wrapMastraAgent(
        makeAgent({ model: fallbacks(scene.model, "gpt-4o", "gpt-4o-mini") }),
      );
      const prepareStep = () => assert.fail("not prepared");
      await read((await agent.stream("Hi", { ...once, prepareStep })).fullStream).catch(() => {});

      const [span] = await spans(1);
      assert.deepEqual([span.status, span.error_message], ["ERROR", "not prepared"]);
    });
  }

  test("a list of fallback models that all fail: an error", async () => {
    const { session, spans } = scene.conversation();
    scene.says(() => ({ status: 500 }));
    const agent = session.wrapMastraAgent(
      makeAgent({ model: fallbacks(scene.model, "gpt-4o", "gpt-4o-mini") }),
    );
    const stream = await agent.stream("Hi", once);
    await read(stream.fullStream).catch(() => {});

    const [span] = await spans(1);
    assert.deepEqual([span.status, span.error_message], ["ERROR", "The model failed with 500"]);
  });

  test("a consumer that breaks off early: the run goes on, and its whole end is told", async () => {
    const { traced, spans } = scene.traced(() => ({ text: "a long answer", chunks: 6, chunkDelayMs: 5 }));
    const stream = await traced.stream("Hi");
    for await (const piece of stream.textStream) if (piece) break;

    const [span] = await spans(1);
    assert.equal(raw(span, "response").text, "a long answer");
    assert.deepEqual(tokens(span), [20, 10, 30]);
  });

  test("streamLegacy: text and tokens under their new names", async () => {
    const { session, spans } = scene.conversation();
    const agent = session.wrapMastraAgent(makeAgent({ model: legacyModel() }));
    const stream = await agent.streamLegacy("Hi");
    assert.equal((await read(stream.textStream)).join(""), "A legacy answer.");

    const [span] = await spans(1);
    assert.equal(span.name, "agent.SupportAgent.streamLegacy");
    assert.equal(span.model, "legacy-model-dated");
    assert.deepEqual(tokens(span), [30, 4, 34]);
    assert.equal(raw(span, "response").text, "A legacy answer.");
    assert.equal(span.is_streaming, true);
  });

  if (line === "1") {
    test("streamUntilIdle: one span, whose tokens count once", async () => {
      const { traced, spans } = scene.traced(() => "Hello!");
      const stream = await traced.streamUntilIdle("Hi");
      await read(stream.fullStream);

      const [span] = await spans(1);
      assert.equal(span.name, "agent.SupportAgent.streamUntilIdle");
      assert.deepEqual(tokens(span), [20, 10, 30]);
    });
  }
});

describe(`a stream that nobody reads, with Mastra ${line}`, () => {
  let server;
  let model;

  before(async () => {
    [server, model] = await Promise.all([startFallom(), startModel(() => "Hello!")]);
  });
  after(() => Promise.all([server.close(), model.close()]));

  /** Makes a stream in a process of its own; with `collect`, lets go of it and waits until it is collected. */
  async function unread({ collect }) {
    await server.reset();
    const ended = await runProgram(
      child(dropStream, {
        options: optionsFor(server),
        args: { baseURL: model.baseURL, collect },
        nodeArgs: ["--expose-gc"],
      }),
    );
    const result = resultOf(ended);
    const spans = await server.spans();
    return { ...result, spans, agent: named(spans, "agent.Support.stream") };
  }

  test("is sent as it stands when the process ends", async () => {
    const { agent } = await unread({ collect: false });
    assert.deepEqual([agent.status, agent.attributes["fallom.incomplete"]], ["ERROR", "exit"]);
    assert.deepEqual(raw(agent, "request"), [{ role: "user", content: "Hi" }]);
    assert.equal(agent.is_streaming, true);
    assert.equal(agent.attributes["fallom.agent_name"], "Support");
  });

  test("is sent as it stands when it is garbage, and nothing of it leaks", async () => {
    const { agent, open, streamIsGone } = await unread({ collect: true });
    assert.deepEqual([agent.status, agent.attributes["fallom.incomplete"]], ["ERROR", "expired"]);
    assert.deepEqual(raw(agent, "request"), [{ role: "user", content: "Hi" }]);
    assert.equal(streamIsGone, true);
    assert.equal(open, 0);
  });
});

/** The program; it sees only what it is given. */
async function dropStream({ fallom, options, args: { baseURL, collect } }) {
  const { Agent } = await import("@mastra/core/agent");
  const { createOpenAI } = await import("@ai-sdk/openai");
  const { setTimeout: sleep } = await import("node:timers/promises");
  await fallom.init(options);
  const provider = createOpenAI({ apiKey: "-", baseURL });
  const instructions = "You help.";
  const model = provider.responses("gpt-4o-mini");
  const agent = new Agent({ id: "support", name: "Support", instructions, model });
  const session = fallom.session({ configKey: "c", sessionId: "s" });
  const start = async () => {
    const stream = await session.wrapMastraAgent(agent).stream("Hi");
    if (!collect) globalThis.held = stream;
    return new WeakRef(stream);
  };
  const stream = await start();
  for (let i = 0; collect && fallom.stats().open > 0 && i < 500; i++) {
    await sleep(10);
    globalThis.gc();
  }
  return { open: fallom.stats().open, streamIsGone: stream.deref() === undefined };
}

function fallbacks(server, ...names) {
  return names.map((name) => ({ model: modelOf(server, { name }), maxRetries: 0 }));
}

function tokens(span) {
  const { inputTokens, outputTokens, totalTokens } = raw(span, "usage");
  return [inputTokens, outputTokens, totalTokens];
}
