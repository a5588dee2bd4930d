"""BLEU's words: by a tokenizer of sacrebleu, named or chosen by script."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from packaging.requirements import Requirement

from zsc.data.words import ANY, UNSPACED, letters
from zsc.errors import ZscError, first_line, suggestion
from zsc.install import install_command
from zsc.metrics.accepted import counted
from zsc.metrics.base import Metric
from zsc.metrics.items import Columns

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

AUTO, USUAL = "auto", "13a"
PACKAGES = {"ja-mecab": "sacrebleu[ja]", "ko-mecab": "sacrebleu[ko]"}
WHOLE = rf"[{UNSPACED}]\p{{Script=Tibetan}}"  # letters that 13a leaves together
CHINESE = r"\p{Script=Han}\p{Script=Bopomofo}--[\U00020000-\U0003FFFF]"  # what the tokenizer zh splits
KANA = r"\p{Script=Hiragana}\p{Script=Katakana}ー"
MAINLY, SOME = 0.5, 0.1  # shares of letters


class Tokenized(Metric):
    """A metric of n-grams of the words that the tokenizer ``tokenize``, one of :func:`tokenizers`, finds.

    ``auto`` is one by the script of the reference texts or, without these, of the responses: of a whole run where it is
    :meth:`fitted`, else of those that are given.
    """

    effective_order: ClassVar[bool] = False

    def __init__(self, name: str, references: str | None = None, tokenize: str = AUTO):
        self.tokenize = tokenize
        super().__init__(name, references)

    @cached_property
    def bleu(self) -> "BLEU":
        """Sacrebleu's BLEU with the usual tokenizer or the one that was named."""
        return self.with_tokenizer(USUAL if self.tokenize == AUTO else self.tokenize)

    def with_tokenizer(self, tokenize: str) -> "BLEU":
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(tokenize=tokenize, effective_order=self.effective_order)

    def split_by(self, tokenize: str) -> "Tokenized":
        """Return this metric with another tokenizer."""
        return type(self)(self.measure, self.references, tokenize)

    def fitted(self, cells: Sequence[Columns]) -> tuple[Metric, str]:
        if self.tokenize != AUTO:
            return self, ""
        column = self.references or self.predictions

        def texts() -> Iterator[str]:
            return (text for columns in cells for text in columns.get(column) or [] if text is not None)

        plain = all(text.isascii() for text in texts())
        tokenize, why = (USUAL, "") if plain else choose(different(texts()))
        return self.split_by(tokenize), why and f"{self.measure}: {why}"

    def tokenizer_for(self, texts: Sequence[str]) -> str:
        """Return the name of the tokenizer for ``texts``."""
        return choose(texts)[0] if self.tokenize == AUTO else self.tokenize

    def options(self) -> list[str]:
        self.bleu.num_refs = counted(self.references)
        signature = str(self.bleu.get_signature())
        return [signature.replace(f"|tok:{USUAL}|", f"|tok:{AUTO}|") if self.tokenize == AUTO else signature]


@lru_cache
def splitter(tokenize: str) -> Callable[[str], list[str]]:
    """Return what splits a text into the words that the tokenizer ``tokenize`` finds."""
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(tokenize=tokenize)

    @lru_cache(maxsize=1 << 14)  # as one text, which is small
    def spaced(text: str) -> str:
        found = bleu._preprocess_segment(text)
        forget(bleu.tokenizer)
        return str(found)

    return lambda text: spaced(text).split()


def forget(tokenizer: Any) -> None:
    """Let go of what a tokenizer of sacrebleu keeps of up to 65,536 texts, which is several times their size."""
    for kept in (tokenizer, getattr(tokenizer, "_post_tokenizer", None)):
        if clear := getattr(type(kept).__call__, "cache_clear", None):
            clear()


def tokenizers() -> list[str]:
    """Return what can be named as a tokenizer: those of sacrebleu, and ``auto``."""
    from sacrebleu.metrics.bleu import BLEU

    return [AUTO, *BLEU.TOKENIZERS]


def check_tokenizer(name: Any) -> str:
    """Return ``name``. Raises ZscError unless it is one of :func:`tokenizers` and what it needs is there."""
    if name == AUTO:
        return AUTO
    if name not in (known := tokenizers()):
        allowed = ", ".join(known)
        raise ZscError(f"bleu.tokenize={name} is no tokenizer.{suggestion(str(name), known)} Known: {allowed}.")
    if why := unusable(name):
        install = f" Run: {install_command(Requirement(PACKAGES[name]))}" if name in PACKAGES else ""
        raise ZscError(f"bleu.tokenize={name} cannot be used: {why}{install}")
    return str(name)


@lru_cache
def unusable(name: str) -> str:
    """Say why sacrebleu cannot make the tokenizer ``name``; nothing if it can."""
    from sacrebleu.metrics.bleu import BLEU

    try:
        BLEU(tokenize=name)
    except (Exception, SystemExit) as error:  # of a package or a model that is not there, or of a download
        return first_line(error)
    return ""


def different(texts: Iterable[str]) -> Iterator[str]:
    """Yield the first of equal texts. They are told by hashes of 64 bits, so that none is held."""
    seen = set[int]()
    for text in texts:
        if (key := hash(text)) not in seen:
            seen.add(key)
            yield text


def choose(texts: Iterable[str]) -> tuple[str, str]:
    """Return the tokenizer for ``texts`` by their script [D], and what there is to say of it.

    It is 13a, unless most letters are of scripts without spaces, whose sentences that leaves whole. Then it is zh for
    Chinese; for Japanese, told by a tenth of kana, ja-mecab where it is installed; and char, which splits every letter,
    for all else.
    """
    counts = Counter[str]()
    for text in texts:
        counts[ANY] += letters(text, ANY)
        if not text.isascii():
            counts.update({script: letters(text, script) for script in (WHOLE, CHINESE, KANA)})
    unspaced, chinese, kana = (counts[script] / max(counts[ANY], 1) for script in (WHOLE, CHINESE, KANA))
    if unspaced <= MAINLY:
        few = f"{unspaced:.0%} of the letters are of scripts without spaces, which the tokenizer 13a leaves together;"
        return USUAL, "" if unspaced <= SOME else f"{few} bleu.tokenize=char splits all."
    if chinese + kana <= unspaced / 2:
        name = "char"
    elif kana <= SOME * unspaced:
        name = "zh"
    else:
        name = "char" if unusable("ja-mecab") else "ja-mecab"
    return name, f"tokenizer {name}, since the texts are mainly in scripts without spaces (bleu.tokenize=auto)."
