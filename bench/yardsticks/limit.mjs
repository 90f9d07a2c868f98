// The limit of what a Worker in front of an API can reach: it passes everything on and looks at nothing.

export default {
  fetch: (request, env) => fetch(new Request(`${env.OPENAI_BASE_URL}/chat/completions`, request)),
};
