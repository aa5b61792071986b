import { field, isObject, list, quietly } from "./read";

/** Roles under which instructions reach a model. */
const INSTRUCTING = new Set(["system", "developer"]);

/**
 * The texts of instructions that were in a call, from where they can be read without asking the user's own function
 * again: the call's options (`given`), the agent's static instructions, the request that went to the provider.
 *
 * Mastra 1.x hands a sub-agent (`inside`) the system messages of the agent that asks it, after its own: those are
 * not what it was instructed with.
 */
export function instructionTexts(agent: object, given: unknown, body: unknown, inside: boolean): string[] {
  const texts = new Set<string>();
  collect(given, texts);
  if (texts.size === 0) collect(staticInstructions(agent), texts);
  if (!inside) collectSystem(body, texts);
  else if (texts.size === 0) return systemTexts(body).slice(0, 1);
  return [...texts];
}

/** The texts of messages in any of the forms that Mastra takes, each once. */
export function messageTexts(messages: unknown): string[] {
  const texts = new Set<string>();
  collect(messages, texts);
  return [...texts];
}

/** 1.x tells what it was given, a function unasked. 0.24 does not. */
function staticInstructions(agent: object): unknown {
  const { __getOverridableFields: fields } = agent as { __getOverridableFields?: () => unknown };
  if (typeof fields !== "function") return undefined;
  const instructions = field(
    quietly(() => fields.call(agent)),
    "instructions",
  );
  return typeof instructions === "function" ? undefined : instructions;
}

function systemTexts(body: unknown): string[] {
  const texts = new Set<string>();
  collectSystem(body, texts);
  return [...texts];
}

/** Instructions in the request body of a provider: OpenAI's two APIs, Anthropic's, Google's. */
function collectSystem(body: unknown, texts: Set<string>): void {
  for (const messages of [field(body, "input"), field(body, "messages")]) {
    for (const message of list(messages)) {
      if (INSTRUCTING.has(String(field(message, "role")))) collect(field(message, "content"), texts);
    }
  }
  for (const name of ["instructions", "system", "systemInstruction"]) collect(field(body, name), texts);
}

function collect(value: unknown, texts: Set<string>): void {
  if (typeof value === "string") {
    if (value !== "") texts.add(value);
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, texts);
  } else if (isObject(value)) {
    for (const name of ["content", "text", "parts"]) collect(field(value, name), texts);
  }
}
