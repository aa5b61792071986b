// Content as Fallom receives it: odd values in their normal form, and what is too long, cut.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fallom, { wrapTraced } from "@fallom/trace";
import { optionsFor } from "./support/child.mjs";
import { startFallom } from "./support/fallom.mjs";
import { raw } from "./support/spans.mjs";

const MAX_SPAN_BYTES = 16 * 1024;
const PNG = `data:image/png;base64,${Buffer.alloc(3000, 1).toString("base64")}`;

let server;

before(async () => {
  server = await startFallom();
  // One span a request and no compression: then a request's length is a span's.
  const transport = { format: "single", compression: "none" };
  await fallom.init(
    optionsFor(server, { maxSpanBytes: MAX_SPAN_BYTES, transport, batch: { maxDelayMs: 10 } }),
  );
});
after(() => server.close());

let sessions = 0;
const newSession = () => fallom.session({ configKey: "app", sessionId: `s-${++sessions}` });

async function spanOf(session) {
  const [span] = await server.waitForSpans(1, session.getContext());
  return span;
}

class Money {
  currency = "EUR";
  #cents = 1234;
  get cents() {
    return this.#cents;
  }
}

class Order {
  constructor(id) {
    this.id = id;
    this.secret = "not shown";
  }
  toJSON() {
    return { order: this.id };
  }
}

const circular = { name: "loop" };
circular.self = circular;
circular.list = [circular, { back: circular }];

const throwing = {
  fine: 1,
  get broken() {
    throw new Error("no such row");
  },
};

const nested = (depth) => (depth === 1 ? {} : { next: nested(depth - 1) });
const depthOf = (value) => (value?.next === undefined ? 1 : 1 + depthOf(value.next));

/** What it is, the value, and how Fallom sees it. */
const ODD_VALUES = [
  ["a Date", new Date(0), "1970-01-01T00:00:00.000Z"],
  ["a Date that is none", new Date(Number.NaN), null],
  ["a BigInt", 2n ** 70n, "1180591620717411303424"],
  ["a Map with text keys", new Map([["a", new Map([["b", 1n]])]]), { a: { b: "1" } }],
  [
    "a Map with other keys",
    new Map([
      [1, "one"],
      [{ k: 1 }, "two"],
    ]),
    [
      [1, "one"],
      [{ k: 1 }, "two"],
    ],
  ],
  ["a Set", new Set(["a", new Set([1])]), ["a", [1]]],
  ["a Buffer", Buffer.alloc(5000), "[binary, 5000 bytes, Buffer]"],
  ["a typed array", new Float64Array(3), "[binary, 24 bytes, Float64Array]"],
  ["an ArrayBuffer", new ArrayBuffer(7), "[binary, 7 bytes, ArrayBuffer]"],
  ["a data URL", PNG, "[data image/png, 3000 bytes]"],
  ["a function", { kept: 1, fn: () => 1, sym: Symbol("s"), list: [() => 1] }, { kept: 1, list: [null] }],
  ["undefined", { a: undefined, b: [undefined] }, { b: [null] }],
  ["a cycle", circular, { name: "loop", self: "[circular]", list: ["[circular]", { back: "[circular]" }] }],
  ["a throwing getter", throwing, { fine: 1, broken: "[threw: no such row]" }],
  ["a class instance", new Money(), { currency: "EUR" }],
  ["an instance with toJSON", [new Order(7)], [{ order: 7 }]],
  ["no number", [Number.NaN, Number.POSITIVE_INFINITY, -0], [null, null, 0]],
  ["half an emoji", "a\ud83d", "a\ufffd"],
  ["__proto__ as a key", JSON.parse('{"__proto__": 1, "a": 2}'), JSON.parse('{"__proto__": 1, "a": 2}')],
];

