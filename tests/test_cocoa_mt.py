"""CoCoA-MT's official layout, with sentences by hand."""

import pytest

from zsc.data import load_records
from zsc.data.record import Record
from zsc.errors import ZscError

TEXTS = {  # of one domain
    (): ["Are you sure?", "Tell me  more."],
    ("formal",): ["Sind Sie sicher?", "Erz\u00e4hlen Sie mehr."],
    ("informal",): ["Bist du sicher?", "Erz\u00e4hl mehr."],
    ("formal", "annotated"): ["[F]Sind Sie[/F] sicher?", "[F]Erz\u00e4hlen Sie[/F] mehr."],
    ("informal", "annotated"): ["[F]Bist du[/F] sicher?", "[F]Erz\u00e4hl[/F] mehr."],
    ("formal", "feminine"): ["x", "y"],
}


def write(root, split="test", pair="en-de", name=None, languages=False, domains=("telephony", "topical_chat")):
    folder = root / split / pair
    folder.mkdir(parents=True)
    for domain in domains:
        for kind, texts in TEXTS.items():
            language = (pair.split("-")[1] if kind else pair.split("-")[0],) if languages else ()
            file = ".".join(("formality-control", split, domain, name or pair, *kind, *language))
            (folder / file).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return folder


def load(path, **options):
    return load_records("cocoa_mt", path=str(path), **options)


def wanted(register="formal", domains=("telephony", "topical_chat")):
    return [
        Record(
            f"{domain}/{i + 1}", (), TEXTS[register,][i], topic=domain.replace("_", " "),
            fields={"source": " ".join(TEXTS[()][i].split()), "formal_annotated": TEXTS["formal", "annotated"][i],
                    "informal_annotated": TEXTS["informal", "annotated"][i]},
        )
        for domain in domains
        for i in range(2)
    ]  # fmt: skip


@pytest.mark.parametrize("register", ["formal", "informal"])
def test_sentences_with_both_translations_and_their_marks(tmp_path, register):
    write(tmp_path)
    assert load(tmp_path, register=register) == wanted(register)
    assert load(tmp_path, register=register, domains=("topical_chat",)) == wanted(register, ("topical_chat",))


@pytest.mark.parametrize("pair", ["en-nl", "en-pt"])
def test_files_whose_names_end_in_the_language(tmp_path, pair):
    write(tmp_path, "train", pair, "en-ptpt" if pair == "en-pt" else None, languages=True)
    assert load(tmp_path, split="train", target_language=pair[3:]) == wanted()


def test_the_repository_is_found_and_so_is_the_environment_variable(tmp_path, monkeypatch):
    write(tmp_path / "contrastive-controlled-mt" / "CoCoA-MT")
    assert load(tmp_path / "contrastive-controlled-mt") == wanted()
    monkeypatch.setenv("ZSC_DATA", str(tmp_path))
    assert load_records("cocoa_mt") == wanted()
    monkeypatch.delenv("ZSC_DATA")
    with pytest.raises(ZscError, match=r"cocoa_mt: no data folder given. Clone https://github.com/amazon-science"):
        load_records("cocoa_mt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tets"}, r"dataset.split: no folder tets in .* Did you mean 'test'\? It has: test. Clone"),
        ({"target_language": "fr"}, r"dataset.target_language: no folder en-fr in .* It has: en-de"),
        ({"domains": ("telefony",)}, r"no telefony in .* Did you mean 'telephony'\? It has: telephony, topical_chat"),
        ({"register": "formel"}, r"dataset.register=formel is not one of formal, informal. Did you mean 'formal'"),
    ],
)
def test_what_is_not_there(tmp_path, options, message):
    write(tmp_path)
    with pytest.raises(ZscError, match=message):
        load(tmp_path, **options)


def test_files_that_lack_or_have_other_lines(tmp_path):
    folder = write(tmp_path, domains=("telephony",))
    annotated = folder / "formality-control.test.telephony.en-de.informal.annotated"
    annotated.write_text("[F]Bist du[/F] sicher?\n")
    with pytest.raises(ZscError, match=r"informal.annotated has 1 lines and .*telephony.en-de 2"):
        load(tmp_path)
    annotated.unlink()
    with pytest.raises(ZscError, match=r"en-de: no file of test.telephony.informal.annotated. Fetch"):
        load(tmp_path)
