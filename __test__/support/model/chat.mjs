// How an answer looks on `POST /v1/chat/completions`.

import { pieces } from "./answer.mjs";

/** @param {import("./answer.mjs").Answer} answer */
export function chatBody(answer) {
  const { text, toolCalls, finish } = answer;
  const message = { role: "assistant", content: text || null };
  if (toolCalls.length) message.tool_calls = toolCalls.map(written);
  return {
    ...head(answer, "chat.completion"),
    choices: [{ index: 0, message, finish_reason: finish, logprobs: null }],
    usage: usage(answer.usage),
  };
}

/** The events of a streamed answer, in order, as the text of their `data:` lines. */
export function* chatEvents(answer) {
  const chunk = (delta, finish_reason = null) =>
    JSON.stringify({
      ...head(answer, "chat.completion.chunk"),
      choices: [{ index: 0, delta, finish_reason }],
    });

  yield chunk({ role: "assistant", content: "" });
  for (const content of pieces(answer.text, answer.chunks)) yield chunk({ content });
  for (const [index, call] of answer.toolCalls.entries()) {
    const {
      id,
      type,
      function: { name, arguments: args },
    } = written(call);
    yield chunk({ tool_calls: [{ index, id, type, function: { name, arguments: "" } }] });
    for (const piece of pieces(args, answer.chunks))
      yield chunk({ tool_calls: [{ index, function: { arguments: piece } }] });
  }
  yield chunk({}, answer.finish);
  yield JSON.stringify({ ...head(answer, "chat.completion.chunk"), choices: [], usage: usage(answer.usage) });
  yield "[DONE]";
}

const head = ({ n, model, created }, object) => ({ id: `chatcmpl_${n}`, object, created, model });

const written = ({ id, name, args }) => ({
  id,
  type: "function",
  function: { name, arguments: JSON.stringify(args) },
});

const usage = ({ input, output, cached, reasoning }) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  prompt_tokens_details: { cached_tokens: cached },
  completion_tokens_details: { reasoning_tokens: reasoning },
});
