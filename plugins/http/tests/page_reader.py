"""A page as a browser without JavaScript has it: its text, links, forms; and whether anything in it could run."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """A page that was read; fails where it is not well nested."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.links: list[str] = []
        self.forms: list[dict[str, object]] = []
        self.scripts: list[dict[str, str | None]] = []
        self.unsafe: list[str] = []
        self.buttons: list[str] = []
        self.ids: list[str] = []
        self.title = ""
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"left open: {self._open}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    @property
    def actions(self) -> list[str]:
        return [str(form["action"]) for form in self.forms if form["method"] == "post"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        self.unsafe += [f"{tag} {name}" for name in found if name.startswith("on") or name == "style"]
        if tag in ("style", "iframe", "object", "embed", "base"):
            self.unsafe.append(tag)
        for name in ("href", "src", "action"):
            if (found.get(name) or "").strip().lower().startswith(("javascript:", "data:", "http:", "//")):
                self.unsafe.append(f"{tag} {name}={found[name]}")
        if "id" in found:
            self.ids.append(str(found["id"]))
        match tag:
            case "a":
                self.links.append(found.get("href") or "")
            case "script":
                self.scripts.append(found)
            case "form":
                self.forms.append(found | {"fields": {}})
            case "input" if self.forms and found.get("name"):
                self.forms[-1]["fields"][found["name"]] = found.get("value") or ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "title":
            self.title += data if len(self._open) == 3 else ""
        if self._open and self._open[-1] == "button":
            self.buttons.append(data.strip())
        if self._open and self._open[-1] == "script":
            self.unsafe.append(f"inline script {data[:40]}")
        self._words.append(data)
