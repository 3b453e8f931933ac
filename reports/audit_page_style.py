"""The style sheet of the audit's page: light and dark, phone and print. Its colours are the charts' as well."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --sheet: #ffffff; --ink: #1b1f23; --soft: #5d666f; --rule: #e2e3de; --faint: #f3f4f0;
  --proved: #0e7c6b; --broken: #c14a16; --clean: #76808a; --alarm: #b3261e; --calm: #e8f3f0; --alert: #fbe9e7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121518; --sheet: #181c20; --ink: #e6e8ea; --soft: #9aa4ad; --rule: #2c3238; --faint: #1e2328;
    --proved: #45c0ac; --broken: #f0925e; --clean: #8d98a2; --alarm: #ff8a80; --calm: #14302b; --alert: #3a1a18;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
h1 { font-size: 2rem; line-height: 1.15; letter-spacing: -0.02em; font-weight: 650; margin: 0.1rem 0 0.5rem; }
h2 { font-size: 1.25rem; letter-spacing: -0.01em; font-weight: 620; margin: 3.25rem 0 0.4rem; }
h3 { font-size: 0.95rem; font-weight: 620; margin: 1.6rem 0 0.4rem; }
p { margin: 0.4rem 0 0.8rem; max-width: 46rem; }
a { color: inherit; text-decoration-color: var(--rule); text-underline-offset: 0.2em; }
a:hover { text-decoration-color: currentColor; }
code, pre, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code, .mono { font-size: 0.86em; overflow-wrap: anywhere; }
.kicker { color: var(--soft); font-size: 0.85rem; margin: 0; }
.soft, figcaption, .note { color: var(--soft); }
.note, figcaption { font-size: 0.86rem; line-height: 1.45; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1.1rem; font-size: 0.9rem; margin: 1rem 0 0; color: var(--soft); }

.verdict { border-left: 4px solid var(--proved); background: var(--calm); padding: 0.85rem 1.1rem; margin: 1.5rem 0 0; }
.verdict p { margin: 0; max-width: none; }
.verdict strong { font-weight: 650; }
.verdict.none { border-color: var(--clean); background: var(--faint); }
.verdict.alarmed { --ground: var(--alert); border-color: var(--alarm); background: var(--alert); padding: 1.1rem; }
.verdict.alarmed h2 { margin: 0 0 0.3rem; color: var(--alarm); }
.verdict.alarmed p { margin-bottom: 0.6rem; }

.figures { display: flex; flex-wrap: wrap; gap: 1px; margin: 1.5rem 0 0; }
.figures { background: var(--rule); border: 1px solid var(--rule); }
.figures div { flex: 1 1 10rem; background: var(--sheet); padding: 0.8rem 1rem 0.7rem; }
.figures b { display: block; font-size: 1.65rem; line-height: 1.2; font-weight: 600; letter-spacing: -0.02em; }
.figures span { display: block; font-size: 0.84rem; color: var(--soft); line-height: 1.35; }
.figures .proved b { color: var(--proved); }
.figures .broken b { color: var(--broken); }

.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1.5rem 1.75rem; }
figure { margin: 0.6rem 0 0; }
figure h4 { margin: 0 0 0.25rem; font-size: 0.92rem; font-weight: 600; overflow-wrap: anywhere; }
figcaption { margin-top: 0.15rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.3rem; margin: 0.6rem 0 0; max-width: none; }
.legend { font-size: 0.86rem; color: var(--soft); }
.legend span { display: inline-flex; align-items: center; gap: 0.45rem; }
.legend i { width: 1.5rem; height: 0.75rem; border-top: 2px solid; display: inline-block; margin-top: 0.5rem; }
.legend .proved i { color: var(--proved); background: color-mix(in srgb, var(--proved) 22%, transparent); }
.legend .attacked i { color: var(--broken); }
.legend .clean i { color: var(--clean); border-top-style: dashed; }
.legend .lost i { border: 0; margin: 0; background: color-mix(in srgb, var(--broken) 20%, transparent); }

.chart { display: block; width: 100%; height: auto; max-width: 30rem; }
.chart text { font-size: 11px; fill: var(--soft); font-family: inherit; }
.chart .name { font-size: 11px; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--clean); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.proved { stroke: var(--proved); }
.line.attacked { stroke: var(--broken); }
.line.clean { stroke: var(--clean); stroke-width: 1.5; stroke-dasharray: 5 4; }
.area.proved { fill: var(--proved); opacity: 0.2; }
.area.broken { fill: var(--broken); opacity: 0.16; }
.dot { stroke: var(--paper); stroke-width: 1.5; }
.dot.attacked { fill: var(--broken); }
.whisker { fill: none; stroke-width: 1.25; }
.whisker.attacked { stroke: var(--broken); }
.bar.proved, .part.proved { fill: var(--proved); }
.bar.attacked { fill: var(--broken); }
.bar.alarm { fill: var(--alarm); }
.bar { opacity: 0.85; }
.mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 3; }
.part.track { fill: var(--faint); }
.part.held { fill: var(--clean); opacity: 0.4; }
.part.broken { fill: var(--broken); opacity: 0.45; }
.part.clean { fill: var(--ink); }
.sharebar { display: block; width: 7.5rem; height: 0.75rem; }

.scroll { overflow-x: auto; margin: 0.8rem 0 0; }
table { border-collapse: collapse; font-size: 0.88rem; line-height: 1.35; min-width: 100%; }
caption { text-align: left; color: var(--soft); padding: 0 0 0.4rem; }
th, td { padding: 0.38rem 0.75rem; text-align: right; vertical-align: baseline; white-space: nowrap; }
th { font-weight: 550; color: var(--soft); vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0.25rem; }
td.words, th.words { text-align: left; }
thead tr:last-child th { border-bottom: 1px solid var(--clean); }
th.over { text-align: center; color: var(--ink); padding-bottom: 0; }
th.over + th, th.over { border-left: 0.75rem solid transparent; }
tbody td, tbody th { border-bottom: 1px solid var(--rule); }
tbody th { color: var(--ink); text-align: left; padding-left: 0; padding-top: 1rem; }
.scroll th:first-child, .scroll td:first-child { position: sticky; left: 0; background: var(--ground, var(--paper)); }
td small { color: var(--soft); font-size: 0.82em; display: block; }
td.heat { background: color-mix(in srgb, var(--broken) calc(var(--share) * 38%), transparent); }
td.alarm { color: var(--alarm); font-weight: 650; }
td.wrap { white-space: normal; min-width: 12rem; overflow-wrap: anywhere; }

.gallery { display: grid; gap: 1.5rem; margin-top: 1rem; }
.gallery { grid-template-columns: repeat(auto-fill, minmax(min(31rem, 100%), 1fr)); }
.card { border: 1px solid var(--rule); background: var(--sheet); padding: 0.9rem; margin: 0; }
.card.alarmed { border-color: var(--alarm); box-shadow: 0 0 0 1px var(--alarm); }
.card header { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; margin-bottom: 0.6rem; }
.card header b { font-weight: 620; overflow-wrap: anywhere; }
.badge { font-size: 0.8rem; font-weight: 600; white-space: nowrap; }
.badge.fell { color: var(--broken); }
.badge.held { color: var(--proved); }
.badge.alarm { color: var(--alarm); }
.shots { display: grid; grid-template-columns: repeat(3, 1fr); gap: 0.5rem; }
.shots figure, .returned figure { margin: 0; min-width: 0; }
.shots img { display: block; width: 100%; height: auto; background: var(--faint); }
.shots figcaption, .returned figcaption { font-size: 0.78rem; margin-top: 0.25rem; overflow-wrap: anywhere; }
.missing {
  display: grid; place-items: center; aspect-ratio: 4 / 3; background: var(--faint); color: var(--soft);
  font-size: 0.78rem; text-align: center; padding: 0.4rem;
}
.returned { display: grid; grid-template-columns: 1fr auto 1fr; gap: 0.6rem; align-items: center; margin-top: 0.8rem; }
.returned figure { display: flex; gap: 0.6rem; align-items: center; }
.returned img, .returned .missing { width: 3.6rem; height: 3.6rem; object-fit: cover; flex: none; aspect-ratio: auto; }
.returned .arrow { color: var(--soft); }
.card dl { display: flex; flex-wrap: wrap; gap: 0.15rem 1.1rem; margin: 0.8rem 0 0; font-size: 0.84rem; }
.card dl div { display: flex; gap: 0.35rem; }
.card dt { color: var(--soft); }
.card dd { margin: 0; }

dl.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 0.6rem 1rem; }
dl.facts { margin: 1rem 0 0; font-size: 0.88rem; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; }

ul.warnings { padding-left: 1.1rem; margin: 0.5rem 0; max-width: 46rem; }
pre { background: var(--faint); padding: 0.8rem 1rem; font-size: 0.84rem; white-space: pre-wrap; }
pre { overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: 0.8rem; border-top: 1px solid var(--rule); }
footer { color: var(--soft); font-size: 0.84rem; }

@media (max-width: 34rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.6rem; }
  h2 { margin-top: 2.5rem; }
  .figures div { flex-basis: 40%; }
  .figures b { font-size: 1.35rem; }
  .scroll { margin-right: -1rem; padding-right: 1rem; }
  .shots { gap: 0.3rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --sheet: #ffffff; --ink: #000000; --soft: #4a5058; --rule: #d5d6d2; --faint: #f3f4f0;
    --proved: #0e7c6b; --broken: #c14a16; --clean: #76808a; --alarm: #b3261e; --calm: #e8f3f0; --alert: #fbe9e7;
  }
  @page { margin: 15mm 14mm; }
  html { font-size: 11.5px; }
  body { padding: 0; max-width: none; font-size: 1rem; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav { display: none; }
  h2, h3, h4 { break-after: avoid; }
  figure, .card, .verdict, .figures, tr { break-inside: avoid; }
  .panels { grid-template-columns: repeat(3, 1fr); gap: 1rem; }
  .gallery { grid-template-columns: 1fr 1fr; gap: 1rem; }
  .scroll { overflow: visible; }
  th, td { padding: 0.28rem 0.5rem; }
  td.wrap { min-width: 0; }
  .card { min-width: 0; }
  .chart text, .chart .name { font-size: 12.5px; }
  tr.group { break-after: avoid; }
  .scroll th:first-child, .scroll td:first-child { position: static; }
}
""".strip()
