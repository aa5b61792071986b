import { native } from "./native";

/** What a span's attributes hold. */
export type Attributes = Record<string, string | number | boolean>;

/** What is known of a span at its end, or so far. Fields that end in `Json` are JSON text, sent as they are. */
export interface SpanEnd {
  /** ms since 1970 by `now()`; without it, the moment of `finish`. */
  endMs?: number | undefined;
  /** Without it, `OK`. */
  status?: "OK" | "ERROR" | undefined;
  errorMessage?: string | undefined;
  model?: string | undefined;
  timeToFirstTokenMs?: number | undefined;
  attributes?: Attributes | undefined;
  requestJson?: string | undefined;
  responseJson?: string | undefined;
  usageJson?: string | undefined;
  metadataJson?: string | undefined;
  timingsJson?: string | undefined;
  /** The prompt that the user named (`prompt-scope.ts`). */
  promptJson?: string | undefined;
  /** The texts of the call's instructions. */
  linkTexts?: string[] | undefined;
  /** The texts of its messages, where `requestJson` does not tell them. */
  linkMessages?: string[] | undefined;
  /** An agent runs around this one: the session's own A/B assignment is that one's. */
  insideAgent?: boolean | undefined;
}

/** What of a span is fixed at its start. */
export interface SpanStart {
  readonly sessionJson: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly streaming: boolean;
}

const INITIAL_BYTES = 64 * 1024;
/** The largest buffer that is kept between spans; a bigger one lives for one span. */
const MAX_KEPT_BYTES = 1024 * 1024;
/** After so many spans in a row that would fit into a quarter of it, the buffer is halved. */
const SMALL_RUN = 64;

let buffer: Buffer | undefined;
let smallInARow = 0;

/** Hands one finished span to the core: one crossing, the bytes of a `SpanEnvelope`. Never throws. */
export function record(start: SpanStart, end: SpanEnd): void {
  try {
    send(envelopeParts(start, end));
  } catch {
    // Too long for a string, or an attribute that resists: the span counts even without its content.
    recordBare(start, end);
  }
}

function recordBare(start: SpanStart, end: SpanEnd): void {
  try {
    const { endMs, status, errorMessage } = end;
    send(envelopeParts(start, { endMs, status, errorMessage, attributes: { "fallom.content_lost": true } }));
  } catch {
    // Nothing is left to send; the open span stays counted as open.
  }
}

function send(parts: string[]): void {
  const target = bufferFor(parts);
  let bytes = 0;
  for (const part of parts) bytes += target.write(part, bytes, "utf8");
  native().record(target.subarray(0, bytes));
}

/** A buffer that holds `parts` for sure: UTF-8 takes three bytes for a UTF-16 unit at most. */
function bufferFor(parts: string[]): Buffer {
  const kept = buffer ?? Buffer.allocUnsafeSlow(INITIAL_BYTES);
  buffer = kept;
  let units = 0;
  for (const part of parts) units += part.length;
  if (units * 3 <= kept.length) {
    shrink(units * 12 <= kept.length);
    return kept;
  }
  let bytes = 0;
  for (const part of parts) bytes += Buffer.byteLength(part);
  if (bytes <= kept.length) {
    smallInARow = 0;
    return kept;
  }
  if (bytes > MAX_KEPT_BYTES) return Buffer.allocUnsafeSlow(bytes);
  buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
  smallInARow = 0;
  return buffer;
}

function shrink(small: boolean): void {
  smallInARow = small ? smallInARow + 1 : 0;
  if (smallInARow < SMALL_RUN || buffer === undefined || buffer.length <= INITIAL_BYTES) return;
  buffer = Buffer.allocUnsafeSlow(buffer.length / 2);
  smallInARow = 0;
}

/**
 * Built by hand: what is JSON text already goes in as it is, and the rest has no need of a walk. Long texts stay parts of
 * their own, since joined they would be copied once more.
 */
function envelopeParts(start: SpanStart, end: SpanEnd): string[] {
  let text = `{"session":${start.sessionJson},"trace_id":"${start.traceId}","span_id":"${start.spanId}"`;
  if (start.parentSpanId !== undefined) text += `,"parent_span_id":"${start.parentSpanId}"`;
  text += `,"name":${JSON.stringify(start.name)},"kind":"${start.kind}"`;
  if (end.model !== undefined) text += `,"model":${JSON.stringify(end.model)}`;
  text += `,"start_ms":${start.startMs},"end_ms":${end.endMs ?? start.startMs},"status":"${end.status ?? "OK"}"`;
  if (end.errorMessage !== undefined) text += `,"error_message":${JSON.stringify(end.errorMessage)}`;
  if (end.timeToFirstTokenMs !== undefined) text += `,"time_to_first_token_ms":${end.timeToFirstTokenMs}`;
  if (start.streaming) text += ',"is_streaming":true';
  if (end.usageJson !== undefined) text += `,"usage":${end.usageJson}`;
  if (end.timingsJson !== undefined) text += `,"timings":${end.timingsJson}`;
  if (end.promptJson !== undefined) text += `,"prompt":${end.promptJson}`;
  if (end.insideAgent === true) text += ',"inside_agent":true';
  text += ',"attributes":';
  const parts = [text, JSON.stringify(end.attributes ?? {})];
  if (end.requestJson !== undefined) parts.push(',"request":', end.requestJson);
  if (end.responseJson !== undefined) parts.push(',"response":', end.responseJson);
  if (end.metadataJson !== undefined) parts.push(',"metadata":', end.metadataJson);
  if (end.linkMessages !== undefined) parts.push(',"link_messages":', JSON.stringify(end.linkMessages));
  if (end.linkTexts !== undefined) parts.push(',"link_texts":', JSON.stringify(end.linkTexts));
  parts.push("}");
  return parts;
}
