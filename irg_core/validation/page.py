"""A verdict as a page that a person reads, without anything from the net."""

from collections.abc import Sequence

from jinja2 import Environment, StrictUndefined

from irg_core.validation.verdicts import Outcome

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}: what must be true, and what was found</title>
<style>
:root { --ink: #1c2733; --soft: #5b6b7b; --line: #e2e7ed; --good: #187a4b; --bad: #b3261e }
* { box-sizing: border-box }
body { margin: 0; color: var(--ink); background: #fff; font: 15px/1.5 system-ui, "Segoe UI", sans-serif }
main { max-width: 68rem; margin: 0 auto; padding: 2.2rem 2rem 4rem }
h1 { font-size: 1.7rem; margin: 0 0 .6rem }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .3rem } p { max-width: 46rem; margin: .3rem 0 }
a { color: #2563a8; text-decoration: none }
.soft { color: var(--soft) } nav a { margin-right: 1rem; white-space: nowrap }
.verdict { display: inline-block; margin: .3rem 0 .8rem; padding: .45rem .9rem; border-radius: 8px; font-weight: 600 }
.verdict.holds { background: #e7f4ec; color: var(--good) } .verdict.broken { background: #fbeae8; color: var(--bad) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .4rem 1rem .4rem 0; border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 600; font-size: .88rem }
td.mark { width: 1.8rem; font-weight: 700 } td.wide { width: 56% } td.rule { width: 20% }
.holds { color: var(--good) } .broken { color: var(--bad) } h2 .count { font-weight: 400; font-size: .9rem }
code { font-size: .75em; color: #93a1af; display: block; overflow-wrap: anywhere }
.rows { margin: .2rem 0 0; padding-left: 1.1rem; color: var(--bad); overflow-wrap: anywhere }
@media (max-width: 40rem) {
  main { padding: 1.3rem 1rem 3rem } th { display: none }
  tr { display: grid; grid-template-columns: 1.6rem 1fr; border-bottom: 1px solid var(--line); padding: .45rem 0 }
  td, td.wide, td.rule { border: 0; padding: 0; width: auto; grid-column: 2 } td.mark { grid-column: 1; grid-row: 1 }
  td[data-name]::before { content: attr(data-name) ": "; color: var(--soft) }
}
</style>
</head>
<body>
<main>
<nav><a href="../report.html">← Report</a></nav>
<h1>{{ title }}</h1>
{% if broken %}
<div class="verdict broken">✗ {{ broken }} of {{ total }} expectations are broken: nothing is trained on these
tables</div>
<nav>
{% for table, outcomes in tables if not outcomes | map(attribute='holds') | min %}
<a href="#{{ table }}">{{ table }}</a>
{% endfor %}
</nav>
{% else %}
<div class="verdict holds">✓ all {{ total }} expectations hold</div>
{% endif %}
<p class="soft">Held against every row of each table by Great Expectations before anything is trained;
the build stops where one is broken.</p>
{% for table, outcomes in tables %}
{% set rows = outcomes | map(attribute='rows') | max %}
<h2 id="{{ table }}">{{ table }} <span class="count soft">{{ '{:,}'.format(rows) }} rows</span></h2>
<table>
<tr><th></th><th>what must be true</th><th>expected</th><th>observed</th></tr>
{% for o in outcomes %}
<tr>
<td class="mark {{ 'holds' if o.holds else 'broken' }}">{{ '✓' if o.holds else '✗' }}</td>
<td class="wide">{{ o.sentence }} <code>{{ o.expectation }}</code>
{% if not o.holds %}
<ul class="rows">
<li>{{ '{:,} rows break it, for example'.format(o.violations) if o.violations else 'the whole table' }}</li>
{% for row in o.samples %}
<li>{{ row }}</li>
{% endfor %}
</ul>
{% endif %}
</td>
<td class="rule" data-name="expected">{{ o.expected }}</td>
<td class="{{ 'rule' if o.holds else 'rule broken' }}" data-name="observed">{{ o.observed }}</td>
</tr>
{% endfor %}
</table>
{% endfor %}
</main>
</body>
</html>
"""


def render(title: str, outcomes: Sequence[Outcome]) -> str:
    """What must be true of each table, what was found, and which rows break it."""
    tables: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        tables.setdefault(outcome.table, []).append(outcome)
    broken = sum(not outcome.holds for outcome in outcomes)
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(PAGE)
    return template.render(title=title, tables=list(tables.items()), broken=broken, total=len(outcomes)) + "\n"
