"""Words, sentences and scores in every script; what is ASCII is scored as it always was."""

import csv
import io
import json
import math
import random
import re
import sys
import unicodedata

import pytest
import sacrebleu
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from zsc.cli.main import main
from zsc.data.record import Record
from zsc.data.similarity import most_similar
from zsc.data.words import is_unspaced, length, words
from zsc.errors import ZscError
from zsc.metrics import METRICS, build_metrics
from zsc.metrics.as_evaluate import AsEvaluate
from zsc.metrics.items import build_columns
from zsc.metrics.sentences import is_question, sentences
from zsc.metrics.tokenized import check_tokenizer, choose, tokenizers, unusable

# ruff: noqa: RUF001

COPIES = {  # a sentence, its half and the number of words of both, counted by hand
    "Russian": ("Кошка сидела на коврике, ёлка стояла рядом.", "Кошка сидела на", 7, 3),
    "Chinese": ("猫坐在垫子上，狗在睡觉。", "猫坐在垫子", 10, 5),
    "Japanese": ("ねこはコーヒーを飲んだ。", "ねこはコー", 11, 5),
    "Korean": ("고양이가 매트 위에 앉아 있었다.", "고양이가 매트 위에", 5, 3),
    "Hindi": ("बिल्ली चटाई पर बैठी थी।", "बिल्ली चटाई पर", 5, 3),
    "Arabic": ("جَلَسَتِ القطة على السجادة اليوم؟", "جَلَسَتِ القطة", 5, 2),
    "Hebrew": ("החתול ישב על המחצלת היום.", "החתול ישב על", 5, 3),
    "Greek": ("Η γάτα κάθισε στο χαλί σήμερα;", "Η γάτα κάθισε", 6, 3),
    "Thai": ("แมวนั่งบนเสื่อ", "แมวนั่ง", 10, 5),
    "Lao": ("ແມວນັ່ງ", "ແມວ", 5, 3),
    "Khmer": ("ឆ្មាអង្គុយលើកន្ទេល", "ឆ្មាអង្គុយ", 8, 4),
    "Burmese": ("ကြောင်ထိုင်သည်", "ကြောင်", 6, 2),
    "Tibetan": ("བོད་སྐད་ཡིག་རེད།", "བོད་སྐད་", 4, 2),
    "Amharic": ("ድመቷ ምንጣፉ ላይ ተቀመጠች ዛሬ።", "ድመቷ ምንጣፉ ላይ", 5, 3),
    "Georgian": ("კატა იჯდა ხალიჩაზე დღეს დილით.", "კატა იჯდა ხალიჩაზე", 5, 3),
    "Armenian": ("Կատուն նստած էր գորգի վրա։", "Կատուն նստած էր", 5, 3),
    "Tamil": ("பூனை பாயில் அமர்ந்தது இன்று காலை.", "பூனை பாயில்", 5, 2),
    "Persian": ("گربه می‌خواهد روی فرش بنشیند.", "گربه می‌خواهد", 5, 2),
    "Vietnamese": ("Con mèo ngồi trên tấm thảm.", "Con mèo ngồi", 6, 3),
    "mixed": ("我喜歡Python 和 café ， don’t you？", "我喜歡Python 和", 9, 5),
}
FULL = ["knowledge_precision", "knowledge_rouge1", "knowledge_rouge2", "knowledge_rougeL", "knowledge_f1",
        "knowledge_copied_run", "knowledge_copy_rate", "phrase_copy_rate", "dialog_precision",
        "dialog_precision2"]  # fmt: skip


def value(name, response, texts=None):
    metric = METRICS[name](name)
    return AsEvaluate(metric).compute(predictions=response, **({} if texts is None else {"references": texts}))[name]


