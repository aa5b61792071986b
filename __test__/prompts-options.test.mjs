// What a call of `prompts` and `models` may be told, and what it gives beside the texts.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fallom, { models, prompts } from "@fallom/trace";
import { prompt } from "./support/catalog.mjs";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";

const CATALOG = {
  prompts: [
    prompt("support", 2, "You help {{company}}. {{ company }}!", "{{question}}"),
    prompt("plain", 1, "Hi."),
  ],
  prompt_ab_tests: [
    { key: "test", version: 1, variants: [{ prompt_key: "support", prompt_version: null, weight: 100 }] },
    { key: "empty", version: 1, variants: [] },
  ],
  configs: [
    {
      key: "chat",
      version: 1,
      variants: ["all", "vip", "pro", "both"].map((model) => ({ model, weight: model === "all" ? 100 : 0 })),
      targeting: {
        rules: [
          {
            conditions: [
              { field: "plan", operator: "eq", value: "pro" },
              { field: "customerId", operator: "eq", value: "vip" },
            ],
            variantIndex: 3,
          },
          { conditions: [{ field: "plan", operator: "eq", value: "pro" }], variantIndex: 2 },
          { conditions: [{ field: "customerId", operator: "eq", value: "vip" }], variantIndex: 1 },
        ],
      },
    },
  ],
};

let server;

before(async () => {
  server = await startFallom();
  await server.setCatalog(CATALOG);
  await fallom.init(optionsFor(server));
});
after(() => server.close());

const GIVEN = { company: "Acme", question: "why?" };

describe("prompt.variables", () => {
  test("names what the templates use, each once, in order", async () => {
    assert.deepEqual((await prompts.get("support")).variables, ["company", "question"]);
    assert.deepEqual((await prompts.getAB("test", "s")).variables, ["company", "question"]);
    assert.deepEqual((await prompts.get("plain", { variables: GIVEN })).variables, []);
  });
});

describe("strict", () => {
  const ASKS = {
    get: (variables) => prompts.get("support", { variables, strict: true }),
    getAB: (variables) => prompts.getAB("test", "s", { variables, strict: true }),
    getSync: async (variables) => prompts.getSync("support", { variables, strict: true }),
  };

  for (const [name, ask] of Object.entries(ASKS)) {
    test(`${name}: a variable that is wanted and not given is an error that names it, and the reverse`, async () => {
      assert.equal((await ask(GIVEN)).user, "why?");
      for (const [variables, said] of [
        [{ company: "Acme" }, "its template uses 'question', which was not given"],
        [undefined, "its template uses 'company', 'question', which were not given"],
        [{ ...GIVEN, tone: "warm" }, "'tone' was given and its template does not use it"],
        [
          { company: "Acme", quesiton: "why?" },
          "its template uses 'question', which was not given; 'quesiton' was given and its template does not use it",
        ],
      ])
        await assert.rejects(ask(variables), {
          name: "Error",
          message: `Prompt 'support' version 2: ${said}.`,
        });
    });
  }

  test("a fallback does not hide it", async () => {
    await assert.rejects(prompts.get("support", { strict: true, fallback: "mine" }), /'company', 'question'/);
    assert.equal((await prompts.get("nope", { strict: true, fallback: "mine" })).system, "mine");
  });

  test("without it, debug says so in one line, without the values", async () => {
    const ask = async ({ init, prompts, options }) => {
      await init(options);
      await prompts.preload();
      return prompts.getSync("support", { variables: { company: "SECRET", tone: "SECRET" } }).system;
    };
    const ended = await runProgram(child(ask, { options: optionsFor(server, { debug: true }) }));
    assert.equal(resultOf(ended), "You help SECRET. SECRET!");
    const said = warningsOf(ended).filter((line) => line.includes("'support'"));
    const line =
      "[fallom] prompt 'support' version 2: its template uses 'question', which was not given; 'tone' was given and " +
      "its template does not use it";
    assert.deepEqual(said, [line]);
    assert.ok(!ended.stderr.includes("SECRET"));
  });
});

