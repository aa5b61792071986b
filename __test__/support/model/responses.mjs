// How an answer looks on `POST /v1/responses`.

import { pieces } from "./answer.mjs";

/** @param {import("./answer.mjs").Answer} answer */
export function responsesBody(answer) {
  return {
    ...head(answer),
    status: status(answer),
    ...ending(answer),
    output: outputItems(answer),
    error: null,
  };
}

/** The events of a streamed answer, in order, as the text of their `data:` lines. */
export function* responsesEvents(answer) {
  let sequence_number = 0;
  const event = (type, fields) => JSON.stringify({ type, sequence_number: sequence_number++, ...fields });
  const response = { ...head(answer), status: "in_progress" };

  yield event("response.created", { response });
  yield event("response.in_progress", { response });
  for (const [output_index, item] of outputItems(answer).entries()) {
    yield event("response.output_item.added", { output_index, item: empty(item) });
    for (const [type, fields] of deltas(item, answer.chunks))
      yield event(type, { output_index, item_id: item.id, ...fields });
    yield event("response.output_item.done", { output_index, item });
  }
  const type = status(answer) === "completed" ? "response.completed" : "response.incomplete";
  yield event(type, { response: responsesBody(answer) });
}

/** What the model put out: its thoughts, its text, its tool calls. */
export function outputItems({ n, reasoning, text, toolCalls }) {
  const items = [];
  if (reasoning)
    items.push({ type: "reasoning", id: `rs_${n}`, summary: [{ type: "summary_text", text: reasoning }] });
  if (text || !toolCalls.length) {
    const content = [{ type: "output_text", text, annotations: [] }];
    items.push({ type: "message", id: `msg_${n}`, role: "assistant", status: "completed", content });
  }
  for (const { id, name, args } of toolCalls) {
    const item = { id: `fc_${id}`, call_id: id, name, arguments: JSON.stringify(args), status: "completed" };
    items.push({ type: "function_call", ...item });
  }
  return items;
}

function empty(item) {
  if (item.type === "reasoning") return { ...item, summary: [] };
  if (item.type === "message") return { ...item, status: "in_progress", content: [] };
  return { ...item, status: "in_progress", arguments: "" };
}

function* deltas(item, chunks) {
  switch (item.type) {
    case "reasoning": {
      const text = item.summary[0].text;
      yield [
        "response.reasoning_summary_part.added",
        { summary_index: 0, part: { type: "summary_text", text: "" } },
      ];
      for (const delta of pieces(text, chunks))
        yield ["response.reasoning_summary_text.delta", { summary_index: 0, delta }];
      yield [
        "response.reasoning_summary_part.done",
        { summary_index: 0, part: { type: "summary_text", text } },
      ];
      return;
    }
    case "message": {
      const [part] = item.content;
      yield ["response.content_part.added", { content_index: 0, part: { ...part, text: "" } }];
      for (const delta of pieces(part.text, chunks))
        yield ["response.output_text.delta", { content_index: 0, delta }];
      yield ["response.output_text.done", { content_index: 0, text: part.text }];
      return;
    }
    default:
      for (const delta of pieces(item.arguments, chunks))
        yield ["response.function_call_arguments.delta", { delta }];
      yield ["response.function_call_arguments.done", { arguments: item.arguments }];
  }
}

const head = ({ n, model, created }) => ({ id: `resp_${n}`, object: "response", created_at: created, model });

const status = ({ finish }) =>
  finish === "length" || finish === "content_filter" ? "incomplete" : "completed";

function ending({ finish, usage: { input, output, cached, reasoning } }) {
  const reason = { length: "max_output_tokens", content_filter: "content_filter" }[finish];
  return {
    incomplete_details: reason ? { reason } : null,
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: cached },
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: reasoning },
      total_tokens: input + output,
    },
  };
}
