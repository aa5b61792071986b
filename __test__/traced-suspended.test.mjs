// Runs that wait for an approval or for data, and what resumes them: one trace, nothing lost, nothing twice.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { line, Mastra, makeAgent, makeStore, makeTool, modelOf, z } from "./support/mastra.mjs";
import { read, rejection, startScene } from "./support/scene.mjs";
import { named, raw, shape } from "./support/spans.mjs";

const USED = { input: 100, output: 10 };

describe(`suspended and resumed, with Mastra ${line}`, () => {
  let scene;
  let ran;

  before(async () => {
    scene = await startScene();
  });
  after(() => scene.close());

  const inputSchema = z.object({ orderId: z.string() });
  const description = "Cancels an order";

  /** Waits for an approval before it runs. */
  const needsApproval = () =>
    makeTool({
      id: "cancel_order",
      description,
      inputSchema,
      requireApproval: true,
      execute: async ({ orderId }) => {
        ran++;
        return { cancelled: orderId };
      },
    });

  /** Runs, asks for data, and runs again with them. */
  const asksForData = () =>
    makeTool({
      id: "cancel_order",
      description,
      inputSchema,
      suspendSchema: z.object({ question: z.string() }),
      resumeSchema: z.object({ sure: z.boolean() }),
      execute: async ({ orderId }, { suspend, resumeData }) => {
        ran++;
        if (!resumeData) return suspend({ question: "Sure?" });
        return { cancelled: orderId, ...resumeData };
      },
    });

  /** A traced agent with this tool, which it calls first. */
  function cancelling(tool) {
    ran = 0;
    const { session, spans } = scene.conversation();
    scene.says((call) =>
      call.toolResults.length
        ? { text: "It is cancelled.", usage: USED }
        : { toolCalls: [{ name: "cancel_order", args: { orderId: "7" } }], usage: USED },
    );
    const agent = makeAgent({ model: modelOf(scene.model), tools: { cancel_order: tool } });
    const mastra = new Mastra({ agents: { support: agent }, storage: makeStore(), logger: false });
    return { traced: session.wrapMastraAgent(mastra.getAgent("support")), session, spans };
  }

  /** Streams till the run is suspended, and its span is there. */
  async function suspendedStream({ traced, spans }, count = 1) {
    const stream = await traced.stream("Cancel order 7");
    await read(stream.fullStream);
    return { runId: stream.runId, sent: await spans(count) };
  }

  /** Both agent spans say what they shall, and the tokens of both turns count once. */
  function assertOneStory(sent, first, second) {
    const [before, after] = [first, second].map((name) => named(sent, name));
    assert.equal(new Set(sent.map((span) => span.trace_id)).size, 1, "one trace");
    assert.equal(before.attributes["fallom.run_id"], after.attributes["fallom.run_id"]);
    assert.deepEqual([before.status, raw(before, "metadata").finishReason], ["OK", "suspended"]);
    assert.deepEqual([after.status, raw(after, "metadata").finishReason], ["OK", "stop"]);
    assert.equal(raw(after, "response").text, "It is cancelled.");
    assert.deepEqual(raw(before, "request"), [{ role: "user", content: "Cancel order 7" }]);
    const used = [before, after].map((span) => raw(span, "usage")?.inputTokens ?? 0);
    assert.equal(used[0] + used[1], 200, `${used}`);
    assert.ok(before.end_time <= after.start_time);
    return [before, after];
  }

  test("a stream that is approved", async () => {
    const made = cancelling(needsApproval());
    const { runId } = await suspendedStream(made);
    const resumed = await made.traced.approveToolCall({ runId });
    assert.equal(await resumed.text, "It is cancelled.");

    const sent = await made.spans(3);
    assert.deepEqual(shape(sent), [
      "agent.SupportAgent.approveToolCall < -",
      "agent.SupportAgent.stream < -",
      "tool.cancel_order < agent.SupportAgent.approveToolCall",
    ]);
    const [, approved] = assertOneStory(
      sent,
      "agent.SupportAgent.stream",
      "agent.SupportAgent.approveToolCall",
    );
    assert.equal(raw(approved, "request"), undefined);
    const tool = named(sent, "tool.cancel_order");
    assert.deepEqual([raw(tool, "request"), raw(tool, "response")], [{ orderId: "7" }, { cancelled: "7" }]);
    assert.equal(tool.attributes["fallom.timing"], undefined);
    assert.equal(ran, 1);
  });

  test("a stream that is approved at once, before anyone could notice that it waits", async () => {
    const made = cancelling(needsApproval());
    const stream = await made.traced.stream("Cancel order 7");
    await read(stream.fullStream);
    await (await made.traced.approveToolCall({ runId: stream.runId })).text;

    assertOneStory(await made.spans(3), "agent.SupportAgent.stream", "agent.SupportAgent.approveToolCall");
  });

  test("a stream that is declined: no tool ran", async () => {
    const made = cancelling(needsApproval());
    const { runId } = await suspendedStream(made);
    const resumed = await made.traced.declineToolCall({ runId });
    await resumed.text;

    const sent = await made.spans(2);
    assertOneStory(sent, "agent.SupportAgent.stream", "agent.SupportAgent.declineToolCall");
    assert.equal(ran, 0);
  });

  test("a stream whose tool asks for data, resumed with them", async () => {
    const made = cancelling(asksForData());
    const { runId } = await suspendedStream(made, 2);
    const resumed = await made.traced.resumeStream({ sure: true }, { runId });
    assert.equal(await resumed.text, "It is cancelled.");

    const sent = await made.spans(4);
    assert.deepEqual(shape(sent), [
      "agent.SupportAgent.resumeStream < -",
      "agent.SupportAgent.stream < -",
      "tool.cancel_order < agent.SupportAgent.resumeStream",
      "tool.cancel_order < agent.SupportAgent.stream",
    ]);
    const [, second] = assertOneStory(sent, "agent.SupportAgent.stream", "agent.SupportAgent.resumeStream");
    assert.deepEqual(raw(second, "request"), { sure: true });
    const [asked, did] = sent.filter(({ kind }) => kind === "tool");
    assert.deepEqual([asked.status, raw(asked, "response")], ["OK", undefined]);
    assert.deepEqual(raw(did, "response"), { cancelled: "7", sure: true });
    assert.equal(ran, 2);
  });

  test("two that wait, approved one after the other", async () => {
    ran = 0;
    const made = cancelling(needsApproval());
    const ids = ["first", "second"];
    const calls = ids.map((id) => ({ id, name: "cancel_order", args: { orderId: id } }));
    scene.says((call) => {
      const asked = call.messages.flatMap(({ toolCalls = [] }) => toolCalls).length;
      return asked < 2 ? { toolCalls: [calls[asked]], usage: USED } : { text: "Both.", usage: USED };
    });
    const { runId } = await suspendedStream(made);
    const once = await made.traced.approveToolCall({ runId, toolCallId: "first" });
    await read(once.fullStream);
    await made.spans(3);
    const twice = await made.traced.approveToolCall({ runId, toolCallId: "second" });
    assert.equal(await twice.text, "Both.");

    const sent = await made.spans(5);
    assert.equal(new Set(sent.map((span) => span.trace_id)).size, 1);
    const tools = sent.filter(({ kind }) => kind === "tool");
    assert.deepEqual(
      tools.map((span) => raw(span, "response").cancelled),
      ids,
    );
    const used = sent.reduce((sum, span) => sum + (raw(span, "usage")?.inputTokens ?? 0), 0);
    assert.equal(used, 300);
  });

  test("inside a span of the user's: what resumes goes on there", async () => {
    const made = cancelling(needsApproval());
    const outer = made.session.span("request");
    const stream = await made.traced.stream("Cancel order 7");
    await read(stream.fullStream);
    outer.end();
    await made.spans(2);
    await (await made.traced.approveToolCall({ runId: stream.runId })).text;

    assert.deepEqual(shape(await made.spans(4)), [
      "agent.SupportAgent.approveToolCall < request",
      "agent.SupportAgent.stream < request",
      "request < -",
      "tool.cancel_order < agent.SupportAgent.approveToolCall",
    ]);
  });

  if (line === "1") {
    for (const [how, resume, toolRuns] of [
      ["approveToolCallGenerate", (agent, given) => agent.approveToolCallGenerate(given), 1],
      ["declineToolCallGenerate", (agent, given) => agent.declineToolCallGenerate(given), 0],
    ]) {
      test(`a generate that goes on with ${how}`, async () => {
        const { traced, spans } = cancelling(needsApproval());
        const { finishReason, runId, suspendPayload } = await traced.generate("Cancel order 7");
        assert.equal(finishReason, "suspended");
        const result = await resume(traced, { runId, toolCallId: suspendPayload.toolCallId });
        assert.equal(result.text, "It is cancelled.");

        const sent = await spans(2 + toolRuns);
        assertOneStory(sent, "agent.SupportAgent.generate", `agent.SupportAgent.${how}`);
        assert.equal(ran, toolRuns);
      });
    }

    test("streamUntilIdle, resumed with resumeStreamUntilIdle", async () => {
      const { traced, spans } = cancelling(asksForData());
      const stream = await traced.streamUntilIdle("Cancel order 7");
      await read(stream.fullStream);
      await spans(2);
      const resumed = await traced.resumeStreamUntilIdle({ sure: true }, { runId: stream.runId });
      await read(resumed.fullStream);

      assertOneStory(
        await spans(4),
        "agent.SupportAgent.streamUntilIdle",
        "agent.SupportAgent.resumeStreamUntilIdle",
      );
    });

    test("a generate whose tool asks for data, resumed with them", async () => {
      const { traced, spans } = cancelling(asksForData());
      const { runId } = await traced.generate("Cancel order 7");
      const result = await traced.resumeGenerate({ sure: true }, { runId });
      assert.equal(result.text, "It is cancelled.");

      const sent = await spans(4);
      const [, second] = assertOneStory(
        sent,
        "agent.SupportAgent.generate",
        "agent.SupportAgent.resumeGenerate",
      );
      assert.deepEqual(raw(second, "request"), { sure: true });
    });

    test("a run that nobody knows: the caller's error is Mastra's own, and a span has it", async () => {
      const { traced, spans } = cancelling(needsApproval());
      const resume = async () => read((await traced.approveToolCall({ runId: "no-such-run" })).fullStream);
      const error = await rejection(resume());

      const [span] = await spans(1);
      assert.deepEqual([span.status, span.error_message], ["ERROR", error.message]);
    });
  } else {
    test("a generate that waits is an error to its caller, as untraced, but its run can go on", async () => {
      const { traced, spans } = cancelling(needsApproval());
      const runId = "run-of-the-caller";
      const error = await rejection(traced.generate("Cancel order 7", { runId }));
      assert.match(error.message, /was not resolved or rejected/);
      const resumed = await traced.approveToolCall({ runId });
      assert.equal(await resumed.text, "It is cancelled.");

      assertOneStory(await spans(3), "agent.SupportAgent.generate", "agent.SupportAgent.approveToolCall");
    });
  }
});
