"""Chat templates in the shapes of published ones, and a tokenizer that has their tokens."""

import sys

from tests import published

BEGIN_ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)
TEMPLATES = {
    "smollm2": (  # with a text of its own for the system
        "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
        "You are a helpful AI assistant.<|im_end|>\n' }}{% endif %}{{ '<|im_start|>' + m['role'] + '\n' + m['content']"
        " + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "qwen3": (  # with a switch for thinking, and what was thought taken out of turns
        "{% for m in messages %}{% set content = m['content'] %}{% if m['role'] == 'assistant' and '</think>' in"
        " content %}{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}{{ '<|im_start|>'"
        " + m['role'] + '\n' + content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>"
        "assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n'"
        " }}{% endif %}{% endif %}"
    ),
    "llama3": (  # with the day
        "{{ bos_token }}{% if not date_string is defined %}{% if strftime_now is defined %}{% set date_string ="
        ' strftime_now("%d %b %Y") %}{% else %}{% set date_string = "26 Jul 2024" %}{% endif %}{% endif %}'
        "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}{% set messages ="
        " messages[1:] %}{% else %}{% set system = '' %}{% endif %}{{ '<|start_header_id|>system<|end_header_id|>\n\n'"
        " }}{{ 'Cutting Knowledge Date: December 2023\nToday Date: ' + date_string + '\n\n' + system + '<|eot_id|>' }}"
        "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim +"
        " '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>"
        "\n\n' }}{% endif %}"
    ),
    "gemma": (  # without a system
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}" + BEGIN_ALTERNATING + "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ bos_token }}"
        + BEGIN_ALTERNATING
        + "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token + ' ' }}{% else %}{{ raise_exception('Only user"
        " and assistant roles are supported!') }}{% endif %}{% endfor %}"
    ),
    "mistral3": (  # with the system's text in the last message
        "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set messages ="
        " messages[1:] %}{% endif %}{{ bos_token }}" + BEGIN_ALTERNATING + "{% if m['role'] == 'user' %}{% if loop.last"
        " and system is defined %}{{ '[INST] ' + system + '\n\n' + m['content'] + ' [/INST]' }}{% else %}{{ '[INST] ' +"
        " m['content'] + ' [/INST]' }}{% endif %}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
    ),
    "zephyr": (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}{% if loop.last and"
        " add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}"
    ),
    "phi3": (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
}
TOKENS = [
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>",
    "<end_of_turn>", "[INST]", "[/INST]", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>",
]  # fmt: skip


def chat_tokenizer(folder, name=None, made="roberta"):
    """Return a tokenizer as ``made``, with the chat template called ``name``, if any, which pads on the left."""
    tokenizer = getattr(published, made)(folder)
    tokenizer.add_tokens(TOKENS, special_tokens=True)
    tokenizer.chat_template = TEMPLATES.get(name)
    tokenizer.padding_side, tokenizer.model_max_length = "left", sys.maxsize
    return tokenizer
