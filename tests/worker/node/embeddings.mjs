// Embeddings through the OpenAI SDK, which asks for base64 and decodes it.
//
// Parameters: {baseURL, apiKey, model, input}. Reports what the SDK's user sees.

import OpenAI from "openai";

import { report } from "./report.mjs";

await report(async ({ baseURL, apiKey, model, input }) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  return await client.embeddings.create({ model, input });
});
