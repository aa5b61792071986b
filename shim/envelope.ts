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
  putWordMember,
  rewind,
  sendEnvelope,
  textCount,
} from "./bytes";
import { now, wholeMs } from "./clock";
import { Name } from "./names";
import { native } from "./native";
import type { Snapshot } from "./slab";
import { putKnown, putNamed, putValue, Written } from "./values";

/** What an attribute of a span is; of a value that was captured, its JSON text. */
export type Attribute = string | number | boolean | Snapshot;
export type Attributes = Record<string, Attribute>;

/** What is known of a span from its start on; `finish` adds to it. */
export interface Known extends SpanEnd {
  /** Attributes of ours: that the span is the user's own; or the method that was traced, and of what. */
  manual?: boolean | undefined;
  method?: string | undefined;
  agentName?: string | undefined;
  toolName?: string | undefined;
  toolCallId?: string | undefined;
  /** Of a manual span, in the place of request and response. */
  input?: Attribute | undefined;
  output?: Attribute | undefined;
}

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
  /** Attributes of ours: which run of an agent it was, and who provides the model. */
  runId?: string | undefined;
  provider?: string | undefined;
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

/** A span that has ended, as far as it is handed over. */
export interface EndedSpan {
  /** JSON text. */
  readonly sessionJson: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly streaming: boolean;
  /** Whether content may be kept. Wrappers do not gather it where it may not; should one, it ends here. */
  readonly capture: boolean;
  /** What was known before the end. */
  readonly known: Known;
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
const USAGE = 15;
const METADATA = 16;
const TIMINGS = 17;
const REQUEST = 18;
const RESPONSE = 19;
const INPUT = 20;
const OUTPUT = 21;
const PROMPT = 22;
const LINK_TEXTS = 23;
const LINK_MESSAGES = 24;
const INSIDE_AGENT = 25;

/**
 * Hands one finished span to the core, in one crossing. Of what was known before and `end` both tell, `end` is right.
 * Never throws.
 */
export function record(span: EndedSpan, end: SpanEnd): void {
  try {
    sendEnvelope(putSpan, span, end, handOver);
  } catch {
    // No memory for it, or an attribute that resists: the span counts even without its content.
    recordBare(span, end);
  }
}

function recordBare(span: EndedSpan, end: SpanEnd): void {
  try {
    const { known } = span;
    const bare = { ...span, known: { manual: known.manual, attributes: { "fallom.content_lost": true } } };
    const endMs = end.endMs ?? known.endMs;
    const status = end.status ?? known.status;
    const errorMessage = end.errorMessage ?? known.errorMessage;
    sendEnvelope(putSpan, bare, { endMs, status, errorMessage }, handOver);
  } catch {
    // Nothing is left to send; the open span stays counted as open.
  }
}

function handOver(bytes: Uint8Array, from: number, to: number): void {
  native().record(bytes, from, to);
}

function putSpan(span: EndedSpan, end: SpanEnd): void {
  const { known, startMs } = span;
  putField(SESSION);
  putJson(span.sessionJson);
  putTextField(TRACE_ID, span.traceId);
  putTextField(SPAN_ID, span.spanId);
  putTextField(PARENT_SPAN_ID, span.parentSpanId);
  putTextField(NAME, span.name);
  putTextField(KIND, span.kind);
  putTextField(MODEL, end.model ?? known.model);
  putNumberField(START_MS, startMs);
  putNumberField(END_MS, Math.max(startMs, wholeMs(end.endMs ?? known.endMs) ?? now()));
  putTextField(STATUS, end.status ?? known.status ?? "OK");
  putTextField(ERROR_MESSAGE, end.errorMessage ?? known.errorMessage);
  putNumberField(TIME_TO_FIRST_TOKEN_MS, wholeMs(end.timeToFirstTokenMs ?? known.timeToFirstTokenMs));
  putFlag(IS_STREAMING, span.streaming);
  putFlag(INSIDE_AGENT, end.insideAgent ?? known.insideAgent);
  putAttributes(known, end);
  putValueField(USAGE, end.usage ?? known.usage);
  putValueField(METADATA, end.metadata ?? known.metadata);
  putValueField(TIMINGS, end.timings ?? known.timings);
  if (span.capture) putContent(known, end);
  putValueField(LINK_TEXTS, end.linkTexts ?? known.linkTexts);
  putValueField(LINK_MESSAGES, end.linkMessages ?? known.linkMessages);
  const promptJson = end.promptJson ?? known.promptJson;
  if (promptJson !== undefined) {
    putField(PROMPT);
    putJson(promptJson);
  }
}

function putContent(known: Known, end: SpanEnd): void {
  const request = end.request ?? known.request;
  if (request !== undefined) {
    putField(REQUEST);
    putSnapshot(request);
  }
  putValueField(RESPONSE, end.response ?? known.response);
  putManualField(INPUT, known.input);
  putManualField(OUTPUT, known.output);
}

function putManualField(field: number, value: Attribute | undefined): void {
  if (typeof value === "object") {
    putField(field);
    putJsonOf(value);
  } else putValueField(field, value);
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
function putAttributes(known: Known, end: SpanEnd): void {
  putField(ATTRIBUTES);
  putObject();
  if (known.manual === true) putWordMember(Name["fallom.span_type"], Name.manual);
  putKnown(Name["fallom.method"], known.method);
  putKnown(Name["fallom.agent_name"], known.agentName);
  putKnown(Name["fallom.tool_name"], known.toolName);
  putKnown(Name["fallom.tool_call_id"], known.toolCallId);
  putKnown(Name["fallom.run_id"], end.runId ?? known.runId);
  putKnown(Name["fallom.provider"], end.provider ?? known.provider);
  if (known.attributes !== undefined) putAttributesOf(known.attributes);
  if (end.attributes !== undefined) putAttributesOf(end.attributes);
  putEnd();
}

function putAttributesOf(attributes: Attributes): void {
  const names = Object.keys(attributes);
  for (let i = 0; i < names.length; i++) putAttribute(names[i] as string, attributes[names[i] as string]);
}

function putAttribute(name: string, value: Attribute | undefined): void {
  if (typeof value === "object") {
    putText(name);
    putJsonOf(value);
    return;
  }
  putNamed(name, value);
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
