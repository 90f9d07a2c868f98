"""An OpenAI-compatible gateway to Qwen, running as a Cloudflare Python Worker."""
