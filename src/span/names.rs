//! Names and words that spans hold again and again: a byte each in an envelope. `shim/names.ts` holds the same list.

const NAMES: [&str; 64] = [
    "text",
    "finishReason",
    "toolCalls",
    "toolResults",
    "steps",
    "stepType",
    "usage",
    "timestamp",
    "responseId",
    "object",
    "reasoningText",
    "modelId",
    "toolCallId",
    "toolName",
    "args",
    "result",
    "type",
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "reasoningTokens",
    "cachedInputTokens",
    "cacheCreationInputTokens",
    "modelProvider",
    "stepCount",
    "toolCallCount",
    "warningCount",
    "requestStart",
    "firstTokenTime",
    "responseEnd",
    "totalDurationMs",
    "isStreaming",
    "phases",
    "label",
    "startMs",
    "endMs",
    "durationMs",
    "accurate",
    "toolTimings",
    "name",
    "startTime",
    "endTime",
    "duration",
    "stepIndex",
    "id",
    "llm",
    "model",
    "tool",
    "ttft",
    "tool-call",
    "tool-result",
    "time to first token",
    "role",
    "content",
    "user",
    "assistant",
    "fallom.method",
    "fallom.agent_name",
    "fallom.tool_name",
    "fallom.tool_call_id",
    "fallom.run_id",
    "fallom.provider",
    "fallom.span_type",
    "manual",
];

/// The name of this number.
pub fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

/// The number of this name.
pub fn number(name: &str) -> Option<u8> {
    NAMES.iter().position(|known| *known == name)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn the_shim_knows_the_same_names_by_the_same_numbers() {
        let shim = include_str!("../../shim/names.ts");
        let (_, list) = shim.split_once("enum Name {").unwrap();
        let (list, _) = list.split_once('}').unwrap();
        let names: Vec<&str> = list.split(',').map(|name| name.trim().trim_matches('"')).collect();
        assert_eq!(names[..names.len() - 1], NAMES);
    }

    #[test]
    fn none_is_longer_than_the_encoder_takes_for_the_longest() {
        // As a name, escaped twice: two quotes, and a colon or a comma.
        let longest = NAMES.iter().map(|name| name.len() + r#""":"#.len()).max();
        assert!(longest <= Some(2 * 15), "{longest:?}");
    }
}
