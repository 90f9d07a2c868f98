"""OpenAI's Responses API over hosts that speak chat completions: the request there, the answer back."""
