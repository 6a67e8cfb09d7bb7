"""Writes the parts of the pages in docs/ that can be generated: the map of files and the tables.

    python docs/build_pages.py            write them
    python docs/build_pages.py --check    exit status 1 where a page is not current

A Python file is described by the first sentence of its docstring, a template, script or style sheet by that of the
comment it opens with. tests/unit/test_docs.py fails when a page is stale.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "brightrun"
TOP_DOWN = (
    *("cli", "web", "worker", "jobs", "database", "storage", "compute"),
    *("evaluation", "planning", "datasets", "runs", "charts", "templating", "catalogue", "contract"),
)
OTHER_FILES = {
    "catalogue/gpus.toml": "GPUs: memory, nominal speed, dated prices with their sources.",
    "catalogue/models.toml": "Base models: hub ids, pinned revisions, shapes, licenses.",
    "catalogue/recipes.toml": "The recipes' values.",
    "catalogue/speeds.toml": "How fast machines train, and times beside the steps: each with its origin.",
    "evaluation/templates/model_card.md": "The adapter's model card.",
    "evaluation/templates/retention.html": "What was lost and what leaks, in the report.",
    "evaluation/templates/retention.md": "What was lost and what leaks, in the model card.",
    "evaluation/templates/report.css": "The report's style, put into the page itself.",
    "evaluation/templates/report.html": "The report's page.",
    "runs/general_questions.toml": "The general questions asked before and after training.",
    "web/static/charts.js": "Shows a chart's values under the pointer and by the arrow keys.",
    "py.typed": "Says that the package has types.",
}
_OPENING_COMMENT = re.compile(r"\{#-?(.+?)-?#\}|((?://[^\n]*\n)+)|/\*(.+?)\*/|<!--(.+?)-->", re.DOTALL)


def pages() -> dict[Path, str]:
    """Every page with generated parts, as it should be now."""
    docs = REPOSITORY / "docs"
    recipes, planning = docs / "recipes.md", docs / "planning.md"
    return {
        planning: _filled(planning, {"specification": specification_tables(), "figures": figures_table()}),
        docs / "map.md": _filled(docs / "map.md", {"map": package_map()}),
        docs / "platforms.md": _filled(docs / "platforms.md", {"platforms": platform_table()}),
        recipes: _filled(
            recipes, {"recipes": recipe_table(), "settings": settings_table(), "environment": environment_table()}
        ),
    }


def package_map() -> str:
    """One folded table per room, from the top room down to the modules that belong to none."""
    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    known = [name for name in TOP_DOWN if name in found]
    return "\n".join(_room(name) for name in [*known, *sorted(found.difference(known)), ""])


def recipe_table() -> str:
    """What each recipe sets; an empty cell is the default."""
    from brightrun.catalogue.recipes import load_recipes
    from brightrun.contract.hyperparameters import Hyperparameters

    recipes = load_recipes()
    named = [name for name in Hyperparameters.model_fields if any(name in r.hyperparameters for r in recipes.values())]
    lines = [f"* **{name}**: {recipe.description}" for name, recipe in recipes.items()]
    lines += ["", f"| setting | {' | '.join(recipes)} |", f"|---|{'---|' * len(recipes)}"]
    for name in named:
        cells = [str(recipe.hyperparameters.get(name, "")) for recipe in recipes.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def settings_table() -> str:
    """Every setting of a run, from the model that both machines share."""
    from brightrun.contract.hyperparameters import Hyperparameters

    lines = ["| setting | default | what it does |", "|---|---|---|"]
    for name, field in Hyperparameters.model_fields.items():
        default = ", ".join(field.default) if isinstance(field.default, tuple) else field.default
        shown = "" if default is None else f"`{default}`"
        lines.append(f"| `{name}` | {shown} | {field.description} |")
    return "\n".join(lines)


def environment_table() -> str:
    """Every key of the environment, or of a file named .env, that is read."""
    from pydantic import AliasChoices

    from brightrun.settings import PREFIX, Settings

    lines = ["| key | what it is |", "|---|---|"]
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        keys = [str(key) for key in alias.choices] if isinstance(alias, AliasChoices) else [str(alias or "")]
        shown = " or ".join(f"`{key or PREFIX + name.upper()}`" for key in keys)
        lines.append(f"| {shown} | {field.description} |")
    return "\n".join(lines)


def platform_table() -> str:
    """What works on which operating system, from the module that the commands ask."""
    from brightrun.platforms import PLATFORMS, Ability

    lines = [f"| platform | {' | '.join(ability.value.lower() for ability in Ability)} | tried |"]
    lines += [f"|---|{'---|' * len(Ability)}---|"]
    for platform in PLATFORMS.values():
        works = " | ".join("yes" if ability in platform.abilities else "no" for ability in Ability)
        lines.append(f"| {platform.title} | {works} | {platform.tried} |")
    return "\n".join(lines)


def specification_tables() -> str:
    """Our figures for Llama 3 70B beside the product specification's."""
    from brightrun.planning import specification

    parts = []
    for table in specification.specification_tables():
        aligned = ["---:" if column.startswith(">") else "---" for column in table.columns]
        header = [column.removeprefix(">") for column in table.columns]
        rows = [header, aligned, *table.rows]
        parts += [f"**{table.title}**", "", *(f"| {' | '.join(row)} |" for row in rows), "", table.note, ""]
    return "\n".join(parts).rstrip()


