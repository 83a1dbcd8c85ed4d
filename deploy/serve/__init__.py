"""The gateway: one OpenAI-compatible address for every role, in front of an engine that is not ours.

`python -m deploy.serve --config configs/serve.yml`, or `make serve`. The engine (llama-server, vLLM) computes; here are
versions and their gate, the switch without a lost request, keys with scopes, limits, the capture and the status page.
"""
