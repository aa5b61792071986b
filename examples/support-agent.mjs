// A support agent whose prompt, tools and sub-agent are traced by Fallom.
//
// `npm run quickstart` runs it against servers on this machine. To run it in a project of your own:
//
//   npm install @fallom/trace @mastra/core@0.24 @ai-sdk/openai@2 zod@3        (or the 1.x line: see the README)
//   FALLOM_API_KEY=… OPENAI_API_KEY=… node support-agent.mjs
//
// FALLOM_BASE_URL and OPENAI_BASE_URL name other servers than the public ones.

import { createOpenAI } from "@ai-sdk/openai";
import fallom, { prompts } from "@fallom/trace";
import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { z } from "zod";

// 1. Once, where the application starts. The key is read from FALLOM_API_KEY; without one, all runs untraced.
fallom.init();

const openai = createOpenAI({ apiKey: process.env.OPENAI_API_KEY, baseURL: process.env.OPENAI_BASE_URL });
const model = openai("gpt-4o-mini");

// 2. A session for each conversation. All that it wraps or opens carries these fields.
const sessionId = "session-abc-123";
const session = fallom.session({
  configKey: "support-chat", // the application or feature
  sessionId, // groups the messages of one conversation
  customerId: "user-456", // whom it is done for
  metadata: { plan: "pro" },
});

// 3. Prompts come from Fallom. A session gets the same variant of an A/B test each time, and its traces say which one:
//    there is nothing to call for that. An application should not fail because a prompt cannot be had.
const options = { variables: { company: "Acme Corp" }, fallback: "You help the customers of {{company}}." };
const instructions = await prompts.getAB("support-agent-test", sessionId, options);
const billing = await prompts.get("billing-expert", options);

// 4. Tools as ever. Mastra 0.x hands the input over as `context`, 1.x as it is.
const inputOf = (input) => input.context ?? input;

const getOrderStatus = createTool({
  id: "get_order_status",
  description: "Get the status of a customer's order",
  inputSchema: z.object({ orderId: z.string().describe("The order's number") }),
  execute: async (input) => {
    await new Promise((resolve) => setTimeout(resolve, 30)); // a database
    return { orderId: inputOf(input).orderId, status: "shipped", eta: "2026-01-15" };
  },
});

const lookupCustomer = createTool({
  id: "lookup_customer",
  description: "Find a customer by e-mail address",
  inputSchema: z.object({ email: z.string() }),
  execute: async (input) => {
    await new Promise((resolve) => setTimeout(resolve, 50)); // another one
    return { email: inputOf(input).email, name: "Ada Lovelace", plan: "pro" };
  },
});

// 5. Agents as ever. A sub-agent is wrapped, too: then its own model, tokens and tools are traced inside its parent.
const billingAgent = new Agent({
  id: "billing",
  name: "Billing",
  description: "Knows what we may offer a customer",
  instructions: billing.system,
  model,
});

const supportAgent = new Agent({
  id: "support",
  name: "SupportAgent",
  instructions: instructions.system,
  model,
  tools: { get_order_status: getOrderStatus, lookup_customer: lookupCustomer },
  agents: { billing: session.wrapMastraAgent(billingAgent) },
});

// 6. Wrap it, and use it as before. The agent itself is not changed; any number of sessions may wrap it.
const agent = session.wrapMastraAgent(supportAgent);

const answer = await agent.generate([{ role: "user", content: "What's the status of order #12345?" }]);
console.log(`generate: ${answer.text}`);

const stream = await agent.stream([{ role: "user", content: "And order #67890?" }]);
process.stdout.write("stream:   ");
for await (const delta of stream.textStream) process.stdout.write(delta);
console.log();

// 7. Nothing needs to be done at the end: what is left is delivered while the process exits. Only where a process is
//    frozen rather than ended, as in serverless functions, say `await fallom.flush()` after each request.