def figures_table() -> str:
    """Every recorded speed and time with its origin."""
    from brightrun.catalogue.speeds import load_mfu, load_processor_costs, load_startup

    lines = ["| figure | value | origin | date | source |", "|---|---|---|---|---|"]
    for use in load_mfu():
        name = f"{use.model} in {use.precision} on {use.gpu}, {use.engine}"
        lines.append(f"| {name} | {use.share:.1%} of nominal | {use.origin} | {use.date} | {use.source} |")
    costs = load_processor_costs()
    shares = f"{costs.matmul_share:.0%} of the CPU speed test's products, {costs.attention_share:.0%} in attention"
    lines.append(f"| a processor, {costs.engine} | {shares} | {costs.origin} | {costs.date} | {costs.source} |")
    for (device, key), row in load_startup().items():
        value = row.value
        unit = "s" if row.seconds else "bytes/s" if row.bytes_per_second else "tokens/s"
        told = f"{value.expected:,.0f} ({value.low:,.0f} to {value.high:,.0f}) {unit}"
        lines.append(f"| {key}, {device} | {told} | {row.origin} | {row.date} | {row.source} |")
    return "\n".join(lines)


def _room(name: str) -> str:
    folder = PACKAGE / name if name else PACKAGE
    files = sorted(path for path in (folder.rglob("*") if name else folder.glob("*")) if _belongs(path))
    title = f"{name}/" if name else "brightrun/, beside the rooms"
    about = first_sentence(folder / "__init__.py")
    rows = [f"| `{path.relative_to(folder).as_posix()}` | {_described(path)} |" for path in files]
    opening = f"<details><summary><b>{title}</b> {about}</summary>\n"
    return "\n".join([opening, "| file | what it is |", "|---|---|", *rows, "\n</details>"])


def _belongs(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _described(path: Path) -> str:
    name = path.relative_to(PACKAGE).as_posix()
    if path.suffix == ".py":
        return first_sentence(path)
    if name in OTHER_FILES:
        return OTHER_FILES[name]
    if (comment := _OPENING_COMMENT.match(path.read_text(encoding="utf-8"))) is not None:
        return _sentence(" ".join(next(filter(None, comment.groups())).replace("//", " ").split()))
    raise SystemExit(f"docs/build_pages.py: {name} needs a comment at its top, or a line in OTHER_FILES.")


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return _sentence(" ".join(docstring.partition("\n\n")[0].split()))


def _sentence(text: str) -> str:
    found = re.match(r".*?[.!?](?=\s|$)", text)
    sentence = found.group() if found else text
    return sentence.replace("|", "\\|")


def _filled(page: Path, parts: dict[str, str]) -> str:
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def main() -> int:
    stale = [(path, text) for path, text in pages().items() if path.read_text(encoding="utf-8") != text]
    for path, text in stale:
        sys.stdout.write(f"{path.relative_to(REPOSITORY)} is {'stale' if '--check' in sys.argv else 'written'}\n")
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
