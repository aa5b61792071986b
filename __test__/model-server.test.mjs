// The model on the loopback is as good as a real one, to real agents.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { line, makeAgent, makeTool, modelOf, once, z } from "./support/mastra.mjs";
import { script, startModel, supportReply } from "./support/model.mjs";

const getOrderStatus = makeTool({
  id: "get_order_status",
  description: "Get the status of a customer order",
  inputSchema: z.object({ orderId: z.string() }),
  execute: async ({ orderId }, { toolCallId }) => ({
    orderId,
    status: "shipped",
    eta: "2024-01-15",
    toolCallId,
  }),
});

for (const api of ["responses", "chat"]) {
  describe(`Mastra ${line}, the ${api} API`, () => {
    let model;
    let reply;

    before(async () => {
      model = await startModel((call) => reply(call));
    });
    after(() => model.close());

    const agentThat = (says, options) => {
      reply = says;
      model.requests.length = 0;
      return makeAgent({ model: modelOf(model, { api }), ...options });
    };

    test("generates a text, with usage and the name of the model that answered", async () => {
      const usage = { input: 100, output: 20, cached: 60, reasoning: 8 };
      const agent = agentThat((call) => ({ text: `${call.system} ${call.lastUser}`, usage }));
      const result = await agent.generate("Where is my order?", once);

      assert.equal(result.text, "You help customers. Where is my order?");
      assert.equal(result.finishReason, "stop");
      assert.equal(result.response.modelId, "gpt-4o-mini-2024-07-18");
      const { inputTokens, outputTokens, totalTokens, cachedInputTokens, reasoningTokens } = result.usage;
      assert.deepEqual(
        { inputTokens, outputTokens, totalTokens, cachedInputTokens, reasoningTokens },
        { inputTokens: 100, outputTokens: 20, totalTokens: 120, cachedInputTokens: 60, reasoningTokens: 8 },
      );
      assert.equal(model.requests[0].headers.authorization, "Bearer test-key");
    });

    test("streams a text in pieces", async () => {
      const agent = agentThat(() => ({ text: "It was shipped yesterday.", chunks: 5, chunkDelayMs: 2 }));
      const stream = await agent.stream("Where is my order?", once);
      const pieces = [];
      for await (const piece of stream.textStream) pieces.push(piece);

      assert.equal(pieces.length, 5);
      assert.equal(pieces.join(""), "It was shipped yesterday.");
      assert.equal((await stream.usage).totalTokens, 30);
    });

    for (const method of ["generate", "stream"]) {
      test(`calls two tools side by side and reads their results (${method})`, async () => {
        const ask = ["1001", "1002"].map((orderId) => ({ name: "get_order_status", args: { orderId } }));
        const agent = agentThat(script([{ toolCalls: ask }, "Both were shipped."]), {
          tools: { get_order_status: getOrderStatus },
        });
        const answer = await agent[method]("Where are my orders?", once);

        assert.equal(await answer.text, "Both were shipped.");
        assert.equal((await answer.steps).length, 2);
        const [first, second] = model.requests.map((request) => request.call);
        assert.deepEqual(first.tools, ["get_order_status"]);
        assert.deepEqual(first.toolResults, []);
        assert.deepEqual(
          second.toolResults.map(({ name, args, result }) => [name, args.orderId, result.status]),
          [
            ["get_order_status", "1001", "shipped"],
            ["get_order_status", "1002", "shipped"],
          ],
        );
        assert.deepEqual(
          second.toolResults.map(({ id }) => id),
          second.toolResults.map(({ result }) => result.toolCallId),
        );
      });
    }

    for (const status of [400, 500]) {
      test(`fails with ${status}`, async () => {
        const agent = agentThat(() => ({ status }), { maxRetries: 0 });
        await assert.rejects(agent.generate("Where is my order?", once), { statusCode: status });
        assert.equal(model.requests.length, 1);
      });
    }

    test("sees a client go away in the middle of a stream", async () => {
      const agent = agentThat(() => ({ text: "a long answer ".repeat(20), chunks: 200, chunkDelayMs: 20 }));
      const controller = new AbortController();
      const stream = await agent.stream("Tell me all", { ...once, abortSignal: controller.signal });
      for await (const chunk of stream.fullStream) if (chunk.type === "text-delta") controller.abort();
      await eventually(() => model.requests[0].state === "aborted");
    });

    test("loses the connection in the middle of a stream", async () => {
      const agent = agentThat(() => ({ text: "half of this is lost", reset: true }), { maxRetries: 0 });
      const stream = await agent.stream("Tell me all", once);
      await assert.rejects(stream.text, /Failed to process successful response|terminated/);
    });

    test("answers with JSON where it was asked to", async () => {
      const order = { orderId: "1001", late: false };
      const agent = agentThat(() => ({ objectJson: order }));
      const schema = z.object({ orderId: z.string(), late: z.boolean() });
      const result = await agent.generate("Is order 1001 late?", { ...once, structuredOutput: { schema } });
      assert.deepEqual(result.object, order);
    });

    test("plays the support scene", async () => {
      const lookupCustomer = makeTool({
        id: "lookup_customer",
        description: "Find a customer",
        inputSchema: z.object({ email: z.string() }),
        execute: async ({ email }) => ({ email, plan: "pro" }),
      });
      const agent = agentThat(supportReply, {
        tools: { get_order_status: getOrderStatus, lookup_customer: lookupCustomer },
        agents: {
          refunds: makeAgent({
            id: "refunds",
            name: "Refunds",
            description: "Knows what may be offered",
            model: modelOf(model, { api }),
          }),
        },
      });
      const result = await agent.generate("What's the status of order #12345?", once);

      assert.match(result.text, /^Your order #12345 is shipped, arriving 2024-01-15\./);
      assert.deepEqual(
        result.toolResults.map((chunk) => chunk.payload.toolName),
        ["get_order_status", "lookup_customer", "agent-refunds"],
      );
    });
  });
}

test("the model thinks aloud", async () => {
  const model = await startModel(() => ({ reasoning: "The order is late.", text: "Sorry." }));
  for (const method of ["generate", "stream"]) {
    const answer = await makeAgent({ model: modelOf(model) })[method]("Where is my order?", once);
    assert.equal(await answer.reasoningText, "The order is late.");
    assert.equal(await answer.text, "Sorry.");
  }
  await model.close();
});

test("the same request again is another attempt", async () => {
  const model = await startModel((call) => `attempt ${call.attempt}`);
  const agent = makeAgent({ model: modelOf(model) });
  for (const text of ["attempt 1", "attempt 2"])
    assert.equal((await agent.generate("Hello", once)).text, text);
  await model.close();
});

async function eventually(check) {
  const deadline = Date.now() + 2000;
  while (!check()) {
    if (Date.now() > deadline) assert.fail("it never came to be");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
