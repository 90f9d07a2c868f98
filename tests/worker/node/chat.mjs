// A chat completion, or with `legacy` a completion of a prompt, through the OpenAI SDK.
//
// Parameters: {baseURL, apiKey, request, legacy?}. Reports {chunks} for a streaming request, {completion}
// otherwise, or {error} with what the SDK's user sees.

import OpenAI from "openai";

import { report } from "./report.mjs";

await report(async ({ baseURL, apiKey, request, legacy = false }) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  try {
    const { completions } = legacy ? client : client.chat;
    const answer = await completions.create(request);
    if (!request.stream) {
      return { completion: answer };
    }
    const chunks = [];
    for await (const chunk of answer) {
      chunks.push(chunk);
    }
    return { chunks };
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) {
      throw error;
    }
    const { name, status, code, type, param, message, requestID } = error;
    return { error: { class: error.constructor.name, name, status, code, type, param, message, requestID } };
  }
});
