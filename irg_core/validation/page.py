"""A verdict as a page that a person reads, without anything from the net."""

from collections.abc import Sequence

from jinja2 import Environment

from irg_core.validation.verdicts import Outcome

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; max-width: 62rem; margin: 2.5rem auto; padding: 0 1.5rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #e3e8ee; vertical-align: top }
th { font-weight: 600; color: #5b6b7b } .n { text-align: right; width: 7rem } td.s { width: 1.5rem }
.holds { color: #187a4b } .broken { color: #b3261e } code { font-size: .85em; color: #5b6b7b }
</style></head><body>
<h1>{{ title }}: {% if broken %}<span class="broken">{{ broken }} of {{ total }} expectations are broken</span>
{% else %}<span class="holds">all {{ total }} expectations hold</span>{% endif %}</h1>
{% for table, outcomes in tables %}
<h2>{{ table }}</h2>
<table><tr><th></th><th>what must be true</th><th>expectation</th><th class="n">rows</th></tr>
{% for o in outcomes %}<tr><td class="s {{ 'holds' if o.holds else 'broken' }}">{{ '✓' if o.holds else '✗' }}</td>
<td>{{ o.sentence }}
{% if not o.holds %}<br><code>{{ o.violations }} rows: {{ o.samples | join('; ') }}</code>{% endif %}</td>
<td><code>{{ o.expectation }}</code></td><td class="n">{{ '{:,}'.format(o.rows) }}</td></tr>
{% endfor %}</table>
{% endfor %}
</body></html>
"""


def render(title: str, outcomes: Sequence[Outcome]) -> str:
    tables: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        tables.setdefault(outcome.table, []).append(outcome)
    broken = sum(not outcome.holds for outcome in outcomes)
    template = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    return template.render(title=title, tables=list(tables.items()), broken=broken, total=len(outcomes)) + "\n"
