// Legacy completions through the OpenAI SDK.
//
// Parameters: {baseURL, apiKey, request}. Reports {chunks} for a streaming request, {completion} otherwise.

import OpenAI from "openai";

import { report } from "./report.mjs";

await report(async ({ baseURL, apiKey, request }) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const answer = await client.completions.create(request);
  if (!request.stream) {
    return { completion: answer };
  }
  const chunks = [];
  for await (const chunk of answer) {
    chunks.push(chunk);
  }
  return { chunks };
});
