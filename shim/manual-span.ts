import { isContainer, jsonOf } from "./bytes";
import { current, enter } from "./context";
import type { Attribute } from "./envelope";
import { describeError } from "./error";
import { identityOf } from "./identity";
import { asSpanId, asTraceId, newTraceId } from "./ids";
import { native } from "./native";
import { traceIdOf } from "./open-spans";
import { promptHere } from "./prompt-scope";
import type { Snapshot } from "./slab";
import { snapshot } from "./snapshot";
import { keptShapes, type OpenSpan, type Parent, startSpan } from "./span";
import { messageOf } from "./thrown";
import type { SpanContext, SpanKind, SpanOptions } from "./types";
import { capture } from "./values";

const KINDS: ReadonlySet<unknown> = new Set([
  "agent",
  "llm",
  "tool",
  "retrieval",
  "preprocessing",
  "postprocessing",
  "custom",
] satisfies SpanKind[]);

/** What may use a prompt. */
const PROMPTED: ReadonlySet<SpanKind> = new Set<SpanKind>(["agent", "llm"]);

/** Says that a span is a manual one (`Known.manual`); no attribute of the user's can say otherwise. */
const SPAN_TYPE = "fallom.span_type";

/**
 * A span that the user opens and ends; made by `session.span`. Until `end`, what its session does after it in the
 * same async scope belongs to it. Nothing of it ever throws.
 */
export class FallomSpan {
  /** 16 hex digits. */
  readonly spanId: string;
  /** 32 hex digits. */
  readonly traceId: string;
  /** The span it belongs to, if any. */
  readonly parentSpanId?: string;
  readonly kind: string;
  readonly #span: OpenSpan;
  #ended = false;

  private constructor(span: OpenSpan) {
    this.spanId = span.spanId;
    this.traceId = span.traceId;
    if (span.parentSpanId !== undefined) this.parentSpanId = span.parentSpanId;
    this.kind = span.kind;
    this.#span = span;
  }

  /** @internal Opens a span and makes it current, for the user's call of `by`. */
  static open(session: unknown, name: unknown, options: SpanOptions | undefined, by: Opener): FallomSpan {
    const span = startManual(session, name, options, by);
    if (span.recording) enter(span.context);
    return new FallomSpan(span);
  }

