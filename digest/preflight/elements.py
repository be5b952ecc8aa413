"""What every rule on the HTML asks of an element, and says of it."""

from lxml.html import HtmlElement

from digest.models import Finding, Severity


def point_at(element: HtmlElement, rule: str, severity: Severity, message: str) -> Finding:
    """A finding with the place of an element."""
    return Finding(rule=rule, severity=severity, message=message, where=place_of(element))


def place_of(element: HtmlElement) -> str:
    """Its line and its name, as findings say them."""
    return f"HTML, line {element.sourceline}, <{element.tag}>"


def words_of(element: HtmlElement) -> str:
    """What stands in it, in one line."""
    return " ".join(str(element.text_content()).split())