@pytest.mark.parametrize("language", COPIES)
def test_copies_score_by_hand_in_every_script(language):
    text, half, count, of_half = COPIES[language]
    half_words = words(half)
    assert (len(words(text)), len(half_words)) == (count, of_half)
    for form in ("NFC", "NFD"):  # an accent is the same composed and decomposed
        response = unicodedata.normalize(form, text)
        assert {name: value(name, [response], [text]) for name in FULL} == dict.fromkeys(FULL, 1)
        assert value("knowledge_novelty", [response], [text]) == value("repetition", [response]) == 0
        assert value("reference_meteor", [response], [text]) == pytest.approx(1 - 0.5 / count**3)
    assert value("reference_chrf", [text], [text]) == pytest.approx(100)
    assert value("knowledge_bleu", [text], [text]) == pytest.approx(100)
    assert value("knowledge_rouge1", [half], [text]) == pytest.approx(2 * of_half / (of_half + count))
    assert value("knowledge_precision", [text], [half]) == pytest.approx(of_half / count)
    assert value("knowledge_copied_run", [text], [half]) == pytest.approx(of_half / count)
    assert value("knowledge_novelty", [text], [half]) == pytest.approx((count - of_half) / (count - 1))
    assert value("distinct1", [half, half]) == pytest.approx(len(set(half_words)) / (2 * of_half))
    assert value("repetition", [f"{text} {text}"]) == pytest.approx((count - 3) / (2 * count - 3))
    assert value("self_bleu", [text] * 2) == pytest.approx(100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CAFÉ, café", "café café"),
        ("don’t - ‘well-known’ don't", "don t well known don t"),
        ("п'ять п’ять пʼять", "п ять п ять п ять"),
        ("Straße STRASSE", "strasse strasse"),
        ("ΟΔΟΣ οδός", "οδοσ οδόσ"),
        ("Netflix™ m² … — 👍🏽❤️", "netflix m2"),
        ("ＡＢＣ１２ ｶﾞｷﾞ", "abc12 ガ ギ"),
        ("infor\u00admation a\u200bb می\u200cخواهم", "information a b میخواهم"),
        ("١٢٣ २०२४ ๒๕๖๗年", "١٢٣ २०२४ ๒๕๖๗ 年"),
        ("ሰላም፡ለዓለም ፳፻", "ሰላም ለዓለም ፳፻"),
        ("〇々ー第3回", "〇 々 ー 第 3 回"),
        ("क्ष্ন", "क्ष্ন"),
        ("ﷺ ﬁn", "صلى الله عليه وسلم fin"),
        ("한\u1100\u1161", "한가"),
    ],
)
def test_words_by_hand(text, expected):
    assert " ".join(words(text)) == expected


def test_no_letter_or_number_is_overlooked():
    # an apostrophe, Hangul fillers, which are not shown, and compatibility forms of marks that stand alone
    none = {
        "\u02bc",
        *"\u115f\u1160\u3164\uffa0",
        "\uff9e",
        "\uff9f",
        *map(chr, [*range(0xFC5E, 0xFC64), *range(0xFE70, 0xFE80)]),
    }
    lost = [
        chr(i)
        for i in range(sys.maxunicode)
        if not 0x3400 < i < 0xD7A3 and not 0x17000 < i < 0x19000 and i < 0x20000
        and unicodedata.category(chr(i))[0] in "LN" and not words(chr(i)) and chr(i) not in none
    ]  # fmt: skip
    assert not lost


OLD_SPLIT = re.compile(
    r"(?<=[?!])\s+|(?<=[.?!])[\"')\]]+\s+(?=[\"'(\[]*[A-Z0-9])|(?<=\.)\s+(?=[\"'(\[]*[A-Z0-9])"
)  # fmt: skip


