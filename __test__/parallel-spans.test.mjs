// What a span belongs to where several are opened in one turn of the event loop, the first time and the hundredth: from
// some time on, the tracer takes for granted where the spans of a name are opened.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fallom from "@fallom/trace";
import { optionsFor } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";

const TIMES = 100;

let server;

before(async () => {
  server = await startFallom();
  await fallom.init(optionsFor(server));
});
after(() => server.close());

/** The name of a span, and of the spans around it. */
const opened = [];
const paths = new Map();

function open(session, name) {
  return noted(session.span(name), name);
}

function noted(span, name) {
  const around = paths.get(span.parentSpanId);
  const path = around ? `${around} > ${name}` : name;
  paths.set(span.spanId, path);
  opened.push(path);
  return span;
}

/** What `work` opens, each time the same, in a session of its own. */
async function always(work, expected) {
  for (let time = 1; time <= TIMES; time++) {
    opened.length = 0;
    const session = fallom.session({ configKey: "app", sessionId: `s-${time}` });
    // Requests begin in turns of their own.
    await new Promise((done) => setImmediate(done));
    await work(session);
    assert.deepEqual([...opened].sort(), [...expected].sort(), `time ${time}`);
  }
}

const tick = () => new Promise((done) => setImmediate(done));

describe("spans that are opened in one turn, however often", () => {
  test("calls that run in parallel are siblings, and what each opens is its own", () =>
    always(
      async (session) => {
        const request = noted(session.span("p:request"), "request");
        await Promise.all(
          [1, 2, 3].map(async () => {
            const span = noted(session.span("p:rank"), "rank");
            const inner = noted(session.span("p:fetch"), "fetch");
            await tick();
            inner.end();
            span.end();
          }),
        );
        request.end();
      },
      ["request", ...Array(3).fill("request > rank"), ...Array(3).fill("request > rank > fetch")],
    ));

  test("without a span around them, they are traces of their own", () =>
    always(
      (session) =>
        Promise.all(
          [1, 2, 3].map(async () => {
            const span = noted(session.span("o:rank"), "rank");
            await tick();
            span.end();
          }),
        ),
      ["rank", "rank", "rank"],
    ));

  test("calls in parallel whose names differ are siblings", () =>
    always(
      async (session) => {
        await Promise.all(
          ["a", "b", "c"].map(async (doc) => {
            const span = noted(session.span(`d:rank ${doc}`), doc);
            await tick();
            span.end();
          }),
        );
      },
      ["a", "b", "c"],
    ));

  test("what one function opens, one after the other, is nested", () =>
    always(
      async (session) => {
        const [outer, middle] = [
          noted(session.span("n:outer"), "outer"),
          noted(session.span("n:middle"), "middle"),
        ];
        const inner = noted(session.span("n:inner"), "inner");
        await tick();
        inner.end();
        noted(session.span("n:second"), "second").end();
        middle.end();
        outer.end();
      },
      ["outer", "outer > middle", "outer > middle > inner", "outer > middle > second"],
    ));

  test("a helper that opens spans changes nothing about that", () =>
    always(
      async (session) => {
        const outer = open(session, "h:outer");
        const inner = open(session, "h:inner");
        await Promise.all(
          [1, 2].map(async () => {
            const span = open(session, "h:each");
            await tick();
            span.end();
          }),
        );
        inner.end();
        outer.end();
      },
      ["h:outer", "h:outer > h:inner", "h:outer > h:inner > h:each", "h:outer > h:inner > h:each"],
    ));

  test("nor does one that runs a function inside a span", () => {
    const inSpan = async (session, name, work) => {
      const span = noted(session.span(`f:${name}`), name);
      await work?.();
      span.end();
    };
    return always(
      (session) =>
        inSpan(session, "outer", () =>
          Promise.all(["one", "two"].map((name) => inSpan(session, name, () => inSpan(session, "deep")))),
        ),
      ["outer", "outer > one", "outer > one > deep", "outer > two", "outer > two > deep"],
    );
  });

  test("a function that calls itself nests its spans, level by level", () => {
    const visit = (session, depth) => {
      const span = noted(session.span("r:visit"), String(depth));
      if (depth < 4) visit(session, depth + 1);
      span.end();
    };
    return always((session) => visit(session, 1), ["1", "1 > 2", "1 > 2 > 3", "1 > 2 > 3 > 4"]);
  });

  test("even where it calls itself in parallel, spans of one level are siblings", () => {
    const visit = async (session, tree, name = "root") => {
      const span = noted(session.span("t:visit"), name);
      await Promise.all(Object.entries(tree).map(([name, child]) => visit(session, child, name)));
      await tick();
      span.end();
    };
    return always(
      (session) => visit(session, { a: { a1: {}, a2: {} }, b: { b1: {} } }),
      ["root", "root > a", "root > a > a1", "root > a > a2", "root > b", "root > b > b1"],
    );
  });

  test("the same span by another way, once its first way is well known", async () => {
    const rank = async (session) => {
      const span = noted(session.span("w:rank"), "rank");
      await tick();
      span.end();
    };
    const one = (session) => Promise.all([1, 2].map(() => rank(session)));
    const other = (session) => Promise.all(Array.from({ length: 3 }, () => rank(session)));
    await always(rank, ["rank"]);
    await always(one, ["rank", "rank"]);
    await always(other, ["rank", "rank", "rank"]);
  });

  test("nor does one for a single name, called twice by one function", () => {
    const begin = (session) => session.span("s:step");
    return always(
      async (session) => {
        const outer = noted(begin(session), "outer");
        const inner = noted(begin(session), "inner");
        await tick();
        inner.end();
        outer.end();
      },
      ["outer", "outer > inner"],
    );
  });

  test("a run that calls itself in parallel, after it has waited", () => {
    const visit = async (session, tree, name = "root") => {
      const span = noted(session.span("a:agent"), name);
      await tick();
      await Promise.all(Object.entries(tree).map(([name, child]) => visit(session, child, name)));
      span.end();
    };
    return always(
      (session) => visit(session, { a: {}, b: {}, c: {} }),
      ["root", "root > a", "root > b", "root > c"],
    );
  });

  test("a recursion that opens spans at its leaves only", () => {
    const walk = async (session, tree) => {
      if (Array.isArray(tree)) return Promise.all(tree.map((child) => walk(session, child)));
      const span = noted(session.span("l:leaf"), tree);
      await tick();
      span.end();
    };
    return always((session) => walk(session, [["x"], ["y", "z"]]), ["x", "y", "z"]);
  });

  test("a name that gets a second place, around its first one: wrong at most once", async () => {
    const fetchOne = async (session) => {
      const span = noted(session.span("g:http"), "one");
      await tick();
      span.end();
    };
    await always(fetchOne, ["one"]);
    const batch = async (session) => {
      const span = noted(session.span("g:http"), "batch");
      await fetchOne(session);
      span.end();
    };
    opened.length = 0;
    await batch(fallom.session({ configKey: "app", sessionId: "s-first" }));
    await always(batch, ["batch", "batch > one"]);
  });

  test("a thousand names cost no memory, and no family", () =>
    always(
      async (session) => {
        const outer = noted(session.span("m:outer"), "outer");
        for (let i = 0; i < 30; i++) session.span(`m:${session.getContext().sessionId} ${i}`).end();
        const inner = noted(session.span("m:inner"), "inner");
        await tick();
        inner.end();
        outer.end();
      },
      ["outer", "outer > inner"],
    ));
});
