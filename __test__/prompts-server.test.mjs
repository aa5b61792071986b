// What `get` answers when the server does not, or not well: what it says, how long it takes, and how often it asks. Each
// row is a process of its own.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { catalogOf } from "./support/catalog.mjs";
import { child, optionsFor, resultOf, warningsOf } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { runProgram, startProgram } from "./support/program.mjs";

const GET_MS = 300;

const CATALOG = catalogOf(1, "first");
const LISTS = ["/prompts", "/prompt-ab-tests", "/configs"];

/** A process that asks for everything at once, then for everything ten times more, and then with fallbacks. */
async function interview({ init, prompts, models, options }) {
  init(options);
  const asks = {
    prompt: (more) => prompts.get("p", more).then(({ system }) => system),
    test: (more) => prompts.getAB("t", "s", more).then(({ system }) => system),
    model: (more) => models.get("c", "s", more),
  };
  const clock = async (ask) => {
    const begun = performance.now();
    const answer = await ask().catch((error) => `${error}`);
    return { answer, ms: performance.now() - begun };
  };
  const every = async (more) => {
    const all = Object.entries(asks).map(async ([name, ask]) => [name, await clock(() => ask(more))]);
    return Object.fromEntries(await Promise.all(all));
  };
  const first = await every();
  const again = await clock(async () => {
    for (let i = 0; i < 10; i++) await every();
  });
  const fallen = await every({ fallback: "mine" });
  return { first, tenMore: again.ms, fallen };
}

async function countsOf(server) {
  const counts = {};
  for (const { path } of await server.requests()) counts[path] = (counts[path] ?? 0) + 1;
  return LISTS.map((path) => counts[path] ?? 0);
}

/** What a server does, and what is said of it. */
const BAD = [
  ["that hangs", [{ hang: true }], /has not answered yet\.$/],
  ["that answers 500", [{ status: 500 }], /The last try failed: the server answered 500\.$/],
  ["that knows no such path", [{ status: 404 }], /The last try failed: the server answered 404\.$/],
  ["that refuses the key", [{ status: 401 }], /answered 401: check the apiKey\.$/],
  ["that answers garbage", [{ body: "<html>oops" }], /The last try failed: expected .* got HTML or XML\.$/],
  ["that answers nothing", [{ body: "" }], /The last try failed: expected .* got nothing\.$/],
  ["that answers an empty object", [{ body: "{}" }], /got an object without it\.$/],
  ["that resets the connection", [{ reset: "before" }], /The last try failed: .+\.$/],
];