  /**
   * Adds attributes. Texts, numbers and booleans stay as they are, anything else becomes JSON text at once, so later
   * changes to it do not matter. `input` and `output` are content, and left out when content capture is off.
   */
  set(attributes: Record<string, unknown>): this {
    if (!this.#ended && this.#span.recording) addAttributes(this.#span, attributes);
    return this;
  }

  /** Marks the span as failed. `error` may be anything that can be thrown. */
  setError(error: unknown): this {
    if (this.#ended || !this.#span.recording) return this;
    this.#span.known.status = "ERROR";
    this.#span.known.errorMessage = describeError(error, this.#span.capture);
    return this;
  }

  /** The ids, to name this span as the parent of another. */
  context(): SpanContext {
    return { traceId: this.traceId, spanId: this.spanId };
  }

  /** Ends the span and hands it over for sending; calls after the first do nothing. */
  end(): void {
    this.#ended = true;
    this.#span.finish();
    if (this.#span.recording) this.#keepShape();
  }

  /** In a twin: what the user's own object holds, and who waits for its end, is the user's. */
  #keepShape(): void {
    if (this.parentSpanId === undefined) keptShapes.root ??= new FallomSpan(this.#span);
    else keptShapes.child ??= new FallomSpan(this.#span);
  }
}

type Opener = (...args: never[]) => unknown;

/** Starts a manual span. Ids that cannot be ids are ignored, with a warning. */
export function startManual(
  session: unknown,
  name: unknown,
  options: SpanOptions | null | undefined,
  enteredBy?: Opener,
): OpenSpan {
  const kind = options?.kind;
  const span = startSpan({
    session,
    name: nameOf(name),
    kind: KINDS.has(kind) ? (kind as SpanKind) : "custom",
    parent: parentOf(session, options),
    enteredBy,
  });
  if (!span.recording) return span;
  span.known.manual = true;
  if (PROMPTED.has(span.kind)) span.known.promptJson = promptHere(identityOf(session).context.sessionId);
  return span;
}

/** Adds the user's attributes to a manual span, in their normal form. Never throws. */
export function addAttributes(span: OpenSpan, attributes: unknown): void {
  if (typeof attributes !== "object" || attributes === null) return;
  for (const key of keysOf(attributes)) {
    if (key === "input" || key === "output") {
      // Content stays away when its capture is off.
      if (span.capture) setContent(span, key, contentOf(attributes, key));
    } else if (key !== SPAN_TYPE && key !== "__proto__") {
      setAttribute(span, key, attributeOf(attributes, key));
    }
  }
}

/** Sets one that is content, unless there is nothing to set. */
export function setContent(span: OpenSpan, key: "input" | "output", value: Attribute | undefined): void {
  if (isOpen(span) && value !== undefined) span.known[key] = value;
}

function setAttribute(span: OpenSpan, key: string, value: Attribute | undefined): void {
  if (!isOpen(span) || value === undefined) return;
  span.known.attributes ??= {};
  span.known.attributes[key] = value;
}

/** Of a manual span that has ended, nothing is known any more. */
function isOpen({ known }: OpenSpan): boolean {
  return known.manual === true;
}

function keysOf(value: object): string[] {
  try {
    return Object.keys(value);
  } catch {
    return [];
  }
}

function attributeOf(holder: object, key: string): Attribute | undefined {
  try {
    return attribute((holder as Record<string, unknown>)[key]);
  } catch (error) {
    return `[threw: ${messageOf(error)}]`;
  }
}

/** As `attributeOf`; by its name, the engine reads it several times as fast. */
function contentOf(
  holder: { input?: unknown; output?: unknown },
  key: "input" | "output",
): Attribute | undefined {
  try {
    return attribute(key === "input" ? holder.input : holder.output);
  } catch (error) {
    return `[threw: ${messageOf(error)}]`;
  }
}

function attribute(value: unknown): Attribute | undefined {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" || typeof value === "bigint") {
    return Number.isFinite(value) ? (value as number) : String(value);
  }
  return captured(value);
}

/** What becomes JSON text, taken as it is now; of what is one text in its normal form (a date), that text. */
function captured(value: unknown): Snapshot | string | undefined {
  const taken = capture(value);
  if (taken === undefined || isContainer(taken)) return taken;
  const json = jsonOf(taken) ?? snapshot(value);
  return json?.startsWith('"') ? (JSON.parse(json) as string) : json;
}

function parentOf(session: unknown, options: SpanOptions | null | undefined): Parent | undefined {
  const traceId = idOf(options?.traceId, asTraceId, "traceId");
  const spanId = idOf(options?.parentSpanId, asSpanId, "parentSpanId");
  if (traceId === undefined && spanId === undefined) return undefined;
  const here = current(identityOf(session).context.sessionId);
  if (traceId === undefined) {
    // Only the span was named: its trace is known while it is open, and else most likely the one at hand.
    return { traceId: traceIdOf(spanId) ?? here?.traceId ?? newTraceId(), spanId };
  }
  return spanId === undefined && here?.traceId === traceId ? here : { traceId, spanId };
}

function idOf(
  given: unknown,
  check: (value: unknown) => string | undefined,
  option: string,
): string | undefined {
  if (given === undefined || given === null || given === "") return undefined;
  const id = check(given);
  if (id === undefined) native().warn(`span: ${option} is no id and is ignored`);
  return id;
}

function nameOf(name: unknown): string {
  if (typeof name === "string" && name !== "") return name.toWellFormed();
  return typeof name === "number" ? String(name) : "span";
}
