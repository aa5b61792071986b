// A service that answers wrongly, late or not at all: the application runs on, and who asks for something that cannot
// be had learns why, in time.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fallom, { models, prompts } from "@fallom/trace";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";
import { assertBalanced } from "./support/spans.mjs";

const GET_MS = 300;
const CATALOG = {
  prompts: [{ key: "p", version: 1, system_prompt: "System.", user_template: "User." }],
  prompt_ab_tests: [
    { key: "t", version: 1, variants: [{ prompt_key: "p", prompt_version: 1, weight: 100 }] },
  ],
  configs: [{ key: "c", version: 1, variants: [{ model: "assigned", weight: 100 }] }],
};
/** Nobody listens there: a port that is for nothing else. */
const REFUSED = "http://127.0.0.1:1";

let server;
let rounds = 0;

before(async () => {
  server = await startFallom();
  await server.setCatalog(CATALOG);
  // Nothing answers yet; each test brings its own key, which makes all be read anew.
  const urls = { tracesUrl: REFUSED, configsUrl: REFUSED, promptsUrl: REFUSED };
  const options = { getTimeoutMs: GET_MS, batch: { maxDelayMs: 10 }, retry: { baseMs: 10, maxMs: 50 } };
  await fallom.init({ apiKey: "first", ...urls, ...options });
});
after(() => server.close());

const HTML = "<!DOCTYPE html><title>Sign in</title>";

/** What comes back, the faults for it, and what the error must say beyond that there is no such prompt. */
const ANSWERS = [
  ["401", [{ status: 401 }], /401.*apiKey/],
  ["403", [{ status: 403 }], /403.*apiKey/],
  ["500", [{ status: 500 }], /500/],
  ["302", [{ status: 302, headers: { location: "https://example.com/login" } }], /302/],
  ["HTML instead of JSON", [{ body: HTML, content_type: "text/html" }], /HTML/],
  ["garbage", [{ body: "\u0000\u0001garbage" }], /JSON/],
  ["nothing", [{ body: "" }], /nothing/],
  ["an array", [{ body: "[]" }], /an array/],
  ["another object", [{ body: '{"error":"maintenance"}' }], /without it/],
  ["JSON that is cut off", [{ body: '{"prompts":[{"key":"p","ver' }], /cut off/],
  ["less than was announced", [{ truncate: 20 }], /The last try failed/],
  ["a reset connection", [{ reset: "before" }], /The last try failed/],
  ["silence", [{ hang: true }], /has not answered yet/],
  ["an answer too late", [{ delay_ms: GET_MS * 2 }], /has not answered yet/],
];

for (const [what, faults, reason] of ANSWERS) {
  test(`${what}: errors that say so, in time; the fallback model; the agent's result`, async () => {
    await server.setFaults(faults);
    await misread(server.urls, reason);
  });
}

test("a port that refuses: errors that say so, in time; the fallback model; the agent's result", () =>
  misread(
    { tracesUrl: REFUSED, configsUrl: REFUSED, promptsUrl: REFUSED },
    /The last try failed: .*127\.0\.0\.1:1/,
  ));

test("a host that does not exist is no more trouble", () => {
  const url = "http://nowhere.invalid";
  return misread({ tracesUrl: url, configsUrl: url, promptsUrl: url }, /nowhere\.invalid/);
});

test("after all that, the same process reads and sends as if nothing had been", async () => {
  await restart(server.urls);
  const { system } = await prompts.get("p");
  const session = fallom.session({ configKey: "c", sessionId: "recovered" });
  assert.deepEqual([system, await session.getModel()], ["System.", "assigned"]);
  assert.equal(await agent().generate("x"), "never traced");
  session.span("recovered").end();
  await server.waitForSpans(1, { sessionId: "recovered" });
  assertBalanced(fallom.stats());
});

describe("lists that can be read, but not used", () => {
  test("an empty list knows no key, and says to check it", async () => {
    await served({ prompts: [], prompt_ab_tests: [], configs: [] });
    await assert.rejects(prompts.get("p"), /^Error: Prompt 'p' not found\. Check the key/);
    await assert.rejects(prompts.getAB("t", "s"), /^Error: Prompt A\/B test 't' not found\. Check the key/);
    await assert.rejects(models.get("c", "s"), /^Error: Config 'c' not found\. Check the key/);
  });

  test("a prompt whose texts are null is empty there", async () => {
    await served({
      prompts: [
        { key: "user", version: 1, system_prompt: null, user_template: "Hi {{name}}" },
        { key: "system", version: 2, system_prompt: "Be brief." },
        { key: "neither", version: 3, system_prompt: null, user_template: null },
      ],
    });
    const variables = { name: "Ada" };
    const texts = async (key) => {
      const { system, user } = await prompts.get(key, { variables });
      return [system, user];
    };
    assert.deepEqual(await texts("user"), ["", "Hi Ada"]);
    assert.deepEqual(await texts("system"), ["Be brief.", ""]);
    assert.deepEqual(await texts("neither"), ["", ""]);
  });

  test("entries that make no sense spoil no other", async () => {
    const nonsense = [null, 7, "text", [], {}, { key: 7 }, { key: "p", version: "x" }, { version: 1 }];
    await served({
      prompts: [...nonsense, ...CATALOG.prompts],
      prompt_ab_tests: [...nonsense, { key: "none", version: 1, variants: [] }, ...CATALOG.prompt_ab_tests],
      configs: [...nonsense, { key: "empty", version: 1, variants: null }, ...CATALOG.configs],
    });
    assert.equal((await prompts.get("p")).system, "System.");
    assert.equal((await prompts.getAB("t", "s")).key, "p");
    assert.equal(await models.get("c", "s"), "assigned");
    await assert.rejects(
      prompts.getAB("none", "s"),
      /^Error: Prompt A\/B test 'none' has no variants configured\./,
    );
    assert.equal(await models.get("empty", "s", { fallback: "small" }), "small");
    await assert.rejects(models.get("empty", "s"), /Config 'empty' has no variants/);
  });

  async function served(catalog) {
    await server.setCatalog(catalog);
    await restart(server.urls);
  }
});

