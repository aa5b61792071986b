// The programs of Fallom's "Mastra Integration" page run as they are written, and what they promise arrives.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startFallom } from "./support/fallom.mjs";
import { script, startModel } from "./support/model.mjs";
import { runProgram } from "./support/program.mjs";
import { named, parentOf, raw } from "./support/spans.mjs";

const LINE = process.env.MASTRA || "0.24";

/** The page was written for Mastra 0.x. This is all that 1.x itself asks to be written in another way. */
const FOR_1 = [
  ['import { Agent } from "@mastra/core";', 'import { Agent } from "@mastra/core/agent";'],
  [
    'import { Agent, createTool } from "@mastra/core";',
    'import { Agent } from "@mastra/core/agent";\nimport { createTool } from "@mastra/core/tools";',
  ],
  [
    'import { Agent, Mastra } from "@mastra/core";',
    'import { Agent } from "@mastra/core/agent";\nimport { Mastra } from "@mastra/core/mastra";',
  ],
  [
    "execute: async ({ context }) => ({ orderId: context.orderId,",
    "execute: async ({ orderId }) => ({ orderId,",
  ],
];

const QUICK_START = `
import fallom from "@fallom/trace";
import { Agent } from "@mastra/core";
import { createOpenAI } from "@ai-sdk/openai";

await fallom.init({ apiKey: process.env.FALLOM_API_KEY });          // 1. once at app startup

const session = fallom.session({                                    // 2. one per conversation/request
  configKey: "my-app",          // identifies the app or feature
  sessionId: "session-abc-123", // groups related messages
  customerId: "user-456",       // tracks a specific customer
});

const openrouter = createOpenAI({ apiKey: process.env.OPENROUTER_API_KEY, baseURL: "https://openrouter.ai/api/v1" });
const agent = new Agent({                                           // 3. an ordinary agent
  name: "SupportAgent",
  instructions: "You are a helpful customer support agent.",
  model: openrouter("openai/gpt-4o-mini"),
});

const tracedAgent = session.wrapMastraAgent(agent);                 // 4. wrap it

const result = await tracedAgent.generate([                         // 5. use it as before: traced
  { role: "user", content: "I need help with my order" },
]);
console.log(result.text);
`;

/** What the page's further pieces of code take from the quick start. */
const MODEL = `
const openrouter = createOpenAI({ apiKey: process.env.OPENROUTER_API_KEY, baseURL: "https://openrouter.ai/api/v1" });
const model = openrouter("openai/gpt-4o-mini");
`;
const SESSION = `
const session = fallom.session({ configKey: "my-app", sessionId: "session-abc-123", customerId: "user-456" });
`;
const ASK = `
const result = await tracedAgent.generate([{ role: "user", content: "I need help with my order" }]);
console.log(result.text);
`;

const PROMPT = `
import fallom, { prompts } from "@fallom/trace";
import { Agent } from "@mastra/core";
import { createOpenAI } from "@ai-sdk/openai";

await fallom.init({ apiKey: process.env.FALLOM_API_KEY });
${MODEL}${SESSION}
const prompt = await prompts.get("support-agent-instructions", {
  variables: { companyName: "Acme Corp", supportEmail: "help@acme.com" },
});
const agent = new Agent({ name: "SupportAgent", instructions: prompt.system || prompt.user, model });
const tracedAgent = session.wrapMastraAgent(agent);
${ASK}`;

const AB_TEST = `
import fallom, { prompts } from "@fallom/trace";
import { Agent } from "@mastra/core";
import { createOpenAI } from "@ai-sdk/openai";

await fallom.init({ apiKey: process.env.FALLOM_API_KEY });
const userId = "user-456";
${MODEL}
const sessionId = "user-session-123";
const prompt = await prompts.getAB("support-agent-test", sessionId);   // the same session always gets the same variant
const session = fallom.session({ configKey: "support-chat", sessionId, customerId: userId });
const agent = new Agent({ name: "SupportAgent", instructions: prompt.system, model });
const tracedAgent = session.wrapMastraAgent(agent);
${ASK}`;

