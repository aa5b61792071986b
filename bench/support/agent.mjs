// A real agent of Mastra 1.x, what it is asked, and the model's side of it, on the loopback.
//
// As a program it is the model: node agent.mjs <what, as JSON>

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startModel } from "../../__test__/support/model.mjs";
import { prose } from "./prose.mjs";

/**
 * @typedef {object} What is run
 * @property {number} bytes  of a run without tools: what is kept of it, as UTF-8
 * @property {number} [steps]  of tools, one call each; then `bytes` is the size of a tool's result
 * @property {boolean} [wide]  not ASCII
 */

const SUPPORT = { id: "support", name: "SupportAgent", instructions: "You help customers." };
const MESSAGE_BYTES = 2048;
const MOST_MESSAGES = 128;
/** It is kept twice: as the answer, and as its step's. */
const SHARE_OF_ANSWER = 0.1;
/** Of a run with tools, the question and the answer. */
const SHORT = 200;

/** The messages of a run without tools, and its answer; `steps` needs one short question. */
export function conversation({ bytes, steps, wide }) {
  const answerBytes = steps ? SHORT : Math.round(bytes * SHARE_OF_ANSWER);
  const rest = steps ? SHORT : bytes - 2 * answerBytes;
  const count = Math.max(1, Math.min(MOST_MESSAGES, Math.round(rest / MESSAGE_BYTES)));
  const messages = Array.from({ length: count }, (_, at) => ({
    role: (count - at) % 2 ? "user" : "assistant",
    content: prose(Math.floor(rest / count), { seed: at, wide }),
  }));
  return { messages, answer: prose(answerBytes, { seed: 1000, wide }) };
}

/** The agent, whose model stands on the loopback; `baseURL` is the model's. */
export async function realAgent(baseURL, { bytes, steps = 0, wide }) {
  const [{ Agent }, { createTool }, { createOpenAI }, { z }] = await Promise.all([
    import("@mastra/core/agent"),
    import("@mastra/core/tools"),
    import("@ai-sdk/openai"),
    import("zod"),
  ]);
  let seed = 0;
  const lookUp = createTool({
    id: "look_up",
    description: "Looks up an order",
    inputSchema: z.object({ orderId: z.string() }),
    execute: async ({ orderId }) => ({ orderId, notes: prose(bytes, { seed: ++seed, wide }) }),
  });
  const model = createOpenAI({ apiKey: "-", baseURL })("gpt-4o-mini");
  return new Agent({ ...SUPPORT, model, ...(steps && { tools: { look_up: lookUp } }) });
}

/** The model's side of the same run: so many calls of a tool, one a step, then the answer. */
export function replies({ steps = 0 }, answer) {
  return ({ messages = [], toolResults = [] }) => {
    const done = toolResults.length || messages.filter(({ role }) => role === "tool").length;
    if (done >= steps) return { text: answer };
    return { toolCalls: [{ name: "look_up", args: { orderId: String(10_000 + done) } }] };
  };
}

/** The model in a process of its own. @param {What} what */
export async function startModelProcess(what) {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(what)]);
  const baseURL = await new Promise((resolve) => child.once("message", resolve));
  return { baseURL, close: () => child.disconnect() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const what = JSON.parse(process.argv[2]);
  const model = await startModel(replies(what, conversation(what).answer));
  // It keeps what it was asked, for tests; here that would only grow.
  setInterval(() => model.requests.splice(0), 1000).unref();
  process.send(model.baseURL);
  process.once("disconnect", () => process.exit());
}
