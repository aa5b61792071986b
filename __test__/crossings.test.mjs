// How often a traced call crosses from JavaScript to the core, exactly. The figures stand in bounds.json: a change that
// lowers one lowers it there, and one that raises it says why.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import fallom, { models, prompts } from "@fallom/trace";
import { catalogOf } from "./support/catalog.mjs";
import { crossings } from "./support/crossings.mjs";
import { line, makeTool, z } from "./support/mastra.mjs";
import { read, startScene } from "./support/scene.mjs";

const { crossings: BOUNDS } = JSON.parse(readFileSync(new URL("bounds.json", import.meta.url), "utf8"));

const look = makeTool({
  id: "look",
  description: "Look something up",
  inputSchema: z.object({ n: z.number() }),
  execute: async ({ n }) => ({ n, found: "what was looked for" }),
});

const MESSAGES = Array.from({ length: 50 }, (_, at) => ({
  role: at % 2 ? "assistant" : "user",
  content: `Message ${at}: ${"Where is my order? ".repeat(50)}`,
}));

describe(`crossings, with Mastra ${line}`, () => {
  let scene;

  before(async () => {
    scene = await startScene({ catalog: catalogOf(1, "You help.") });
    await prompts.get("p");
    await models.get("c", "session");
    // The first span of a process sets a timer.
    scene.conversation().session.span("first").end();
  });
  after(() => scene.close());

  test("a manual span crosses as often as said, whatever it holds", async () => {
    const { session } = scene.conversation();
    await crosses("manual span", times("a span", 1), () => session.span("step").end());
    await crosses("manual span with much in it", times("a span", 1), () => {
      const span = session.span("step", { kind: "retrieval" }).set({ input: MESSAGES, output: MESSAGES });
      for (let i = 0; i < 100; i++) span.set({ [`attribute-${i}`]: i });
      span.setError(new Error("failed")).end();
    });
  });

  test("a traced function crosses as a span does", async () => {
    const { session } = scene.conversation();
    const traced = fallom.trace.wrapTraced(session, "sum", async (messages) => messages);
    await crosses("wrapTraced", times("a span", 1), () => traced(MESSAGES));
  });

  for (const tools of [0, 1, 5]) {
    for (const [history, messages] of [
      ["one message", "Hello"],
      [`${MESSAGES.length} messages`, MESSAGES],
    ]) {
      test(`an agent that calls ${tools} tools crosses once a span, with ${history}`, async () => {
        const { traced, spans } = scene.traced(answerAfter(tools), { tools: { look } });
        const expected = sum(times("a span", 1 + tools), times("an agent's run, beside its spans", 1));
        const options = { maxSteps: tools + 1 };
        await crosses(`generate, ${tools} tools, ${history}`, expected, () =>
          traced.generate(messages, options),
        );
        scene.says(answerAfter(tools));
        await crosses(`stream, ${tools} tools, ${history}`, expected, async () =>
          read((await traced.stream(messages, options)).textStream),
        );
        await spans(2 * (1 + tools));
      });
    }
  }

  test("what is read of prompts and models is in one crossing for each read", async () => {
    const { session } = scene.conversation();
    const variables = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`name-${at}`, "Ada"]));
    const reads = {
      "prompts.get": () => prompts.get("p", { variables }),
      "prompts.getAB": () => prompts.getAB("t", "session", { variables }),
      "session.prompt": () => session.prompt("p", { variables }),
      "session.promptAB": () => session.promptAB("t", { variables }),
      "models.get": () => models.get("c", "session", { context: variables }),
      "session.getModel": () => session.getModel("c", { context: variables }),
    };
    for (const [name, call] of Object.entries(reads)) await crosses(name, times(name, 1), call);
  });
});

/** A model that calls the tool so many times, one after the other, and then answers. */
function answerAfter(tools) {
  let calls = 0;
  return () =>
    calls++ < tools
      ? { toolCalls: [{ id: `call-${calls}`, name: "look", args: { n: calls } }] }
      : { text: "Done." };
}

const times = (what, count) =>
  Object.fromEntries(Object.entries(BOUNDS[what]).map(([name, calls]) => [name, calls * count]));

function sum(one, other) {
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].sort();
  return Object.fromEntries(names.map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)]));
}

/** With GUARD_MEASURE, it is only said how often: `npm run guard -- --measure`. */
async function crosses(what, expected, action) {
  const counted = await crossings(action);
  if (process.env.GUARD_MEASURE) console.log(`${what}: ${JSON.stringify(counted)}`);
  else assert.deepEqual(counted, sum(expected, {}), what);
}
