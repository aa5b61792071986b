// Agent networks: seen as one run, from their promises alone; nothing is read from their stream.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { line, makeAgent, makeMemory, modelOf } from "./support/mastra.mjs";
import { read, rejection, startScene } from "./support/scene.mjs";
import { named, raw, shape } from "./support/spans.mjs";

const ROUTED = { input: 20, output: 10 };
const HELPED = { input: 7, output: 3 };

describe(`network, with Mastra ${line}`, () => {
  let scene;
  let threads = 0;

  before(async () => {
    scene = await startScene();
  });
  after(() => scene.close());

  /** A router that asks the helper once and is content with the answer. */
  function routing() {
    let turns = 0;
    return (call) => {
      if (call.system.startsWith("You help.")) return { text: "helped", usage: HELPED };
      const isComplete = ++turns > 1;
      const objectJson = {
        primitiveId: "helper",
        primitiveType: "agent",
        prompt: "Help",
        selectionReason: "it helps",
        isComplete,
        finalResult: "all done",
        completionReason: "it helped",
      };
      return { objectJson, usage: ROUTED };
    };
  }

  function network({ wrapped = false, reply = routing(), memory = makeMemory() } = {}) {
    const { session, spans } = scene.conversation();
    scene.says(reply);
    const model = modelOf(scene.model);
    const helper = makeAgent({
      id: "helper",
      name: "Helper",
      description: "helps",
      instructions: "You help.",
      model,
    });
    const agents = { helper: wrapped ? session.wrapMastraAgent(helper) : helper };
    const agent = makeAgent({
      id: "net",
      name: "Net",
      instructions: "You route.",
      model,
      agents,
      ...(memory && { memory }),
    });
    const thread = `thread-${++threads}`;
    const options = { memory: { thread, resource: "resource" }, maxSteps: 3 };
    return { session, spans, agent, traced: session.wrapMastraAgent(agent), options };
  }

  test("the question, the outcome and the tokens, when its stream is read", async () => {
    const { traced, spans, options } = network();
    const stream = await traced.network("Help me", options);
    assert.ok((await read(stream)).length > 3);

    const [span] = await spans(1);
    assert.equal(span.name, "agent.Net.network");
    assert.equal(span.attributes["fallom.method"], "agent.network");
    assert.deepEqual([span.status, span.is_streaming], ["OK", true]);
    assert.deepEqual(raw(span, "request"), [{ role: "user", content: "Help me" }]);
    const { text, object } = raw(span, "response");
    const { result } = await stream.result;
    assert.equal(text, result.result);
    assert.equal(object.primitiveId, result.primitiveId);
    const { inputTokens, outputTokens } = await stream.usage;
    assert.deepEqual(
      [raw(span, "usage").inputTokens, raw(span, "usage").outputTokens],
      [inputTokens, outputTokens],
    );
  });

  test("its span ends though nobody reads it, and it can still be read", async () => {
    const { traced, spans, options } = network();
    const stream = await traced.network("Help me", options);
    const [span] = await spans(1);

    assert.equal(span.status, "OK");
    assert.equal(stream.locked, false);
    assert.ok((await read(stream)).length > 3);
  });

  test("a wrapped sub-agent is below it, and its tokens count there, once", async () => {
    const { traced, spans, options } = network({ wrapped: true });
    const stream = await traced.network("Help me", options);
    await read(stream);

    const sent = await spans(2);
    const helper = sent.find(({ name }) => name.startsWith("agent.Helper."));
    assert.deepEqual(shape(sent), [`${helper.name} < agent.Net.network`, "agent.Net.network < -"].sort());
    assert.deepEqual([raw(helper, "usage").inputTokens, raw(helper, "usage").outputTokens], [7, 3]);
    const { inputTokens, outputTokens } = await stream.usage;
    const own = raw(named(sent, "agent.Net.network"), "usage");
    assert.deepEqual([own.inputTokens, own.outputTokens], [inputTokens - 7, outputTokens - 3]);
  });

  test("a model that fails: an error, and the stream ends as untraced", async () => {
    const { traced, spans, options } = network({ reply: () => ({ status: 400 }) });
    const stream = await traced.network("Help me", options);
    await read(stream);

    const [span] = await spans(1);
    assert.equal(span.status, "ERROR");
    assert.match(span.error_message, /The model failed with 400/);
  });

  test("without a memory: the caller gets Mastra's error, the span has it", async () => {
    const { traced, agent, spans, options } = network({ memory: null });
    const untraced = await rejection(agent.network("Help me", options));
    const error = await rejection(traced.network("Help me", options));
    assert.equal(error.message, untraced.message);

    const [span] = await spans(1);
    assert.deepEqual([span.status, span.error_message], ["ERROR", error.message]);
  });
});
