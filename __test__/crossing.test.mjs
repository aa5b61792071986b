// Content arrives at Fallom as its normal form says, whatever it is: the way that bytes take through the core changes nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fallom from "@fallom/trace";
import { shim } from "../scripts/shim.mjs";
import { optionsFor } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { ROWS } from "./support/odd-values.mjs";
import { draws, seeded } from "./support/random.mjs";
import { raw } from "./support/spans.mjs";

const { snapshot } = shim("snapshot.ts");
const RANDOM_VALUES = 400;
const TRACE = "0123456789abcdef0123456789abcdef";

let server;
before(async () => {
  server = await startFallom();
  await fallom.init(optionsFor(server, { maxSpanBytes: 8 * 2 ** 20 }));
});
after(() => server.close());

let sessions = 0;

/** What arrives of `value`, as what an agent was asked and as what it answered. */
async function arrived(value) {
  const session = fallom.session({ configKey: "app", sessionId: `s-${++sessions}` });
  const agent = session.wrapMastraAgent({ generate: async () => ({ object: { value } }) });
  await agent.generate([value]);
  await fallom.flush();
  const [span] = await server.waitForSpans(1, session.getContext());
  return { request: raw(span, "request"), response: raw(span, "response") };
}

/** The careful walk's text of it, as it is on the wire: half of a surrogate pair is no text. */
function expected(value) {
  const text = snapshot(value);
  return text === undefined ? undefined : wellFormed(JSON.parse(text));
}

function wellFormed(value) {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key.toWellFormed(), wellFormed(member)]),
  );
}

for (const [name, value] of ROWS) {
  test(name, async () => {
    const { request, response } = await arrived(value);
    assert.deepEqual(request, expected([value]));
    assert.deepEqual(response.object, expected({ value }));
  });
}

const TEXTS = [
  "",
  "a",
  '"quoted" \\ and\nlines\t\u0001',
  "é",
  "日本語",
  "😀",
  "\ud83d alone",
  "x".repeat(40),
  "x".repeat(41),
  "ü".repeat(40),
  "ü".repeat(41),
  "Ω".repeat(300),
  `${"a".repeat(500)}\ude00`,
  "plain words ".repeat(50),
  `${"plain words ".repeat(50)}–`,
  "__proto__",
  "toJSON",
];
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  255,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  -(2 ** 31) - 1,
  2 ** 53 - 1,
  2 ** 53,
  1e21,
  5e-324,
];
const OTHERS = [null, true, false, undefined, 12n, 1.5, -0.1, Number.NaN, Number.POSITIVE_INFINITY];
const DATES = [0, 1, -1, 951_782_400_000, 253_402_300_799_999, 253_402_300_800_000, Number.NaN];

test("random values of all kinds, deep and wide", async () => {
  const { whole, pick, chance } = draws(seeded(11));
  const value = (depth) => {
    if (depth > 4 || chance(0.4)) {
      return pick([
        () => pick(TEXTS),
        () => pick(NUMBERS),
        () => pick(OTHERS),
        () => new Date(pick(DATES)),
      ])();
    }
    const members = Array.from({ length: whole(0, 6) }, () => value(depth + 1));
    if (chance(0.5)) return members;
    const object = chance(0.1) ? Object.create(null) : {};
    for (const member of members) {
      const key = pick(TEXTS);
      if (key !== "__proto__" && key !== "toJSON") object[key] = member;
    }
    return object;
  };
  const values = Array.from({ length: RANDOM_VALUES }, () => value(0));
  const { request, response } = await arrived(values);
  assert.equal(request[0].length, RANDOM_VALUES);
  for (const [at, one] of values.entries()) {
    const [normal] = expected([one]);
    assert.deepEqual(request[0][at], normal);
    assert.deepEqual(response.object.value[at], normal);
  }
});

test("spans that are open together each keep what they were given, however much it is", async () => {
  const session = fallom.session({ configKey: "app", sessionId: `s-${++sessions}` });
  const { whole, pick } = draws(seeded(12));
  const given = Array.from({ length: 200 }, (_, at) => {
    const most = pick([1, 5, 30, 150, 800]);
    return [at, ...Array.from({ length: whole(0, most) }, () => pick([7, "word", 2 ** 40, "x".repeat(50)]))];
  });
  const spans = given.map((input, at) => session.span("open", { traceId: TRACE }).set({ input, at }));
  for (const span of spans.reverse()) span.set({ output: { of: span.spanId } }).end();
  await fallom.flush();
  const arrived = await server.waitForSpans(given.length, session.getContext());
  for (const { span_id, attributes } of arrived) {
    assert.deepEqual(JSON.parse(attributes.input), given[attributes.at]);
    assert.deepEqual(JSON.parse(attributes.output), { of: span_id });
  }
  assert.equal(new Set(arrived.map(({ attributes }) => attributes.at)).size, given.length);
});

test("the same value in many places, and an object inside itself", async () => {
  const shared = { text: "again ".repeat(20) };
  const loop = { shared, list: [shared, shared] };
  loop.self = loop;
  const { request } = await arrived(loop);
  assert.deepEqual(request, expected([loop]));
  assert.equal(request[0].self, "[circular]");
});

test("a getter that records a span of its own disturbs neither", async () => {
  const inner = fallom.session({ configKey: "app", sessionId: "inner" });
  const value = {
    before: "x".repeat(100),
    get answer() {
      inner
        .span("inside")
        .set({ input: "y".repeat(100) })
        .end();
      return "z".repeat(100);
    },
    after: [1, "w".repeat(100)],
  };
  const { request } = await arrived(value);
  assert.deepEqual(request, [
    { before: "x".repeat(100), answer: "z".repeat(100), after: [1, "w".repeat(100)] },
  ]);
  const [span] = await server.waitForSpans(1, inner.getContext());
  assert.equal(span.attributes.input, "y".repeat(100));
});

test("each item of a list is read once, and one that throws costs itself alone", async () => {
  const reads = [0, 0];
  const list = ["first", "second", "third"];
  Object.defineProperty(list, 0, {
    enumerable: true,
    get: () => `read ${++reads[0]} times`,
  });
  Object.defineProperty(list, 1, {
    enumerable: true,
    get() {
      reads[1]++;
      throw new Error("not now");
    },
  });
  const agent = { generate: async () => "done" };
  const session = fallom.session({ configKey: "app", sessionId: "list" });
  await session.wrapMastraAgent(agent).generate([{ list }]);
  assert.deepEqual(reads, [1, 1]);
  await fallom.flush();
  const [span] = await server.waitForSpans(1, session.getContext());
  const [{ list: came }] = raw(span, "request");
  assert.deepEqual(came, ["read 1 times", "[threw: not now]", "third"]);
});