describe("odd values", () => {
  for (const [what, value, seen] of ODD_VALUES) {
    test(`${what} is readable in a traced function, and in an agent's call`, async () => {
      const [session, other] = [newSession(), newSession()];
      assert.equal(await wrapTraced(session, "odd", async (given) => given)(value), value);
      const message = { role: "user", content: [{ value }] };
      const agent = { generate: async () => ({ text: "ok", object: { value } }) };
      assert.equal((await other.wrapMastraAgent(agent).generate([message])).object.value, value);

      const { attributes } = await spanOf(session);
      assert.deepEqual([attributes.input, attributes.output].map(parsed), [seen, seen]);
      const span = await spanOf(other);
      assert.deepEqual(raw(span, "request")[0].content[0], withoutUndefined({ value: seen }));
      assert.deepEqual(raw(span, "response").object, withoutUndefined({ value: seen }));
    });
  }

  test("an Error shows its name, message and stack, and nothing that a provider hid in it", async () => {
    const session = newSession();
    const error = Object.assign(new TypeError("bad input"), { requestBody: "the whole prompt" });
    await wrapTraced(session, "odd", async (given) => given)({ error });
    const { error: seen } = parsed((await spanOf(session)).attributes.input);
    assert.deepEqual(Object.keys(seen), ["name", "message", "stack"]);
    assert.deepEqual([seen.name, seen.message], ["TypeError", "bad input"]);
    assert.match(seen.stack, /content\.test\.mjs/);
  });

  test("what is deeper than 32 levels is cut there", async () => {
    const session = newSession();
    await wrapTraced(session, "odd", async () => nested(32))(nested(40));
    const { attributes } = await spanOf(session);
    const input = parsed(attributes.input);
    assert.equal(depthOf(input), 33);
    assert.equal(at(input, 32), "[deep]");
    assert.deepEqual(parsed(attributes.output), nested(32));
  });

  test("attributes that a user sets are read in the same way, and later changes do not matter", async () => {
    const session = newSession();
    const list = [1];
    session
      .span("odd")
      .set({ when: new Date(0), big: 10n, list, circular, throwing, nan: Number.NaN, fn() {} })
      .end();
    list.push(2);
    const { attributes } = await spanOf(session);
    const { when, big, nan, fn } = attributes;
    assert.deepEqual([when, big, nan, fn], ["1970-01-01T00:00:00.000Z", "10", "NaN", undefined]);
    assert.equal(attributes.list, "[1]");
    assert.equal(parsed(attributes.circular).self, "[circular]");
    assert.equal(parsed(attributes.throwing).broken, "[threw: no such row]");
  });

  test("a data URL inside a longer message is replaced, the rest of it stays", async () => {
    const session = newSession();
    const parts = [
      { type: "text", text: "look" },
      { type: "image", image: PNG },
    ];
    const agent = { generate: async () => ({ text: "a cat" }) };
    await session.wrapMastraAgent(agent).generate([{ role: "user", content: parts }]);
    const [message] = raw(await spanOf(session), "request");
    assert.deepEqual(message.content, [parts[0], { type: "image", image: "[data image/png, 3000 bytes]" }]);
  });
});

