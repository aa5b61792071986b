// Prompts, A/B tests and models, as they are asked for.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fallom, { models, prompts } from "@fallom/trace";
import { config, prompt, TONE, variant } from "./support/catalog.mjs";
import { child, optionsFor, resultOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram } from "./support/program.mjs";

const CATALOG = {
  prompts: [
    prompt("support", 1, "Old help for {{company}}."),
    prompt("support", 2, "You help {{company}}.", "A question: {{question}}"),
    prompt("polite", 1, "You are polite."),
    prompt("terse", 3, "You are terse."),
    prompt("greeting", 1, null, "Greet {{name}} warmly."),
    prompt("a/b c", 1, "Odd key."),
  ],
  prompt_ab_tests: [
    TONE,
    { key: "pinned", version: 1, variants: [variant("support", 1, 100)] },
    { key: "broken", version: 1, variants: [variant("nowhere", null, 100)] },
  ],
  configs: [
    config("chat", 1, "old-model"),
    {
      ...config("chat", 2, "small"),
      variants: [
        { model: "small", weight: 100 },
        { model: "large", weight: 0 },
      ],
      targeting: { individualTargets: [{ field: "customerId", value: "vip", variantIndex: 1 }], rules: [] },
    },
    config("unversioned", undefined, "only"),
  ],
};

let server;

before(async () => {
  server = await startFallom();
  await server.setCatalog(CATALOG);
  await fallom.init(optionsFor(server));
});
after(() => server.close());

let sessions = 0;
const newSession = (more) => fallom.session({ configKey: "chat", sessionId: `s-${++sessions}`, ...more });

describe("prompts.get", () => {
  test("gives the current version, its variables filled in, or the one that is pinned", async () => {
    const variables = { company: "Acme", question: "why?" };
    assert.deepEqual(await prompts.get("support", { variables }), {
      key: "support",
      version: 2,
      system: "You help Acme.",
      user: "A question: why?",
      variables: ["company", "question"],
    });
    const { version, system } = await prompts.get("support", { variables, version: 1 });
    assert.deepEqual([version, system], [1, "Old help for Acme."]);
    assert.equal((await prompts.get("support")).system, "You help {{company}}.");
    assert.equal((await prompts.get("a/b c")).system, "Odd key.");
  });

  test("says what is missing, and what there is instead", async () => {
    await assert.rejects(prompts.get("nope"), /^Error: Prompt 'nope' not found\. Check the key/);
    await assert.rejects(
      prompts.get("support", { version: 9 }),
      /^Error: Prompt 'support' version 9 not found\. Known versions: 2, 1\.$/,
    );
  });
});

describe("prompts.getAB", () => {
  test("gives one session the same variant each time, and the sessions their shares", async () => {
    const counts = { polite: 0, terse: 0 };
    for (let i = 0; i < 400; i++) {
      const { key, version, abTestKey, variantIndex } = await prompts.getAB("tone", `session-${i}`);
      counts[key]++;
      assert.deepEqual(
        [version, abTestKey, variantIndex],
        key === "polite" ? [1, "tone", 0] : [3, "tone", 1],
      );
      assert.equal((await prompts.getAB("tone", `session-${i}`)).key, key);
    }
    assert.ok(counts.polite > 150 && counts.terse > 150, JSON.stringify(counts));
  });

  test("takes the variant's version, and fills in variables", async () => {
    const { version, system } = await prompts.getAB("pinned", "s", { variables: { company: "Acme" } });
    assert.deepEqual([version, system], [1, "Old help for Acme."]);
  });

  test("says what is missing", async () => {
    await assert.rejects(
      prompts.getAB("nope", "s"),
      /^Error: Prompt A\/B test 'nope' not found\. Check the key/,
    );
    await assert.rejects(prompts.getAB("broken", "s"), /^Error: Prompt 'nowhere' not found\./);
  });
});

