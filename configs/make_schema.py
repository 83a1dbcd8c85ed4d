"""Write Axolotl's config model as a JSON Schema that knows every key and refuses the rest.

`python -m configs.make_schema` writes `configs/axolotl-0.19.schema.json` from the Axolotl that is
installed. Its own `axolotl config-schema` cannot (pydantic stops at an enum of torch dtypes), and its
validation drops unknown keys.
"""

import importlib.metadata
import json
import sys
from typing import Any, Final

from configs.files import SCHEMA_FILE, write_text

# Plugins of base.yml that bring keys of their own, by the class that declares them.
PLUGIN_ARGUMENTS: Final = ("axolotl.integrations.liger.args.LigerArgs",)
PROSE: Final = frozenset(("title", "description", "examples", "default"))
NAMED_PARTS: Final = frozenset(("properties", "$defs"))


def main() -> int:
    try:
        schema = axolotl_schema()
    except ImportError as error:
        print(
            f"make_schema: Axolotl is not installed ({error}). Run `pip install -r requirements-gpu.txt`.",
            file=sys.stderr,
        )
        return 1
    write_text(SCHEMA_FILE, json.dumps(schema, indent=1, sort_keys=True) + "\n")
    print(f"{SCHEMA_FILE}: {len(schema['properties'])} keys of {schema['title']}")
    return 0


def axolotl_schema() -> dict[str, Any]:
    """The strict schema, with the names of optimizers and schedulers that Axolotl itself checks only when it trains."""
    schema: dict[str, Any] = bare(config_class().model_json_schema(schema_generator=generator()))
    for part in (schema, *schema["$defs"].values()):
        if "properties" in part:
            part["additionalProperties"] = False
    schema["properties"]["optimizer"] = {"enum": optimizer_names()}
    schema["properties"]["lr_scheduler"] = {"enum": scheduler_names()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Axolotl {importlib.metadata.version('axolotl')}",
        **schema,
    }


def config_class() -> Any:
    """Axolotl's input model joined with the keys of the plugins."""
    from axolotl.utils.schemas.config import AxolotlInputConfig

    parts = [AxolotlInputConfig]
    for name in PLUGIN_ARGUMENTS:
        module, _, attribute = name.rpartition(".")
        parts.append(getattr(__import__(module, fromlist=[attribute]), attribute))
    return type("AxolotlConfig", tuple(parts), {"__module__": __name__})


def generator() -> Any:
    """A schema generator that writes the members of odd enums (torch dtypes) by name."""
    from pydantic.json_schema import GenerateJsonSchema

    class ByName(GenerateJsonSchema):
        def enum_schema(self, schema: Any) -> dict[str, Any]:
            members = schema["members"]
            if all(isinstance(member.value, str | int) for member in members):
                return super().enum_schema(schema)
            return {"title": schema["cls"].__name__, "enum": [member.name for member in members]}

    return ByName


def optimizer_names() -> list[str]:
    from axolotl.utils.schemas.enums import CustomSupportedOptimizers
    from transformers.training_args import OptimizerNames

    return sorted({member.value for member in (*OptimizerNames, *CustomSupportedOptimizers)})


def scheduler_names() -> list[str]:
    from transformers import SchedulerType

    # The two that Axolotl's own scheduler mixin adds have no enum to read them from.
    return sorted({member.value for member in SchedulerType} | {"one_cycle", "rex"})


def bare(node: Any) -> Any:
    """A schema without its prose and defaults: they triple the file and are written on Axolotl's site."""
    if isinstance(node, list):
        return [bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key not in PROSE}
    return {
        key: {name: bare(part) for name, part in value.items()} if key in NAMED_PARTS else bare(value)
        for key, value in kept.items()
    }


if __name__ == "__main__":
    sys.exit(main())