def old_sentences(text):
    found = []
    for piece in filter(str.strip, OLD_SPLIT.split(text)):
        if found and (not re.search(r"\w", piece) or re.search(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St)\.$", found[-1])):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found


def old_f1(response, known):
    def normal(text):
        text = "".join(" " if c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" else c for c in text.lower())
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    response, known = normal(response), normal(known)
    both = sum(min(response.count(word), known.count(word)) for word in set(response))
    return 2 * both / max(len(response) + len(known), 1)


class NoSynonyms:
    def synsets(self, word):
        return []


def ascii_texts():
    rng = random.Random(0)
    pieces = [*map(chr, range(128)), *" .?!'\"aAbBeT09" * 6, "Mr. ", "the ", "? ", ". ", '" ', "\x1c", "dogs", "dog"]
    return ["".join(rng.choice(pieces) for _ in range(rng.randint(0, 60))) for _ in range(600)]


def test_what_is_ascii_is_read_as_it_always_was(parlor):
    """The references are rouge-score's own tokenization, and what was computed from [a-z0-9]+ before."""
    texts = [text for one in parlor for text in (one.knowledge, one.reference, *(turn.text for turn in one.history))]
    texts = [text for text in texts if text and text.isascii()]
    assert len(texts) > 1000
    scorer, stemmer = RougeScorer(["rouge1", "rouge2", "rougeL"]), PorterStemmer()
    texts += ascii_texts()
    for text, other in zip(texts, texts[1:] + texts[:1], strict=True):
        split = re.findall("[a-z0-9]+", text.lower())
        assert list(words(text)) == split == tokenize(text, None) and length(text) == len(text.split())
        questions = [any(c == "?" for c in re.search(r"[^\w]*$", one).group()) for one in old_sentences(text)]
        assert sentences(text) == old_sentences(text) and [is_question(one) for one in sentences(text)] == questions
        old = scorer.score(other, text)
        for kind in old:
            assert METRICS[f"knowledge_{kind}"](kind).statistics([text], [other]) == old[kind].fmeasure
        assert METRICS["reference_f1"]("x").statistics([text], [other]) == pytest.approx(old_f1(text, other), abs=1e-15)
        if len(text) % 7:
            continue  # METEOR takes longer
        known = re.findall("[a-z0-9]+", other.lower())
        meteor = single_meteor_score(known, split, stemmer=stemmer, wordnet=NoSynonyms())
        assert METRICS["reference_meteor"]("x").compare(text, other) == meteor


def test_english_in_ascii_stems_and_other_words_match_only_whole():
    assert value("reference_meteor", ["cafés"], ["café"]) == 0
    assert value("reference_meteor", ["it runs"], ["it running"]) > 0.9


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("Τι κάνεις; Καλά.", [1, 0]),
        ("Τι κάνεις\u037e Καλά.", [1, 0]),
        ("I am fine; naïve, though.", [0]),
        ("Ինչպե՞ս ես։ Լավ եմ։", [1, 0]),
        ("ደህና ነህ፧ ደህና ነኝ።", [1, 0]),
        ("Он ушёл. Она пришла? Да.", [0, 1, 0]),
        ("تم كیا؟ ہاں۔ ٹھیک۔", [1, 0, 0]),
        ("तुम कैसे हो? मैं ठीक हूँ। अच्छा।", [1, 0, 0]),
        ("本当？！はい。そう。", [1, 0, 0]),
        ("Hm… Well? Élan.", [0, 1, 0]),
        ("რა გქვია? გია. კარგი.", [1, 0, 0]),
        ("နေကောင်းလား။ ကောင်းတယ်။", [0, 0]),
        ("円は３．１４です。", [0]),
        ("«Правда?» Да.", [1, 0]),
        ("¿Qué? ¡No!", [1, 0]),
    ],
)
def test_sentences_and_questions_by_hand(text, questions):
    assert [is_question(one) for one in sentences(text)] == [bool(one) for one in questions]
    assert value("question_rate", [text]) == any(questions)
    assert value("question_sentence_rate", [text]) == pytest.approx(sum(questions) / len(questions))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("我喜歡Python 3。 don’t", 6),
        ("Привет - мир!", 3),
        ("ሰላም፡ለዓለም", 2),
        ("བོད་སྐད", 2),
        ("。", 1),
        ("", 0),
        ("a 👍", 2),
    ],
)
def test_length_by_hand(text, count):
    assert value("length", [text]) == count


def test_keywords_by_hand():
    chinese = "吉他很好听。\n茶"  # 吉他 他很 很好 好听, and 茶 alone
    # 弹吉 吉他: one of two; 茶 alone is one of one; 听 好 of three: 我听 听好 好; no keyword
    assert value("topic_keywords", ["弹吉他", "茶", "我听"], [chinese] * 3) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert value("topic_keywords", ["나는 학교"], ["학교 그"]) == pytest.approx(1 / 2)  # 학교 has five parts, 그 two
    assert value("topic_keywords", ["Я люблю музыку"], ["музыку и"]) == pytest.approx(1 / 3)
    assert value("topic_keywords", ["a b"], ["it is"]) == 0 and math.isnan(value("topic_keywords", ["и"], ["и я"]))
    assert is_unspaced("น้ํ") and not is_unspaced("한") and not is_unspaced("a")


def test_what_cannot_be_measured_has_no_value():
    for name in ("knowledge_rouge1", "knowledge_precision", "knowledge_f1", "knowledge_copied_run", "reference_meteor"):
        assert math.isnan(value(name, ["👍"], ["👍🏽"]))
        # as ever: no word in common, and what is ASCII
        assert value(name, ["👍"], ["yes"]) == value(name, ["..."], ["..."]) == value(name, ["да"], ["👍"]) == 0
    assert math.isnan(value("knowledge_copy_rate", ["👍"], ["👍"]))
    for name in ("sentiment_compound", "positive_rate", "negative_rate"):
        assert math.isnan(value(name, ["Я ненавижу iPhone 👍"]))
        assert not math.isnan(value(name, ["I love 東京, naïve or not 😀"])) and not math.isnan(value(name, ["😀"]))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["The cat."], "13a"),
        (["Кошка сидит.", "고양이가 있다"], "13a"),
        (["猫坐在垫子上", "I"], "zh"),
        (["彼はコーヒーを飲んだ", "東京都"], "char" if unusable("ja-mecab") else "ja-mecab"),
        (["แมวนั่งบนเสื่อ"], "char"),
        (["བོད་སྐད་ཡིག་རེད།"], "char"),
        (["𠀀𠀁𠀂𠀃𠀄"], "char"),
        ([], "13a"),
    ],
)
def test_the_tokenizer_of_bleu_follows_the_script_of_the_references(texts, expected):
    chosen, why = choose(texts)
    assert chosen == expected and (expected in why if expected != "13a" else not why)
    records = [Record(text, (), knowledge=text) for text in texts]
    columns = build_columns(records, {one.id: {"response": "x"} for one in records}, 1, [], [])
    for metric in build_metrics(["knowledge_bleu"]):
        assert "|tok:auto|" in metric.signature
        assert f"|tok:{expected}" in metric.fitted([columns])[0].signature
    assert build_metrics(["self_bleu"], "intl")[0].fitted([columns])[1] == ""