describe("before anything was read, a server", { concurrency: 2 }, () => {
  for (const [what, faults, error] of BAD) {
    test(`${what}: an error in time, the fallback, one request a list, and nobody waits twice`, async () => {
      const server = await startFallom();
      await server.setCatalog(CATALOG);
      await server.setFaults(faults);
      const ended = await runProgram(
        child(interview, { options: optionsFor(server, { getTimeoutMs: GET_MS }) }),
      );
      const { first, tenMore, fallen } = resultOf(ended);
      assert.match(first.prompt.answer, /^Error: Prompt 'p' not found\. The prompts are not loaded/);
      assert.match(first.test.answer, /^Error: Prompt A\/B test 't' not found\. The tests are not loaded/);
      assert.match(first.model.answer, /^Error: Config 'c' not found\. The configs are not loaded/);
      for (const { answer, ms } of Object.values(first)) {
        assert.match(answer, error);
        assert.ok(ms <= 2 * GET_MS, `${ms} ms`);
      }
      assert.ok(tenMore <= 2 * GET_MS, `${tenMore} ms`);
      for (const { answer } of Object.values(fallen)) assert.equal(answer, "mine");
      assert.deepEqual(await countsOf(server), [1, 1, 1]);
      const outages = warningsOf(ended).filter((line) => line.includes("could not be read"));
      assert.equal(outages.length, faults[0].hang ? 0 : 1, ended.stderr);
      await server.close();
    });
  }

  test("that was never there: the same, and no request", async () => {
    const nowhere = optionsFor({
      urls: { promptsUrl: "http://127.0.0.1:1", configsUrl: "http://127.0.0.1:1" },
    });
    const ended = await runProgram(child(interview, { options: { ...nowhere, getTimeoutMs: GET_MS } }));
    const { first, tenMore, fallen } = resultOf(ended);
    for (const { answer, ms } of Object.values(first)) {
      assert.match(answer, /not found\. .* The last try failed: .*refused/);
      assert.ok(ms <= 2 * GET_MS, `${ms} ms`);
    }
    assert.ok(tenMore <= 2 * GET_MS, `${tenMore} ms`);
    for (const { answer } of Object.values(fallen)) assert.equal(answer, "mine");
  });

  test("whose catalog is empty: errors that blame the key, and nobody waits", async () => {
    const server = await startFallom();
    const ended = await runProgram(
      child(interview, { options: optionsFor(server, { getTimeoutMs: GET_MS }) }),
    );
    const { first, tenMore } = resultOf(ended);
    for (const { answer, ms } of Object.values(first)) {
      assert.match(answer, /not found\. Check the key/);
      assert.ok(ms <= 2 * GET_MS, `${ms} ms`);
    }
    assert.ok(tenMore <= 2 * GET_MS, `${tenMore} ms`);
    assert.deepEqual(await countsOf(server), [1, 1, 1]);
    assert.equal(ended.stderr.match(/could not be read/), null);
    await server.close();
  });

  for (const [how, fault] of [
    ["fails", { status: 500 }],
    ["hangs", { hang: true }],
  ]) {
    for (const [i, path] of LISTS.entries()) {
      test(`of which only ${path} ${how}: what does not need it is served`, async () => {
        const server = await startFallom();
        await server.setCatalog(CATALOG);
        await server.setFaults([{ ...fault, path }]);
        const options = optionsFor(server, { getTimeoutMs: GET_MS });
        const { first, fallen } = resultOf(await runProgram(child(interview, { options })));
        // A test needs its own list and the prompts.
        const lost = [["prompt", "test"], ["test"], ["model"]][i];
        for (const [name, { answer, ms }] of Object.entries(first)) {
          if (lost.includes(name)) assert.match(answer, /not found\./, name);
          else assert.equal(answer, "first", name);
          assert.ok(ms <= 2 * GET_MS, `${name}: ${ms} ms`);
        }
        for (const [name, { answer }] of Object.entries(fallen))
          assert.equal(answer, lost.includes(name) ? "mine" : "first", name);
        assert.deepEqual(await countsOf(server), [1, 1, 1]);
        await server.close();
      });
    }
  }

  test("that takes 5 s: the first calls give up in time, and what it says then is served", async () => {
    const server = await startFallom();
    await server.setCatalog(CATALOG);
    await server.setFaults([{ delay_ms: 5000 }]);
    const options = optionsFor(server, { getTimeoutMs: GET_MS });
    const { first, patient, loadedAt } = resultOf(await runProgram(child(waitForSlow, { options })));
    assert.match(first.answer, /^Error: Prompt 'p' not found\. .* has not answered yet\.$/);
    assert.ok(first.ms <= 2 * GET_MS, `${first.ms} ms`);
    assert.match(patient.answer, /has not answered yet/);
    assert.ok(patient.ms <= 2 * 1000, `${patient.ms} ms`);
    assert.ok(loadedAt >= 5000 && loadedAt <= 10_000, `${loadedAt} ms`);
    assert.deepEqual(await countsOf(server), [1, 1, 1]);
    await server.close();
  });

  async function waitForSlow({ init, prompts, options }) {
    const begun = performance.now();
    init(options);
    const clock = async (ask) => {
      const begun = performance.now();
      const answer = await ask().catch((error) => `${error}`);
      return { answer, ms: performance.now() - begun };
    };
    const first = await clock(() => prompts.get("p"));
    const patient = await clock(() => prompts.get("p", { timeoutMs: 1000 }));
    const found = await prompts.get("p", { timeoutMs: 20_000 });
    return { first, patient, loadedAt: found.system === "first" ? performance.now() - begun : 0 };
  }
});

