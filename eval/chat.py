"""The prompt text of a tokenizer's own chat template, with an error for all that it would leave out in silence."""

from typing import Any

from eval.errors import BadInput
from eval.models import Prompt


def render_chat(tokenizer: Any, prompt: Prompt) -> str:
    """The text that the model continues; BadInput where the template fails, or shows no system prompt or no tools."""
    text = _apply(tokenizer, prompt, list(prompt.tools))
    system = prompt.messages[0]
    if system["role"] == "system" and system["content"].strip() not in text:
        raise BadInput("the chat template drops the system prompt; give the model one that shows it.")
    if prompt.tools and text == _apply(tokenizer, prompt, []):
        raise BadInput("the chat template ignores tools; give the model one that shows them, or use --tool-format xml.")
    return text


def _apply(tokenizer: Any, prompt: Prompt, tools: list[Any]) -> str:
    try:
        text: str = tokenizer.apply_chat_template(
            list(prompt.messages), tools=tools or None, tokenize=False, add_generation_prompt=True
        )
    except Exception as problem:
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise BadInput(f"the chat template cannot show the conversation ({reason}); give the model one.") from None
    return text
