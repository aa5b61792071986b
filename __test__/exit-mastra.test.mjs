// A real agent of Mastra's whose model does not answer, when the process ends.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AT_ONCE, ENDED, runToItsEnd } from "./support/ending.mjs";
import { startFallom } from "./support/fallom.mjs";
import { startModel } from "./support/model.mjs";
import { raw } from "./support/spans.mjs";

const LINE = process.env.MASTRA || "0.24";

const RECORD = `
const { Agent } = await import("@mastra/core/agent");
const { createOpenAI } = await import("@ai-sdk/openai");
const model = createOpenAI({ apiKey: "test-key", baseURL: options.modelUrl })("gpt-4o-mini");
delete options.modelUrl;
const { default: fallom } = await import("@fallom/trace");
fallom.init(options);
const real = new Agent({ id: "support", name: "SupportAgent", instructions: "You help.", model });
const traced = fallom.session({ configKey: "app", sessionId }).wrapMastraAgent(real);
const call = async (input) => {
  const answer = await traced[method](input);
  return method === "stream" ? answer.text : answer;
};
await Promise.all(Array.from({ length: ENDED }, () => call("ended")));
call("open");
// Till the model was asked.
await sleep(100);
`;

const WAYS = {
  "process.exit()": { end: "ending(); process.exit(3);", code: 3 },
  SIGTERM: { end: "say('kill');", signal: "SIGTERM" },
};

describe(`an agent in the middle of a call, with Mastra ${LINE}`, { concurrency: AT_ONCE }, () => {
  let server;
  let model;

  before(async () => {
    const reply = (call) => (call.lastUser === "open" ? { hang: true } : { text: "Ended." });
    [server, model] = await Promise.all([startFallom(), startModel(reply)]);
  });
  after(() => Promise.all([server.close(), model.close()]));

  for (const [name, { end, code = null, signal }] of Object.entries(WAYS)) {
    for (const method of ["generate", "stream"]) {
      test(`${name}, ${method}: all arrives, and of the open call what was asked`, async () => {
        const options = { modelUrl: model.baseURL };
        const ended = await runToItsEnd({ server, bare: true, body: RECORD + end, method, signal, options });
        assert.deepEqual(
          [ended.ended, ended.open, ended.code, ended.signal],
          [ENDED, 1, code, signal ?? null],
          ended.stderr,
        );
        const open = ended.spans.find(({ attributes }) => attributes["fallom.incomplete"]);
        assert.equal(open.attributes["fallom.incomplete"], "exit");
        assert.equal(open.name, `agent.SupportAgent.${method}`);
        assert.deepEqual(raw(open, "request"), [{ role: "user", content: "open" }]);
      });
    }
  }
});