describe("models.get", () => {
  test("gives the assigned model, also of a version that the list does not hold", async () => {
    assert.equal(await models.get("chat", "s"), "small");
    assert.equal(await models.get("chat", "s", { version: 1 }), "old-model");
    assert.equal(await models.get("unversioned", "s", { version: 1 }), "only");
    const requests = [
      { path: "/configs/chat/version/7", body: JSON.stringify(config("chat", 7, "seventh")) },
    ];
    await server.setFaults(requests);
    assert.equal(await models.get("chat", "s", { version: 7 }), "seventh");
    await server.setFaults([]);
    // Known now.
    assert.equal(await models.get("chat", "s", { version: 7 }), "seventh");
  });

  test("takes the fallback where there is none, and else says so", async () => {
    assert.equal(await models.get("nope", "s", { fallback: "gpt-4o-mini" }), "gpt-4o-mini");
    assert.equal(await models.get("chat", "s", { version: 9, fallback: "gpt-4o-mini" }), "gpt-4o-mini");
    await assert.rejects(models.get("nope", "s", { fallback: "" }), /^Error: Config 'nope' not found\./);
    await assert.rejects(
      models.get("chat", "s", { version: 9 }),
      /^Error: Config 'chat' version 9 not found\./,
    );
  });

  test("session.getModel asks for the session's own config and customer, unless it is told another", async () => {
    const session = newSession({ customerId: "vip" });
    assert.equal(await session.getModel(), "large");
    assert.equal(await session.getModel({ version: 1 }), "old-model");
    assert.equal(await session.getModel("unversioned"), "only");
    assert.equal(await session.getModel("nope", { fallback: "f" }), "f");
    assert.equal(await newSession().getModel(), "small");
  });

  test("tells the server each assignment once, and no fallback", async () => {
    const session = newSession();
    const { sessionId } = session.getContext();
    await Promise.all(Array.from({ length: 20 }, () => session.getModel()));
    await session.getModel({ version: 1 });
    await session.getModel("nope", { fallback: "f" });
    const posted = async () => (await server.sessions()).filter(({ session_id }) => session_id === sessionId);
    while ((await posted()).length < 2) await sleep(5);
    const told = (await posted()).map(({ config_version, assigned_model }) => [
      config_version,
      assigned_model,
    ]);
    assert.deepEqual(told.sort(), [
      [1, "old-model"],
      [2, "small"],
    ]);
  });

  test("for 2,000 sessions at once takes a handful of connections", async () => {
    await Promise.all(Array.from({ length: 2000 }, (_, i) => models.get("chat", `burst-${i}`)));
    const bursts = async () =>
      (await server.sessions()).filter(({ session_id }) => session_id.startsWith("burst-")).length;
    while ((await bursts()) < 2000) await sleep(5);
    const posts = (await server.requests()).filter(({ path }) => path === "/sessions");
    const connections = new Set(posts.map(({ connection }) => connection));
    assert.ok(connections.size <= 8, `${connections.size}`);
  });
});

describe("asking", () => {
  let fresh;
  beforeEach(async () => {
    fresh = await startFallom();
    await fresh.setCatalog(CATALOG);
  });
  const counted = async () => {
    const counts = {};
    for (const { path } of await fresh.requests()) counts[path] = (counts[path] ?? 0) + 1;
    return counts;
  };
  const runFresh = async (body, more) => {
    const ended = await runProgram(child(body, { options: optionsFor(fresh, more) }));
    const result = resultOf(ended);
    const counts = await counted();
    await fresh.close();
    return { result, counts };
  };

  test("50 gets at once, before anything was read, make one request a list", async () => {
    await fresh.setFaults([{ delay_ms: 50 }]);
    const { result, counts } = await runFresh(async ({ fallom, prompts, models, options }) => {
      fallom.init(options);
      const gets = Array.from({ length: 50 }, (_, i) =>
        [() => prompts.get("polite"), () => prompts.getAB("tone", `s${i}`), () => models.get("chat", "s")][
          i % 3
        ](),
      );
      return (await Promise.all(gets)).length;
    });
    assert.equal(result, 50);
    assert.deepEqual([counts["/prompts"], counts["/prompt-ab-tests"], counts["/configs"]], [1, 1, 1]);
  });

  test("ten times for what does not exist makes no more requests than once", async () => {
    const { counts } = await runFresh(async ({ fallom, prompts, models, options }) => {
      await fallom.init(options);
      for (let i = 0; i < 10; i++) {
        await prompts.get("missing").catch(() => {});
        await prompts.getAB("missing", "s").catch(() => {});
        await models.get("missing", "s").catch(() => {});
        await models.get("missing", "s", { version: 4 }).catch(() => {});
      }
      return 0;
    });
    assert.ok(counts["/prompts"] <= 2 && counts["/configs"] <= 2, JSON.stringify(counts));
    assert.equal(counts["/configs/missing/version/4"], 1);
  });

  test("what changes on the server is seen within refreshMs, and what is deleted is gone", async () => {
    const { result } = await runFresh(
      async ({ fallom, prompts, options }) => {
        await fallom.init(options);
        const put = (catalog) =>
          fetch(`${options.promptsUrl}/_local/catalog`, {
            method: "PUT",
            body: JSON.stringify(catalog),
            headers: { connection: "close" },
          });
        const until = async (ask, wanted) => {
          for (;;) {
            const text = await ask().then(
              ({ system }) => system,
              ({ message }) => message,
            );
            if (text.includes(wanted)) return text;
            await new Promise((done) => setTimeout(done, 5));
          }
        };
        await until(() => prompts.get("polite"), "You are polite.");
        await put({ prompts: [{ key: "polite", version: 2, system_prompt: "Newer.", user_template: null }] });
        await until(() => prompts.get("polite"), "Newer.");
        await put({ prompts: [] });
        return until(() => prompts.get("polite"), "not found");
      },
      { refreshMs: 20 },
    );
    assert.match(result, /^Prompt 'polite' not found/);
  });
});
