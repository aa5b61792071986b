// Ready-made reply functions.

/**
 * Answers the nth request with the nth step, and all further ones with the last.
 * @param {(import("./answer.mjs").Reply | string | ((call: import("./view.mjs").Call) => unknown))[]} steps
 */
export function script(steps) {
  let next = 0;
  return (call) => {
    const step = steps[Math.min(next++, steps.length - 1)];
    return typeof step === "function" ? step(call) : step;
  };
}

/** Says what it was told: for tests in which the answer does not matter. */
export const echo = (call) => ({ text: `You said: ${call.lastUser}` });

/**
 * A customer-support conversation, without any state: an agent that has `get_order_status` and `lookup_customer` calls
 * them side by side, then asks its first sub-agent (Mastra offers it as the tool `agent-<key>`), then answers from what
 * it learned. An agent without tools answers at once. Tools that the agent lacks are left out.
 */
export function supportReply(call) {
  const asked = new Set(call.toolResults.map((result) => result.name));
  const open = (name) => call.tools.includes(name) && !asked.has(name);
  const orderId = /#?(\d{3,})/.exec(call.lastUser)?.[1] ?? "12345";

  const lookups = [
    { name: "get_order_status", args: { orderId } },
    { name: "lookup_customer", args: { email: "ada@example.com" } },
  ].filter(({ name }) => open(name));
  if (lookups.length) return { toolCalls: lookups, usage: { input: 180, output: 40 }, delayMs: 20 };

  const expert = call.tools.find((name) => name.startsWith("agent-"));
  if (expert && open(expert)) {
    const prompt = `What may we offer for order ${orderId}?`;
    return {
      toolCalls: [{ name: expert, args: { prompt } }],
      usage: { input: 260, output: 25 },
      delayMs: 20,
    };
  }
  return {
    text: closing(call, orderId),
    usage: { input: 320, output: 45, cached: 128 },
    delayMs: 20,
    chunks: 8,
  };
}

function closing(call, orderId) {
  if (!call.toolResults.length) return "Happy to help. We can offer free express delivery for this order.";
  const order = call.toolResults.find((result) => result.name === "get_order_status")?.result;
  const facts = order?.status
    ? `is ${order.status}${order.eta ? `, arriving ${order.eta}` : ""}`
    : "was found";
  return `Your order #${orderId} ${facts}. Is there anything else I can do for you?`;
}