describe("an answer and its steps, which tell the same once more, arrive as they are", () => {
  const LONG = "Your order is on its way. ".repeat(4);
  const call = (n) => ({
    type: "tool-call",
    payload: { toolCallId: `c-${n}`, toolName: "look_up", args: { n } },
  });
  const result = (n) => ({
    type: "tool-result",
    payload: { toolCallId: `c-${n}`, toolName: "look_up", result: { n, notes: `${n}. ${LONG}` } },
  });
  const [call1, call2, call3] = [1, 2, 3].map(call);
  const [result1, result2, result3] = [1, 2, 3].map(result);
  const step = (toolCalls, toolResults, text = "") => ({
    stepType: "tool-result",
    text,
    toolCalls,
    toolResults,
  });
  const odd = { payload: { toolCallId: "c-9" } };
  const invented = new Proxy([result1], { get: (list, name) => (name === "0" ? result(4) : list[name]) });

  const ANSWERS = {
    "one step": { text: LONG, toolCalls: [], toolResults: [], steps: [step([], [], LONG)] },
    "two steps with the same text": { text: LONG, steps: [step([], [], LONG), step([], [], LONG)] },
    "a call in each step": {
      text: LONG,
      toolCalls: [call1, call2],
      toolResults: [result1, result2],
      steps: [step([call1], [result1]), step([call2], [result2]), step([], [], LONG)],
    },
    "steps in another order, and one that is told twice": {
      toolCalls: [call1, call2, call3],
      toolResults: [result1, result2, result3],
      steps: [step([call2, call1], [result2]), step([call1], [result1]), step([call1], [result1])],
    },
    "the same part twice, and in both lists": {
      toolCalls: [call1, call1, result2],
      toolResults: [result2, result2],
      steps: [step([call1, call1, call1], [result2, result2, result2]), step([result2], [call1])],
    },
    "no calls, but results (0.24)": {
      toolCalls: [],
      toolResults: [result1, result2],
      steps: [step([], [result1]), step([], [result2])],
    },
    "what is no part among those that are": {
      toolCalls: [odd, call1, null, "call", call2],
      toolResults: [result1, odd],
      steps: [step([null, call1, odd], [odd, result1]), step([call2], [])],
    },
    "copies of the parts": {
      toolCalls: [call1],
      toolResults: [result1],
      steps: [step([call(1)], [result(1)])],
    },
    "a list that gives another part each time": { toolResults: invented, steps: [step([], [result1])] },
  };

  for (const [name, answer] of Object.entries(ANSWERS)) {
    test(name, async () => {
      const session = newSession();
      const agent = {
        name: "Support",
        // By these, an agent of Mastra's is known.
        getInstructions: () => "Help.",
        __registerMastra: () => {},
        generate: async () => ({ ...answer, finishReason: "stop" }),
      };
      await session.wrapMastraAgent(agent).generate("hello");
      await fallom.flush();
      const spans = await server.waitForSpans(1, session.getContext());
      const arrived = raw(
        spans.find(({ kind }) => kind === "agent"),
        "response",
      );
      assert.deepEqual(arrived, toldBy({ ...answer, finishReason: "stop" }));
    });
  }

  const isPart = (chunk) => chunk?.payload?.toolName !== undefined;
  const parts = (chunks, type, content) =>
    [...chunks].filter(isPart).map(({ payload: { toolCallId, toolName, [content]: told } }) => ({
      toolCallId,
      toolName,
      ...(told !== undefined && { [content]: told }),
      type,
    }));
  const tools = ({ toolCalls = [], toolResults = [] }) => ({
    toolCalls: parts(toolCalls.some(isPart) ? toolCalls : toolResults, "tool-call", "args"),
    toolResults: parts(toolResults, "tool-result", "result"),
  });
  const toldBy = ({ text, finishReason, steps, ...lists }) => ({
    ...(text !== undefined && { text }),
    finishReason,
    ...tools(lists),
    steps: steps.map(({ stepType, text, ...lists }) => ({ stepType, text, ...tools(lists) })),
  });
});