const TOOLS = `
import fallom from "@fallom/trace";
import { Agent, createTool } from "@mastra/core";
import { createOpenAI } from "@ai-sdk/openai";
import { z } from "zod";

await fallom.init({ apiKey: process.env.FALLOM_API_KEY });
${MODEL}${SESSION}
const getOrderStatus = createTool({
  id: "get_order_status", description: "Get the status of a customer order",
  inputSchema: z.object({ orderId: z.string().describe("The order ID") }),
  execute: async ({ context }) => ({ orderId: context.orderId, status: "shipped", eta: "2024-01-15" }),
});
const cancelOrder = createTool({ id: "cancel_order", description: "Cancel a customer order",
  inputSchema: z.object({ orderId: z.string(), reason: z.string() }),
  execute: async () => ({ success: true, message: "Order cancelled" }) });
const agent = new Agent({ name: "OrderAgent", instructions: "Help customers with their orders.", model,
  tools: { get_order_status: getOrderStatus, cancel_order: cancelOrder } });
await session.wrapMastraAgent(agent).generate([{ role: "user", content: "What's the status of order #12345?" }]);
`;

const SEVERAL_AGENTS = `
import fallom from "@fallom/trace";
import { Agent, Mastra } from "@mastra/core";
import { createOpenAI } from "@ai-sdk/openai";

await fallom.init({ apiKey: process.env.FALLOM_API_KEY });
${MODEL}${SESSION}
const supportAgent = new Agent({ name: "SupportAgent", instructions: "Support.", model });
const salesAgent = new Agent({ name: "SalesAgent", instructions: "Sell.", model });
const mastra = new Mastra({ agents: { supportAgent, salesAgent } });
const agent = mastra.getAgent("supportAgent");
const tracedAgent = session.wrapMastraAgent(agent);
${ASK}`;

/** The server lets nobody else in. */
const KEY = "key-of-the-app";
const ANSWERED = { model: "openai/gpt-4o-mini-2024-07-18", usage: { input: 100, output: 20 } };

