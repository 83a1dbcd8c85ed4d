"""What runs inside a sandbox: the standard library alone, started by `eval.sandbox.process` as `inside.driver`."""