describe("fallback", () => {
  test("of a prompt is a text, or texts, with the variables filled in, and says that it is one", async () => {
    const result = { key: "nope", version: 0, system: "", user: "", variables: [], isFallback: true };
    for (const [fallback, texts] of [
      ["You help {{company}}.", { system: "You help Acme.", variables: ["company"] }],
      ["", {}],
      [{}, {}],
      [{ system: "S" }, { system: "S" }],
      [{ user: "{{ question }} {{nope}}" }, { user: "why? {{nope}}", variables: ["question", "nope"] }],
    ]) {
      const options = { variables: GIVEN, fallback };
      assert.deepEqual(await prompts.get("nope", options), { ...result, ...texts });
      assert.deepEqual(await prompts.getAB("nope", "s", options), { ...result, ...texts });
      assert.deepEqual(prompts.getSync("nope", options), { ...result, ...texts });
    }
    assert.equal((await prompts.getAB("empty", "s", { fallback: "mine" })).system, "mine");
    assert.equal((await prompts.get("support", { version: 9, fallback: "mine" })).system, "mine");
  });

  test("is not taken where Fallom has the prompt, and is no error of its own", async () => {
    const { system, isFallback } = await prompts.get("plain", { fallback: "mine" });
    assert.deepEqual([system, isFallback], ["Hi.", undefined]);
  });

  test("that is none, and a timeout that is none, are a TypeError that says what they take", async () => {
    for (const fallback of [7, true, { system: 7 }, () => ""])
      await assert.rejects(
        prompts.get("plain", { fallback }),
        /^TypeError: Option 'fallback' must be a text, or/,
      );
    for (const timeoutMs of [-1, "5", Number.NaN]) {
      await assert.rejects(prompts.get("plain", { timeoutMs }), /^TypeError: Option 'timeoutMs' must be/);
      await assert.rejects(models.get("chat", "s", { timeoutMs }), /^TypeError: Option 'timeoutMs' must be/);
      await assert.rejects(prompts.preload({ timeoutMs }), /^TypeError: Option 'timeoutMs' must be/);
    }
  });
});

describe("a hit", () => {
  test("answers before anything else gets its turn", async () => {
    assert.ok((await prompts.preload()) && (await models.preload()));
    for (const ask of [
      () => prompts.get("support", { variables: GIVEN }),
      () => prompts.getAB("test", "s"),
      () => models.get("chat", "s"),
      () => fallom.session({ configKey: "chat", sessionId: "s" }).getModel(),
    ]) {
      let turns = 0;
      const immediate = setImmediate(() => turns++);
      await ask();
      assert.equal(turns, 0);
      clearImmediate(immediate);
    }
  });
});

describe("session.getModel", () => {
  test("does not wait for the server to hear of the assignment", async () => {
    await models.preload();
    await server.setFaults([{ path: "/sessions", hang: true }]);
    let turns = 0;
    const immediate = setImmediate(() => turns++);
    for (let i = 0; i < 50; i++)
      await fallom.session({ configKey: "chat", sessionId: `untold-${i}` }).getModel();
    assert.equal(turns, 0);
    clearImmediate(immediate);
    await server.setFaults([]);
  });

  test("targets the session's customer, and the fields of a context beside it", async () => {
    const asked = (customerId, context) =>
      fallom.session({ configKey: "chat", sessionId: "s", customerId }).getModel({ context });
    assert.equal(await asked(undefined, undefined), "all");
    assert.equal(await asked("vip", undefined), "vip");
    assert.equal(await asked("else", { plan: "pro" }), "pro");
    assert.equal(await asked("vip", { plan: "pro" }), "both");
    assert.equal(await asked("else", { customerId: "vip" }), "all", "the session's own customer counts");
    const session = fallom.session({ configKey: "other", sessionId: "s", customerId: "vip" });
    assert.equal(await session.getModel("chat", { context: { plan: "pro" } }), "both");
  });
});