describe(`more than maxSpanBytes (${MAX_SPAN_BYTES})`, () => {
  const ANSWER = "The answer, whole.";

  test("keeps the newest messages and the answer, and says how many of the oldest were cut", async () => {
    const messages = Array.from({ length: 200 }, (_, i) => ({
      role: "user",
      content: `${i}: ${"é".repeat(100)}`,
    }));
    const span = await ask(messages, { text: ANSWER });
    // The oldest of those that are kept may lack something.
    const [marker, oldest, ...kept] = raw(span, "request");
    assert.deepEqual(kept, messages.slice(-kept.length));
    assert.ok(kept.length > 20, `${kept.length} messages are kept`);
    const [, count] = /^\[(\d+) messages, (\d+) bytes cut\]$/.exec(marker);
    assert.equal(Number(count) + 1 + kept.length, messages.length);
    const said = cutBytes(marker) + cutBytes(JSON.stringify(oldest));
    assert.equal(span.attributes["fallom.truncated_bytes"], said);
    const before = Buffer.byteLength(JSON.stringify(messages));
    const after = Buffer.byteLength(span.attributes["fallom.raw.request"]);
    assert.ok(said > before - after && said < before - after + 200, `${said} of ${before}, ${after} left`);
    assert.equal(raw(span, "response").text, ANSWER);
  });

  test("keeps the beginning and the end of a message that is too long by itself", async () => {
    const content = `BEGIN ${'"\\\n'.repeat(30_000)} END`;
    const span = await ask(
      [
        { role: "user", content: "first" },
        { role: "user", content },
      ],
      { text: ANSWER },
    );
    const messages = raw(span, "request");
    assert.match(messages.at(-1).content, /^BEGIN .*\[… \d+ bytes cut …\].* END$/s);
    assert.equal(raw(span, "response").text, ANSWER);
    assert.ok(span.attributes["fallom.truncated_bytes"] > 60_000);
  });

  test("keeps both ends of an answer that is too long, and the question", async () => {
    const question = { role: "user", content: "Tell me all." };
    const span = await ask([question], { text: `BEGIN ${"a".repeat(100_000)} END`, finishReason: "stop" });
    assert.deepEqual(raw(span, "request"), [question]);
    const { text, finishReason } = raw(span, "response");
    assert.match(text, /^BEGIN a+\[… \d+ bytes cut …\]a+ END$/);
    assert.equal(finishReason, "stop");
  });

  test("cuts what a traced function took and gave", async () => {
    const session = newSession();
    const rows = Array.from({ length: 5000 }, (_, i) => ({ row: i }));
    const result = await wrapTraced(session, "big", async (given) => given.length)(rows);
    assert.equal(result, 5000);
    const { attributes } = await spanOf(session);
    const [marker, ...kept] = parsed(attributes.input);
    assert.match(marker, /^\[\d+ items, \d+ bytes cut\]$/);
    assert.deepEqual(kept, rows.slice(-kept.length));
    assert.equal(attributes.output, "5000");
    assert.ok(attributes["fallom.truncated_bytes"] > 0);
  });

  test("cuts attributes that a user set, and counts that too", async () => {
    const session = newSession();
    session
      .span("big")
      .set({ note: `BEGIN ${"n".repeat(50_000)} END`, small: 1 })
      .end();
    const { attributes } = await spanOf(session);
    assert.match(attributes.note, /^BEGIN n+\[… \d+ bytes cut …\]n+ END$/);
    assert.equal(attributes.small, 1);
    assert.ok(attributes["fallom.truncated_bytes"] > 0);
  });

  test("is never sent, whatever the content: all that arrives is within it and valid JSON", async () => {
    const session = newSession();
    const random = generator(7);
    const CALLS = 100;
    for (let i = 0; i < CALLS; i++) {
      const messages = Array.from({ length: random(30) }, () => ({ role: "user", content: noise(random) }));
      const agent = { generate: async () => ({ text: noise(random), object: { value: noise(random) } }) };
      await session.wrapMastraAgent(agent).generate(messages);
    }
    // The server has refused none for its JSON.
    const spans = await server.waitForSpans(CALLS, session.getContext());
    assert.ok(spans.some(({ attributes }) => attributes["fallom.truncated_bytes"] > 0));
    assert.ok(spans.some(({ attributes }) => attributes["fallom.truncated_bytes"] === undefined));
    assert.equal(fallom.stats().dropped.total, 0);
    for (const { method, path, body_bytes } of await server.requests())
      if (method === "POST" && path === "/v1/traces")
        assert.ok(body_bytes <= MAX_SPAN_BYTES, `${body_bytes}`);
  });

  async function ask(messages, answer) {
    const session = newSession();
    await session.wrapMastraAgent({ generate: async () => answer }).generate(messages);
    return spanOf(session);
  }
});

/** What the marks in a text say that was cut. */
function cutBytes(text) {
  return [...text.matchAll(/(\d+) bytes cut/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

const parsed = (text) => (text === undefined ? undefined : JSON.parse(text));
const withoutUndefined = (value) => JSON.parse(JSON.stringify(value));

function at(value, depth) {
  return depth === 0 ? value : at(value.next, depth - 1);
}

/** Whole numbers below what is asked, the same in each run. */
function generator(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

/** Text of any length whose bytes, escaped or not, are hard to foresee. */
function noise(random) {
  const pieces = ["plain text ", '"', "\\", "\n", "é", "🚀", "\ud83d", "\u0000", "日本"];
  return pieces[random(pieces.length)].repeat(random(2) ? random(10) : random(3000));
}
