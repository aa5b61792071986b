// A conversation brings its whole history at every turn. While the server is down, each message is held once.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { measured } from "./support/measured.mjs";
import { startModel } from "./support/model.mjs";
import { startProgram } from "./support/program.mjs";
import { raw } from "./support/spans.mjs";

const TURNS = [50, 200];
const MESSAGE_BYTES = 2000;
/** Four times the turns take at most so many times the memory. */
const FOURFOLD = 4.4;

const figures = {};
after(() => measured.table(figures));

/** A chat that goes on for so many turns, and says what is held of it while nobody takes its spans. */
async function chat({ fallom, init, options, args: { turns, bytes, baseURL } }) {
  const { randomBytes } = await import("node:crypto");
  const { setTimeout: sleep } = await import("node:timers/promises");
  const { Agent } = await import("@mastra/core/agent");
  const { createOpenAI } = await import("@ai-sdk/openai");
  await init(options);
  const model = createOpenAI({ apiKey: "-", baseURL })("gpt-4o-mini");
  const agent = new Agent({ id: "support", name: "Support", instructions: "You help.", model });
  const wrapped = fallom.session({ configKey: "app", sessionId: "s" }).wrapMastraAgent(agent);
  const say = (role) => ({ role, content: randomBytes(bytes / 2).toString("hex") });
  const history = [];
  for (let turn = 0; turn < turns; turn++) {
    history.push(say("user"));
    await wrapped.generate(history);
    history.push(say("assistant"));
  }
  const settled = async () => {
    const { lastError, inFlight, queuedBytes } = fallom.stats();
    await sleep(300);
    return lastError && inFlight === 0 && queuedBytes === fallom.stats().queuedBytes;
  };
  while (!(await settled()));
  const { queued, queuedBytes } = fallom.stats();
  console.log("held");
  const { delivered } = await fallom.flush({ timeoutMs: 20_000 });
  return { queued, queuedBytes, delivered, left: fallom.stats().queuedBytes, history };
}

describe("a conversation for a server that is down", () => {
  let model;
  before(async () => {
    model = await startModel(() => "y".repeat(MESSAGE_BYTES));
  });
  after(() => model.close());

  const run = async (turns, more) => {
    const server = await startFallom({ keep: true });
    const options = optionsFor(server, { retry: { maxMs: 500 }, ...more });
    const args = { turns, bytes: MESSAGE_BYTES, baseURL: model.baseURL };
    await server.stop();
    const { ended, says } = startProgram(child(chat, { options, args, timeoutMs: 58_000 }));
    await says("held\n");
    await server.restart();
    const { history, ...result } = resultOf(await ended);
    const requests = (await server.spans()).map((span) => raw(span, "request"));
    await server.close();
    return { history, requests, ...result };
  };

  for (const [what, options] of [
    ["whole", {}],
    ["cut to 64 KiB", { maxSpanBytes: 64 * 1024 }],
  ]) {
    test(`its history, ${what}, takes memory as it grows, and not as it is repeated`, async () => {
      const held = {};
      for (const turns of TURNS) {
        const { queued, queuedBytes, delivered, left, requests, history } = await run(turns, options);
        held[turns] = queuedBytes;
        assert.deepEqual([queued, delivered, left], [turns, turns, 0]);
        for (const request of requests) {
          const whole = history.slice(
            0,
            history.findIndex(({ content }) => content === request.at(-1).content) + 1,
          );
          const kept = request.slice(typeof request[0] === "string" ? 2 : 0);
          assert.deepEqual(kept, whole.slice(-kept.length));
          if (what === "whole") assert.equal(kept.length, whole.length);
        }
      }
      const [short, long] = TURNS;
      figures[what] = { ...held, "200 : 50": (held[long] / held[short]).toFixed(2) };
      assert.ok(held[long] <= FOURFOLD * held[short], JSON.stringify(held));
    });
  }
});
