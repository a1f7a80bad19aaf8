"""``trivium inspect``: what is inside a corpus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["command"]

_FOLDS = ("train", "valid", "test")
_SHOWN_COLUMNS = 3
_SHOWN_CLASSES = 8
_SHOWN_TEXT = 160
_SHOWN_CLIPS = 30
_SHOWN_FAILURES = 5
_WHOLE_NAME = 30
_FEW_COLUMNS = 3
_NOTHING = (
    "The quality of this corpus cannot be told: it has no words, no columns of voice or face that trivium knows, "
    "and no notes of an extraction. Extract the clips with trivium, or look at it with `trivium inspect`."
)


def command(
    path: Annotated[Path, typer.Argument(help="A corpus folder.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Also verify the hash of every shard, every length and every label.")
    ] = False,
    quality: Annotated[
        bool,
        typer.Option("--quality", help="How far it can be trusted: words and their times, voice, face, loudness."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write the quality as one HTML page with small timelines.")
    ] = None,
) -> None:
    """Show what is inside a corpus: modalities, lengths, missing parts, labels, groups, splits, provenance.

    Steps are counted per utterance (minimum, median, maximum). Other formats become a corpus with `trivium read`.

    `--quality` says per clip and in total how many words have times and how they were timed, with what confidence; the
    voiced share, the loudness and clipped samples; at how many words and frames a face was seen; unknown words; what
    is missing and why; which ten clips to look at first; and what cannot be told from this corpus.

    **Examples**

    `trivium inspect corpus`

    `trivium inspect corpus --check --json | jq .modalities`

    `trivium inspect corpus --quality --html quality.html`
    """
    from trivium.corpus.store import check_corpus
    from trivium.corpus.summary import summary

    if quality or html is not None:
        if check:
            check_corpus(path)
        _tell_quality(path, html, as_json=json)
        return
    found = summary(path, check=check)
    if json:
        from trivium.files import canonical_json

        print(canonical_json(found), end="")
        return
    from rich.console import Console

    _show(Console(highlight=False), found)


def _tell_quality(path: Path, page: Path | None, *, as_json: bool) -> None:
    from trivium.report.quality import corpus_quality
    from trivium.report.quality_page import write_quality_page
    from trivium.report.quality_tables import nothing_known, quality_json, quality_tables

    found = corpus_quality(path)
    if page is not None:
        write_quality_page(page, found, path)
    if as_json:
        from trivium.files import canonical_json

        print(canonical_json(quality_json(found)), end="")
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(str(path), markup=False)
    if nothing_known(found):
        console.print(_NOTHING, soft_wrap=True)
    for table in quality_tables(found, clips=_SHOWN_CLIPS):
        _table(console, table.title, table.heads, table.rows, table.lead)
    if page is not None:
        console.print(f"page: {page}", markup=False, soft_wrap=True)


def _show(console: Console, found: Mapping[str, Any]) -> None:
    console.print(_head(found), markup=False)
    heads = ["modality", "D", "clock", "steps min / median / max", "empty", "missing", "non-finite"]
    _table(console, "Modalities", heads, map(_modality_row, found["modalities"]))
    _table(console, "Columns", ["modality", "extractor", "columns"], map(_columns_row, found["modalities"]))
    _table(console, "Labels", ["label", "kind", "declared", "found", "missing"], map(_label_row, found["labels"]))
    groups = [[name, str(g["values"]), str(g["missing"])] for name, g in found["groups"].items()]
    _table(console, "Groups", ["group", "values", "missing"], groups)
    splits = [
        [name, _some(f"{fold} {folds[fold]}" for fold in _in_order(folds))] for name, folds in found["splits"].items()
    ]
    _table(console, "Splits", ["split", "folds"], splits)
    provenance = [
        [key, _short(value)]
        for key, value in found["provenance"].items()
        if key not in ("findings", "notes", "failures")
    ]
    _table(console, "Provenance", ["key", "value"], provenance)
    _show_failures(console, found["provenance"])
    findings = [_finding_row(f, found["utterances"]) for f in _parts(found["provenance"], "findings")]
    _table(console, "What was found", ["kind", "in", "utterances", "count", "what"], findings)


def _show_failures(console: Console, provenance: Mapping[str, Any]) -> None:
    failures = list(_parts(provenance, "failures"))
    if not failures:
        return
    console.print("Clips that could not be extracted", style="bold")
    for failure in failures[:_SHOWN_FAILURES]:
        name = failure.get("clip") or failure.get("id", "")
        console.print(f"  {name}: {failure.get('reason', '')}", markup=False)
    if len(failures) > _SHOWN_FAILURES:
        console.print(f"  and {len(failures) - _SHOWN_FAILURES} more; see --quality", markup=False)
    else:
        console.print("  remedies: see --quality", markup=False)
    console.print()


def _head(found: Mapping[str, Any]) -> str:
    from trivium.wording import counted

    words, spans = found["words"], found["spans"]
    checked = "\nchecked: every hash, length and label holds" if found["checked"] else ""
    return (
        f"{found['path']}\n"
        f"utterances: {found['utterances']}, clips: {found['clips']['values']}, "
        f"minutes: {spans['seconds'] / 60:.1f} (span known in {spans['known']})\n"
        f"words: {words['words']} in {counted(words['utterances'], 'utterance')} (with times: {words['with_times']}, "
        f"with confidence: {words['with_confidence']})\n"
        f"size: {found['bytes'] / 1e6:.2f} MB, shards: {found['shards']}, "
        f"content: {found['content_hash'][:16]}{checked}"
    )


def _table(console: Console, title: str, columns: Iterable[str], rows: Iterable[Iterable[str]], lead: str = "") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    listed = [list(row) for row in rows]
    if not listed:
        return
    # titles and what heads mean are printed apart: inside a table they would be cut to its width
    console.print(title, style="bold", markup=False)
    if lead:
        console.print(lead, style="dim", markup=False)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        # a name is read as a whole where sentences stand beside it that can be folded instead
        widest = max(len(row[0]) for row in listed) if number == 0 and len(listed[0]) <= _FEW_COLUMNS else 0
        table.add_column(column, overflow="fold", min_width=min(widest, _WHOLE_NAME) or None)
    for row in listed:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def _modality_row(modality: Mapping[str, Any]) -> list[str]:
    steps, bad = modality["steps"], modality["nonfinite"]
    where = f" ({_some((f'{name} {n}' for name, n in bad['columns'].items()), _SHOWN_COLUMNS)})" if bad["cells"] else ""
    return [
        modality["modality"],
        str(modality["dim"]) + (" ids" if modality["dtype"] == "int32" else ""),
        modality["clock"],
        "-" if steps is None else " / ".join(f"{steps[key]:g}" for key in ("min", "median", "max")),
        str(modality["empty"]),
        str(modality["missing"]),
        f"{bad['cells']}{where}",
    ]


def _columns_row(modality: Mapping[str, Any]) -> list[str]:
    names = modality["columns"]
    made_by = " ".join(part for part in (modality["extractor"], modality["version"]) if part) or "-"
    few = names if len(names) <= _SHOWN_COLUMNS else [*names[: _SHOWN_COLUMNS - 1], "...", names[-1]]
    return [modality["modality"], made_by, ", ".join(few)]


def _in_order(folds: Mapping[str, int]) -> list[str]:
    return sorted(folds, key=lambda fold: (_FOLDS.index(fold) if fold in _FOLDS else len(_FOLDS), fold))


def _label_row(label: Mapping[str, Any]) -> list[str]:
    declared = "-" if label["range"] is None else f"{label['range'][0]:g} to {label['range'][1]:g}"
    if "counts" in label:
        declared = f"{len(label['classes'])} classes"
        found = _some((f"{name} {n}" for name, n in label["counts"].items()), _SHOWN_CLASSES)
    else:
        limits = label["found"]
        found = "-" if limits is None else f"{limits['min']:g} to {limits['max']:g}, median {limits['median']:g}"
        if label["outside"]:
            first = label["first_outside"]
            found += f"; {label['outside']} outside the range, first row {first['row']} ({first['utterance']})"
    return [label["key"], label["kind"], declared, found, str(label["missing"])]


def _some(items: Iterable[str], most: int = _SHOWN_CLASSES) -> str:
    listed = list(items)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _parts(provenance: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Findings or failures, also those of corpora that were joined."""
    own = provenance.get(key, [])
    joined = provenance.get("joined", [])
    found: list[Mapping[str, Any]] = [f for f in own if isinstance(f, dict)] if isinstance(own, list) else []
    for part in joined if isinstance(joined, list) else []:
        found += _parts(part, key) if isinstance(part, dict) else []
    return found


def _finding_row(finding: Mapping[str, Any], utterances: int) -> list[str]:
    from trivium.cli.read import what_and_where

    told = [str(finding.get(key, "")) for key in ("kind", "modality", "utterances", "count")]
    return [*told, what_and_where(finding, utterances)]


def _short(value: Any) -> str:
    from json import dumps

    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]} ..."
