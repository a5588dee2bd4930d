"""Languages of checkpoints that mark sources and responses with a token of each (mBART-50, NLLB, M2M-100)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zsc.errors import ZscError, suggestion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CODE = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")


def language_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Return the token id of every language code that ``tokenizer`` knows."""
    known = getattr(tokenizer, "lang_code_to_id", None)
    if known:
        return {str(code): int(index) for code, index in known.items()}
    return {token: index for token, index in tokenizer.get_added_vocab().items() if CODE.fullmatch(token)}


def language_token(code: str | None, key: str, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the token of the language ``code``, the value of the option ``key``.

    Raises ZscError, with codes that come close, where ``tokenizer`` has none.
    """
    known = language_tokens(tokenizer)
    if not known:
        raise ZscError(
            f"{key}={code}: this checkpoint's {type(tokenizer).__name__} has no tokens of languages. Set"
            " layout.language_tokens=false, or choose another layout."
        )
    if code is None:
        raise ZscError(f"{key} has no value. Give one of the checkpoint's codes: {_some(known)}.")
    if code not in known:
        alike = [one for one in known if one.partition("_")[0].startswith(code[:2].lower())]
        hint = suggestion(code, known) or (f" Did you mean {' or '.join(alike[:3])}?" if alike else "")
        raise ZscError(f"{key}={code} is no language of this checkpoint.{hint} It has: {_some(known)}.")
    return known[code]


def check_form(form: str, language: str | None, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise ZscError unless ``form``, with ``language`` in the place of {}, is a token of ``tokenizer``, or there is no
    ``language`` and not a choice of several either."""
    pattern = re.compile("(.+)".join(map(re.escape, form.split("{}"))))
    known = {match[1]: index for token, index in tokenizer.get_vocab().items() if (match := pattern.fullmatch(token))}
    known = dict(sorted(known.items()))
    if language is None and len(known) > 1:
        raise ZscError(f"layout.target_language has no value. Give one of the checkpoint's: {_some(known)}.")
    if language is not None and language not in known:
        has = f" It has: {_some(known)}." if known else f" It has none of the form {form}: leave the option out."
        raise ZscError(
            f"layout.target_language={language} is no language of this checkpoint.{suggestion(language, known)}{has}"
        )


def _some(known: dict[str, int]) -> str:
    shown = list(known)[:12]
    return ", ".join(shown) + (f" and {len(known) - len(shown)} more" if len(known) > len(shown) else "")


@contextmanager
def reading(code: str | None, tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Have ``tokenizer`` mark texts as of the language ``code``, if there is one, while the context is open."""
    if code is None:
        yield
        return
    language_token(code, "layout.source_language", tokenizer)
    marking: Any = tokenizer
    before = marking.src_lang
    marking.src_lang = code
    try:
        yield
    finally:
        marking.src_lang = before