test("what is no key, id, version or variable is a TypeError that rejects, and is not asked for", async () => {
  // What the tests before it began is over.
  await Promise.all([prompts.preload(), models.preload(), fallom.flush()]);
  const reads = async () => (await server.requests()).filter(({ method }) => method === "GET").length;
  const asked = await reads();
  for (const call of [
    () => prompts.get(undefined),
    () => prompts.get({}),
    () => prompts.get("p", { version: "1" }),
    () => prompts.get("p", { version: 1.5 }),
    () => prompts.get("p", { variables: { bad: Object.create(null) } }),
    () => prompts.getAB("t", null),
    () => models.get("c"),
    () => models.get(Symbol("c"), "s"),
  ])
    await assert.rejects(call(), TypeError, String(call));
  assert.equal(await reads(), asked);
});

for (const status of [401, 403]) {
  test(`a key that is refused with ${status} is said once, counted, and a new key makes sending resume`, async () => {
    const locked = await startFallom({ key: "new" });
    await locked.setFaults([{ path: "/v1/traces", status, times: 1 }]);
    const ended = await runProgram(
      child(refusedThenNew, {
        options: optionsFor(locked, { apiKey: "old-key", transport: { maxConcurrent: 1 } }),
      }),
    );
    const [refused, meanwhile, resumed] = resultOf(ended);
    assert.deepEqual([refused.dropped.unauthorized, refused.lastError.status], [3, status]);
    // Not even asked for: no server is tried again and again with a key that it refused.
    assert.deepEqual([meanwhile.dropped.unauthorized, meanwhile.requests], [5, refused.requests]);
    assert.deepEqual([resumed.dropped.total, resumed.delivered], [5, 1]);
    for (const stats of [refused, meanwhile, resumed]) assertBalanced(stats);

    assert.deepEqual(
      (await locked.spans()).map(({ name }) => name),
      ["resumed"],
    );
    const said = warningsOf(ended).filter((line) => line.includes("spans are dropped"));
    assert.equal(said.length, 1, ended.stderr);
    assert.match(said[0], new RegExp(`\\(${status}\\).* apiKey`));
    assert.ok(!ended.stderr.includes("old-key"), "the key itself is not said");
    await locked.close();
  });
}

async function refusedThenNew({ fallom, init, options }) {
  const spans = (...names) => {
    const session = fallom.session({ configKey: "app", sessionId: "s" });
    for (const name of names) session.span(name).end();
    return fallom.flush();
  };
  await init(options);
  await spans("first", "second", "third");
  const refused = fallom.stats();
  await spans("fourth", "fifth");
  const meanwhile = fallom.stats();
  await init({ apiKey: "new" });
  await spans("resumed");
  return [refused, meanwhile, fallom.stats()];
}

function agent() {
  return { generate: async () => "never traced" };
}

/** A key of its own for each: what is known of the last is forgotten. */
function restart(urls) {
  return fallom.init({ apiKey: `round-${++rounds}`, ...urls });
}

/** All that can be asked for, of a service that is no good. */
async function misread(urls, reason) {
  await restart(urls);
  const session = fallom.session({ configKey: "c", sessionId: `misread-${rounds}` });
  const result = { text: "the model's answer" };
  assert.equal(await session.wrapMastraAgent({ generate: async () => result }).generate("hello"), result);
  session.span("manual").setError(new Error("x")).end();

  const failures = await Promise.all(
    [() => prompts.get("p"), () => prompts.getAB("t", "s"), () => session.getModel()].map(failureInTime),
  );
  const [prompt, test_, config] = failures;
  assert.match(prompt, /^Prompt 'p' not found\. The prompts are not loaded/);
  assert.match(test_, /^Prompt A\/B test 't' not found\. The tests are not loaded/);
  assert.match(config, /^Config 'c' not found\. The configs are not loaded/);
  for (const failure of failures) assert.match(failure, reason);
  const fallback = await inTime(() => session.getModel({ fallback: "fallback-model" }));
  assert.equal(fallback, "fallback-model");
  await server.setFaults([]);
}

async function failureInTime(ask) {
  return inTime(() =>
    ask().then(
      (value) => assert.fail(`got ${JSON.stringify(value)}`),
      (error) => {
        assert.ok(error instanceof Error);
        return error.message;
      },
    ),
  );
}

async function inTime(ask) {
  const begun = performance.now();
  const value = await ask();
  const ms = performance.now() - begun;
  assert.ok(ms <= 2 * GET_MS, `${ms} ms`);
  return value;
}
