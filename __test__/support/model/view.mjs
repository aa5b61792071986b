// What a request to the model says, in one form for both APIs: the form that a reply function reads.

/**
 * @typedef {{ id: string, name: string, args: unknown }} ToolCall
 * @typedef {{ id: string, name: string, args: unknown, text: string, result: unknown }} ToolResult
 * @typedef {{ role: "system" | "user" | "assistant" | "tool", text: string, toolCalls?: ToolCall[], toolCallId?: string }} Message
 * @typedef {object} Call
 * @property {"chat" | "responses"} api
 * @property {string} model           as asked for
 * @property {string} system          all system texts, joined by a newline
 * @property {Message[]} messages     without the system messages
 * @property {string} lastUser        the text of the last user message, or ""
 * @property {ToolResult[]} toolResults  those that came after the last user message
 * @property {string[]} tools         names of the tools on offer
 * @property {boolean} stream
 * @property {number} attempt         1 for the first request with exactly this body, 2 for its repetition, …
 */

/**
 * @param {object} body a parsed request body
 * @param {"chat" | "responses"} api
 * @param {number} attempt
 * @param {Map<string, object>} items earlier output items, which the responses API names by id only
 * @returns {Call}
 */
export function viewOf(body, api, attempt, items) {
  const all = api === "chat" ? body.messages.map(chatMessage) : responsesMessages(body.input, items);
  if (body.instructions) all.unshift({ role: "system", text: body.instructions });
  const messages = all.filter((message) => message.role !== "system");
  const asked = messages.findLastIndex((message) => message.role === "user");
  return {
    api,
    model: body.model,
    system: all
      .filter((message) => message.role === "system")
      .map((message) => message.text)
      .join("\n"),
    messages,
    lastUser: messages[asked]?.text ?? "",
    toolResults: toolResults(messages.slice(asked + 1)),
    tools: (body.tools ?? []).map((tool) => tool.function?.name ?? tool.name ?? tool.type),
    stream: body.stream === true,
    attempt,
  };
}

function chatMessage({ role, content, tool_calls, tool_call_id }) {
  const message = { role: role === "developer" ? "system" : role, text: textOf(content) };
  if (tool_calls) message.toolCalls = tool_calls.map((call) => toolCall(call.id, call.function));
  if (tool_call_id) message.toolCallId = tool_call_id;
  return message;
}

function responsesMessages(input, items) {
  if (typeof input === "string") return [{ role: "user", text: input }];
  return input.flatMap((item) =>
    responsesMessage(item.type === "item_reference" ? items.get(item.id) : item),
  );
}

function responsesMessage(item) {
  switch (item?.type) {
    case undefined:
    case "message":
      return item?.role
        ? [{ role: item.role === "developer" ? "system" : item.role, text: textOf(item.content) }]
        : [];
    case "function_call":
      return [{ role: "assistant", text: "", toolCalls: [toolCall(item.call_id, item)] }];
    case "function_call_output":
      return [{ role: "tool", text: textOf(item.output), toolCallId: item.call_id }];
    default:
      return [];
  }
}

function toolResults(messages) {
  const calls = new Map(
    messages.flatMap((message) => message.toolCalls ?? []).map((call) => [call.id, call]),
  );
  return messages
    .filter((message) => message.role === "tool")
    .map(({ toolCallId, text }) => ({
      id: toolCallId,
      name: calls.get(toolCallId)?.name ?? "",
      args: calls.get(toolCallId)?.args,
      text,
      result: parsed(text),
    }));
}

const toolCall = (id, { name, arguments: args }) => ({ id, name, args: parsed(args) });

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? part.refusal ?? "").join("");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
