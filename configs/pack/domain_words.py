"""How domains written as JSON call things, and what a pack calls them. Keys are compared in lower case, with `_`."""

from typing import Final

Spellings = tuple[str, ...]

ID: Final = ("id", "domain", "domain_id")
NAME: Final = ("name", "title", "display_name")
ABOUT: Final = ("description",)
BASE: Final = ("base_model", "base", "model")
PREFIX: Final = ("model_prefix", "prefix")
SYSTEM: Final = ("system_prompt", "system")

# Sections of the JSON.
DATA: Final = ("data", "dataset")
EVAL: Final = ("eval", "evaluation")
TRAINING: Final = ("training", "train")
OLLAMA: Final = ("ollama", "serving", "inference")

SOURCES: Final = ("sources", "source", "files", "paths", "path")
LEAST: Final = ("min_response_length", "min_answer_length", "min_output_length", "min_answer_chars", "min_length")
CODE: Final = ("require_code_blocks", "require_code", "code_required", "requires_code")
DEDUP: Final = ("dedup", "deduplicate", "deduplication", "dedup_method", "dedup_strategy")
THRESHOLD: Final = ("dedup_threshold", "similarity_threshold")
SEED: Final = ("seed", "random_seed")
SPLITS: Final = ("split", "splits")
SHARES: Final = {
    "train": ("train_split", "train_ratio", "train"),
    "val": ("val_split", "validation_split", "val_ratio", "eval_split", "val", "validation"),
    "test": ("test_split", "test_ratio", "test"),
}
EXACT: Final = ("hash", "exact", "md5", "sha1", "sha256", "content_hash")
NEAR: Final = ("near", "minhash", "fuzzy", "similarity", "semantic", "lsh")

# The kinds of a source, by what a domain calls them.
KINDS: Final = {
    "qna": ("qna", "qa", "jsonl", "json", "csv", "file", "files", "instruct", "instruction", "instructions"),
    "vault": ("vault", "obsidian", "markdown", "notes"),
    "pairs": ("pairs", "openai", "chat", "messages", "conversations", "logs", "captures"),
    "pulls": ("pulls", "git", "repository", "repositories", "repo", "pull_requests", "prs", "merged_prs"),
}
PLACES: Final = ("path", "file", "folder", "directory", "dir", "location")
TAGS: Final = ("tags",)  # of a vault
KIND: Final = ("kind", "type", "format")

TASKS: Final = ("tasks", "tasks_file", "task_file", "prompts", "prompts_file", "benchmark")
WEIGHTS: Final = ("weights", "rubric_weights", "rubric", "scoring")

# Axolotl's key for each number of a training; a length is a limit of the rows as well.
LENGTH: Final = ("max_seq_length", "max_seq_len", "sequence_len", "seq_length", "max_length", "cutoff_len")
LORA: Final = ("lora", "qlora", "peft")
NUMBERS: Final = {
    "lora_r": ("lora_r", "lora_rank", "rank", "r"),
    "lora_alpha": ("lora_alpha", "alpha"),
    "lora_dropout": ("lora_dropout", "dropout"),
    "num_epochs": ("epochs", "num_epochs", "num_train_epochs"),
    "learning_rate": ("learning_rate", "lr"),
    "micro_batch_size": ("micro_batch_size", "batch_size", "per_device_train_batch_size", "per_device_batch_size"),
    "gradient_accumulation_steps": ("gradient_accumulation_steps", "gradient_accumulation", "grad_accum"),
    "warmup_ratio": ("warmup_ratio",),
    "warmup_steps": ("warmup_steps",),
    "weight_decay": ("weight_decay",),
    "max_grad_norm": ("max_grad_norm",),
    "early_stopping_patience": ("early_stopping_patience",),
    "seed": ("seed", "random_state"),
}
TEXTS: Final = {
    "optimizer": ("optimizer", "optim"),
    "lr_scheduler": ("lr_scheduler", "lr_scheduler_type", "scheduler"),
}
MODULES: Final = ("lora_target_modules", "target_modules")
# What every recipe does, and no pack says.
ALREADY: Final = {"load_in_4bit": True, "use_4bit": True, "gradient_checkpointing": True, "bf16": True, "packing": True}

SERVING: Final = {
    "temperature": ("temperature", "temp"),
    "top_p": ("top_p",),
    "num_ctx": ("num_ctx", "context_length", "context", "ctx", "ctx_size"),
}
