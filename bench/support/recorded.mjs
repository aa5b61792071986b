// An agent that plays back a run as Mastra 1.x has them: two tools, then an answer, over a conversation of some size.

const WORDS = "order parcel courier depot refund invoice customer address delay status today tomorrow".split(
  " ",
);
const USAGE = { inputTokens: 760, outputTokens: 110, totalTokens: 870, cachedInputTokens: 128 };

/**
 * It answers at once, and calls back as Mastra does: hooks around each tool, `onStepFinish` after each step.
 * @param {number} bytes about the size of what is kept of it; the answer and the tools' results are in there twice
 */
export function recordedAgent(bytes) {
  const messages = conversation(bytes * 0.5);
  const result = recordedResult(messages, bytes);
  return {
    agent: { ...MASTRA, generate: async (_messages, options) => play(result, options) },
    messages,
    result,
  };
}

/** By these, a tracer knows an agent of Mastra's. */
const MASTRA = {
  name: "SupportAgent",
  model: { modelId: "gpt-4o-mini" },
  getInstructions: () => "You help customers.",
  getConfiguredToolHooks: () => undefined,
  getDefaultOptions: () => ({}),
  __registerMastra: () => {},
};

function play(result, options) {
  for (const step of result.steps) {
    for (const { payload } of step.toolResults) playTool(payload, options?.hooks);
    options?.onStepFinish?.(step);
  }
  return result;
}

function playTool({ toolCallId, toolName, args, result }, hooks) {
  const context = { toolCallId };
  hooks?.beforeToolCall?.({ toolName, input: args, context });
  hooks?.afterToolCall?.({ toolName, input: args, output: result, context });
}

/** What of a run is worth keeping (the wire's own choice), as text: the least that a tracer does on the event loop. */
export function kept(messages, result) {
  const { text, finishReason, usage, response } = result;
  const { id: responseId, modelId } = response;
  const steps = result.steps.map((step) => ({
    stepType: step.stepType,
    text: step.text,
    finishReason: step.finishReason,
    usage: step.usage,
    ...toolsOf(step),
  }));
  const picked = { text, finishReason, ...toolsOf(result), steps, modelId, responseId };
  return JSON.stringify({ request: messages, response: picked, usage });
}

function toolsOf({ toolCalls, toolResults }) {
  return {
    toolCalls: toolCalls.map(({ payload: { toolCallId, toolName, args } }) => ({
      toolCallId,
      toolName,
      args,
    })),
    toolResults: toolResults.map(({ payload: { toolCallId, toolName, result } }) => ({
      toolCallId,
      toolName,
      result,
    })),
  };
}

function conversation(bytes) {
  const turns = Math.max(2, Math.round(bytes / 600));
  return Array.from({ length: turns }, (_, at) => ({
    role: at % 2 ? "assistant" : "user",
    content: prose(bytes / turns - 40, at),
  }));
}

function recordedResult(messages, bytes) {
  const calls = ["get_order_status", "lookup_customer"].map((toolName, at) => ({
    toolCallId: `call_${at}`,
    toolName,
    args: { orderId: "12345" },
    result: { orderId: "12345", notes: prose(bytes * 0.05, at) },
  }));
  const chunk = (type) => (payload) => ({ type, runId: "run-1", from: "AGENT", payload });
  // Each step holds the whole history, as Mastra's do; a tracer must not walk it.
  const request = { body: { model: "gpt-4o-mini", input: messages } };
  const response = {
    id: "resp_1",
    modelId: "gpt-4o-mini-2024-07-18",
    messages,
    headers: { "x-request-id": "r" },
  };
  const common = { request, response, usage: USAGE, warnings: [], sources: [], files: [] };
  const text = prose(bytes * 0.15, 7);
  const steps = [
    {
      ...common,
      stepType: "initial",
      text: "",
      finishReason: "tool-calls",
      toolCalls: calls.map(({ result, ...call }) => chunk("tool-call")(call)),
      toolResults: calls.map(chunk("tool-result")),
    },
    { ...common, stepType: "tool-result", text, finishReason: "stop", toolCalls: [], toolResults: [] },
  ];
  const { toolCalls, toolResults } = steps[0];
  return {
    ...common,
    text,
    finishReason: "stop",
    steps,
    toolCalls,
    toolResults,
    totalUsage: USAGE,
    runId: "run-1",
  };
}

function prose(bytes, seed) {
  let text = "";
  for (let at = seed; text.length < bytes; at += 7) text += `${WORDS[at % WORDS.length]} `;
  return text.slice(0, Math.max(0, bytes));
}
