// What a traced `generate` sends, and that it is otherwise the call that it would be untraced.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { prompts } from "@fallom/trace";
import { exact } from "./support/exact.mjs";
import { legacyModel } from "./support/legacy-model.mjs";
import { line, makeAgent, makeTool, modelOf, once, z } from "./support/mastra.mjs";
import { script } from "./support/model.mjs";
import { rejection, startScene } from "./support/scene.mjs";
import { named, raw } from "./support/spans.mjs";

const getOrderStatus = makeTool({
  id: "get_order_status",
  description: "Get the status of a customer order",
  inputSchema: z.object({ orderId: z.string() }),
  execute: async ({ orderId }) => ({ orderId, status: "shipped" }),
});
const asksForStatus = (id) => ({
  toolCalls: [{ id, name: "get_order_status", args: { orderId: "12345" } }],
  usage: { input: 100, output: 20, cached: 64 },
});

describe(`generate, with Mastra ${line}`, () => {
  let scene;

  before(async () => {
    const prompt = {
      key: "variant-a",
      version: 1,
      system_prompt: "You help {{company}}.",
      user_template: "",
    };
    const variants = [{ prompt_key: "variant-a", prompt_version: null, weight: 100 }];
    const prompt_ab_tests = [{ key: "support-agent-test", version: 1, variants }];
    scene = await startScene({ catalog: { prompts: [prompt], prompt_ab_tests } });
  });
  after(() => scene.close());

  test("sends an agent span and a tool span with every field that they shall have, and no other", async () => {
    const { session, sessionId, spans } = scene.conversation({ metadata: { plan: "pro" }, tags: ["beta"] });
    const variables = { company: "Acme" };
    const { system } = await prompts.getAB("support-agent-test", sessionId, { variables });
    const agent = scene.agentThat(
      script([
        asksForStatus("call_exact"),
        { text: "It was shipped.", usage: { input: 150, output: 8, cached: 64, reasoning: 2 } },
      ]),
      { instructions: system, tools: { get_order_status: getOrderStatus } },
    );
    await session.wrapMastraAgent(agent).generate([{ role: "user", content: "Where is #12345?" }]);

    const sent = await spans(2);
    const [agentSpan, toolSpan] = ["agent.SupportAgent.generate", "tool.get_order_status"].map((name) =>
      named(sent, name),
    );
    const ids = { [agentSpan.trace_id]: "TRACE", [agentSpan.span_id]: "AGENT", [toolSpan.span_id]: "TOOL" };
    const identity = {
      config_key: "support-chat",
      session_id: sessionId,
      customer_id: "user-456",
      metadata: { plan: "pro" },
      tags: ["beta"],
      trace_id: "TRACE",
      start_time: "TIME",
      end_time: "TIME",
      duration_ms: "MS",
      status: "OK",
    };
    const sdk = { "fallom.sdk_version": "2", "fallom.sdk": "@fallom/trace-rs/0.1.0" };
    const call = {
      toolCallId: "call_exact",
      toolName: "get_order_status",
      args: { orderId: "12345" },
      type: "tool-call",
    };
    const result = {
      toolCallId: "call_exact",
      toolName: "get_order_status",
      result: { orderId: "12345", status: "shipped" },
      type: "tool-result",
    };
    const answeredBy = { modelId: "gpt-4o-mini-2024-07-18", responseId: "resp_2" };
    assert.deepEqual(exact(agentSpan, ids), {
      ...identity,
      span_id: "AGENT",
      name: "agent.SupportAgent.generate",
      kind: "agent",
      model: "gpt-4o-mini-2024-07-18",
      prompt_key: "variant-a",
      prompt_version: 1,
      prompt_ab_test_key: "support-agent-test",
      prompt_variant_index: 0,
      attributes: {
        ...sdk,
        "fallom.method": "agent.generate",
        "fallom.agent_name": "SupportAgent",
        "fallom.run_id": "RUN",
        "fallom.provider": "openai",
        "fallom.raw.request": [{ role: "user", content: "Where is #12345?" }],
        "fallom.raw.response": {
          text: "It was shipped.",
          finishReason: "stop",
          toolCalls: [call],
          toolResults: [result],
          steps: [
            {
              stepType: "initial",
              text: "",
              finishReason: "tool-calls",
              toolCalls: [call],
              toolResults: [result],
              usage: usage(100, 20, 0, 64),
              timestamp: "TIME",
              responseId: "resp_1",
            },
            {
              stepType: "tool-result",
              text: "It was shipped.",
              finishReason: "stop",
              toolCalls: [],
              toolResults: [],
              usage: usage(150, 8, 2, 64),
              timestamp: "TIME",
              responseId: "resp_2",
            },
          ],
          ...answeredBy,
        },
        "fallom.raw.usage": usage(250, 28, 2, 128),
        "fallom.raw.metadata": {
          finishReason: "stop",
          ...answeredBy,
          modelProvider: "openai.responses",
          stepCount: 2,
          toolCallCount: 1,
          warningCount: 0,
        },
        "fallom.raw.timings": "TIMINGS",
      },
    });
    assert.deepEqual(exact(toolSpan, ids), {
      ...identity,
      span_id: "TOOL",
      parent_span_id: "AGENT",
      name: "tool.get_order_status",
      kind: "tool",
      attributes: {
        ...sdk,
        "fallom.method": "tool.execute",
        "fallom.tool_name": "get_order_status",
        "fallom.tool_call_id": "call_exact",
        "fallom.raw.request": { orderId: "12345" },
        "fallom.raw.response": { orderId: "12345", status: "shipped" },
      },
    });
  });

  for (const api of ["responses", "chat"]) {
    test(`tells model, tokens, latency and conversation over the ${api} API`, async () => {
      const { traced, spans } = scene.traced(
        () => ({ text: "Hello!", delayMs: 30, usage: { input: 11, output: 7 } }),
        { api },
      );
      const result = await traced.generate("Hi");

      assert.equal(result.text, "Hello!");
      const [span] = await spans(1);
      assert.equal(span.model, "gpt-4o-mini-2024-07-18");
      assert.equal(span.attributes["fallom.provider"], "openai");
      assert.deepEqual(tokens(span), [11, 7, 18]);
      assert.ok(span.duration_ms >= 30, `${span.duration_ms} ms`);
      assert.deepEqual(raw(span, "request"), [{ role: "user", content: "Hi" }]);
      assert.equal(raw(span, "response").text, "Hello!");
      assert.equal(span.is_streaming, undefined);
      assert.equal(span.time_to_first_token_ms, undefined);
    });
  }

  test("tells where the time went: the model's turns and the tool between them", async () => {
    const { traced, spans } = scene.traced(
      script([
        { ...asksForStatus(), delayMs: 30 },
        { text: "Shipped.", delayMs: 30 },
      ]),
      { tools: { get_order_status: slowly(getOrderStatus, 20) } },
    );
    await traced.generate("Where is it?");

    const agent = named(await spans(2), "agent.SupportAgent.generate");
    const { phases, toolTimings, steps, ...total } = raw(agent, "timings");
    assert.deepEqual(total, {
      requestStart: 0,
      responseEnd: agent.duration_ms,
      totalDurationMs: agent.duration_ms,
    });
    assert.deepEqual(
      phases.map(({ type, label, accurate }) => [type, label, accurate]),
      [
        ["llm", "model", true],
        ["llm", "model", true],
        ["tool", "get_order_status", true],
      ],
    );
    const [first, second, tool] = phases;
    assert.ok(
      first.durationMs >= 28 && second.durationMs >= 28 && tool.durationMs >= 18,
      JSON.stringify(phases),
    );
    assert.ok(first.endMs <= tool.startMs && tool.endMs <= second.startMs, JSON.stringify(phases));
    assert.deepEqual(toolTimings, [
      { name: "get_order_status", startTime: tool.startMs, endTime: tool.endMs, duration: tool.durationMs },
    ]);
    assert.deepEqual(
      steps.map(({ stepIndex, finishReason, toolCalls }) => [stepIndex, finishReason, toolCalls.length]),
      [
        [0, "tool-calls", 1],
        [1, "stop", 0],
      ],
    );
  });

  const question = { role: "user", content: "Hi" };
  const inParts = { role: "user", content: [{ type: "text", text: "Hi" }] };
  for (const [form, input, request] of [
    ["a string", "Hi", [question]],
    ["an array of strings", ["Hi", "there"], ["Hi", "there"]],
    ["one message", question, [question]],
    ["an array of messages", [question, { role: "assistant", content: "Yes?" }, inParts]],
    ["a message in parts", [inParts]],
    ["an empty array", []],
    ["nothing", undefined, []],
  ]) {
    test(`keeps the messages as they were given: ${form}`, async () => {
      const { traced, agent, spans } = scene.traced(() => "Hello!");
      const untraced = await outcomeOf(agent.generate(input, once));
      assert.deepEqual(await outcomeOf(traced.generate(input, once)), untraced);
      const [span] = await spans(1);
      assert.deepEqual(raw(span, "request"), request ?? input);
    });
  }

  test("keeps a UIMessage as it was, though Mastra writes into it", async () => {
    const { traced, spans } = scene.traced(() => "Hello!");
    const message = { id: "m1", role: "user", parts: [{ type: "text", text: "Hi" }] };
    const given = structuredClone(message);
    await traced.generate([message]);

    const [span] = await spans(1);
    assert.deepEqual(raw(span, "request"), [given]);
  });

  test("asks a function for instructions no more often than without tracing", async () => {
    let asked = 0;
    const instructions = () => `Instructions, asked ${++asked > 0}`;
    const { traced, agent, spans } = scene.traced(() => "Hello!", { instructions });
    await agent.generate("Hi");
    const untraced = asked;
    await traced.generate("Hi");
    await spans(1);

    assert.equal(asked - untraced, untraced);
    assert.equal(scene.model.requests.at(-1).call.system, "Instructions, asked true");
  });

  test("a model that fails: the caller gets the provider's own error, the span its message", async () => {
    const { traced, spans } = scene.traced(() => ({ status: 503 }));
    const error = await rejection(traced.generate("Hi", once));

    assert.equal(error.name, "AI_APICallError");
    assert.equal(error.statusCode, 503);
    const [span] = await spans(1);
    assert.deepEqual([span.status, span.error_message], ["ERROR", error.message]);
    assert.deepEqual(raw(span, "request"), [{ role: "user", content: "Hi" }]);
    assert.equal(raw(span, "response"), undefined);
    assert.equal(raw(span, "usage"), undefined);
    assert.equal(raw(span, "metadata").finishReason, "error");
    assert.equal(span.model, "gpt-4o-mini");
  });

  test("a model that fails in its second turn: what the first used is paid, and told", async () => {
    const { traced, spans } = scene.traced(script([asksForStatus(), { status: 500 }]), {
      tools: { get_order_status: getOrderStatus },
    });
    await rejection(traced.generate("Where is it?", once));

    const sent = await spans(2);
    const agent = named(sent, "agent.SupportAgent.generate");
    assert.equal(agent.status, "ERROR");
    assert.deepEqual(tokens(agent), [100, 20, 120]);
    assert.equal(named(sent, "tool.get_order_status").status, "OK");
  });

  test("a call that is aborted: OK, and the finish reason says it", async () => {
    const controller = new AbortController();
    const { traced, spans } = scene.traced(() => {
      setImmediate(() => controller.abort());
      return { hang: true };
    });
    const { finishReason } = await traced.generate("Hi", { ...once, abortSignal: controller.signal });

    // Mastra 0.24 tells the caller nothing.
    assert.equal(finishReason, line === "1" ? "aborted" : undefined);
    const [span] = await spans(1);
    assert.deepEqual([span.status, raw(span, "response").finishReason], ["OK", "aborted"]);
    assert.equal(raw(span, "metadata").finishReason, "aborted");
    assert.equal(raw(span, "usage"), undefined);
  });

  test("structured output: the object is in the response", async () => {
    const verdict = { refund: true, amount: 12.5 };
    const schema = z.object({ refund: z.boolean(), amount: z.number() });
    const { traced, spans } = scene.traced(() => ({ objectJson: verdict }));
    const { object } = await traced.generate("Refund?", { structuredOutput: { schema } });

    assert.deepEqual(object, verdict);
    const [span] = await spans(1);
    assert.deepEqual(raw(span, "response").object, verdict);
  });

  test("thoughts of a reasoning model are kept beside its text", async () => {
    const { traced, spans } = scene.traced(() => ({ reasoning: "Let me think.", text: "Yes." }));
    await traced.generate("Really?");

    const [span] = await spans(1);
    const { text, reasoningText } = raw(span, "response");
    assert.deepEqual([text, reasoningText], ["Yes.", "Let me think."]);
  });

  test("a list of fallback models: the span names the one that answered, and is OK", async () => {
    const { session, spans } = scene.conversation();
    scene.says((call) => (call.model === "gpt-4o" ? { status: 500 } : "Here I am."));
    const model = ["gpt-4o", "gpt-4o-mini"].map((name) => ({
      model: modelOf(scene.model, { name }),
      maxRetries: 0,
    }));
    const { text } = await session.wrapMastraAgent(makeAgent({ model })).generate("Hi", once);

    assert.equal(text, "Here I am.");
    const [span] = await spans(1);
    assert.deepEqual([span.status, span.model], ["OK", "gpt-4o-mini-2024-07-18"]);
    assert.equal(raw(span, "response").text, "Here I am.");
  });

  test("generateLegacy, with a tool: tokens under their new names, the tool below", async () => {
    const { session, spans } = scene.conversation();
    const model = legacyModel({ tool: { name: "get_order_status", args: { orderId: "9" } } });
    const agent = makeAgent({ model, tools: { get_order_status: getOrderStatus } });
    const { text } = await session.wrapMastraAgent(agent).generateLegacy("Where is it?");

    assert.equal(text, "A legacy answer.");
    const sent = await spans(2);
    const span = named(sent, "agent.SupportAgent.generateLegacy");
    assert.equal(span.attributes["fallom.method"], "agent.generateLegacy");
    assert.equal(span.model, "legacy-model-dated");
    assert.deepEqual(tokens(span), [60, 8, 68]);
    assert.equal(raw(span, "response").text, text);
    const tool = named(sent, "tool.get_order_status");
    assert.equal(tool.parent_span_id, span.span_id);
    assert.deepEqual(raw(tool, "response"), { orderId: "9", status: "shipped" });
  });
});

function usage(inputTokens, outputTokens, reasoningTokens, cachedInputTokens) {
  const totalTokens = inputTokens + outputTokens;
  return { inputTokens, outputTokens, totalTokens, reasoningTokens, cachedInputTokens };
}

function tokens(span) {
  const { inputTokens, outputTokens, totalTokens } = raw(span, "usage");
  return [inputTokens, outputTokens, totalTokens];
}

function slowly(tool, ms) {
  return makeTool({
    id: tool.id,
    description: tool.description,
    inputSchema: z.object({ orderId: z.string() }),
    execute: async (input) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return input;
    },
  });
}

function outcomeOf(promise) {
  return promise.then(
    ({ text }) => ({ text }),
    ({ name, message }) => ({ name, message }),
  );
}