describe("getSync and preload", () => {
  test("getSync answers what get answers", async () => {
    await Promise.all([prompts.preload(), models.preload()]);
    assert.deepEqual(
      prompts.getSync("support", { variables: GIVEN, version: 2 }),
      await prompts.get("support", { variables: GIVEN, version: 2 }),
    );
    assert.equal(models.getSync("chat", "s", { customerId: "vip" }), "vip");
    assert.throws(() => prompts.getSync("nope"), /^Error: Prompt 'nope' not found\. Check the key/);
    assert.throws(() => models.getSync("nope", "s"), /^Error: Config 'nope' not found\. Check the key/);
  });

  const run = async (body, more) =>
    resultOf(await runProgram(child(body, { options: optionsFor(server, more) })));

  test("before anything is loaded getSync throws and says what to do, after preload it answers", async () => {
    // However late the program goes on after init, nothing is loaded then.
    await server.setFaults([{ path: "/", method: "GET", delay_ms: 500 }]);
    const said = await run(async ({ init, prompts, models, options }) => {
      const attempt = (ask) => {
        try {
          return ask();
        } catch (error) {
          return `${error}`;
        }
      };
      const before = [attempt(() => prompts.getSync("plain"))];
      init(options);
      before.push(attempt(() => prompts.getSync("plain")));
      before.push(attempt(() => models.getSync("chat", "s")));
      before.push(prompts.getSync("plain", { fallback: "mine" }).system);
      before.push(models.getSync("chat", "s", { fallback: "mine" }));
      const loaded = await Promise.all([prompts.preload(), models.preload()]);
      return [...before, ...loaded, prompts.getSync("plain").system, models.getSync("chat", "s")];
    });
    await server.setFaults([]);
    assert.match(said[0], /^Error: Call fallom\.init\(\{ apiKey \}\) before/);
    assert.match(said[1], /^Error: Prompt 'plain' not found\..* await prompts\.preload\(\) before\./);
    assert.match(said[2], /^Error: Config 'chat' not found\..* await models\.preload\(\) before/);
    assert.deepEqual(said.slice(3), ["mine", "mine", true, true, "Hi.", "all"]);
  });

  test("getSync of what is not there asks for it behind, once", async () => {
    const [before, after] = await run(
      async ({ init, prompts, options }) => {
        await init(options);
        await prompts.preload();
        const count = async () => {
          const all = await (await fetch(`${options.promptsUrl}/_local/requests`)).json();
          return all.filter(({ path }) => path === "/prompts").length;
        };
        const before = await count();
        // So long a list that was just read is believed.
        await new Promise((done) => setTimeout(done, 5100));
        for (let i = 0; i < 20; i++) {
          try {
            prompts.getSync("nope");
          } catch {}
        }
        while ((await count()) === before) await new Promise((done) => setTimeout(done, 5));
        await new Promise((done) => setTimeout(done, 50));
        return [before, await count()];
      },
      { refreshMs: 60_000 },
    );
    assert.equal(after, before + 1);
  });

  test("getSync of a pinned version that no list holds throws until it was read behind", async () => {
    const body = JSON.stringify({ key: "chat", version: 7, variants: [{ model: "seventh", weight: 100 }] });
    await server.setFaults([{ path: "/configs/chat/version/7", body }]);
    const pinned = () => models.getSync("chat", "s", { version: 7 });
    await models.preload();
    assert.throws(pinned, /^Error: Config 'chat' version 7 not found\. Known versions: 1\.$/);
    const found = async () => {
      for (;;) {
        try {
          return pinned();
        } catch {
          await new Promise((done) => setTimeout(done, 5));
        }
      }
    };
    assert.equal(await found(), "seventh");
    await server.setFaults([]);
  });

  test("preload says that it could not, in time, and throws nothing", async () => {
    const [loaded, ms] = await run(
      async ({ init, prompts, options }) => {
        await init(options);
        const begun = performance.now();
        const loaded = await prompts.preload({ timeoutMs: 200 });
        return [loaded, performance.now() - begun];
      },
      { promptsUrl: "http://127.0.0.1:1" },
    );
    assert.equal(loaded, false);
    assert.ok(ms <= 400, `${ms} ms`);
  });
});
