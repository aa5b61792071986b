// A run of a real agent of Mastra 1.x, recorded to be played back: what it gives, and how it calls back. Mastra's own
// time is left out that way, which is a hundred times what is measured.
//
// As a program it records and writes to a file: node record.mjs <file> <what, as JSON>

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { deserialize, serialize } from "node:v8";
import { startModel } from "../../__test__/support/model.mjs";
import { conversation, realAgent, replies } from "./agent.mjs";

/**
 * @typedef {object} Recorded
 * @property {object[]} messages  what the agent was asked
 * @property {{ name: "beforeToolCall" | "afterToolCall" | "onStepFinish", argument: object }[]} calls  back, in order
 * @property {object} result
 */

/** Texts shorter than this are shared between copies. */
const LONG = 64;
/**
 * Records in a process of its own, so that no Mastra is loaded where something is measured.
 * @param {import("./agent.mjs").What} what
 * @returns {Promise<Buffer>} to be opened by `open`
 */
export async function record(what) {
  const folder = mkdtempSync(join(tmpdir(), "fallom-bench-"));
  try {
    const file = join(folder, "recorded");
    await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), file, JSON.stringify(what)]);
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @returns {Recorded} */
export const open = (recorded) => deserialize(recorded);

/** An agent that plays the run back: it answers at once, and calls back as Mastra did. */
export const playing = (run) => new PlayingAgent(run);

/**
 * By its members, a tracer knows an agent of Mastra's. A class, as Mastra's is one: of object literals with a spread and
 * a function of their own, the engine gives each a shape of its own, and keeps that until it collects all garbage.
 */
class PlayingAgent {
  id = "support";
  name = "SupportAgent";
  model = { modelId: "gpt-4o-mini" };

  constructor(run) {
    this.run = run;
  }

  async generate(_messages, options) {
    const { calls, result } = this.run;
    for (const { name, argument } of calls) await callback(options, name)?.(argument);
    return result;
  }

  getInstructions() {
    return "You help customers.";
  }

  getConfiguredToolHooks() {
    return undefined;
  }

  getDefaultOptions() {
    return {};
  }

  __registerMastra() {}
}

const callback = (options, name) =>
  name === "onStepFinish" ? options?.onStepFinish : options?.hooks?.[name];

/**
 * A copy that shares no object and no long text with the original, with another number at the beginning of each text:
 * what a tracer knows of one call is of no use for the next.
 * @template T
 * @param {T} value
 * @returns {T}
 */
export function fresh(value, number) {
  const stamp = String(number).padStart(8, "0");
  const copies = new Map();
  const copy = (one) => {
    const short = typeof one === "string" ? one.length < LONG : typeof one !== "object" || one === null;
    if (short) return one;
    const known = copies.get(one);
    if (known !== undefined) return known;
    if (typeof one === "string") return keep(one, stamped(one, stamp));
    if (one instanceof Date) return keep(one, new Date(one));
    const made = keep(one, Array.isArray(one) ? [] : {});
    for (const key of Object.keys(one)) made[key] = copy(one[key]);
    return made;
  };
  const keep = (one, made) => {
    copies.set(one, made);
    return made;
  };
  return copy(value);
}

/** The same text in memory of its own, in one piece. */
function stamped(text, stamp) {
  const encoding = /[^\0-\xff]/.test(text) ? "utf16le" : "latin1";
  const bytes = Buffer.from(text, encoding);
  if (/^\d{8} /.test(text)) bytes.write(stamp, encoding);
  return bytes.toString(encoding);
}

/** Of a run, the fields that are worth keeping (the wire's choice): what a tracer takes as the answer. */
export function picked({ text, finishReason, usage, toolCalls, toolResults, steps, response }) {
  return {
    text,
    finishReason,
    usage,
    toolCalls: toolCalls.map(pickedCall),
    toolResults: toolResults.map(pickedResult),
    steps: steps.map(pickedStep),
    modelId: response?.modelId,
  };
}

const pickedStep = ({ stepType, text, finishReason, usage, toolCalls, toolResults }) => ({
  stepType,
  text,
  finishReason,
  usage,
  toolCalls: toolCalls.map(pickedCall),
  toolResults: toolResults.map(pickedResult),
});

const pickedCall = ({ payload: { toolCallId, toolName, args } }) => ({ toolCallId, toolName, args });

const pickedResult = ({ payload: { toolCallId, toolName, result } }) => ({ toolCallId, toolName, result });

async function recordTo(file, what) {
  const { messages, answer } = conversation(what);
  const model = await startModel(replies(what, answer));
  const agent = await realAgent(model.baseURL, what);
  const calls = [];
  const note = (name, kept) => (argument) => void calls.push({ name, argument: kept(argument) });
  const result = await agent.generate(structuredClone(messages), {
    maxSteps: (what.steps ?? 0) + 1,
    hooks: {
      beforeToolCall: note("beforeToolCall", keptOfHook),
      afterToolCall: note("afterToolCall", keptOfHook),
    },
    onStepFinish: note("onStepFinish", ({ model: { modelId }, ...step }) => ({
      ...step,
      model: { modelId },
    })),
  });
  await model.close();
  // In one go: what Mastra gives several times stays one object.
  writeFileSync(file, serialize({ messages, calls, result }));
}

/** Both hooks of a tool's call are given one context, which holds functions, too. */
const contexts = new Map();
function keptOfHook({ context, ...call }) {
  if (!contexts.has(context)) contexts.set(context, { toolCallId: context.toolCallId });
  return { ...call, context: contexts.get(context) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await recordTo(process.argv[2], JSON.parse(process.argv[3]));
}
