import {
  position,
  putBoolean,
  putEnd,
  putField,
  putJson,
  putJsonOf,
  putNumber,
  putObject,
  putSnapshot,
  putText,
  rewind,
  type Snapshot,
  sendEnvelope,
  textCount,
} from "./bytes";
import { native } from "./native";
import { putNamed, putValue, Written } from "./values";

/** What a span's attributes hold; of a value that was captured, its JSON text. */
export type Attributes = Record<string, string | number | boolean | Snapshot>;

/** What is known of a span at its end, or so far. Its values are written as they are then. */
export interface SpanEnd {
  /** ms since 1970 by `now()`; without it, the moment of `finish`. */
  endMs?: number | undefined;
  /** Without it, `OK`. */
  status?: "OK" | "ERROR" | undefined;
  errorMessage?: string | undefined;
  model?: string | undefined;
  timeToFirstTokenMs?: number | undefined;
  attributes?: Attributes | undefined;
  /** Those that were known before; of what both name, `attributes` is right. */
  attributesBefore?: Attributes | undefined;
  /** Taken when the span began. */
  request?: Snapshot | undefined;
  response?: unknown;
  usage?: object | undefined;
  metadata?: object | undefined;
  timings?: object | undefined;
  /** The prompt that the user named (`prompt-scope.ts`), as JSON text. */
  promptJson?: string | undefined;
  /** The texts of the call's instructions. */
  linkTexts?: readonly string[] | undefined;
  /** The texts of its messages, where `request` does not tell them. */
  linkMessages?: readonly string[] | undefined;
  /** An agent runs around this one: the session's own A/B assignment is that one's. */
  insideAgent?: boolean | undefined;
}

/** What of a span is fixed at its start. */
export interface SpanStart {
  /** JSON text. */
  readonly sessionJson: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly streaming: boolean;
}

/** The fields of an envelope (`src/span.rs`). */
const SESSION = 1;
const TRACE_ID = 2;
const SPAN_ID = 3;
const PARENT_SPAN_ID = 4;
const NAME = 5;
const KIND = 6;
const MODEL = 7;
const START_MS = 8;
const END_MS = 9;
const STATUS = 10;
const ERROR_MESSAGE = 11;
const TIME_TO_FIRST_TOKEN_MS = 12;
const IS_STREAMING = 13;
const ATTRIBUTES = 14;
const REQUEST = 15;
const RESPONSE = 16;
const USAGE = 17;
const METADATA = 18;
const TIMINGS = 19;
const PROMPT = 20;
const LINK_TEXTS = 21;
const LINK_MESSAGES = 22;
const INSIDE_AGENT = 23;

/** Hands one finished span to the core, in one crossing. Never throws. */
export function record(start: SpanStart, end: SpanEnd): void {
  try {
    sendEnvelope(putSpan, start, end, handOver);
  } catch {
    // No memory for it, or an attribute that resists: the span counts even without its content.
    recordBare(start, end);
  }
}

function recordBare(start: SpanStart, { endMs, status, errorMessage }: SpanEnd): void {
  try {
    const bare = { endMs, status, errorMessage, attributes: { "fallom.content_lost": true } };
    sendEnvelope(putSpan, start, bare, handOver);
  } catch {
    // Nothing is left to send; the open span stays counted as open.
  }
}

function handOver(bytes: Uint8Array, from: number, to: number): void {
  native().record(bytes, from, to);
}

function putSpan(start: SpanStart, end: SpanEnd): void {
  putField(SESSION);
  putJson(start.sessionJson);
  putTextField(TRACE_ID, start.traceId);
  putTextField(SPAN_ID, start.spanId);
  putTextField(PARENT_SPAN_ID, start.parentSpanId);
  putTextField(NAME, start.name);
  putTextField(KIND, start.kind);
  putTextField(MODEL, end.model);
  putNumberField(START_MS, start.startMs);
  putNumberField(END_MS, end.endMs ?? start.startMs);
  putTextField(STATUS, end.status ?? "OK");
  putTextField(ERROR_MESSAGE, end.errorMessage);
  putNumberField(TIME_TO_FIRST_TOKEN_MS, end.timeToFirstTokenMs);
  putFlag(IS_STREAMING, start.streaming);
  putFlag(INSIDE_AGENT, end.insideAgent);
  putAttributes(end);
  if (end.request !== undefined) {
    putField(REQUEST);
    putSnapshot(end.request);
  }
  putValueField(RESPONSE, end.response);
  putValueField(USAGE, end.usage);
  putValueField(METADATA, end.metadata);
  putValueField(TIMINGS, end.timings);
  putValueField(LINK_TEXTS, end.linkTexts);
  putValueField(LINK_MESSAGES, end.linkMessages);
  if (end.promptJson !== undefined) {
    putField(PROMPT);
    putJson(end.promptJson);
  }
}

function putTextField(field: number, value: string | undefined): void {
  if (value === undefined) return;
  putField(field);
  putText(value);
}

function putNumberField(field: number, value: number | undefined): void {
  if (value === undefined) return;
  putField(field);
  putNumber(value);
}

function putFlag(field: number, value: boolean | undefined): void {
  if (value !== true) return;
  putField(field);
  putBoolean(true);
}

/** A name that is there twice counts as the core meets it last. */
function putAttributes({ attributesBefore, attributes }: SpanEnd): void {
  putField(ATTRIBUTES);
  putObject();
  if (attributesBefore !== undefined) putAttributesOf(attributesBefore);
  if (attributes !== undefined) putAttributesOf(attributes);
  putEnd();
}

function putAttributesOf(attributes: Attributes): void {
  const names = Object.keys(attributes);
  for (let i = 0; i < names.length; i++) putAttribute(names[i] as string, attributes[names[i] as string]);
}

function putAttribute(name: string, value: Attributes[string] | undefined): void {
  if (typeof value === "object") {
    putText(name);
    putJsonOf(value);
  } else putNamed(name, value);
}

/** Nothing for what JSON leaves out. */
function putValueField(field: number, value: unknown): void {
  if (value === undefined) return;
  const at = position();
  const texts = textCount();
  putField(field);
  if (value instanceof Written) value.put();
  else if (!putValue(value)) rewind(at, texts);
}