describe(`the page's programs, with Mastra ${LINE}`, () => {
  let server;
  let model;
  let reply;

  before(async () => {
    [server, model] = await Promise.all([startFallom({ key: KEY }), startModel((call) => reply(call))]);
  });
  after(() => Promise.all([server.close(), model.close()]));
  beforeEach(async () => {
    model.requests.length = 0;
    await server.reset();
  });

  /** Runs the program to its end, by itself: what is not delivered then never will be. */
  async function run(page, says) {
    reply = says;
    const local = page.replaceAll("https://openrouter.ai/api/v1", model.baseURL);
    const source = LINE === "1" ? FOR_1.reduce((text, [from, to]) => text.replace(from, to), local) : local;
    const env = { FALLOM_API_KEY: KEY, FALLOM_BASE_URL: server.url, OPENROUTER_API_KEY: "-" };
    const { code, stdout, stderr } = await runProgram({ source, env });
    assert.equal(code, 0, stderr);
    return { stdout, spans: await server.spans() };
  }

  test("quick start: one span with session, customer, model, tokens and the conversation", async () => {
    const { stdout, spans } = await run(QUICK_START, () => ({ ...ANSWERED, text: "Gladly! Which one?" }));

    assert.equal(stdout, "Gladly! Which one?\n");
    assert.equal(spans.length, 1);
    const [span] = spans;
    assert.equal(span.name, "agent.SupportAgent.generate");
    assert.deepEqual([span.kind, span.status], ["agent", "OK"]);
    assert.deepEqual(
      [span.config_key, span.session_id, span.customer_id],
      ["my-app", "session-abc-123", "user-456"],
    );
    assert.equal(span.model, "openai/gpt-4o-mini-2024-07-18");
    assert.equal(span.attributes["fallom.provider"], "openai");
    assert.deepEqual(tokens(span), [100, 20]);
    assert.ok(span.duration_ms > 0);
    assert.deepEqual(raw(span, "request"), [{ role: "user", content: "I need help with my order" }]);
    assert.equal(raw(span, "response").text, "Gladly! Which one?");
    assert.equal(model.requests[0].call.system, "You are a helpful customer support agent.");
  });

  test("prompt management: the span names the prompt and its version", async () => {
    const system_prompt = "You help customers of {{companyName}}; else {{ supportEmail }}.";
    const key = "support-agent-instructions";
    await server.setCatalog({ prompts: [{ key, version: 3, system_prompt, user_template: "" }] });
    const { stdout, spans } = await run(PROMPT, (call) => ({ ...ANSWERED, text: call.system }));

    assert.equal(stdout, "You help customers of Acme Corp; else help@acme.com.\n");
    assert.equal(spans.length, 1);
    assert.deepEqual([spans[0].prompt_key, spans[0].prompt_version], [key, 3]);
    assert.equal(spans[0].prompt_ab_test_key, undefined);
  });

  test("prompt A/B test: the span carries the test and the variant, without another call", async () => {
    const variants = ["variant-a", "variant-b"];
    await server.setCatalog({
      prompts: variants.map((key) => ({ key, version: 1, system_prompt: `I am ${key}.`, user_template: "" })),
      prompt_ab_tests: [
        {
          key: "support-agent-test",
          version: 1,
          variants: variants.map((prompt_key) => ({ prompt_key, prompt_version: null, weight: 50 })),
        },
      ],
    });
    const { stdout, spans } = await run(AB_TEST, (call) => ({ ...ANSWERED, text: call.system }));

    assert.equal(spans.length, 1);
    const [span] = spans;
    assert.equal(stdout, `I am ${span.prompt_key}.\n`);
    assert.equal(span.prompt_version, 1);
    assert.equal(span.prompt_ab_test_key, "support-agent-test");
    // By its md5, this session is in the second half, today and for ever.
    assert.equal(span.prompt_variant_index, 1);
    assert.equal(span.prompt_key, "variant-b");
    assert.deepEqual([span.config_key, span.customer_id], ["support-chat", "user-456"]);
    const gets = (await server.requests()).filter(
      ({ method, path }) => method === "GET" && path !== "/configs",
    );
    assert.deepEqual(gets.map(({ path }) => path).sort(), ["/prompt-ab-tests", "/prompts"]);
  });

  test("tool calls: the call, its arguments and its result are in the trace", async () => {
    const toolCalls = [{ name: "get_order_status", args: { orderId: "12345" } }];
    const { spans } = await run(
      TOOLS,
      script([
        { ...ANSWERED, toolCalls },
        { ...ANSWERED, text: "It was shipped." },
      ]),
    );

    assert.equal(spans.length, 2);
    const agent = named(spans, "agent.OrderAgent.generate");
    const tool = named(spans, "tool.get_order_status");
    const status = { orderId: "12345", status: "shipped", eta: "2024-01-15" };
    assert.equal(parentOf(spans, tool), agent.name);
    assert.deepEqual([tool.kind, tool.status], ["tool", "OK"]);
    assert.deepEqual([raw(tool, "request"), raw(tool, "response")], [{ orderId: "12345" }, status]);
    assert.deepEqual(tokens(agent), [200, 40]);
    const { text, toolCalls: calls, toolResults } = raw(agent, "response");
    assert.equal(text, "It was shipped.");
    assert.deepEqual(
      calls.map(({ toolName, args }) => [toolName, args]),
      [["get_order_status", { orderId: "12345" }]],
    );
    assert.deepEqual(
      toolResults.map(({ toolName, result }) => [toolName, result]),
      [["get_order_status", status]],
    );
  });

  test("several agents in one Mastra: the one that was wrapped is traced", async () => {
    const { stdout, spans } = await run(SEVERAL_AGENTS, (call) => ({ ...ANSWERED, text: call.system }));

    // What comes before is Mastra's own.
    assert.match(stdout, /(^|\n)Support\.\n$/);
    assert.deepEqual(
      spans.map(({ name }) => name),
      ["agent.SupportAgent.generate"],
    );
  });
});

function tokens(span) {
  const { inputTokens, outputTokens } = raw(span, "usage");
  return [inputTokens, outputTokens];
}
