"""The registry of adapters: versions that never change, the gate before a promotion, and what is live.

`Registry.open(root)` is for other parts of deploy; `python -m deploy.registry --help` for people.
"""

from deploy.registry.store import Registry
from deploy.registry.values import Evaluation, Export, Promotion, Rate, RoleVersions, Version

__all__ = ["Evaluation", "Export", "Promotion", "Rate", "Registry", "RoleVersions", "Version"]