def test_other_scripts_through_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "猫坐在垫子上，狗在睡觉。"
    rows = [
        {"history": "你好吗？", "knowledge": text, "reference": text, "response": one} for one in (text, "I love it")
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def scored(*more):
        names = "knowledge_rouge1,reference_meteor,knowledge_bleu,self_bleu,sentiment_compound,length"
        code = main(["score", "x.jsonl", f"metrics=[{names}]", "resampling.resamples=50", "format=csv", *more])
        out, err = capsys.readouterr()
        return code, {row["metric"]: row for row in csv.DictReader(io.StringIO(out))}, err

    code, table, err = scored()
    assert code == 0 and float(table["knowledge_rouge1"]["value"]) == 0.5 and float(table["length"]["value"]) == 6.5
    assert {name: row["dropped"] for name, row in table.items() if row["dropped"] != "0"} == {"sentiment_compound": "1"}
    assert "sentiment_compound: 1 of 2 responses have no value, for lack of text mainly in Latin letters" in err
    assert "knowledge_bleu: tokenizer zh, since" in err and "|tok:zh|" in table["knowledge_bleu"]["signature"]
    assert "|tok:unicode-words|" in table["knowledge_rouge1"]["signature"]
    code, table, err = scored("bleu.tokenize=13a")
    assert code == 0 and "|tok:13a|" in table["self_bleu"]["signature"] and "tokenizer" not in err
    assert scored("bleu.tokenize=x")[0] == 2


def test_some_text_that_13a_leaves_together_is_said():
    name, why = choose(["The cat sat on the mat.", "猫坐在垫子上"])
    assert name == "13a" and why.startswith("26% of the letters") and "bleu.tokenize=char" in why


@pytest.mark.parametrize("name", ["zh", "char", "intl", "13a", "none"])
def test_a_named_tokenizer_is_sacrebleus(name):
    responses, texts = ["猫坐在垫子上 and sat. Да", "Он ушёл, да"], ["猫在垫子上 and sat! Да", "Он «ушёл», да"]
    bleu, own = build_metrics(["knowledge_bleu", "self_bleu"], name)
    expected = sacrebleu.corpus_bleu(responses, [texts], tokenize=name).score
    assert AsEvaluate(bleu).compute(predictions=responses, references=texts)["knowledge_bleu"] == pytest.approx(
        expected
    )
    alone = [
        sacrebleu.sentence_bleu(one, [other], tokenize=name, use_effective_order=True).score
        for one, other in (responses, responses[::-1])
    ]
    assert AsEvaluate(own).compute(predictions=responses)["self_bleu"] == pytest.approx(sum(alone) / 2)


def test_a_tokenizer_that_is_none_or_cannot_be_used():
    with pytest.raises(ZscError, match="Did you mean 'ja-mecab'"):
        check_tokenizer("jamecab")
    assert tokenizers()[0] == "auto" and check_tokenizer("auto") == "auto"
    if unusable("ja-mecab"):
        with pytest.raises(ZscError, match=r"bleu.tokenize=ja-mecab cannot be used: .*pip install 'sacrebleu\[ja\]'"):
            check_tokenizer("ja-mecab")


@pytest.mark.parametrize(
    ("known", "response"),
    [
        (["我喜歡音樂和電影。", "今天的天氣很好。"], ["音樂很棒", "天氣好嗎"]),
        (["मुझे संगीत पसंद है।", "आज मौसम अच्छा है।"], ["संगीत", "मौसम कैसा है"]),
        (["Я люблю музыку.", "Сегодня дождь."], ["О музыку!", "А дождь?"]),
        (["ฉันชอบดนตรี", "วันนี้ฝนตก"], ["ดนตรี", "ฝน"]),
    ],
)
def test_knowledge_is_chosen_in_every_script(known, response):
    choices = most_similar(known, response)
    assert [choice.index for choice in choices] == [0, 1] and all(choice.similarity > 0.2 for choice in choices)
