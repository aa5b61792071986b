// What a reply function says, made whole: every default is set here.

/**
 * What a reply function returns, or resolves to. A string is short for `{ text }`.
 * @typedef {object} Reply
 * @property {string} [text]
 * @property {string} [reasoning]     thoughts; only the responses API has a place for them
 * @property {unknown} [objectJson]   the text is this value's JSON: for structured output
 * @property {{ name: string, args?: unknown, id?: string }[]} [toolCalls]
 * @property {{ input?: number, output?: number, reasoning?: number, cached?: number }} [usage]
 * @property {string} [model]         the name of the model that answers
 * @property {"stop" | "tool_calls" | "length" | "content_filter"} [finish]
 * @property {number} [status]        an error, with this HTTP status
 * @property {unknown} [errorBody]    its body, in place of the usual one
 * @property {Record<string, string>} [headers]
 * @property {number} [delayMs]       before the first byte
 * @property {number} [chunkDelayMs]  before each further event of a stream
 * @property {number} [chunks]        into how many deltas a text, or the arguments of a call, are cut; default 3
 * @property {true} [hang]            no answer ever; in a stream, silence after half of the events
 * @property {true} [reset]           the connection is torn down; in a stream, after half of the events
 */

/**
 * @typedef {Required<Pick<Reply, "text" | "reasoning" | "model" | "finish" | "chunks">>
 *   & { n: number, created: number, toolCalls: { id: string, name: string, args: unknown }[],
 *       usage: { input: number, output: number, reasoning: number, cached: number } }} Answer
 */

/** The models whose dated name answers, as at the real service. */
const DATED = { "gpt-4o-mini": "gpt-4o-mini-2024-07-18", "gpt-4o": "gpt-4o-2024-08-06" };

/**
 * @param {Reply} reply
 * @param {{ n: number, asked: string, nextCallId: () => string }} context the request's number and the model asked for
 * @returns {Answer}
 */
export function answerOf(reply, { n, asked, nextCallId }) {
  const calls = reply.toolCalls ?? [];
  return {
    n,
    created: Math.floor(Date.now() / 1000),
    model: reply.model ?? DATED[asked] ?? asked,
    text: reply.objectJson === undefined ? (reply.text ?? "") : JSON.stringify(reply.objectJson),
    reasoning: reply.reasoning ?? "",
    toolCalls: calls.map(({ id, name, args = {} }) => ({ id: id ?? nextCallId(), name, args })),
    usage: { input: 20, output: 10, reasoning: 0, cached: 0, ...reply.usage },
    finish: reply.finish ?? (calls.length ? "tool_calls" : "stop"),
    chunks: reply.chunks ?? 3,
  };
}

/** @param {Reply} reply */
export function errorOf({ status, errorBody }) {
  const type = status >= 500 ? "server_error" : "invalid_request_error";
  return (
    errorBody ?? { error: { message: `The model failed with ${status}`, type, param: null, code: type } }
  );
}

/** A text in at most n pieces of about equal length; none if it is empty. */
export function pieces(text, n) {
  const size = Math.ceil(text.length / n);
  const cut = [];
  for (let at = 0; at < text.length; at += size) cut.push(text.slice(at, at + size));
  return cut;
}
