import { siteOf } from "./call-site";
import { now, settledNow, wholeMs } from "./clock";
import { applyIn, type Context, firstOpen, innermost, leave, runIn, surrounding, visible } from "./context";
import { type Known, record, type SpanEnd } from "./envelope";
import { identityOf } from "./identity";
import { newSpanId, newTraceId } from "./ids";
import { native, OpenFlags } from "./native";
import { forget, type Incomplete, isIdle, keep } from "./open-spans";
import type { SpanKind, WaitUntil } from "./types";
import { waitForDelivery } from "./wait-until";

/** Whose child a span is. A `Context` and an `OpenSpan` are such, too. */
export interface Parent {
  readonly traceId: string;
  readonly spanId?: string | undefined;
  /** Where it is known, no child begins before it. */
  readonly startMs?: number | undefined;
  /** Whether it is still under way here; unknown where there are only ids. */
  readonly open?: boolean;
}

/** What a span begins with. */
export interface StartOptions {
  /** A `FallomSession`. */
  session: unknown;
  name: string;
  kind: SpanKind;
  /** Whose child it is: ids, or `null` for none. Without it, the span that is current here. */
  parent?: Parent | null | undefined;
  streaming?: boolean | undefined;
  /** What is around it; without it, the innermost span that is open here. */
  inside?: Context | undefined;
  /** For an operation that began before; without it, now. Never before its parent's start, where that is known. */
  startMs?: number | undefined;
  /** The span will be current for what merely follows it: the function of ours that the user called for that. */
  enteredBy?: ((...args: never[]) => unknown) | undefined;
}

/** What a span is the span of. */
export interface Witness {
  /** Tells what is known so far: the span is sent as it stands, and nobody else ends it. */
  soFar(): SpanEnd;
}

/** Starts a span. Never throws. `finish` must be called on every path; see `abandonWith` for where it may not be. */
export function startSpan(options: StartOptions): OpenSpan {
  return new OpenSpan(options, openFlags());
}

function openFlags(): number {
  try {
    return native().open();
  } catch {
    return 0;
  }
}

/**
 * A span that has ended, without its content, for each shape (V8's hidden class) that its objects have; nobody reads
 * them. When V8 collects the last object of a shape it forgets the shape, and the code that it compiled for it: each full
 * collection that meets no open span would make the next thousands of spans twice as dear.
 */
export const keptShapes: { span?: OpenSpan; root?: object; child?: object } = {};

/** A span from its start to its end: the one recorder below `session.span`, `wrapTraced` and every wrapper. */
export class OpenSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startMs: number;
  readonly streaming: boolean;
  readonly sessionJson: string;
  /** When it was opened, which is after `startMs` for an operation that began before. */
  readonly openedMs: number;
  /** The span as what runs inside it sees it. */
  readonly context: Context;
  /** Whether anything is kept of it. Without this, gather nothing. */
  readonly recording: boolean;
  /** Whether content may be kept. Without it, do not even serialize it. */
  readonly capture: boolean;
  /** What is known so far; it is sent if the span never ends, and `finish` adds to it. */
  known: Known = {};
  /** Knows more than `known`, should the span be sent as it stands. Must not hold on to a token. */
  witness: Witness | undefined;
  /** See `open-spans.ts`. */
  older: OpenSpan | undefined;
  newer: OpenSpan | undefined;
  private ended = false;
  private parent: Parent | undefined;
  private waitUntil: WaitUntil | undefined;
  /** The process ends: there is no platform to be asked any more. */
  private atExit = false;

  constructor(options: StartOptions, flags: number) {
    this.recording = (flags & OpenFlags.recording) !== 0;
    this.capture = this.recording && (flags & OpenFlags.capture) !== 0;
    const identity = identityOf(options.session);
    const { sessionId } = identity.context;
    const by = this.recording ? options.enteredBy : undefined;
    const inside = this.recording ? (firstOpen(options.inside) ?? innermost()) : undefined;
    const site = by && siteOf(options.name, inside?.site !== undefined, by);
    // Most spans have nothing open beside them.
    const outer = site && inside?.site ? surrounding(inside, site) : inside;
    const parent = options.parent === undefined ? visible(outer, sessionId) : options.parent;
    this.traceId = parent?.traceId ?? newTraceId();
    this.parentSpanId = parent?.spanId;
    if (this.recording) {
      this.parent = parent ?? undefined;
      this.waitUntil = identity.waitUntil;
    }
    this.spanId = newSpanId();
    this.name = options.name;
    this.kind = options.kind;
    this.streaming = options.streaming === true;
    this.sessionJson = identity.json;
    this.openedMs = this.recording && isIdle() ? settledNow() : now();
    this.startMs = Math.max(wholeMs(options.startMs) ?? this.openedMs, parent?.startMs ?? 0);
    const { traceId, spanId, startMs } = this;
    this.context = {
      traceId,
      spanId,
      startMs,
      sessionId,
      open: true,
      outer,
      entered: by !== undefined,
      site,
      owner: undefined,
    };
    if (this.recording) keep(this);
  }

  /** Runs `fn` inside the span; the value and the throw of `fn` come through intact. */
  run<R>(fn: () => R): R {
    return this.recording ? runIn(this.context, fn) : fn();
  }

  /** As `run`, for a function with a `this` and arguments. */
  apply<R>(fn: (...args: never[]) => R, self: unknown, args: unknown[]): R {
    return this.recording ? applyIn(this.context, fn, self, args) : (Reflect.apply(fn, self, args) as R);
  }

  /** Ends the span and sends it, once: a second call does nothing. Never throws. */
  finish(end: SpanEnd = {}): void {
    if (this.ended) return;
    this.ended = true;
    if (!this.recording) return;
    forget(this);
    leave(this.context);
    record(this, end);
    // An open parent asks for itself, when it ends.
    if (this.parent?.open !== true && !this.atExit) waitForDelivery(this.waitUntil);
    // Whoever still holds the span must not hold its content, nor a request of the platform's.
    this.known = {};
    this.witness = undefined;
    this.parent = undefined;
    this.waitUntil = undefined;
    keptShapes.span = this;
  }

  /** Ends the span as it stands, because nobody else will. Never throws. */
  finishIncomplete(why: Incomplete, errorMessage: string, endMs: number = now()): void {
    if (this.ended) return;
    let soFar: SpanEnd = {};
    try {
      soFar = this.witness?.soFar() ?? {};
    } catch {
      // What is known then is `known`.
    }
    const attributes = { ...soFar.attributes, "fallom.incomplete": why };
    this.atExit = why === "exit";
    this.finish({ ...soFar, attributes, status: "ERROR", errorMessage, endMs });
  }
}