describe("once something was read", { concurrency: 2 }, () => {
  test("a server that goes down costs nothing, is said once for each outage, and is read again when it is back", async () => {
    let server = await startFallom();
    const port = Number(new URL(server.url).port);
    await server.setCatalog(CATALOG);
    const options = optionsFor(server, { getTimeoutMs: GET_MS, refreshMs: 20 });
    const program = startProgram(child(sayWhatChanges, { options }));
    await program.says("first first first");
    for (const text of ["second", "third"]) {
      await server.close();
      await program.says(`down while ${text === "second" ? "first" : "second"}`);
      server = await startFallom({ port });
      await server.setCatalog(catalogOf(2, text));
      await program.says(`${text} ${text} ${text}`);
    }
    await server.close();
    const ended = await program.ended;
    assert.equal(ended.code, 0, ended.stderr);
    const { slowest, errors } = JSON.parse(ended.stdout.trimEnd().split("\n").at(-1));
    // Started anew, the server is empty for a moment: that is what it said, and no outage.
    for (const error of errors) assert.match(error, /not found\. Check the key/);
    assert.ok(slowest <= 2 * GET_MS, `${slowest} ms`);
    const outages = warningsOf(ended).filter((line) => line.includes("could not be read"));
    // The last one began when the program was about to end.
    assert.ok(outages.length >= 2 && outages.length <= 3, ended.stderr);
    for (const line of outages) assert.match(line, /What it said \d+ s ago is served until it can\.$/);
  });

  /** Asks all the time; says when the texts change, and when the server is gone. */
  async function sayWhatChanges({ init, prompts, models, options }) {
    await init(options);
    const errors = [];
    let [said, slowest, gone] = ["", 0, false];
    while (said !== "third third third") {
      const begun = performance.now();
      const asks = [prompts.get("p"), prompts.getAB("t", "s"), models.get("c", "s")];
      const texts = await Promise.all(asks).catch((error) => {
        errors.push(`${error}`);
        return [];
      });
      slowest = Math.max(slowest, performance.now() - begun);
      const now = texts.map((text) => text.system ?? text).join(" ");
      // The lists are read one by one: for a moment, one is newer than another.
      if (now !== said && new Set(now.split(" ")).size === 1) {
        said = now;
        console.log(said);
      }
      const up = await fetch(`${options.promptsUrl}/_local/stats`, { headers: { connection: "close" } }).then(
        () => true,
        () => false,
      );
      if (!up && !gone) {
        // So that refreshes fail in the meantime.
        await new Promise((done) => setTimeout(done, 200));
        console.log(`down while ${said}`);
      }
      gone = !up;
      await new Promise((done) => setTimeout(done, 5));
    }
    return { slowest, errors };
  }

  test("a key that is deleted is gone, and ten gets of it make no request of their own", async () => {
    const server = await startFallom();
    await server.setCatalog(CATALOG);
    const options = optionsFor(server, { getTimeoutMs: GET_MS, refreshMs: 100 });
    const program = startProgram(child(untilGone, { options }));
    await program.says("first");
    await server.setCatalog({ ...CATALOG, prompts: [], configs: [] });
    const { answers, ms } = resultOf(await program.ended);
    for (const answer of answers)
      assert.match(answer, /^Error: (Prompt 'p'|Config 'c') not found\. Check the key/);
    assert.equal(answers.length, 30);
    assert.ok(ms <= 2 * GET_MS, `${ms} ms`);
    // Each request knew what was there, and was told so.
    const [first, ...later] = (await server.requests()).filter(({ path }) => path === "/prompts");
    assert.deepEqual([first.status, first.if_none_match], [200, null]);
    assert.ok(later.every(({ if_none_match }) => if_none_match !== null));
    assert.equal(later.filter(({ status }) => status === 200).length, 1, "the list changed once");
    await server.close();
  });

  async function untilGone({ init, prompts, models, options }) {
    await init(options);
    console.log((await prompts.get("p")).system, await models.get("c", "s"));
    const asks = [() => prompts.get("p"), () => prompts.getAB("t", "s"), () => models.get("c", "s")];
    const failure = (ask) =>
      ask().then(
        () => undefined,
        (error) => `${error}`,
      );
    for (const ask of asks) while (!(await failure(ask))) await new Promise((done) => setTimeout(done, 5));
    const begun = performance.now();
    const answers = [];
    for (let i = 0; i < 10; i++) for (const ask of asks) answers.push(await failure(ask));
    return { answers, ms: performance.now() - begun };
  }

  test("a version that changes is served within refreshMs, and the one before it only if it is listed", async () => {
    const server = await startFallom();
    await server.setCatalog(CATALOG);
    const options = optionsFor(server, { getTimeoutMs: GET_MS, refreshMs: 50 });
    const program = startProgram(child(untilSecond, { options }));
    await program.says("first");
    await server.setCatalog(catalogOf(2, "second"));
    const { both, pinned, unlisted, model } = resultOf(await program.ended);
    assert.deepEqual(both, ["second", 2]);
    assert.equal(pinned, "second");
    assert.equal(unlisted, "Error: Prompt 'p' version 1 not found. Known versions: 2.");
    assert.equal(model, "Error: Config 'c' version 1 not found. Known versions: 2.");
    await server.close();
  });

  async function untilSecond({ init, prompts, models, options }) {
    await init(options);
    console.log((await prompts.get("p")).system);
    while ((await prompts.get("p")).version !== 2) await new Promise((done) => setTimeout(done, 5));
    while ((await models.get("c", "s")) !== "second") await new Promise((done) => setTimeout(done, 5));
    const { system, version } = await prompts.get("p");
    const failure = (asked) =>
      asked.then(
        () => "none",
        (error) => `${error}`,
      );
    return {
      both: [system, version],
      pinned: (await prompts.get("p", { version: 2 })).system,
      unlisted: await failure(prompts.get("p", { version: 1 })),
      model: await failure(models.get("c", "s", { version: 1 })),
    };
  }

  test("a server without ETags is read again and again, and what it serves stays right", async () => {
    const server = await startFallom();
    await server.setCatalog(CATALOG);
    await server.setFaults([{ headers: { etag: null } }]);
    const options = optionsFor(server, { getTimeoutMs: GET_MS, refreshMs: 20 });
    const program = startProgram(child(untilSecond, { options }));
    await program.says("first");
    await server.setCatalog(catalogOf(2, "second"));
    assert.deepEqual(resultOf(await program.ended).both, ["second", 2]);
    assert.ok((await server.requests()).every(({ if_none_match }) => if_none_match === null));
    await server.close();
  });

  test("50 gets at once of a pinned version make one request, also of one that is not there", async () => {
    const server = await startFallom();
    await server.setCatalog(CATALOG);
    const path = "/configs/c/version/7";
    const seventh = JSON.stringify({ key: "c", version: 7, variants: [{ model: "seventh", weight: 100 }] });
    await server.setFaults([{ path, body: seventh, delay_ms: 50 }, { delay_ms: 20 }]);
    const ask = async ({ init, models, options }) => {
      await init(options);
      const fifty = (version) =>
        Promise.all(
          Array.from({ length: 50 }, () => models.get("c", "s", { version }).catch((error) => `${error}`)),
        );
      const answers = [await fifty(7), await fifty(8)];
      return answers.map((all) => [...new Set(all)]);
    };
    const answers = resultOf(await runProgram(child(ask, { options: optionsFor(server) })));
    const missing = "Error: Config 'c' version 8 not found. Known versions: 1.";
    assert.deepEqual(answers, [["seventh"], [missing]]);
    const asked = (await server.requests())
      .map(({ path }) => path)
      .filter((path) => path.includes("version"));
    assert.deepEqual(asked, [path, "/configs/c/version/8"]);
    await server.close();
  });
});

test("refreshing does not keep a process from ending", async () => {
  const server = await startFallom();
  await server.setCatalog(CATALOG);
  await server.setFaults([{ path: "/configs", hang: true }]);
  const { code, ms } = await runProgram(
    child(({ init, options }) => void init(options), { options: optionsFor(server, { refreshMs: 10 }) }),
  );
  assert.equal(code, 0);
  assert.ok(ms < 5000, `${ms} ms`);
  await server.close();
});
